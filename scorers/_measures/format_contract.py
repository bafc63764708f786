"""format_contract: the output has the form that answers have to have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scorers import _contract
from scorers._base import Measure
from scorers._errors import ScorerSpecError, nearest
from scorers._json import PROBLEMS, read
from scorers._text import as_text, clip, normalise_label
from scorers._types import Sample, Score
from scorers._words import count_words

_SHOWN = 20
_COUNTS: dict[str, Callable[[str], int]] = {
    "chars": len,
    "words": count_words,
    "lines": lambda text: text.count("\n") + 1,
}
_LONGEST = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatContract(Measure):
    """1.0 where the output keeps every rule of a contract on its form, else 0.0 (``graded``: the share it
    keeps).

    A contract is plain data; :func:`scorers.mine_contract` reads one off answers that are known to be good.
    Rules:
    ``kind`` (``label``, ``json``, ``number``, ``text``), ``labels``, ``root``, ``keys`` (path to ``types``,
    ``required``, ``enum``), ``extra_keys``, ``integer``, ``decimals``, ``prefix``, ``unit``, ``casing``,
    ``chars``,
    ``words``, ``lines`` (each ``[least, most]``), ``markdown``, ``starts_with``, ``full_stop``. What a
    contract does not name is free. What an answer says is no part of its form.

    Kinds of evidence: ``match``, ``empty``, and else that of the first broken rule: ``not_a_label``,
    ``label_form``, ``invalid_json``, ``fenced_json``, ``text_around_json``, ``wrong_root``, ``missing_keys``,
    ``extra_keys``, ``wrong_types``, ``not_in_enum``, ``not_a_number``, ``decimals``, ``prefix``, ``unit``,
    ``casing``,
    ``chars``, ``words``, ``lines``, ``markdown``, ``starts_with``, ``full_stop``. ``broken`` lists them all.

    Example:
        >>> from scorers import format_contract, mine_contract
        >>> contract = mine_contract(["billing", "delivery", "billing", "delivery", "billing"])
        >>> contract["kind"], contract["labels"]
        ('label', ['billing', 'delivery'])
        >>> format_contract(contract=contract)(output="delivery").value
        1.0
        >>> format_contract(contract=contract)(output="**Delivery**").evidence["kind"]
        'label_form'
    """

    name: str = "format_contract"
    contract: Mapping[str, Any]
    graded: bool = False
    """The value is the share of rules that are kept."""

    def _check(self) -> None:
        problem = _problem_of(self.contract)
        if problem:
            raise ScorerSpecError(f"{self.name}: option 'contract' {problem}", key="contract")

    def _needs_expected(self) -> bool:
        return False

    def _score(self, sample: Sample) -> Score:
        text = as_text(sample.output).strip()
        if not text:
            return self._found(0.0, "empty", "the answer is empty")
        if len(text) > _LONGEST:
            return self._unscored("timeout", f"more than {_LONGEST} characters are not checked")
        broken = list(self._broken(sample.output if not isinstance(sample.output, bytes) else text, text))
        if not broken:
            return self._found(1.0, "match", "")
        rules = {rule for rule, _, _ in broken}
        count = len([rule for rule in self.contract if rule not in ("extra_keys", "markdown")])
        count += self.contract.get("extra_keys") is False
        count += self.contract.get("markdown") is False
        value = max(0.0, 1 - len(rules) / max(count, len(rules))) if self.graded else 0.0
        return self._found(
            value,
            broken[0][1],
            "; ".join(why for _, _, why in broken[:4]) + f": {clip(text)!r}",
            broken=[[kind, why] for _, kind, why in broken[:_SHOWN]],
        )

    def _broken(self, output: Any, text: str) -> Iterator[tuple[str, str, str]]:
        """For each broken rule: its name, the kind of evidence and the reason."""
        rules = self.contract
        kind = rules.get("kind", "text")
        if kind == "label":
            yield from _label(text, rules)
        elif kind == "json":
            yield from _json(output, rules)
        elif kind == "number":
            yield from _number(text, rules)
        casing = rules.get("casing")
        if casing and not _contract.is_cased(text, casing):
            yield "casing", "casing", f"it is not in {casing} case"
        for unit, count in _COUNTS.items():
            if unit in rules:
                least, most = rules[unit]
                seen = count(text)
                if not least <= seen <= most:
                    yield unit, unit, f"it has {seen} {unit}, not {least} to {most}"
        if rules.get("markdown") is False and kind != "json" and _contract.MARKDOWN.search(text):
            yield "markdown", "markdown", "it uses Markdown"
        start = rules.get("starts_with")
        if start and not text.startswith(start):
            yield "starts_with", "starts_with", f"it does not begin with {clip(start)!r}"
        if "full_stop" in rules and (text[-1] in ".!?。！？…") is not rules["full_stop"]:
            wanted = "does not end" if rules["full_stop"] else "ends"
            yield "full_stop", "full_stop", f"it {wanted} with a full stop"


def _label(text: str, rules: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    labels = rules.get("labels")
    if labels is None or text in labels:
        return
    if normalise_label(text) in {normalise_label(label) for label in labels}:
        yield "labels", "label_form", "the label is not written as it should be"
    else:
        yield "labels", "not_a_label", "it is none of the labels"


def _number(text: str, rules: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    match = _contract.as_number(text)
    if match is None:
        yield "kind", "not_a_number", "it is not a number and nothing else"
        return
    places = len((match["decimals"] or ".")[1:])
    if rules.get("integer") and places:
        yield "integer", "decimals", "it is not a whole number"
    if "decimals" in rules and places != rules["decimals"]:
        yield "decimals", "decimals", f"it has {places} decimal places, not {rules['decimals']}"
    for rule in ("prefix", "unit"):
        if rule in rules and (match[rule] or "") != rules[rule]:
            wanted = repr(rules[rule]) if rules[rule] else "none"
            yield rule, rule, f"expected {wanted} as its {rule}, got {match[rule] or 'none'!r}"


def _json(output: Any, rules: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    found = read(output, allow_fences=rules.get("markdown") is True)
    if found.problem:
        kind, why = PROBLEMS[found.problem]
        yield ("markdown" if found.problem == "fenced" else "kind"), kind, why
        return
    root = _contract.root_of(found.value)
    if "root" in rules and root != rules["root"]:
        yield "root", "wrong_root", f"expected {rules['root']}, got {root}"
        return
    if root not in ("object", "list"):
        yield "kind", "wrong_root", f"expected an object or a list, got a {root}"
        return
    keys = rules.get("keys") or {}
    inside = _contract.walk(found.value)
    if not keys and rules.get("extra_keys") is not False:
        return
    yield from _missing(found.value, inside, keys)
    extra = sorted({path for path, _ in inside if path not in keys and not path.endswith("[]")})
    if rules.get("extra_keys") is False and extra:
        yield "extra_keys", "extra_keys", f"it has other keys: {clip(', '.join(extra), 200)}"
    wrong: dict[str, str] = {}
    outside: dict[str, str] = {}
    for path, item in inside:
        rule = keys.get(path)
        if rule is None:
            continue
        kind = _contract.root_of(item)
        if "types" in rule and kind not in rule["types"]:
            wrong.setdefault(path, f"{path} is a {kind}")
        elif "enum" in rule and kind == "string" and item not in rule["enum"]:
            outside.setdefault(path, f"{path} is {clip(item, 40)!r}")
    if wrong:
        yield "keys", "wrong_types", clip("; ".join(wrong.values()), 300)
    if outside:
        yield "keys", "not_in_enum", clip("; ".join(outside.values()), 300)


def _missing(
    root: Any, inside: list[tuple[str, Any]], keys: Mapping[str, Any]
) -> Iterator[tuple[str, str, str]]:
    wanted: dict[str, list[tuple[str, str]]] = {}
    for path, rule in keys.items():
        if rule.get("required") and not path.endswith("[]"):
            parent, _, key = path.rpartition(".")
            wanted.setdefault(parent, []).append((key, path))
    missing: dict[str, None] = {}
    for path, item in [("", root), *inside]:
        if path in wanted and isinstance(item, Mapping):
            for key, whole in wanted[path]:
                if key not in item:
                    missing[whole] = None
    if missing:
        yield "keys", "missing_keys", f"it lacks {clip(', '.join(missing), 200)}"


def _problem_of(contract: Mapping[str, Any]) -> str:
    """What is wrong with a contract, or nothing."""
    kind = contract.get("kind", "text")
    if kind not in _contract.KINDS:
        return f"has the kind {kind!r}; it must be one of {', '.join(_contract.KINDS)}"
    for rule, value in contract.items():
        if rule not in _contract.RULES:
            known = ", ".join(_contract.RULES)
            return f"has no rule {rule!r}{nearest(rule, _contract.RULES)}; rules are {known}"
        if rule != "kind" and kind not in _contract.RULES[rule]:
            return f"has the rule {rule!r}, which is not for the kind {kind!r}"
        wanted = _wanted(rule, value)
        if wanted:
            return f"has for {rule!r} {value!r:.80}; it must be {wanted}"
    return ""


def _wanted(rule: str, value: Any) -> str:
    if rule in ("extra_keys", "markdown", "integer", "full_stop"):
        return "" if isinstance(value, bool) else "true or false"
    if rule in ("chars", "words", "lines"):
        good = isinstance(value, list | tuple) and len(value) == 2 and all(type(v) is int for v in value)
        return "" if good and 0 <= value[0] <= value[1] else "[least, most]"
    if rule == "labels":
        good = isinstance(value, list | tuple) and bool(value) and all(isinstance(v, str) for v in value)
        return "" if good else "a list of texts"
    if rule == "keys":
        good = isinstance(value, Mapping) and all(_is_key_rule(v) for v in value.values())
        return "" if good else "a mapping from paths to types, required and enum"
    if rule == "decimals":
        return "" if type(value) is int and value >= 0 else "a whole number"
    words = {"casing": ("lower", "upper"), "root": ("object", "list")}.get(rule)
    if words is not None:
        return "" if value in words else " or ".join(words)
    return "" if isinstance(value, str) else "a text"


def _is_key_rule(rule: Any) -> bool:
    return (
        isinstance(rule, Mapping)
        and set(rule) <= {"types", "required", "enum"}
        and isinstance(rule.get("required", False), bool)
        and all(kind in _contract.TYPES for kind in _listed(rule.get("types", ())))
        and isinstance(rule.get("enum", ()), list | tuple)
    )


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [None]


format_contract = FormatContract
