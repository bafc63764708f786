"""What a search came to, written and read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.evaluate import as_variant
from promptmigrate.pipeline.kept import Ended, Searches
from promptmigrate.pipeline.meeting import Meeting
from promptmigrate.pipeline.rundir import RunDir
from promptmigrate.search import CandidateRecord, FrontPoint, Generation, SearchResult
from promptmigrate.types import Prompt, Variant
from tests.postgres import Server, postgres  # noqa: F401 - a fixture

BEGAN = {
    name: f"sha256:{name}" for name in ("config_digest", "prompt_digest", "dataset_digest", "inputs_digest")
}
# Whatever a reflection model writes, half a surrogate pair and Jinja included.
TEXTS = st.text(st.characters(), min_size=1, max_size=30)
NUMBERS = st.floats(0, 1)


def run(folder: Path, **other: str) -> RunDir:
    found = RunDir(folder)
    found.path.mkdir(parents=True, exist_ok=True)
    found.write_state(**{**BEGAN, **other})
    return found


def single(text: str) -> Variant:
    chat = Prompt.of([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{{note}}"}])
    prompt = replace(chat, messages=(replace(chat.messages[0], content=text), chat.messages[1]))
    return Variant(
        prompt=prompt, model="acme/petite", params={"temperature": 0, "stop": ["x"]}, origin="made"
    )


def program(text: str) -> Variant:
    prompts = {"extract": Prompt.text("Copy. {{note}}"), "label": Prompt.text(text)}
    made = as_variant(prompts, model="acme/petite", params={}, origin="label: made")
    return made.having("label", Prompt.text(f"{text} {{{{feeling}}}}"))


def result(best: Variant, quality: float) -> SearchResult:
    records = (
        CandidateRecord(variant=None, origin="proposal", fate="refused: too long"),
        CandidateRecord(variant=replace(best, origin="first"), origin="first", quality=quality, rows=7),
    )
    return SearchResult(
        best=best,
        quality=quality,
        baseline=None,
        front=(FrontPoint(variant=best, quality=quality, cost_usd=None, latency_s=0.1 + quality, rows=7),),
        generations=(
            Generation(index=0, phase="seeds", candidates=records, best=best, quality=None, calls=9),
        ),
        stopped="nothing is left to try",
        code="exhausted",
        calls=9,
        rows=7,
        facts=("one label",),
        removed=("please",),
        tokens=(70, 40),
    )


@given(text=TEXTS, quality=NUMBERS, made=st.sampled_from([single, program]))
def test_what_is_kept_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, text, quality, made):
    searches = Searches(run(tmp_path_factory.mktemp("run")))
    best = made(text)
    given_ = Ended(found=result(best, quality), measured={best.digest: ("a", "b")}, asked=3)
    assert searches.ended(0) is None
    assert searches.keep(0, given_) == given_
    found = searches.ended(0)
    assert found == given_
    # equality of Variants leaves these out
    assert found.found.best.origin == best.origin
    assert found.found.best.component == best.component
    assert found.found.best.digest == best.digest
    assert found.found.generations[0].candidates[1].variant.origin == "first"
    assert searches.ended(1) is None


def test_the_first_of_several_workers_settles_it(tmp_path: Path):
    one, other = (Searches(run(tmp_path / "run")) for _ in range(2))
    first, second = (Ended(found=result(single(text), 0.5)) for text in ("one", "other"))
    assert one.keep(0, first).found.best == first.found.best
    assert other.keep(0, second).found.best == first.found.best


def test_workers_on_other_hosts_settle_it_by_the_database(tmp_path: Path, postgres: Server):  # noqa: F811
    url = postgres.database()
    meetings = [Meeting(url), Meeting(url)]
    try:
        here, there = (
            Searches(run(tmp_path / host / "run"), meeting)
            for host, meeting in zip(("here", "there"), meetings, strict=True)
        )
        first, second = (Ended(found=result(single(text), 0.5)) for text in ("one", "other"))
        assert here.ended(0) is None
        assert there.keep(0, second).found.best == second.found.best
        assert here.keep(0, first).found.best == second.found.best
        # also without the database later
        assert Searches(run(tmp_path / "here" / "run")).ended(0).found.best == second.found.best
        # and what only a folder still knows goes to the others
        alone = Searches(run(tmp_path / "here" / "run"))
        alone.keep(1, first)
        assert there.ended(1) is None
        assert here.ended(1).found.best == first.found.best
        assert there.ended(1).found.best == first.found.best
    finally:
        for meeting in meetings:
            meeting.close()


def test_a_search_that_could_measure_nothing_may_be_made_again(tmp_path: Path):
    searches = Searches(run(tmp_path / "run"))
    found = replace(result(single("x"), 0.0), code="unmeasurable")
    assert searches.keep(0, Ended(found=found)).found.code == "unmeasurable"
    assert searches.ended(0) is None
