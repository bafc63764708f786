"""Sticky assignment: exact, even, monotone."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.gateway.assign import assign, bucket, unit_of, variant_of
from promptmigrate.gateway.route import Route, check_route
from tests.gateway.conftest import route_data

RNG = random.Random(0)


def route_with(candidate: int, **changes: Any) -> Route:
    return check_route(
        route_data(traffic={"candidate": candidate, "production": 10000 - candidate}, **changes)
    )


def test_the_bucket_is_the_first_8_bytes_of_the_salted_hash_scaled_exactly() -> None:
    head = hashlib.sha256(b"salt\x00user-1").digest()[:8]
    assert bucket("salt", "user-1") == int.from_bytes(head, "big") * 10000 // 2**64


@given(st.text(), st.text())
def test_every_unit_has_a_bucket(salt: str, unit: str) -> None:
    assert 0 <= bucket(salt, unit) < 10000
    assert bucket(salt, unit) == bucket(salt, unit)


@pytest.mark.parametrize("share", [0, 100, 500, 2000, 5000, 10000])
def test_shares_are_what_they_say(share: int) -> None:
    route = route_with(share)
    count = sum(assign(route, f"user-{n}", rng=RNG) == "candidate" for n in range(40_000))
    expected = share / 10000
    # Six standard deviations of a binomial; with fixed units it is the same number each time.
    assert abs(count / 40_000 - expected) <= 6 * (expected * (1 - expected) / 40_000) ** 0.5


@given(st.integers(0, 10000), st.integers(0, 10000), st.text(min_size=1))
def test_raising_the_share_never_moves_a_unit_out(one: int, other: int, unit: str) -> None:
    low, high = sorted((one, other))
    if assign(route_with(low), unit, rng=RNG) == "candidate":
        assert assign(route_with(high), unit, rng=RNG) == "candidate"


def test_all_buckets_are_owned_as_the_shares_say_with_several_candidates() -> None:
    data = route_data()
    data["variants"]["third"] = data["variants"]["candidate"]
    data["traffic"] = {"production": 7000, "candidate": 1000, "third": 2000}
    route = check_route(data)
    owners = [variant_of(route, number) for number in range(10000)]
    assert owners == ["candidate"] * 1000 + ["third"] * 2000 + ["production"] * 7000


def test_another_salt_draws_the_units_anew() -> None:
    first, second = route_with(5000), route_with(5000, unit={"salt": "another"})
    same = sum(assign(first, f"u{n}", rng=RNG) == assign(second, f"u{n}", rng=RNG) for n in range(4000))
    assert 1800 < same < 2200


def test_the_first_given_of_the_listed_kinds_counts() -> None:
    assert unit_of(route_with(0), "u", "s") == "u"
    assert unit_of(route_with(0), None, "s") == "s"
    assert unit_of(route_with(0), None, None) is None
    by_session = route_with(0, unit={"from": ["session", "user"]})
    assert unit_of(by_session, "u", "s") == "s"
    only_user = route_with(0, unit={"from": ["user"]})
    assert unit_of(only_user, None, "s") is None
