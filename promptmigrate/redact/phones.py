"""Phone numbers: written as such, or after a word that announces one."""

from __future__ import annotations

import re

from promptmigrate.redact.numbers import DIGITS, REFERENCE, SEVEN_DIGITS, names_a_reference, substitute

_SEP = r"[ \u00a0.\-]"
_PHONE = re.compile(
    r"(?<![\w+])(?<![\w][./-])(?:"
    # international, with a plus: 9 to 15 digits are checked afterwards
    r"\+ ?\(?\d{1,4}\)?(?:[ \u00a0./\-]{0,2}\(?\d{1,10}\)?){1,6}"
    # the others do not start in the middle of grouped digits
    r"|(?<!\d[ \u00a0])(?:"
    # North America: (415) 555-2671, 415-555-2671, 1-800-555-0199
    rf"(?:1{_SEP})?(?:\([2-9]\d{{2}}\){_SEP}?|[2-9]\d{{2}}{_SEP})[2-9]\d{{2}}{_SEP}\d{{4}}"
    # in-country form with a leading zero, in groups: 020 7946 0958, (030) 123 456 78, 01 23 45 67 89
    r"|\(0\d{1,4}\)[ \u00a0/-]?\d{2,8}(?:[ \u00a0-]\d{2,6}){0,4}"
    r"|0\d(?:([ \u00a0.])\d{2})(?:\1\d{2}){3}"
    r"|0\d{1,4}[ \u00a0/-]\d{3,8}(?:[ \u00a0-]\d{2,6}){0,3}"
    r"))(?![\w])(?![.,/-]\d)"
)
_CUE = re.compile(
    r"(?<![A-Za-z])(?:phone|telephone|tel|mobile|cell|cellphone|fax|whatsapp|sms|call|dial|ring|reach)"
    r"(?![A-Za-z])([^\d\n+(]{0,24})(\+?\(?\d[\d ()./\u00a0-]{5,22}\d)(?![\w])(?![.,]\d)",
    re.IGNORECASE,
)
_CUE_WORDS = ("phone", "tel", "mobile", "cell", "fax", "whatsapp", "sms", "call", "dial", "ring", "reach")
_DATE = re.compile(
    r"(?:19|20)\d{2}([./-])\d{1,2}\1\d{1,2}(?!\d)|\d{1,2}([./-])\d{1,2}\2(?:19|20)?\d{2}(?!\d)"
    r"|\d{1,2} \d{1,2} (?:19|20)\d{2}(?!\d)"
)
_AMOUNT = re.compile(r"\d+[.]\d{1,2}")


def without_phones(text: str) -> tuple[str, int]:
    """``text`` without phone numbers, and how many there were."""
    if not SEVEN_DIGITS.search(text):
        return text, 0
    cued = 0

    def plausible(number: str, least: int) -> bool:
        digits = len(DIGITS.sub("", number))
        return least <= digits <= 15 and not _DATE.match(number) and not _AMOUNT.fullmatch(number)

    def is_phone(match: re.Match[str]) -> bool:
        return plausible(match[0], 9) and not names_a_reference(text, match.start())

    def after_cue(match: re.Match[str]) -> str:
        nonlocal cued
        gap, number = match[1], match[2].rstrip(" ()./-")
        if REFERENCE.search(gap) or not plausible(number, 7):
            return match[0]
        cued += 1
        tail = match[2][len(number) :]
        return f"{match[0][: match.start(2) - match.start()]}[PHONE]{tail}"

    text, found = substitute(_PHONE, "[PHONE]", text, is_phone)
    folded = text.casefold()
    if any(word in folded for word in _CUE_WORDS):
        text = _CUE.sub(after_cue, text)
    return text, found + cued
