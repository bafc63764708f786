import fcntl
import json
import multiprocessing
import threading
from pathlib import Path

import pytest

from promptmigrate.decide import open_test, read_openings
from promptmigrate.errors import StorageError


def opened(path: Path, run: str, candidate: str = "c", split: str = "s") -> int:
    return open_test(path, split_digest=split, run=run, candidate_digest=candidate)


def test_each_new_run_or_candidate_is_an_opening_and_a_resume_is_not(tmp_path):
    path = tmp_path / "deep" / "openings.jsonl"
    assert opened(path, "run 1") == 1
    assert opened(path, "run 1") == 1
    assert opened(path, "run 2") == 2
    assert opened(path, "run 2", "other") == 3
    assert opened(path, "run 1", split="another split") == 1
    assert opened(path, "run 1") == 3
    assert len(path.read_text().splitlines()) == 4


def test_reading_back(tmp_path):
    path = tmp_path / "openings.jsonl"
    assert read_openings(path) == ()
    opened(path, "a", "x")
    opened(path, "b", "y", split="t")
    first, second = read_openings(path)
    assert (first.run, first.candidate_digest, first.split_digest) == ("a", "x", "s")
    assert first.at.endswith("+00:00")
    assert read_openings(path, split_digest="t") == (second,)


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
