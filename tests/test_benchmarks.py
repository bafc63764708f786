"""The benchmarks run, and their worlds are what they claim to be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.worlds import WORLDS, messages_of
from benchmarks.worlds.editor import edit
from benchmarks.worlds.provider import EDITOR, TASK, CappedError, Provider, plain, score

ROOT = Path(__file__).resolve().parent.parent


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("name", list(WORLDS))
def test_a_world_rewards_rules_and_its_own_answers_are_right(name: str):
    world = WORLDS[name]
    rows = world.rows(120, seed=1)
    assert all(world.grade(row, row.truth)[0] == 1.0 for row in rows)
    best = max(score(world, source, rows) for source in world.best(world.rows(40, seed=2)))
    assert score(world, world.prompt, rows) + 0.4 < best
    for rule in world.rules:
        for words in rule.words:
            assert rule.name in world.stated(words), (rule.name, words)


@pytest.mark.parametrize("name", list(WORLDS))
def test_a_row_without_its_text_is_not_answered(name: str):
    world = WORLDS[name]
    row = world.rows(1, seed=3)[0]
    assert world.grade(row, world.answer([{"role": "user", "content": world.task()}], {}))[0] == 0.0


def test_the_same_request_has_the_same_answer_and_is_counted_up_to_the_cap():
    world = WORLDS["hotel"]
    provider = Provider(world, cap=2)
    messages = messages_of(world.prompt, world.rows(1, seed=4)[0].inputs)
    assert provider.chat(TASK, messages, {"temperature": 0}) == provider.chat(
        TASK, messages, {"temperature": 0}
    )
    assert (provider.tasks, provider.repeated) == (2, 1)
    with pytest.raises(CappedError):
        provider.chat(TASK, messages, {"temperature": 0})
    provider.chat(EDITOR, [{"role": "user", "content": "Improve it."}], {})
    assert (provider.tasks, provider.edits) == (2, 1)


def test_a_request_gives_back_its_plain_prompt():
    for world in WORLDS.values():
        rows = world.rows(3, seed=5)
        for source in (world.prompt, world.compose(world.task(), rows[:2])):
            assert plain(messages_of(source, rows[2].inputs), rows[2]) == source


def failures(name: str, count: int) -> str:
    world = WORLDS[name]
    shown = [
        f"Input: {' '.join(row.inputs.values())}\nGot: {world.say(row, frozenset())}\nRight: {row.truth}"
        for row in world.rows(count, seed=6)
    ]
    return f"The prompt:\n```\n{world.task()}\n```\n\n" + "\n\n".join(shown)


@pytest.mark.parametrize("name", list(WORLDS))
def test_the_editor_learns_from_failures_and_not_without(name: str):
    world = WORLDS[name]

    def learnt(request: str) -> int:
        texts = [edit(world, [{"role": "user", "content": request}], seed) for seed in range(20)]
        return sum(len(world.stated(text)) for text in texts)

    assert learnt(failures(name, 12)) > 2 * learnt(f"The prompt:\n```\n{world.task()}\n```") + 5


@pytest.mark.slow
def test_search_compares_and_goes_on(tmp_path: Path):
    file = tmp_path / "runs.jsonl"
    arguments = ("--calls", "40", "--worlds", "wire", "--seeds", "1", "--json", str(file))
    first = run("search.py", *arguments, "--optimizers", "ours,few-shot random search")
    assert "40 calls: first in the mean is" in first
    results = [json.loads(line) for line in file.read_text().splitlines()]
    assert {r["ended"] for r in results} <= {"done", "cap"}
    assert all(0 < r["tasks"] <= 44 and 0 <= r["score"] <= 1 for r in results)
    assert next(r for r in results if r["optimizer"] == "ours")["tasks"] <= 40
    assert run("search.py", *arguments, "--optimizers", "ours,few-shot random search") == first
    assert len(file.read_text().splitlines()) == 2


@pytest.mark.slow
def test_economy_measures(tmp_path: Path):
    file = tmp_path / "economy.json"
    shown = run(
        "economy.py", "--quick", "--calls", "24", "--parts", "racing,cascade,cache", "--json", str(file)
    )
    assert "### racing" in shown
    found = json.loads(file.read_text())
    assert found["cache"][0]["the same again"] == 0
    assert found["cache"][0]["repeated"] == 0
    assert 0 < found["racing"][0]["pairs"] <= found["racing"][0]["all pairs"]
