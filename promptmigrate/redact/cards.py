"""Numbers of payment cards: as the networks issue them, with the right check digit."""

from __future__ import annotations

import re

from promptmigrate.redact.numbers import DIGITS, SEVEN_DIGITS, names_a_reference, substitute

_CARD = re.compile(
    r"(?<![A-Za-z0-9_])(?<!\d[.,])"
    r"(?:\d{4}([ \u00a0.-])\d{4}\1\d{4}\1\d{1,7}|3\d{3}([ \u00a0.-])\d{6}\2\d{4,5}|\d{13,19})"
    r"(?![A-Za-z0-9_])(?![.,]\d)"
)
# First digits and lengths that the networks issue (ISO/IEC 7812 ranges as the networks publish them).
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"
    r"|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}"
    r"|3[47]\d{13}"
    r"|(?:30[0-5]\d|3[689]\d{2})\d{10}"
    r"|35(?:2[89]|[3-8]\d)\d{12}"
    r"|(?:6011|65\d{2}|64[4-9]\d)\d{12}"
    r"|62\d{14,17}"
    r"|(?:50|5[6-8]|6[0379])\d{14}"
)


def _luhn(digits: str) -> bool:
    total = 0
    for index, character in enumerate(reversed(digits)):
        value = int(character)
        if index % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def without_cards(text: str) -> tuple[str, int]:
    """``text`` without card numbers, and how many there were."""
    if not SEVEN_DIGITS.search(text):
        return text, 0

    def is_card(match: re.Match[str]) -> bool:
        digits = DIGITS.sub("", match[0])
        if not _ISSUED.fullmatch(digits) or not _luhn(digits) or len(set(digits)) == 1:
            return False
        # One unbroken run right after "order number" and the like is what it says it is.
        return len(digits) != len(match[0]) or not names_a_reference(text, match.start())

    return substitute(_CARD, "[CARD]", text, is_card)
