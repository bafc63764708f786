"""The spool: nothing lost, nothing doubled, across crashes and processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptmigrate.errors import StorageError
from promptmigrate.gateway.spool import Spool


def lines(count: int, start: int = 0) -> list[bytes]:
    return [b'{"n":%d}\n' % n for n in range(start, start + count)]


def drain(spool: Spool, limit: int = 7) -> list[bytes]:
    found: list[bytes] = []
    while (batch := spool.take(limit)) is not None:
        assert len(batch.lines) <= limit
        found += batch.lines
        spool.delivered(batch)
    return found


def test_what_is_put_in_comes_out_in_order_and_leaves_nothing_behind(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=50)
    for line in lines(40):
        assert spool.append(line)
    assert len(list(tmp_path.glob("*.jsonl"))) > 1
    assert drain(spool) == lines(40)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_delivery_that_fails_is_offered_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for line in lines(5):
        spool.append(line)
    first = spool.take(3)
    again = spool.take(3)
    assert first is not None
    assert again is not None
    assert first.lines == again.lines == tuple(lines(3))
    spool.close()


def test_a_restart_goes_on_where_the_last_delivery_ended(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for line in lines(10):
        spool.append(line)
    batch = spool.take(4)
    assert batch is not None
    spool.delivered(batch)
    spool.close()
    after = Spool(tmp_path)
    after.append(b'{"n":10}\n')
    assert sorted(drain(after)) == sorted(lines(7, 4))
    after.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_living_writer_has_is_left_to_it_and_what_a_dead_one_left_is_taken(tmp_path: Path) -> None:
    living = Spool(tmp_path)
    living.append(b'{"living":1}\n')
    code = (
        "import os, sys; from pathlib import Path; from promptmigrate.gateway.spool import Spool; "
        "s = Spool(Path(sys.argv[1])); s.append(b'{\"dead\":1}\\n'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    third = Spool(tmp_path)
    assert drain(third) == [b'{"dead":1}\n']
    third.close()
    assert drain(living) == [b'{"living":1}\n']
    living.close()
    assert list(tmp_path.iterdir()) == []


def test_a_line_torn_by_a_crash_is_not_offered(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(b'{"n":0}\n')
    (segment,) = tmp_path.glob("*.jsonl")
    spool.close()
    with segment.open("ab") as stream:
        stream.write(b'{"n":')
    after = Spool(tmp_path)
    assert drain(after) == [b'{"n":0}\n']
    after.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_spool_says_so_and_takes_records_again_once_there_is_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path, spool_bytes=100)
    kept = [line for line in lines(50) if spool.append(line)]
    assert 0 < len(kept) < 50
    assert drain(spool) == kept
    assert spool.append(b'{"n":99}\n')
    spool.close()


def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = Spool(folder)
    spool.append(b"{}\n")
    (segment,) = folder.glob("*.jsonl")
    assert folder.stat().st_mode & 0o077 == 0
    assert segment.stat().st_mode & 0o077 == 0
    spool.close()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="traces cannot be kept here"):
        Spool(tmp_path / "file" / "spool")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 60)),
            st.tuples(st.just("deliver"), st.integers(1, 5)),
            st.tuples(st.just("take"), st.integers(1, 5)),
            st.tuples(st.just("restart"), st.just(0)),
        ),
        max_size=60,
    )
)
def test_each_record_is_delivered_exactly_once_whatever_happens_between(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(folder, segment_bytes=64)
    given_in: list[bytes] = []
    out: list[bytes] = []
    for number, (step, size) in enumerate(steps):
        if step == "append":
            line = b"%d:%s\n" % (number, b"x" * size)
            assert spool.append(line)
            given_in.append(line)
        elif step == "deliver" and (batch := spool.take(size)) is not None:
            out += batch.lines
            spool.delivered(batch)
        elif step == "take":
            spool.take(size)
        elif step == "restart":
            spool.close()
            spool = Spool(folder, segment_bytes=64)
    out += drain(spool)
    assert sorted(out) == sorted(given_in)
    spool.close()
    assert list(folder.iterdir()) == []
