"""Any number, row or text that is changed is found and named, hashes and seals that fit or not."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from promptmigrate.errors import DataError
from promptmigrate.proof.archive import pack
from tests.proof.builder import copy, entries, forge
from tests.proof.bundles import check, raw


def leaves(value, path=()):
    if isinstance(value, dict):
        for key in sorted(value):
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def altered(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if value == int(value) else value * 1.001
    return "other" if value is None else f"{value}x"


FREE = ("costs.json", "calls.jsonl")
"""Entries that are recorded facts: of a forger who refits the seals too, what follows is checked only."""


def lines(parsed, name):
    """What can be changed in an entry as a whole: its rows or values."""
    return list(parsed[name]) if isinstance(parsed[name], dict) else list(range(len(parsed[name])))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_change_of_a_number_row_or_text_is_found_and_named(data):
    """Whatever the entry, costs, latencies and other candidates among them; the manifest's hashes fit."""
    kind = data.draw(st.sampled_from(["judge", "several", "recorded", "repeats"]))
    found = entries(raw(kind))
    free = ("manifest.json", "seals.json")
    name = data.draw(st.sampled_from(sorted(n for n, content in found.items() if content and n not in free)))
    deed = data.draw(st.sampled_from(["value", "swap", "drop", "double"]))

    def change(parsed):
        entry = parsed[name]
        places = lines(parsed, name)
        one = data.draw(st.sampled_from(places))
        if deed == "value" or isinstance(entry, dict):
            inner = entry
            place = data.draw(st.sampled_from(list(leaves(entry))))
            for step in place[:-1]:
                inner = inner[step]
            inner[place[-1]] = altered(inner[place[-1]])
        elif deed == "swap":
            other = data.draw(st.sampled_from(places))
            for key in ("row", "candidate", "reply", "reference", "answers", "metadata", "at"):
                if key in entry[one]:
                    entry[one][key], entry[other][key] = entry[other][key], entry[one][key]
        elif deed == "drop":
            del entry[one]
        else:
            entry.append(copy(entry[one]))

    before = {n: content for n, content in found.items() if n not in free}
    changed = forge(found, change, seals=False)
    if {n: content for n, content in entries(changed).items() if n not in free} == before:
        return  # two equal rows, or parts of them, changed places
    report = check(changed)
    assert name in {finding.entry for finding in report.findings}
    named = [f for f in report.findings if f.entry == name and "seal" in f.problem]
    assert named and all(finding.where for finding in named)


def test_a_seal_that_was_changed_is_found():
    def change(parsed):
        parsed["seals.json"]["costs.json"]["usd"] = "0" * 64

    (finding,) = check(forge(entries(raw()), change, seals=False)).findings
    assert (finding.entry, finding.where) == ("costs.json", "usd")


def test_the_seal_names_a_judges_reply_that_nothing_else_looks_at():
    def change(parsed):
        call = next(c for c in parsed["calls.jsonl"] if "judge" in c["reply"]["model"])
        change.key = call["key"]
        call["reply"]["latency_s"] += 1

    (finding,) = check(forge(entries(raw("judge")), change, seals=False)).findings
    assert (finding.entry, finding.where) == ("calls.jsonl", change.key)


def test_a_flipped_row_is_named_by_its_example_even_where_the_hashes_do_not_fit():
    found = entries(raw())
    rows = found["test_rows.jsonl"].split(b"\n")
    rows[7] = rows[7].replace(b'"kind":"ok"', b'"kind":"truncated"')
    report = check(pack({**found, "test_rows.jsonl": b"\n".join(rows)}))
    assert json.loads(rows[7])["row"]["example"] in {finding.where for finding in report.findings}


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_changed_value_is_found_although_the_hashes_fit(data):
    found = entries(raw())
    name = data.draw(
        st.sampled_from(
            sorted(name for name, content in found.items() if content and name not in (*FREE, "seals.json"))
        )
    )

    def change(parsed):
        place = data.draw(st.sampled_from(list(leaves(parsed[name]))))
        change.place = place
        inner = parsed[name]
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = altered(inner[place[-1]])

    try:
        report = check(forge(found, change))
    except DataError:
        return  # no bundle any more
    place = change.place
    free = (
        place[0] in ("versions", "entries")  # of the manifest: entries are made anew by the forger
        or place[-1] in ("at", "max_concurrency")  # when, and how fast: neither changes a result
        or (name == "scorers.json" and place[1] == "version")  # noted: it is another scorer than today's
    )
    assert free or not report.ok, place
