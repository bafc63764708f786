"""Evaluation side by side: ours, a bare aiohttp loop, a LiteLLM loop and dspy.Evaluate, in one run.

Work: N examples, each one task call, one judge call and two deterministic scores, against the simulated
server in a process of its own. Part 1: latency 100 ms, concurrency 64; wall time as a ratio to the ideal
2 x N x latency / concurrency. Part 2: latency 0; CPU time of the contender's process per example.

    python benchmarks/evaluate.py [--examples 1000] [--rounds 2] [--json FILE]

Each contender runs in a process of its own, rounds alternate, medians are shown.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # not this folder: its scorers.py is a benchmark
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

CONCURRENCY = 64
LATENCY_S = 0.1
CONTENDERS = ("promptmigrate", "aiohttp", "litellm", "dspy")
TASK = "Say the text.\n\n{text}"
JUDGE = "Is the answer right?\nAnswer: {answer}\nExpected: {expected}\nVERDICT: yes or no"


def texts(count: int) -> list[str]:
    return [
        f"Item {index}: a line of a customer's message that has the usual length." for index in range(count)
    ]


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def scored(output: str, expected: str) -> tuple[float, float]:
    """The two deterministic scores that every contender but ours computes by hand."""
    return float(output.strip() == expected.strip()), float("item" in output.lower())


def run_promptmigrate(base_url: str, count: int) -> Callable[[], None]:
    import aiohttp  # noqa: F401 - the Door imports it at the first call; nobody's imports are timed

    from promptmigrate.config import EndpointConfig
    from promptmigrate.evaluate import Evaluator, Measure
    from promptmigrate.lm import Door
    from promptmigrate.types import Example, Prompt, Variant
    from scorers import Answer, Question, Sample, Score, contains, exact_match

    class Judge:
        name, version, model = "judge", "1", "bench/echo"

        def __call__(self, **_: object) -> Score:
            raise AssertionError

        def ask(self, sample: Sample) -> Question:
            text = JUDGE.format(answer=sample.output, expected=sample.expected)
            return Question(messages=({"role": "user", "content": text},), model=self.model)

        def conclude(self, sample: Sample, answer: Answer) -> Score:
            assert answer.text is not None, answer.error
            return Score(name="judge", value=float(bool(answer.text)))

    rows = [
        Example(id=Example.content_id({"text": text}), inputs={"text": text}, reference=text)
        for text in texts(count)
    ]
    variant = Variant(prompt=Prompt.of(TASK.replace("{text}", "{{text}}")), model="bench/echo")
    folder = tempfile.TemporaryDirectory()

    def work() -> None:
        with Door.open(
            endpoints={"bench": EndpointConfig(base_url=base_url, max_concurrency=CONCURRENCY)},
            cache=Path(folder.name) / "calls.sqlite",
            ledger=Path(folder.name) / "ledger.sqlite",
        ) as door:
            measures = [
                Measure(scorer=exact_match()),
                Measure(scorer=contains(texts=("item",), mode="any")),
                Measure(scorer=Judge()),
            ]
            evaluation = Evaluator(door, measures, concurrency=CONCURRENCY).run([variant], rows)
            assert evaluation.summary(variant).rows == count

    return work


def run_aiohttp(base_url: str, count: int) -> Callable[[], None]:
    import aiohttp

    async def ask(session: aiohttp.ClientSession, content: str) -> str:
        body = {"model": "echo", "messages": [{"role": "user", "content": content}]}
        async with session.post(f"{base_url}/chat/completions", json=body) as response:
            return str((await response.json())["choices"][0]["message"]["content"])

    async def main() -> None:
        queue = iter(texts(count))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY)) as session:

            async def worker() -> None:
                for text in queue:
                    output = await ask(session, TASK.format(text=text))
                    await ask(session, JUDGE.format(answer=output, expected=text))
                    scored(output, text)

            await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))

    return lambda: asyncio.run(main())


def run_litellm(base_url: str, count: int) -> Callable[[], None]:
    import litellm

    async def ask(content: str) -> str:
        response = await litellm.acompletion(
            model="openai/echo",
            messages=[{"role": "user", "content": content}],
            api_base=base_url,
            api_key="none",
            num_retries=0,
        )
        return str(response.choices[0].message.content)

    async def main() -> None:
        queue = iter(texts(count))

        async def worker() -> None:
            for text in queue:
                output = await ask(TASK.format(text=text))
                await ask(JUDGE.format(answer=output, expected=text))
                scored(output, text)

        await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))

    return lambda: asyncio.run(main())


def run_dspy(base_url: str, count: int) -> Callable[[], None]:
    import dspy

    lm = dspy.LM("openai/echo", api_base=base_url, api_key="none", cache=False, num_retries=0)
    rows = [dspy.Example(text=text).with_inputs("text") for text in texts(count)]

    class Program(dspy.Module):
        def forward(self, text: str) -> dspy.Prediction:
            return dspy.Prediction(output=_said(lm(TASK.format(text=text))))

    def metric(example: dspy.Example, prediction: dspy.Prediction, _trace: object = None) -> float:
        lm(JUDGE.format(answer=prediction.output, expected=example.text))
        return sum(scored(prediction.output, example.text))

    evaluate = dspy.Evaluate(
        devset=rows, metric=metric, num_threads=CONCURRENCY, display_progress=False, display_table=False
    )
    dspy.configure(lm=lm)
    return lambda: evaluate(Program())


def _said(found: list[object]) -> str:
    first = found[0]
    return str(first["text"]) if isinstance(first, dict) else str(first)


def contend(name: str, base_url: str, count: int) -> None:
    """Run one contender in this process and print its wall and CPU seconds."""
    work = globals()[f"run_{name}"](base_url, count)
    wall, busy = time.perf_counter(), cpu()
    work()
    print(json.dumps({"wall_s": time.perf_counter() - wall, "cpu_s": cpu() - busy}))


def measure(name: str, base_url: str, count: int) -> dict[str, float]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}
    done = subprocess.run(
        [sys.executable, __file__, "--contender", name, "--base-url", base_url, "--examples", str(count)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


class Server:
    """The simulated provider in a process of its own."""

    def __init__(self, latency_s: float) -> None:
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "promptmigrate",
                "simulate",
                "serve",
                "--port",
                "0",
                "--latency",
                str(latency_s),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.base_url = json.loads(self._process.stdout.readline())["base_url"]
        with urllib.request.urlopen(f"{self.base_url}/models", timeout=10):
            pass

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


def compare(count: int, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = {}
    for part, latency in (("100 ms", LATENCY_S), ("0 ms", 0.0)):
        with Server(latency) as server:
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
            for _ in range(rounds):
                for name in CONTENDERS:
                    runs[name].append(measure(name, server.base_url, count))
        found[part] = {
            name: {key: statistics.median(run[key] for run in several) for key in ("wall_s", "cpu_s")}
            for name, several in runs.items()
        }
    return found


def show(found: dict[str, dict[str, dict[str, float]]], count: int, rounds: int) -> None:
    ideal = 2 * count * LATENCY_S / CONCURRENCY
    print(f"{count} examples, 1 task + 1 judge call + 2 deterministic scores, median of {rounds} rounds")
    head = f"100 ms, {CONCURRENCY} at a time: wall (ratio to ideal {ideal:.2f} s)"
    print(f"{'':14} | {head} | 0 ms: CPU/example")
    for name in CONTENDERS:
        wall = found["100 ms"][name]["wall_s"]
        busy = found["0 ms"][name]["cpu_s"] / count * 1e3
        print(f"{name:14} | {wall:8.2f} s  ({wall / ideal:5.2f}x) {'':22} | {busy:6.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--base-url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        contend(options.contender, options.base_url, options.examples)
        return
    found = compare(options.examples, options.rounds)
    show(found, options.examples, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
