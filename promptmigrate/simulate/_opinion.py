"""What a simulated judge makes of an answer: against a reference by content, without one by rough signs.

A reference is compared by value (JSON, numbers) or by words. Without a reference there is no truth to be had
from the text alone: form is judged where it can be told (empty, refusal, length, JSON, markdown, numbers and
words that a source lacks), and the rest is an opinion that belongs to the content, by hash. It is the same
every time and says nothing about real quality.
"""

from __future__ import annotations

import json
import re
from typing import Any

from promptmigrate.simulate._chance import digest, unit
from promptmigrate.simulate._reading import json_object

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_WORD = re.compile(r"\w+")
_REFUSAL = re.compile(
    r"\b(?:sorry|apologi[sz]e|can(?:no|')t (?:help|assist)|not able to (?:help|assist)|unable to)\b", re.I
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_HARM = re.compile(r"\b(?:kill|bomb|weapon|suicide|malware|poison|explosive|murder|rape)\w*", re.I)
_AT_MOST = re.compile(
    r"\b(?:at most|no more than|up to|maximum(?: of)?|under|fewer than|less than)\s+(\d+)\s+(word|character|"
    r"sentence|line)", re.I,
)  # fmt: skip
_QUOTED = re.compile(r"[\"“'`]([^\"”'`\n]{2,60})[\"”'`]")
_ABSENT = re.compile(r"\b(?:no|not|never|without|avoid|don['’]t)\b", re.I)
_KINDS = (
    ("concise", r"concis|wordy|verbos|bloat|brevity|succinct"),
    ("safe", r"\b(?:un)?safe|harm|toxic|offens|danger"),
    ("covered", r"complet|cover|missing"),
    ("followed", r"follow|instruction|obey"),
    ("supported", r"support|faithful|ground|hallucinat|contradict|consisten|factual|accura"),
    ("relevant", r"relevan|on topic|off topic"),
)
_MOST_POINTS = 12


def kind_of(*texts: str) -> str:
    """What is judged, by the first text that tells: one of the kinds above, empty for anything else."""
    for text in texts:
        lowered = text.lower()
        found = [(m.start(), kind) for kind, pattern in _KINDS if (m := re.search(pattern, lowered))]
        if found:
            return min(found)[1]
    return ""


def same(answer: str, expected: str) -> bool:
    """Whether an answer says what was expected, whatever its form."""
    if plain(answer) == plain(expected):
        return True
    if not answer.strip():
        return False
    want = json_object(expected)
    if want is not None:
        got = json_object(answer)
        return got is not None and {k: _scalar(v) for k, v in got.items()} == {
            k: _scalar(v) for k, v in want.items()
        }
    wanted, given = _NUMBER.findall(expected), _NUMBER.findall(answer)
    if wanted and (len(_WORD.findall(expected)) <= 3 or re.search(r"(?:answer|result)\W", expected, re.I)):
        return bool(given) and _float(given[-1]) == _float(wanted[-1])
    words, inside = plain(expected).split(), plain(answer).split()
    if len(words) <= 4:
        return any(inside[i : i + len(words)] == words for i in range(len(inside))) and len(inside) < 80
    common = len(set(words) & set(inside))
    overlap = 2 * common / (len(set(words)) + len(set(inside)))
    return overlap >= 0.75 and set(_NUMBER.findall(answer)) >= set(wanted)


def closeness(answer: str, expected: str) -> float:
    """How much of what was expected an answer says, in [0, 1]; 1 only if it says the same."""
    if same(answer, expected):
        return 1.0
    points = points_of(expected)
    if len(points) < 2:
        return 0.0
    return 0.9 * sum(covers(answer, point, expected) for point in points) / len(points)


def points_of(text: str) -> list[str]:
    """The single statements of a text: the pairs of an object, or the sentences."""
    value = json_object(text)
    if value:
        return [f"{key}: {_shown(item)}" for key, item in value.items()][:_MOST_POINTS]
    parts = [part.strip(" -*•\t") for part in _SENTENCE.split(text)]
    return [part for part in parts if _WORD.search(part)][:_MOST_POINTS]


def covers(answer: str, point: str, whole: str = "") -> bool:
    """Whether an answer says one point (of a ``whole`` that may be an object)."""
    want = json_object(whole) if whole else None
    if want is not None:
        key, _, _ = point.partition(": ")
        got = json_object(answer)
        if got is not None and key in want:
            return key in got and _scalar(got[key]) == _scalar(want[key])
    return same(answer, point) or _share(point, answer) >= 0.7


def supported(claim: str, source: str) -> float:
    """How far a source bears a claim out: 1 it does, 0 it says otherwise (another number), else between."""
    if same(claim, source) or f" {plain(claim)} " in f" {plain(source)} ":
        return 1.0
    numbers, known = _numbers(claim), _numbers(source)
    share = _share(claim, source)
    if numbers - known:
        return 0.0 if share >= 0.5 or not claim.strip(" \n\t-+.,0123456789") else 0.25
    return 1.0 if share >= 0.5 else 0.25


def assess(kind: str, answer: str, question: str, seed: bytes) -> float:
    """How well an answer does in some respect, without a reference, in [0, 1]."""
    if kind == "safe":
        return 0.0 if _HARM.search(answer) else 1.0
    if not answer.strip() or _REFUSAL.search(answer[:200]):
        return 0.0
    if kind == "concise":
        words = len(answer.split())
        return 1.0 if words <= 30 or json_object(answer) else 0.5 if words <= 120 else 0.0
    if kind == "supported" and question:
        claims = points_of(answer)
        return sum(supported(claim, question) for claim in claims) / max(1, len(claims))
    taste = unit(seed, "taste")
    if kind == "relevant":
        return 1.0 if _share(answer, question) > 0.3 or taste < 0.8 else 0.5
    return 0.35 + 0.65 * taste


def complies(answer: str, guideline: str, seed: bytes) -> bool:
    """A rough reading of guidelines: form where it can be told, else mostly the benefit of the doubt."""
    lowered = guideline.lower()
    if not answer.strip() or _REFUSAL.search(answer[:200]):
        return False
    if (
        "json" in lowered
        and not _ABSENT.search(lowered.split("json")[0][-20:])
        and json_object(answer) is None
    ):
        return False
    if re.search(r"\b(?:no|not|without|avoid|plain)\b[^.\n]*(?:markdown|format)", lowered) and re.search(
        r"\*\*|```|^#", answer
    ):
        return False
    words = len(answer.split())
    if re.search(r"\b(?:concise|brief|short|one word|only the)\b", lowered) and len(answer) > 300:
        return False
    if re.search(r"\b(?:one|single|only)\b[^.\n]{0,20}\b(?:word|label|number|value|name|queue)\b", lowered):
        return words <= 3
    if re.search(r"\b(?:no|without|not)\b[^.\n]{0,20}\b(?:expla|comment|introduc|preamble)", lowered):
        return words <= 8 or json_object(answer) is not None
    if limit := _AT_MOST.search(lowered):
        counts = {
            "word": words, "character": len(answer), "line": answer.count("\n") + 1,
            "sentence": len(points_of(answer)),
        }  # fmt: skip
        return counts[limit[2]] <= int(limit[1])
    if quoted := _QUOTED.search(guideline):
        inside = quoted[1].lower() in answer.lower()
        return inside != bool(_ABSENT.search(guideline[: quoted.start()]))
    if re.search(
        r"\b(?:state|include|contain|give|mention)\w*\b[^.\n]{0,30}\b(?:number|amount|price|date)", lowered
    ):
        return bool(_NUMBER.search(answer))
    told = re.search(r"json|markdown|concise|brief|short|refus", lowered)
    return bool(told) or unit(seed, "benefit of the doubt") < 0.85


def quality(answer: str, question: str, seed: bytes) -> float:
    """How good an answer seems on its own; for comparing two of them."""
    if not answer.strip():
        return 0.0
    if _REFUSAL.search(answer[:200]):
        return 0.1
    return 0.3 + 0.6 * unit(seed, "taste") + 0.1 * min(1.0, _share(answer, question))


def plain(text: str) -> str:
    """The words of a text in lower case, with single spaces."""
    return " ".join(re.sub(r"[\W_]+", " ", text.lower()).split())


def seed_of(*parts: str) -> bytes:
    """What an opinion about these texts belongs to; case, spacing and punctuation do not count."""
    return digest(*(plain(part) for part in parts))


def _share(text: str, source: str) -> float:
    """The share of a text's longer words that a source has, too."""
    words = {word[:6] for word in plain(text).split() if len(word) > 3 or word.isdigit()}
    known = {word[:6] for word in plain(source).split()}
    return len(words & known) / len(words) if words else 0.0


def _numbers(text: str) -> set[float]:
    return {_float(found) for found in _NUMBER.findall(text)}


def _float(text: str) -> float:
    return float(text.replace(",", ""))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return float(value) if isinstance(value, (int, float)) else value
