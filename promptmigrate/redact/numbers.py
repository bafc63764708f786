"""What cards and phones have in common: digits in groups, and references that only look like them."""

from __future__ import annotations

import re
from collections.abc import Callable

DIGITS = re.compile(r"\D")
# Most texts have none of what the slower patterns look for; these tell so at a tenth of the cost.
SEVEN_DIGITS = re.compile(r"\d(?:\D{0,3}\d){6}")
REFERENCE = re.compile(
    r"(?:order|invoice|ticket|case|reference|ref|account|customer|policy|claim|tracking|shipment|parcel|"
    r"serial|part|item|article|product|sku|model|version|transaction|booking|confirmation|contract|id|"
    r"isbn|iban|vat|date|amount|total|#)(?![a-z])",
    re.IGNORECASE,
)
_REFERENCE_BEFORE = re.compile(
    REFERENCE.pattern + r"(?:[ \t_-]{0,2}(?:number|numbers|no|nr|num|id|code|ids))?[ \t]{0,2}(?:is|was)?"
    r"[ \t]{0,2}[.:=#]{0,2}[ \t]{0,2}\Z",
    re.IGNORECASE,
)


def names_a_reference(text: str, start: int) -> bool:
    """Whether what stands before ``start`` says that a reference follows, such as an order number."""
    return bool(_REFERENCE_BEFORE.search(text[max(0, start - 40) : start]))


def substitute(
    pattern: re.Pattern[str], token: str, text: str, wanted: Callable[[re.Match[str]], bool]
) -> tuple[str, int]:
    """``text`` with ``token`` for each match that is ``wanted``, and how many there were."""
    found = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal found
        if not wanted(match):
            return match[0]
        found += 1
        return token

    return pattern.sub(replace, text), found
