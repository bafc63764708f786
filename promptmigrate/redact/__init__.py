"""Take e-mail addresses, phone numbers, card numbers and secrets out of text before it is kept.

Precise rather than greedy: order numbers, amounts, dates and times stay as they are, so the text still means
what it meant. Every pattern runs in time linear in the text (possessive quantifiers and bounded look-arounds
only), so a hostile text cannot stall its reader. What is found is replaced by ``[EMAIL]``, ``[PHONE]``,
``[CARD]`` or ``[SECRET]``; redacting twice changes nothing.

This is pattern matching, not a guarantee: names, addresses and numbers written out in words are not found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from promptmigrate.errors import UsageError
from promptmigrate.redact.cards import without_cards
from promptmigrate.redact.emails import without_emails
from promptmigrate.redact.phones import without_phones
from promptmigrate.redact.secrets import SECRET_KEY, without_secrets

KINDS: tuple[str, ...] = ("email", "phone", "card", "secret")
"""What can be taken out, by the names the configuration uses."""
MIN_SECRET_CHARS = 8
"""Exact secret values shorter than this are not searched for: they would hit ordinary words."""
# Secrets first: a key may contain what looks like a phone number, never the other way round.
_FINDERS: Mapping[str, Callable[[str], tuple[str, int]]] = {
    "secret": without_secrets,
    "email": without_emails,
    "card": without_cards,
    "phone": without_phones,
}


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
    for kind, without in _FINDERS.items():
        if kind in kinds:
            text, found = without(text)
            if found:
                counts[kind] += found
    return text, dict(counts)


def told(error: BaseException) -> str:
    """Type and message of an error that is not ours, for a sentence of ours.

    It may show the key that a service has refused, and somebody's own error may fail to give its message.
    """
    try:
        said = str(error)
    except Exception as worse:  # noqa: BLE001 - whatever the code of that error raises
        said = f"(no message: it raised {type(worse).__name__})"
    return f"{type(error).__name__}: {redact(said, ('secret',))[0]}"


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
            if key is not None and "secret" in kinds and item and SECRET_KEY.fullmatch(key):
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
            digits, cards = without_cards(str(item)) if item < 10**19 else ("", 0)
            counts["card"] += cards
            return digits if cards else item
        return item

    return walk(value, None), dict(+counts)
