"""Take e-mail addresses, phone numbers, card numbers and secrets out of text before it is kept.

Precise rather than greedy: order numbers, amounts, dates and times stay as they are, so the text still means
what it meant. Every pattern runs in time linear in the text (possessive quantifiers and bounded look-arounds
only), so a hostile text cannot stall its reader. What is found is replaced by ``[EMAIL]``, ``[PHONE]``,
``[CARD]`` or ``[SECRET]``; redacting twice changes nothing.

This is pattern matching, not a guarantee: names, addresses and numbers written out in words are not found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from promptmigrate.errors import UsageError

KINDS: tuple[str, ...] = ("email", "phone", "card", "secret")
"""What can be taken out, by the names the configuration uses."""
MIN_SECRET_CHARS = 8
"""Exact secret values shorter than this are not searched for: they would hit ordinary words."""


def redact(
    text: str, kinds: Collection[str] = KINDS, *, secrets: Iterable[str] = ()
) -> tuple[str, dict[str, int]]:
    """``text`` without what ``kinds`` names, and how many of each were taken out.

    Args:
        text: any text.
        kinds: a subset of :data:`KINDS`.
        secrets: exact values (resolved API keys) to take out as well, whatever ``kinds`` says; those shorter
            than :data:`MIN_SECRET_CHARS` are ignored.

    Raises:
        UsageError: a kind that does not exist.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(f"redaction kind {kind!r} does not exist; use {', '.join(KINDS)}")
    counts: Counter[str] = Counter()
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= MIN_SECRET_CHARS and secret in text:
            counts["secret"] += text.count(secret)
            text = text.replace(secret, "[SECRET]")
    # Secrets first: a key may contain what looks like a phone number, never the other way round.
    for kind in ("secret", "email", "card", "phone"):
        if kind in kinds:
            text, found = _FINDERS[kind](text)
            if found:
                counts[kind] += found
    return text, dict(counts)


def redact_value(
    value: Any, kinds: Collection[str] = KINDS, *, secrets: Collection[str] = ()
) -> tuple[Any, dict[str, int]]:
    """:func:`redact` for every text inside nested mappings and lists.

    Keys stay. A value under a key that names a credential (``password``, ``api_key``, ...) is taken out whole
    when ``kinds`` has ``secret``; a whole number that is a card number is taken out as well.
    """
    counts: Counter[str] = Counter()

    def walk(item: Any, key: str | None) -> Any:
        if isinstance(item, str):
            if key is not None and "secret" in kinds and item and _SECRET_KEY.fullmatch(key):
                if item != "[SECRET]":
                    counts["secret"] += 1
                return "[SECRET]"
            clean, found = redact(item, kinds, secrets=secrets)
            counts.update(found)
            return clean
        if isinstance(item, Mapping):
            return {name: walk(part, str(name)) for name, part in item.items()}
        if isinstance(item, list | tuple):
            return [walk(part, key) for part in item]
        if isinstance(item, int) and not isinstance(item, bool) and "card" in kinds and item > 10**12:
            digits, cards = _cards(str(item)) if item < 10**19 else ("", 0)
            counts["card"] += cards
            return digits if cards else item
        return item

    return walk(value, None), dict(+counts)


# --- e-mail ----------------------------------------------------------------------------------------------

_DOMAIN = r"(?:[^\W_][\w-]{0,62}\.){1,10}(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})(?![\w-])"
_EMAIL = re.compile(r"(?<![\w.%+'-])('?)[\w.%+'-]++@" + _DOMAIN, re.IGNORECASE)
_EMAIL_IN_URL = re.compile(r"(?<![\w.+-])[\w.+-]++%40" + _DOMAIN, re.IGNORECASE)


def _emails(text: str) -> tuple[str, int]:
    found = encoded = 0
    if "@" in text:
        text, found = _EMAIL.subn(r"\1[EMAIL]", text)
    if "%40" in text:
        text, encoded = _EMAIL_IN_URL.subn("[EMAIL]", text)
    return text, found + encoded


# --- cards -----------------------------------------------------------------------------------------------

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
_DIGITS = re.compile(r"\D")
# Most texts have none of what the slower patterns look for; these tell so at a tenth of the cost.
_SEVEN_DIGITS = re.compile(r"\d(?:\D{0,3}\d){6}")


def _luhn(digits: str) -> bool:
    total = 0
    for index, character in enumerate(reversed(digits)):
        value = int(character)
        if index % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def _cards(text: str) -> tuple[str, int]:
    if not _SEVEN_DIGITS.search(text):
        return text, 0

    def is_card(match: re.Match[str]) -> bool:
        digits = _DIGITS.sub("", match[0])
        if not _ISSUED.fullmatch(digits) or not _luhn(digits) or len(set(digits)) == 1:
            return False
        # One unbroken run right after "order number" and the like is what it says it is.
        return len(digits) != len(match[0]) or not _names_a_reference(text, match.start())

    return _substitute(_CARD, "[CARD]", text, is_card)


# --- phones ----------------------------------------------------------------------------------------------

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
_REFERENCE = re.compile(
    r"(?:order|invoice|ticket|case|reference|ref|account|customer|policy|claim|tracking|shipment|parcel|"
    r"serial|part|item|article|product|sku|model|version|transaction|booking|confirmation|contract|id|"
    r"isbn|iban|vat|date|amount|total|#)(?![a-z])",
    re.IGNORECASE,
)
_REFERENCE_BEFORE = re.compile(
    _REFERENCE.pattern + r"(?:[ \t_-]{0,2}(?:number|numbers|no|nr|num|id|code|ids))?[ \t]{0,2}(?:is|was)?"
    r"[ \t]{0,2}[.:=#]{0,2}[ \t]{0,2}\Z",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"(?:19|20)\d{2}([./-])\d{1,2}\1\d{1,2}(?!\d)|\d{1,2}([./-])\d{1,2}\2(?:19|20)?\d{2}(?!\d)"
    r"|\d{1,2} \d{1,2} (?:19|20)\d{2}(?!\d)"
)
_AMOUNT = re.compile(r"\d+[.]\d{1,2}")


def _names_a_reference(text: str, start: int) -> bool:
    return bool(_REFERENCE_BEFORE.search(text[max(0, start - 40) : start]))


def _phones(text: str) -> tuple[str, int]:
    if not _SEVEN_DIGITS.search(text):
        return text, 0
    cued = 0

    def plausible(number: str, least: int) -> bool:
        digits = len(_DIGITS.sub("", number))
        return least <= digits <= 15 and not _DATE.match(number) and not _AMOUNT.fullmatch(number)

    def is_phone(match: re.Match[str]) -> bool:
        return plausible(match[0], 9) and not _names_a_reference(text, match.start())

    def after_cue(match: re.Match[str]) -> str:
        nonlocal cued
        gap, number = match[1], match[2].rstrip(" ()./-")
        if _REFERENCE.search(gap) or not plausible(number, 7):
            return match[0]
        cued += 1
        tail = match[2][len(number) :]
        return f"{match[0][: match.start(2) - match.start()]}[PHONE]{tail}"

    text, found = _substitute(_PHONE, "[PHONE]", text, is_phone)
    if _has(text.casefold(), _CUE_WORDS):
        text = _CUE.sub(after_cue, text)
    return text, found + cued


# --- secrets ---------------------------------------------------------------------------------------------

_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:[^-]|-(?!----))*+-----END [A-Z0-9 ]{0,40}-----"
    r"|(?:(?:\s|\\[rn])*+[A-Za-z0-9+/=]{20,}+)*+)"
)
_TOKEN = re.compile(
    r"(?<![\w-])(?:"
    r"eyJ[\w-]{8,}+\.eyJ[\w-]{4,}+\.[\w-]*+"  # JSON Web Token
    r"|(?:sk|rk|pk)[-_](?=[\w-]{0,80}\d)[\w-]{16,}+"  # OpenAI, Anthropic, OpenRouter, Stripe
    r"|(?:gh[pousr]_|github_pat_)\w{20,}+"
    r"|glpat-[\w-]{16,}+"
    r"|xox[abeoprs]-[\w-]{10,}+|xapp-[\w-]{10,}+"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)"
    r"|AIza[\w-]{30,}+|ya29\.[\w-]{20,}+"
    r"|(?:hf|npm|gsk|r8|whsec|shpat|shpss)_[A-Za-z0-9]{20,}+"
    r"|(?:xai|pplx|nvapi|lin_api|dop_v1|tgp_v1|dckr_pat|pypi|lsv2_pt|lsv2_sk)[-_][\w-]{20,}+"
    r"|dapi[0-9a-f]{32}(?!\w)|SK[0-9a-f]{32}(?!\w)"
    r"|SG\.[\w-]{16,}+\.[\w-]{16,}+"
    r")"
)
_URL_LOGIN = re.compile(r"(?<=://)[^\s/@:\[\]]{1,200}:[^\s/@]{1,200}(?=@)")
_URL_PARAMETER = re.compile(
    r"([?&](?:api[_-]?key|key|token|access[_-]?token|auth|sig|signature|secret|password|x-amz-signature|"
    r"x-amz-security-token|x-goog-signature)=)(?!\[SECRET\])[^&\s#\"'<>]{6,}+",
    re.IGNORECASE,
)
_BEARER = re.compile(
    r"((?<![A-Za-z])(?:bearer|basic)[ \t]{1,4})(?=[\w.~+/=-]{0,200}\d)[\w.~+/=-]{12,}+", re.IGNORECASE
)
_NAMED_WORDS = (
    r"(?:api[_-]?keys?|secret[_-]?(?:access[_-]?)?keys?|client[_-]?secret|access[_-]?token|auth[_-]?token|"
    r"refresh[_-]?token|session[_-]?token|private[_-]?key|passwords?|passwd|passphrase|credentials?)"
)
_SECRET_KEY = re.compile(
    rf"(?:[\w-]{{0,40}}[_-])?(?:{_NAMED_WORDS}|secret|pwd|authorization|x-api-key)", re.IGNORECASE
)
_NAMED = re.compile(
    rf"((?:{_NAMED_WORDS}|(?<![A-Za-z])(?:secret|token|pwd|pw))(?![A-Za-z])[\"']?"
    r"(?:[ \t]{0,3}(?:=|:=|=>|:)[ \t]{0,3}|[ \t]{1,3}(?:is|was)[ \t]{1,3}))"
    r"([\"'`]?)([^\s\"'`,;<>(){}\[\]]{6,200})(?:\2)",
    re.IGNORECASE,
)
# fmt: off
_TOKEN_MARKS = (
    "eyj", "sk", "rk", "pk", "gh", "glpat", "xox", "xapp", "akia", "asia", "aiza", "ya29",
    "hf_", "npm_", "gsk_", "r8_", "whsec_", "shpat_", "shpss_", "xai", "pplx", "nvapi",
    "lin_api", "dop_v1", "tgp_v1", "dckr_pat", "pypi", "lsv2_", "dapi", "sg.",
)
# fmt: on
_NAME_MARKS = ("key", "secret", "token", "pass", "pw", "credential")
_LETTER, _FIGURE = re.compile(r"[^\W\d_]"), re.compile(r"\d")


def _secrets(text: str) -> tuple[str, int]:
    found = 0

    def whole(_: re.Match[str]) -> str:
        nonlocal found
        found += 1
        return "[SECRET]"

    def keep_name(match: re.Match[str]) -> str:
        nonlocal found
        found += 1
        return f"{match[1]}[SECRET]"

    def named(match: re.Match[str]) -> str:
        nonlocal found
        name, quote, value = match[1], match[2], match[3]
        assigned = "=" in name and not name.endswith((" ", "\t"))
        mixed = _LETTER.search(value) and _FIGURE.search(value.rstrip(".!?"))
        # "password: please reset it" is prose; quoted, assigned or letters with digits is a value.
        if value.startswith(("$", "%", "os.environ", "env:")) or not (assigned or quote or mixed):
            return match[0]
        found += 1
        kept = value[len(value.rstrip(".!?")) :] if not quote else ""
        return f"{name}{quote}[SECRET]{quote}{kept}"

    folded = text.casefold()
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(whole, text)
    if _has(folded, _TOKEN_MARKS):
        text = _TOKEN.sub(whole, text)
    if "://" in text:
        text = _URL_LOGIN.sub(whole, text)
    if "=" in text:
        text = _URL_PARAMETER.sub(keep_name, text)
    if _has(folded, ("bearer", "basic")):
        text = _BEARER.sub(keep_name, text)
    if _has(folded, _NAME_MARKS):
        text = _NAMED.sub(named, text)
    return text, found


def _has(folded: str, words: Iterable[str]) -> bool:
    return any(word in folded for word in words)


def _substitute(
    pattern: re.Pattern[str], token: str, text: str, wanted: Callable[[re.Match[str]], bool]
) -> tuple[str, int]:
    found = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal found
        if not wanted(match):
            return match[0]
        found += 1
        return token

    return pattern.sub(replace, text), found


_FINDERS: Mapping[str, Callable[[str], tuple[str, int]]] = {
    "email": _emails,
    "phone": _phones,
    "card": _cards,
    "secret": _secrets,
}
