"""The simulated judge: compares an answer with what was expected, and errs now and then.

It reads a request of any wording that holds an answer and a reference or guidelines, compares by content
(JSON by value, numbers by value, short references as part of the answer), and answers in the form asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from promptmigrate.simulate._chance import digest, unit
from promptmigrate.simulate._evidence import Section, sections
from promptmigrate.simulate._forms import detect, fill
from promptmigrate.simulate._reading import Turn, json_object

NOISE, NOISE_ON_EQUALS, NOISE_ON_STRANGERS = 0.08, 0.002, 0.02
"""How often it is wrong: as a rule, on texts equal but for form, on texts without a common word."""

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_WORD = re.compile(r"\w+")
_REFUSAL = re.compile(
    r"\b(?:sorry|apologi[sz]e|can(?:no|')t (?:help|assist)|not able to (?:help|assist)|unable to)\b", re.I
)
_VERDICTS = (
    ("CORRECT", "INCORRECT"), ("PASS", "FAIL"), ("EQUIVALENT", "DIFFERENT"), ("EQUIVALENT",
    "NOT EQUIVALENT"), ("yes", "no"),
    ("true", "false"), ("same", "different"), ("good", "bad"), ("correct", "incorrect"), ("match",
    "mismatch"),
    ("acceptable", "unacceptable"), ("A", "B"), ("1", "0"),
)  # fmt: skip
_YES = frozenset(good.lower() for good, _ in _VERDICTS)
_NO = frozenset(bad.lower() for _, bad in _VERDICTS) | {"not_equivalent", "wrong", "no match"}
_SCALE = re.compile(r"\b(?:from|between|scale of)\s+(\d+(?:\.\d+)?)\s*(?:to|and|-)\s*(\d+(?:\.\d+)?)", re.I)


def judge(model: str, turns: Sequence[Turn], params: Mapping[str, Any]) -> str:
    """The judge's answer to a request."""
    users = [turn.text for turn in turns if turn.role == "user"]
    if not users:
        return "What should I compare?"
    system = "\n".join(turn.text for turn in turns if turn.role == "system")
    found = _material(users[-1]) or _material(system + "\n" + users[-1]) or ("", "", "", "")
    answer, expected, guidelines, question = found
    right = same(answer, expected) if expected else _complies(answer, guidelines)
    # The error belongs to what is compared: another wording of the same question meets the same judgement.
    noise = _noise(_plain(answer), _plain(expected))
    if unit(digest(model, answer, expected, guidelines, question), "noise") < noise:
        right = not right
    # What is compared may look like a form of its own.
    frame = [Turn(turn.role, _without(turn.text, (answer, expected))) for turn in turns]
    form = detect(frame, params)
    verdict = _Verdict(right, _words(system + "\n" + users[-1]))
    if form.style == "plain" and (scale := _SCALE.search(users[-1] + system)):
        return str(round(verdict.number("score", float(scale[1]), float(scale[2]))))
    return fill(form, verdict)


def _noise(answer: str, expected: str) -> float:
    if answer == expected:
        return NOISE_ON_EQUALS
    return NOISE if not expected or set(answer.split()) & set(expected.split()) else NOISE_ON_STRANGERS


def _without(text: str, pieces: Sequence[str]) -> str:
    for piece in pieces:
        if len(piece) > 3:
            text = text.replace(piece, "")
    return text


class _Verdict:
    """Fills in what a request asks a judge for."""

    def __init__(self, right: bool, wording: tuple[str, str]) -> None:
        self._right = right
        self._word = wording[0] if right else wording[1]

    def text(self, name: str, index: int) -> str:  # noqa: ARG002 - part of the protocol
        if re.search(r"reason|rationale|explan|why|comment|analysis|feedback|justif|critique", name.lower()):
            same_or_not = "says the same as" if self._right else "differs from"
            return f"The answer {same_or_not} what was expected."
        return self._word

    def truth(self, name: str) -> bool:
        negative = re.search(r"incorrect|wrong|differ|fail|violat", name.lower())
        return self._right != bool(negative)

    def number(self, name: str, low: float, high: float) -> float:  # noqa: ARG002 - part of the protocol
        return high if self._right else low

    def choice(self, name: str, options: Sequence[Any]) -> Any:  # noqa: ARG002 - part of the protocol
        plain = [str(option).strip().lower() for option in options]
        wanted, other = (_YES, _NO) if self._right else (_NO, _YES)
        for index, option in enumerate(plain):
            if option in wanted:
                return options[index]
        # Unknown words: the good one is listed first, by custom.
        left = [options[i] for i, option in enumerate(plain) if option not in other] or list(options)
        return left[0] if self._right else left[-1]

    def count(self, name: str) -> int:  # noqa: ARG002 - part of the protocol
        return 1

    def keys(self, name: str) -> Sequence[str]:
        return [name]


def same(answer: str, expected: str) -> bool:
    """Whether an answer says what was expected, whatever its form."""
    if _plain(answer) == _plain(expected):
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
        return bool(given) and float(given[-1].replace(",", "")) == float(wanted[-1].replace(",", ""))
    words, inside = _plain(expected).split(), _plain(answer).split()
    if len(words) <= 4:
        return any(inside[i : i + len(words)] == words for i in range(len(inside))) and len(inside) < 80
    common = len(set(words) & set(inside))
    overlap = 2 * common / (len(set(words)) + len(set(inside)))
    return overlap >= 0.75 and set(_NUMBER.findall(answer)) >= set(wanted)


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", text.lower()).split())


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return float(value) if isinstance(value, (int, float)) else value


def _complies(answer: str, guidelines: str) -> bool:
    """A rough reading of guidelines: form where it can be told, else the benefit of the doubt."""
    lowered = guidelines.lower()
    if not answer.strip() or _REFUSAL.search(answer[:200]):
        return False
    if "json" in lowered and json_object(answer) is None:
        return False
    if re.search(r"\b(?:no|not|without|avoid)\b[^.\n]*markdown", lowered) and re.search(
        r"\*\*|```|^#", answer
    ):
        return False
    return not (re.search(r"\b(?:concise|brief|short|one word|only the)\b", lowered) and len(answer) > 300)


def _material(text: str) -> tuple[str, str, str, str] | None:
    """Answer, expected, guidelines and question of a request; None if there is nothing to compare."""
    found: dict[str, list[str]] = {}
    for part in sections(text):
        if part.role and part.body and not _is_talk(part):
            found.setdefault(part.role, []).append(part.body)
    for key, value in _json_parts(text).items():
        found.setdefault(key, []).append(value)
    outputs, expected = found.get("output", []), found.get("expected", [])
    if not outputs and expected and (given := found.get("input")):
        outputs = given[-1:]  # a "document" or "text" that is compared with a claim
    if len(outputs) > 1 and not expected:
        expected, outputs = outputs[:1], outputs[1:]
    guidelines = "\n".join(found.get("guidelines", []))
    if not outputs or not (expected or guidelines):
        return None
    question = "\n".join(found.get("input", [])).strip()
    return _clean(outputs[-1]), _clean(expected[-1]) if expected else "", guidelines.strip(), question


def _json_parts(text: str) -> dict[str, str]:
    value = json_object(text)
    if not value:
        return {}
    from promptmigrate.simulate._evidence import role_of

    return {
        role: item if isinstance(item, str) else json.dumps(item)
        for key, item in value.items()
        if (role := role_of(str(key))) in ("output", "expected", "guidelines") and "|" not in str(item)
    }


def _is_talk(part: Section) -> bool:
    return len(part.body) < 200 and bool(re.match(r"(?i)(?:answer|reply|respond) with\b", part.body))


def _clean(text: str) -> str:
    text = re.split(
        r"\n\s*(?:Respond with|Answer with|Reply with|Is the |Are the |Does the |Do the |Please |Give "
        r"your|Decide )",
        text,
    )[0]
    text = text.strip()
    if (match := re.fullmatch(r"```\w*\n(.*?)\n```", text, re.DOTALL)) and not match[1].lstrip().startswith(
        "{"
    ):
        text = match[1]
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`":
        text = text[1:-1]
    return text


def _words(text: str) -> tuple[str, str]:
    """The two verdict words that a request offers; yes and no if it offers none that are known."""
    best, at = ("yes", "no"), -1
    for good, bad in _VERDICTS:
        pattern = (
            rf"(?<![\w]){re.escape(good)}(?!\w)\W{{0,6}}(?:or|/|\||,|and|otherwise|if "
            rf"[^.\n]{{1,90}})\W{{0,4}}"
            rf"(?:else |otherwise )?{re.escape(bad)}(?!\w)"
        )
        for match in re.finditer(pattern, text):
            if match.start() > at:
                best, at = (good, bad), match.start()
    return best
