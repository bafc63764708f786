import fcntl
import json
import multiprocessing
import threading
from pathlib import Path

import pytest

from promptmigrate.decide import (
    JudgeErrors,
    Looks,
    looks,
    open_test,
    read_openings,
    related,
    row_keys,
    settings_of,
)
from promptmigrate.errors import StorageError
from promptmigrate.types import Example


def looked(path: Path, run: str, candidate: str = "c", split: str = "s", margin: float = 0.1) -> Looks:
    return open_test(
        path,
        split_digest=split,
        rows=[f"{split} {n}" for n in range(20)],
        run=run,
        candidate_digest=candidate,
        settings={"gate": {"margin": margin, "confidence": 0.95}},
    )


def opened(path: Path, run: str, candidate: str = "c", split: str = "s") -> int:
    looked(path, run, candidate, split)
    return sum(one.split_digest == split for one in read_openings(path))


def seen(path: Path, split: str, rows: list[str], *, margin: float = 0.1) -> Looks:
    """What a run and candidate of their own are told."""
    settings = {"gate": {"margin": margin}}
    return open_test(
        path, split_digest=split, rows=rows, run=split, candidate_digest=split, settings=settings
    )


def test_each_new_run_or_candidate_is_an_opening_and_a_resume_is_not(tmp_path):
    path = tmp_path / "deep" / "openings.jsonl"
    assert opened(path, "run 1") == 1
    assert opened(path, "run 1") == 1
    assert opened(path, "run 2") == 2
    assert opened(path, "run 2", "other") == 3
    assert opened(path, "run 1", split="another split") == 1
    assert opened(path, "run 1") == 3
    assert len(path.read_text().splitlines()) == 4


def test_candidates_are_counted_once_and_decisions_by_what_was_asked(tmp_path):
    path = tmp_path / "openings.jsonl"
    first = looked(path, "run 1")
    assert first == Looks(decisions=1, candidates=1, seen=0.0, changed=())
    again = Looks(decisions=1, candidates=1, seen=1.0, changed=())
    assert looked(path, "run 2") == again  # the same candidate, asked the same
    changed = looked(path, "run 3", margin=0.2)
    assert changed == Looks(decisions=2, candidates=1, seen=1.0, changed=("gate.margin (0.1 -> 0.2)",))
    other = looked(path, "run 4", "other", margin=0.2)
    assert other == Looks(decisions=3, candidates=2, seen=1.0, changed=("gate.margin (0.1 -> 0.2)",))
    back = looked(path, "run 5", "other")
    assert back == Looks(decisions=4, candidates=2, seen=1.0, changed=("gate.margin (0.2 -> 0.1)",))


def test_a_judge_that_was_calibrated_anew_after_a_look_is_another_setting(tmp_path):
    config = {"gate": {"margin": 0.1}, "scorers": [{"use": "correctness", "calibration": "card.json"}]}
    told = []
    for run, missed in enumerate((2, 2, 9)):
        card = JudgeErrors(true_positive=40, false_negative=missed, false_positive=3, true_negative=30)
        found = settings_of(config, card)
        path = tmp_path / "openings.jsonl"
        told.append(
            open_test(path, split_digest="s", rows=["a"], run=f"{run}", candidate_digest="c", settings=found)
        )
    assert [(looks.decisions, looks.changed) for looks in told] == [
        (1, ()),
        (1, ()),
        (2, ("calibration.false_negative (2 -> 9)",)),
    ]


def test_where_models_are_reached_and_what_they_cost_are_settings():
    config = {"gate": {"margin": 0.1}, "endpoints": {}, "prices": {}}
    bare = settings_of(config)
    assert not {"endpoints", "prices"} & set(bare)
    config["endpoints"] = {"acme": {"base_url": "https://a.example.com/v1", "timeout_s": 60}}
    config["prices"] = {"acme/small": {"input_per_mtok": 0.2, "output_per_mtok": 0.4}}
    one = settings_of(config)
    assert one["endpoints"] == {"acme": "https://a.example.com/v1"}
    config["endpoints"]["acme"]["timeout_s"] = 10
    assert settings_of(config) == one
    config["endpoints"]["acme"]["base_url"] = "https://b.example.com/v1"
    config["prices"]["acme/small"]["input_per_mtok"] = 0.1
    assert settings_of(config) != one


def test_a_resume_is_told_what_it_was_told_first(tmp_path):
    path = tmp_path / "openings.jsonl"
    first = looked(path, "run 1")
    looked(path, "run 2", "other", margin=0.3)
    assert looked(path, "run 1") == first


def test_settings_that_were_not_recorded_count_and_name_nothing(tmp_path):
    path = tmp_path / "openings.jsonl"
    old = {"split_digest": "s", "run": "old", "candidate_digest": "c", "at": "2026-01-01T00:00:00+00:00"}
    path.write_text(json.dumps(old) + "\n")
    assert looked(path, "run 1") == Looks(decisions=2, candidates=1, seen=1.0, changed=())
    assert read_openings(path)[0].settings is None and read_openings(path)[0].rows is None
    with pytest.raises(ValueError, match="not on record"):
        looks(read_openings(path), run="never", candidate_digest="c")


def test_reading_back(tmp_path):
    path = tmp_path / "openings.jsonl"
    assert read_openings(path) == ()
    opened(path, "a", "x")
    opened(path, "b", "y", split="t")
    first, second = read_openings(path)
    assert (first.run, first.candidate_digest, first.split_digest) == ("a", "x", "s")
    assert first.at.endswith("+00:00")
    assert related(read_openings(path), split_digest="t", rows=["t 0"]) == (second,)


def test_a_split_that_gained_or_lost_rows_is_still_the_one_that_was_looked_at(tmp_path):
    path = tmp_path / "openings.jsonl"
    rows = [f"{n:016x}" for n in range(200)]
    assert seen(path, "monday", rows[:100]).decisions == 1
    more = seen(path, "tuesday", rows[:101], margin=0.2)
    assert (more.decisions, more.candidates, more.seen) == (2, 2, 100 / 101)
    assert more.changed == ("gate.margin (0.1 -> 0.2)",)
    fewer = seen(path, "wednesday", rows[50:110])
    assert (fewer.decisions, fewer.seen) == (3, 51 / 60)
    fresh = seen(path, "thursday", rows[101 + 9 :])
    assert (fresh.decisions, fresh.seen) == (1, 0.0)
    # one row in ten counts, fewer do not
    assert seen(path, "friday", [*rows[:5], *(f"x{n}" for n in range(46))]).decisions == 1
    assert seen(path, "saturday", [*rows[:5], *(f"y{n}" for n in range(45))]).decisions == 4


def test_rows_are_known_by_what_they_ask_and_expect():
    row = Example(id="a", inputs={"x": "1"}, reference="yes", group="g", trace_ids=("t",))
    [key] = row_keys([row])
    assert len(key) == 16
    assert row_keys([Example(id="a", inputs={"x": "1"}, reference="yes", weight=2.0)]) == (key,)
    for other in (
        Example(id="b", inputs={"x": "1"}, reference="yes"),
        Example(id="a", inputs={"x": "1"}, reference="no"),
        Example(id="a", inputs={"x": "1"}, reference="yes", expectations={"label": "no"}),
    ):
        assert row_keys([other]) != (key,)


def test_half_a_line_of_a_crashed_writer_harms_only_itself(tmp_path):
    path = tmp_path / "openings.jsonl"
    opened(path, "a")
    with path.open("a") as stream:
        stream.write('{"split_digest": "s", "run": "b", "cand')
    assert opened(path, "c") == 2
    assert opened(path, "d") == 3
    assert [opening.run for opening in read_openings(path)] == ["a", "c", "d"]


def test_a_file_that_is_something_else_is_refused(tmp_path):
    path = tmp_path / "openings.jsonl"
    path.write_text(json.dumps({"hello": 1}) + "\n")
    with pytest.raises(StorageError, match=r"openings\.jsonl:1: not a record"):
        opened(path, "a")


def test_a_registry_that_cannot_be_written_keeps_the_rows_closed(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        opened(tmp_path / "file" / "openings.jsonl", "a")
    with pytest.raises(StorageError, match="cannot be written"):
        opened(tmp_path, "a")


def test_a_writer_waits_for_the_one_before_it(tmp_path):
    path = tmp_path / "openings.jsonl"
    opened(path, "a")
    counted: list[int] = []
    waiting = threading.Thread(target=lambda: counted.append(opened(path, "b")))
    with path.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        waiting.start()
        waiting.join(0.3)
        assert counted == []
    waiting.join(30)
    assert counted == [2]


def _open_many(path: str, start: int) -> None:
    for number in range(start, start + 25):
        opened(Path(path), f"run {number}")


def test_processes_at_once_lose_nothing_and_count_nothing_twice(tmp_path):
    path = tmp_path / "openings.jsonl"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_open_many, args=(str(path), start)) for start in (0, 10, 20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    runs = [opening.run for opening in read_openings(path)]
    assert sorted(runs) == sorted(f"run {number}" for number in range(45))
