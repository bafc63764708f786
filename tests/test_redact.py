"""Redaction: what must go, what must stay, and that hostile text cannot stall it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.errors import UsageError
from promptmigrate.redact import KINDS, redact, redact_value, told

GONE = {
    "email": [
        ("write to bob@example.com.", "write to [EMAIL]."),
        ("Bob.O'Neil+x@mail.example.co.uk", "[EMAIL]"),
        ("'bob@example.com'", "'[EMAIL]'"),
        ("?to=bob%40example.com&x=1", "?to=[EMAIL]&x=1"),
        ("<jürgen@müller.de>", "<[EMAIL]>"),
    ],
    "phone": [
        ("(415) 555-2671", "[PHONE]"),
        ("ring 415-555-2671 now", "ring [PHONE] now"),
        ("+49 170 1234567", "[PHONE]"),
        ("+442079460958", "[PHONE]"),
        ("+1 (415) 555-2671", "[PHONE]"),
        ("tel: 4155552671", "tel: [PHONE]"),
        ("call me at 555-2671 please", "call me at [PHONE] please"),
        ("020 7946 0958", "[PHONE]"),
        ("01 23 45 67 89", "[PHONE]"),
        ("089/12345678", "[PHONE]"),
        ("1-800-555-0199", "[PHONE]"),
    ],
    "card": [
        ("card 4111 1111 1111 1111 ok", "card [CARD] ok"),
        ("5500-0000-0000-0004", "[CARD]"),
        ("378282246310005", "[CARD]"),
        ("3782 822463 10005", "[CARD]"),
    ],
    "secret": [
        ("sk-proj-abcdEFGH1234abcdEFGH", "[SECRET]"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[SECRET]"),
        ("AKIAIOSFODNN7EXAMPLE", "[SECRET]"),
        ("password=hunter22", "password=[SECRET]"),
        ("my password is Tr0ub4dor&3.", "my password is [SECRET]."),
        ('{"api_key": "abcdefgh"}', '{"api_key": "[SECRET]"}'),
        ("postgres://u:pw12@h/db", "postgres://[SECRET]@h/db"),
        ("https://x.y/?key=abcdefghij&z=1", "https://x.y/?key=[SECRET]&z=1"),
        ("Authorization: Bearer abcdef123456789", "Authorization: Bearer [SECRET]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc-_", "[SECRET]"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEabcdabcdabcdabcdabcd\n-----END RSA PRIVATE KEY-----\nend",
            "[SECRET]\nend",
        ),
    ],
}
KEPT = [
    "order 4155552671",
    "order number 123-456-7890",
    "invoice #415-555-2671",
    "order 4242424242424242",
    "tracking 9400 1000 0000 0000 0000 00",
    "112-1234567-1234567",
    "4111 1111 1111 1112",
    "2024-11-21 10:30:00",
    "21.11.2024 12:30",
    "01.02.2024 12",
    "call me on 2024-11-21",
    "2026-11-21T21:10:00+00:00",
    "1732185600000",
    "USD 1,234,567.89",
    "EUR 0.12345678",
    "call ended 1200.00",
    "51.507351, -0.127758",
    "192.168.100.200",
    "version 3.17.2",
    "prompts:/qa@production",
    "password: please reset it for me",
    "api key: where do I find it?",
    "the token is invalid today",
    "sk-learn-is-a-library-name",
    "550e8400-e29b-41d4-a716-446655440000",
    "ship 2-3 items, total 100 200 300",
    "phone case 12345678",
]


@pytest.mark.parametrize(
    ("kind", "text", "clean"), [(k, t, c) for k, pairs in GONE.items() for t, c in pairs]
)
def test_what_is_found_is_replaced_and_counted(kind: str, text: str, clean: str) -> None:
    assert redact(text) == (clean, {kind: 1})
    assert redact(clean) == (clean, {})
    assert redact(text, [k for k in KINDS if k != kind])[1].get(kind) is None


@pytest.mark.parametrize("text", KEPT)
def test_orders_amounts_dates_and_prose_stay(text: str) -> None:
    assert redact(text) == (text, {})


def test_exact_secret_values_go_whatever_the_kinds_but_short_ones_would_hit_words() -> None:
    assert redact("key=zebra-gate! on", (), secrets=["zebra-gate!", "on"]) == (
        "key=[SECRET] on",
        {"secret": 1},
    )


def test_values_in_nested_structures_and_under_credential_names() -> None:
    value = {"a": ["x bob@e.com", 4111111111111111], "password": "abc", "n": {"k": 1, "t": True}}
    clean, counts = redact_value(value)
    assert clean == {"a": ["x [EMAIL]", "[CARD]"], "password": "[SECRET]", "n": {"k": 1, "t": True}}
    assert counts == {"email": 1, "card": 1, "secret": 1}


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(UsageError, match="'iban'"):
        redact("x", ["iban"])


PIECES = ["a", "a.", "1", "1 ", "@", "a@b.", "-----BEGIN PRIVATE KEY-----", "sk-", "call 1", "password=", "'"]
PIECES += ["://a:", "eyJaaaaaaaa.", "0 ", "+1 ", "01 23 ", "%40", "(", "4111 1111 ", "bearer ", "?key=", "x-"]


@pytest.mark.parametrize("piece", PIECES)
def test_time_is_linear_in_hostile_text(piece: str) -> None:
    started = time.process_time()
    redact(piece * (200_000 // len(piece)))
    # Linear takes well under a second of CPU here; quadratic would take minutes.
    assert time.process_time() - started < 10


@given(st.text(alphabet=st.sampled_from("a1@.+- 0456:=/()'\"%sk_[]EMAIL")))
def test_redacting_twice_changes_nothing(text: str) -> None:
    clean, _ = redact(text)
    assert redact(clean)[0] == clean


class MuteError(Exception):
    def __str__(self) -> str:
        raise KeyError("no words")


def test_what_an_error_of_somebody_else_says_shows_no_key_and_never_fails() -> None:
    assert (
        told(ValueError("key sk-proj-abcdefghij0123456789 is refused"))
        == "ValueError: key [SECRET] is refused"
    )
    assert told(MuteError()) == "MuteError: (no message: it raised KeyError)"
