"""Where the built-in scorers live. They are loaded when first asked for, so that importing costs nothing."""

from __future__ import annotations

BUILTIN: dict[str, tuple[str, str]] = {
    "contains": ("scorers._measures.contains", "Contains"),
    "correctness": ("scorers._judges.correctness", "Correctness"),
    "equivalence": ("scorers._judges.equivalence", "Equivalence"),
    "exact_match": ("scorers._measures.exact_match", "ExactMatch"),
    "guidelines": ("scorers._judges.guidelines", "Guidelines"),
    "json_match": ("scorers._measures.json_match", "JsonMatch"),
    "label_match": ("scorers._measures.label_match", "LabelMatch"),
    "numeric_match": ("scorers._measures.numeric_match", "NumericMatch"),
    "regex": ("scorers._measures.regex", "Regex"),
}
"""Name in a spec -> module and class."""

LAZY: dict[str, tuple[str, str]] = {
    **{name: (module, kind) for name, (module, kind) in BUILTIN.items()},
    **{kind: (module, kind) for module, kind in BUILTIN.values()},
    "NoCompleteError": ("scorers._errors", "NoCompleteError"),
    "ScorerSpecError": ("scorers._errors", "ScorerSpecError"),
    "from_spec": ("scorers._registry", "from_spec"),
    "mine_labels": ("scorers._measures.label_match", "mine_labels"),
    "names": ("scorers._registry", "names"),
    "set_default_complete": ("scorers._complete", "set_default_complete"),
    "to_spec": ("scorers._registry", "to_spec"),
}
"""Public name -> module and attribute."""
