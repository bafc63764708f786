"""What an editor concludes from cases: the improvements that the evidence suggests, each with its weight."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from promptmigrate.simulate import _wording as words
from promptmigrate.simulate._chance import pick, unit
from promptmigrate.simulate._evidence import Case
from promptmigrate.simulate._signals import read_signals
from promptmigrate.simulate._value_edits import Edit, json_edits, json_value, last_number, number_edits

_WORD = re.compile(r"(?<![\w@.])[a-z][a-z'-]{2,}(?![\w@])")
"""A word that does not begin with a capital: names, months and days say little about a case."""
_REFUSAL = re.compile(
    r"\b(?:sorry|apologi[sz]e|can(?:no|')t (?:help|assist)|not able to (?:help|assist)|unable to)\b", re.I
)
_STOP = frozenset(
    re.findall(
        r"\w+",
        "the and for you your our are was were with that this have has had not but from they them will "
        "would can could all "
        "any out one two who what when where how why which their there here then than been being its into "
        "over also just "
        "very more some such only does did done get got may might must should about please hello dear "
        "thanks best kind "
        "regards cheers subject name contact form plan message since team she him her his",
    )
)


def conclude(prompt: str, cases: Sequence[Case], seed: bytes) -> list[Edit]:
    """What the cases suggest, strongest first. ``seed`` chooses among wordings."""
    pairs = [case for case in cases if case.output and case.expected]
    failed = [case for case in pairs if case.output.strip() != case.expected.strip()]
    feedback = " ".join(case.feedback for case in cases).lower()
    edits: list[Edit] = []
    if failed:
        objects = [value for case in pairs if (value := json_value(case.expected))]
        if len(objects) >= max(1, len(pairs) // 2):
            edits += json_edits(failed, objects, prompt, seed)
        elif sum(last_number(case.expected) is not None for case in pairs) > len(pairs) / 2:
            edits += number_edits(failed, pairs, prompt, seed)
        else:
            edits += _text_edits(failed, [c for c in cases if c.expected], prompt, seed)
        refused = [case for case in failed if _REFUSAL.search(case.output[:200])]
        if refused:
            edits.append(
                Edit("always", pick(seed, "always", words.ALWAYS), 1.0 + 3.0 * len(refused) / len(failed))
            )
    elif feedback:
        edits += _from_feedback(feedback, seed)
    return sorted(edits, key=lambda edit: (-edit.weight, edit.name))


def _from_feedback(feedback: str, seed: bytes) -> list[Edit]:
    edits = []
    thing = {"thing": "answer"}
    if re.search(r"too long|verbose|extra text|only the|explanation|chatty|wordy", feedback):
        edits.append(Edit("bare", pick(seed, "bare", words.BARE).format(**thing), 1.0))
    if re.search(r"markdown|bold|formatt", feedback):
        edits.append(Edit("plain", pick(seed, "plain", words.PLAIN), 1.0))
    if re.search(r"fence|code block|not valid json|invalid json|parse", feedback):
        edits.append(
            Edit("fence", pick(seed, "fence", words.NO_FENCE).replace("{{", "{").replace("}}", "}"), 1.0)
        )
    if re.search(r"refus|declin|apolog", feedback):
        edits.append(Edit("always", pick(seed, "always", words.ALWAYS), 1.0))
    return edits


def _text_edits(failed: Sequence[Case], shown: Sequence[Case], prompt: str, seed: bytes) -> list[Edit]:
    expected = [case.expected.strip() for case in shown]
    short = [e for e in expected if len(e) <= 40 and "\n" not in e]
    closed = len(short) == len(expected) and len(set(short)) <= 25
    thing = _thing(prompt) if closed else "answer"
    have = read_signals(prompt)
    count = len(failed)
    longer = [c for c in failed if len(c.output) > 1.3 * len(c.expected) + 3]
    edits = []
    if longer:
        weight = 3.0 * len(longer) / count * (0.4 if have.bare >= 0.8 else 1.0)
        edits.append(Edit("bare", pick(seed, "bare", words.BARE).format(thing=thing), weight))
    marked = [
        c for c in failed if re.search(r"\*\*|`|^#|^- ", c.output) and not re.search(r"\*\*|`", c.expected)
    ]
    if marked:
        weight = 2.0 * len(marked) / count * (0.3 if have.plain else 1.0)
        edits.append(Edit("plain", pick(seed, "plain", words.PLAIN), weight))
    if not closed:
        return edits
    # Names that the prompt itself writes like the expected ones (say, in snake case) belong to the list, too.
    labels = list(
        dict.fromkeys(
            [*short, *(w for w in re.findall(r"[a-z]+(?:_[a-z]+)+", prompt) if "_" in "".join(short))]
        )
    )
    labels = sorted(label for label in labels if "{{" + label + "}}" not in prompt.replace(" ", ""))
    renamed = [c for c in failed if not any(label.lower() in c.output.lower() for label in labels)]
    drifted = [
        c for c in failed if c.expected.strip() not in c.output and _loose(c.expected) in _loose(c.output)
    ]
    if len(set(short)) >= 2 and (renamed or drifted):
        weight = (2.5 * len(renamed) + 1.5 * len(drifted)) / count
        if all(label in prompt for label in labels):
            text = pick(seed, "exact", words.EXACT).format(thing=thing)
            edits.append(Edit("exact", text, weight * (0.3 if have.exact else 1.0)))
        else:
            options = {"options": ", ".join(labels), "bullets": "\n".join(f"- {label}" for label in labels)}
            text = pick(seed, "closed", words.CLOSED).format(thing=thing, plural=_plural(thing), **options)
            edits.append(Edit("closed", text, weight + 0.5))
    return edits + _confusions(failed, shown, labels, thing, prompt, seed)


def _confusions(
    failed: Sequence[Case], shown: Sequence[Case], labels: Sequence[str], thing: str, prompt: str, seed: bytes
) -> list[Edit]:
    confused: dict[tuple[str, str], list[Case]] = {}
    for case in failed:
        right = case.expected.strip()
        said = [
            label
            for label in labels
            if re.search(rf"(?<![a-z_]){re.escape(_loose(label))}(?![a-z_])", _loose(case.output))
        ]
        if _loose(right) not in _loose(case.output) and len(said) == 1 and said[0] != right:
            confused.setdefault((right, said[0]), []).append(case)
    edits = []
    for (right, wrong), cases in sorted(confused.items()):
        key = f"rule {right} {wrong}"
        cues = _cues([c.input for c in cases], [c.input for c in shown if c.expected.strip() != right])
        quoted = (
            " or ".join(f'"{cue}"' for cue in cues[: 2 + (unit(seed, key + "n") < 0.5)]) or "such matters"
        )
        text = pick(seed, key, words.RULE).format(cues=quoted, right=right, wrong=wrong, thing=thing)
        already = any(
            right in line and wrong in line and any(cue in line for cue in cues)
            for line in prompt.lower().split("\n")
        )
        edits.append(Edit(key, text, (0.6 + 1.2 * len(cases)) * (0.3 if already else 1.0)))
    return edits


def _cues(texts: Sequence[str], others: Sequence[str]) -> list[str]:
    """Words or pairs of words that the texts share and the others lack, most telling first."""
    inside, outside = _document_counts(texts), _document_counts(others)
    total, total_out = max(1, len(texts)), max(1, len(others))
    scored = [(n / total - 1.5 * outside[word] / total_out, word) for word, n in inside.items()]
    return [word for score, word in sorted(scored, key=lambda s: (-s[0], s[1])) if score > 0][:5]


def _document_counts(texts: Iterable[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update({word for word in _WORD.findall(text) if word not in _STOP})
    return counts


def _loose(text: str) -> str:
    return re.sub(r"[\W_]+", "_", text.lower()).strip("_")


def _thing(prompt: str) -> str:
    lowered = prompt.lower()
    names = ("queue", "category", "label", "class", "tag", "intent", "type", "sentiment", "topic")
    found = [(lowered.find(name), name) for name in names if name in lowered]
    return min(found)[1] if found else "label"


def _plural(thing: str) -> str:
    if thing.endswith("y"):
        return thing[:-1] + "ies"
    return thing + "es" if thing.endswith("s") else thing + "s"
