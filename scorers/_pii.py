"""Personal data and secrets in texts: e-mail addresses, phone and card numbers, IBANs, US social security
numbers, keys.

Precise rather than greedy: dates, amounts, order numbers and versions are none. Names and postal addresses
are not looked for. Every pattern has bounded repeats, so that time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

KINDS: tuple[str, ...] = ("email", "phone", "card", "iban", "ssn", "key")

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[^\W_](?:[\w-]{0,62})\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_PLACEHOLDER = re.compile(
    r"@(?:[\w-]{1,63}\.){0,3}(?:example|test|invalid|localhost)(?:\.[a-z]{2,3}){0,2}\Z|@example\.",
    re.IGNORECASE,
)
_SEVEN_DIGITS = re.compile(r"\d(?:\D{0,3}\d){6}")
_CARD = re.compile(
    r"(?<![\w.,+-])(?:\d{4}(?:([ -])\d{4}(?:\1\d{4}){1,2}\1\d{1,7})|3\d{3}([ -])\d{6}\2\d{4,5}|"
    r"\d{13,19})(?![\w-])(?![.,]\d)"
)
_NETWORKS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3[0689]\d{12}|35\d{14}|6(?:011|"
    r"4[4-9]\d|5\d\d)\d{12}|62\d{14,17}"
)
_IBAN = re.compile(r"(?<![\w])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![\w])")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_PHONE = re.compile(
    r"(?<![\w.,/+-])(?:"
    r"\+\d{1,3}(?:[ .\-/]{0,2}\(?\d{1,6}\)?){1,6}"  # +49 30 1234567, +1 (415) 555-2671
    r"|(?<!\d[ ])(?:(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}"  # (415) 555-2671
    r"|\(0\d{1,4}\) ?\d{2,8}(?:[ -]\d{2,6}){0,3}"  # (030) 123 45 67
    r"|0\d{1,4}[ /-]\d{3,8}(?:[ -]\d{2,6}){0,3}"  # 020 7946 0958
    r"|0\d(?:[ .]\d{2}){4})"  # 01 23 45 67 89
    r")(?![\w])(?![.,/-]\d)"
)
_CUED = re.compile(
    r"(?<![a-z])(?:phone|telephone|tel|mobile|cell|fax|whatsapp|call (?:me|us|him|her|them)?)(?: number| no)?"
    r"[ :.#]{1,4}(?:is |at |on )?(\+?\d[\d ()./-]{5,20}\d)(?![\w])",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?:19|20)\d{2}[./-]\d{1,2}[./-]\d{1,2}|\d{1,2}[./-]\d{1,2}[./-](?:19|20)?\d{2}(?!\d)")
_REFERENCE = re.compile(
    r"(?:order|invoice|ticket|case|ref|reference|account|customer|policy|tracking|serial|part|article|"
    r"product|sku|"
    r"model|version|booking|contract|id|isbn|vat|number|no|nr|#)[ .:#]{0,3}\Z",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"-----BEGIN (?:[A-Z]{1,12} ){0,3}PRIVATE KEY-----"
    r"|(?<![\w-])(?:"
    r"eyJ[\w-]{8,2000}\.eyJ[\w-]{4,4000}\.[\w-]{0,1000}"  # JSON web token
    r"|(?:sk|rk|pk)[-_](?=[\w-]{0,60}\d)[\w-]{16,200}"  # OpenAI, Anthropic, Stripe
    r"|(?:gh[pousr]_|github_pat_)\w{20,120}"
    r"|glpat-[\w-]{16,60}"
    r"|xox[abeoprs]-[\w-]{10,120}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)"
    r"|AIza[\w-]{30,60}"
    r"|(?:hf|npm|gsk|shpat)_[A-Za-z0-9]{20,80}"
    r"|SG\.[\w-]{16,40}\.[\w-]{16,80}"
    r")"
)


class Found(NamedTuple):
    """One piece of personal data."""

    kind: str
    text: str

    @property
    def key(self) -> str:
        """The same for two ways of writing it."""
        if self.kind in ("phone", "card", "ssn"):
            return re.sub(r"\D", "", self.text)
        return re.sub(r"\s", "", self.text).casefold() if self.kind in ("email", "iban") else self.text

    @property
    def masked(self) -> str:
        """Enough to find it again, not enough to use it: evidence must not leak what it reports."""
        return f"{self.text[0]}{'*' * 6} ({len(self.text)} characters)"


_KEY_HINT = (
    "eyJ", "sk-", "sk_", "rk-", "rk_", "pk-", "pk_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "_pat_", "glpat",
    "xox", "AKIA", "ASIA", "AIza", "hf_", "npm_", "gsk_", "shpat", "SG.", "-----BEGIN",
)  # fmt: skip
"""Every key holds one of these."""


def suspicious(text: str) -> bool:
    """Whether there may be something to :func:`find` in ``text``."""
    return "@" in text or _may_hold_key(text) or _may_hold_number(text)


def _may_hold_key(text: str) -> bool:
    if text.isascii() and _KEY_RUN not in text.encode().translate(_RUNS) and "-----BEGIN" not in text:
        return False
    return any([hint in text for hint in _KEY_HINT])  # noqa: C419 - a generator costs more than it saves


def _may_hold_number(text: str) -> bool:
    if text.isascii() and len(text.encode().translate(None, _NO_DIGITS)) < 7:
        return False
    return _SEVEN_DIGITS.search(text) is not None


_NO_DIGITS = bytes(code for code in range(256) if code not in b"0123456789")
_RUNS = bytes(97 if chr(code).isalnum() or code in b"_-." else 32 for code in range(128)).ljust(256)
_KEY_RUN = b"a" * 15
"""No key is shorter than that (``xoxb-`` and ten characters); words of that length are rare."""


def find(text: str, kinds: Collection[str] = KINDS) -> list[Found]:
    """What of the given kinds stands in ``text``, each once, in the order of the kinds."""
    found: dict[tuple[str, str], Found] = {}
    for piece in pieces(text, kinds):
        found.setdefault((piece.kind, piece.key), piece)
    return list(found.values())


def pieces(text: str, kinds: Collection[str] = KINDS) -> Iterator[Found]:
    """:func:`find`, one after the other; what stands there twice comes twice."""
    taken: list[tuple[int, int]] = []
    numbers = _may_hold_number(text)
    # A key may contain what looks like a number, and a card number what looks like a phone number.
    for kind in ("key", "email", "iban", "card", "ssn", "phone"):
        if not (_may_hold_key(text) if kind == "key" else "@" in text if kind == "email" else numbers):
            continue
        for start, end in _FINDERS[kind](text):
            if taken and _overlaps(taken, start, end):
                continue
            taken.append((start, end))
            if kind in kinds:
                yield Found(kind, text[start:end])
            if len(taken) >= _MOST:
                return


_MOST = 500


def _overlaps(taken: list[tuple[int, int]], start: int, end: int) -> bool:
    return any(start < last and first < end for first, last in taken)


def _spans(
    pattern: re.Pattern[str], real: Callable[[str, int, int], bool]
) -> Callable[[str], Iterator[tuple[int, int]]]:
    def find_all(text: str) -> Iterator[tuple[int, int]]:
        for match in pattern.finditer(text):
            if real(text, match.start(), match.end()):
                yield match.start(), match.end()

    return find_all


def _real_email(text: str, start: int, end: int) -> bool:
    return _PLACEHOLDER.search(text, max(start, end - 80), end) is None


def _real_card(text: str, start: int, end: int) -> bool:
    digits = re.sub(r"\D", "", text[start:end])
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value
    return (
        total % 10 == 0
        and _NETWORKS.fullmatch(digits) is not None
        and len(set(digits)) > 1
        and not (digits == text[start:end] and _is_reference(text, start))
    )


def _real_iban(text: str, start: int, end: int) -> bool:
    plain = text[start:end].replace(" ", "")
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _real_phone(text: str, start: int, end: int) -> bool:
    given = text[start:end]
    digits = sum(c.isdigit() for c in given)
    return 9 <= digits <= 15 and _DATE.match(given) is None and not _is_reference(text, start)


def _is_reference(text: str, start: int) -> bool:
    before = text[max(0, start - 24) : start]
    # "phone number 415 ..." is a phone number all the same.
    return _REFERENCE.search(before) is not None and not re.search(
        r"phone|tel|mobile|fax", before, re.IGNORECASE
    )


def _emails(text: str) -> Iterator[tuple[int, int]]:
    # No address starts before the word in which the first @ stands.
    first = text.rfind(" ", 0, text.find("@")) + 1
    for match in _EMAIL.finditer(text, first):
        if _real_email(text, match.start(), match.end()):
            yield match.start(), match.end()


def _phones(text: str) -> Iterator[tuple[int, int]]:
    yield from _spans(_PHONE, _real_phone)(text)
    for match in _CUED.finditer(text):
        digits = sum(c.isdigit() for c in match[1])
        if 7 <= digits <= 15 and _DATE.match(match[1]) is None:
            yield match.span(1)


def _always(_: str, __: int, ___: int) -> bool:
    return True


_FINDERS: dict[str, Callable[[str], Iterator[tuple[int, int]]]] = {
    "key": _spans(_KEY, _always),
    "email": _emails,
    "iban": _spans(_IBAN, _real_iban),
    "card": _spans(_CARD, _real_card),
    "ssn": _spans(_SSN, _always),
    "phone": _phones,
}
