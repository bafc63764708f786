"""Deterministic scorers side by side: ours, autoevals, pydantic_evals and MLflow, in one run.

Every contender runs in a process of its own on one core and scores the same samples, called as its
documentation calls it. Rounds alternate, medians are shown, ratios are ours to theirs. A peer that is not
installed is named with the line that installs it; `--peer-python` runs peers with another interpreter.

    python benchmarks/scorers.py [--seconds 0.5] [--rounds 3] [--peer-python PATH] [--json FILE]

Part 1: scores per second. Part 2: our 100,000 against a peer's 10,000 (that is, a ratio of 10). Part 3: time
and modules that an import adds to bare Python.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

TICKET = {"urgency": "high", "customer": {"name": "Ann", "vip": True}, "tags": ["a", "b"], "amount": 12.5}
ANSWER = '{"urgency": "low", "customer": {"name": "Ann", "vip": true}, "tags": ["a", "b"], "amount": 12.5}'
LONG = "Your parcel left our warehouse on Monday and will reach you by Thursday at the latest."
OTHER = "The parcel left the warehouse on Monday; it will reach you on Wednesday or Thursday."
CALLS = [{"name": "weather", "arguments": {"city": "Rome"}}, {"name": "book", "arguments": {"seats": 2}}]
MADE = {
    "tool_calls": [
        {"function": {"name": call["name"], "arguments": json.dumps(call["arguments"])}} for call in CALLS
    ]
}
PEERS = {
    "autoevals": ("autoevals", "pip install autoevals"),
    "pydantic_evals": ("pydantic_evals", "pip install pydantic-evals"),
    "mlflow": ("mlflow", "pip install mlflow"),
}
IMPORTS = {
    "ours": "scorers",
    "autoevals": "autoevals",
    "pydantic_evals": "pydantic_evals.evaluators",
    "mlflow": "mlflow.genai.scorers",
}
Work = dict[str, Callable[[], Any]]


def ours() -> Work:
    import scorers

    def call(scorer: Any, output: Any, expected: Any = None, **more: Any) -> Callable[[], Any]:
        return lambda: scorer(output=output, expected=expected, **more)

    return {
        "exact match": call(scorers.exact_match(), "Paris", "Paris"),
        "label match": call(scorers.label_match(labels=["billing", "delivery"]), "**Billing**.", "billing"),
        "contains": call(scorers.contains(texts=["refund", "sorry"], mode="any"), LONG + " We are sorry."),
        "starts with": call(scorers.starts_with(texts=["Your"]), LONG),
        "regex": call(scorers.regex(pattern=r"[A-Z]{2}-\d+", mode="full"), "AB-123"),
        "two numbers": call(scorers.numeric_match(), 42, 42),
        "number in a text": call(
            scorers.numeric_match(), "3 boxes of 14 make 42 eggs, so the answer is 42.", "42"
        ),
        "JSON valid": call(scorers.json_valid(), ANSWER),
        "JSON fields": call(scorers.json_match(), ANSWER, TICKET),
        "edit distance": call(scorers.levenshtein(), LONG, OTHER),
        "token F1": call(scorers.token_f1(), LONG, OTHER),
        "ROUGE-L": call(scorers.rouge_l(), LONG, OTHER),
        "BLEU": call(scorers.bleu(), LONG, OTHER),
        "chrF": call(scorers.chrf(), LONG, OTHER),
        "tool calls": call(scorers.tool_calls(), MADE, CALLS),
        "length": call(scorers.length(max_words=20), LONG),
        "language": call(scorers.language(language="en"), LONG),
        "refusal": call(scorers.refusal(), LONG),
        "personal data": call(scorers.pii_leak(), LONG + " Write to ann@corp.com.", inputs={"text": LONG}),
        "XML valid": call(scorers.xml_valid(), "<answer><city>Rome</city></answer>"),
        "CSV valid": call(scorers.csv_valid(), "name,age\nAnn,31\nBob,42\n"),
        "Python compiles": call(scorers.code_compiles(), "def f(x):\n    return x + 1\n"),
    }


def autoevals() -> Work:
    from autoevals import ExactMatch, JSONDiff, Levenshtein, NumericDiff, ValidJSON

    def call(scorer: Any, output: Any, expected: Any = None) -> Callable[[], Any]:
        return lambda: scorer(output, expected)

    return {
        "exact match": call(ExactMatch(), "Paris", "Paris"),
        "JSON valid": call(ValidJSON(), ANSWER),
        "JSON fields": call(JSONDiff(), json.loads(ANSWER), TICKET),
        "edit distance": call(Levenshtein(), LONG, OTHER),
        "two numbers": call(NumericDiff(), 42, 42),
    }


def pydantic_evals() -> Work:
    from pydantic_evals import Case, Dataset
    from pydantic_evals.evaluators import Contains, EqualsExpected

    def through(evaluator: Any, output: str, expected: Any, count: int = 200) -> Callable[[], Any]:
        cases = [Case(name=str(index), inputs=output, expected_output=expected) for index in range(count)]
        dataset = Dataset(name="bench", cases=cases, evaluators=[evaluator])

        def run() -> Any:
            return dataset.evaluate_sync(lambda given: given, progress=False)

        run.count = count  # type: ignore[attr-defined]
        return run

    return {
        "exact match": through(EqualsExpected(), "Paris", "Paris"),
        "contains": through(Contains(value="sorry", case_sensitive=False), LONG + " We are sorry.", None),
    }


def mlflow() -> Work:
    from mlflow.genai.scorers import PIIDetection, RegexMatch, ResponseLength, scorer

    @scorer
    def exact_match(outputs: Any, expectations: Any) -> bool:
        return bool(outputs == expectations["expected_response"])

    pattern, pii, length = RegexMatch(pattern=r"[A-Z]{2}-\d+"), PIIDetection(), ResponseLength(max_length=20)
    return {
        "exact match": lambda: exact_match.run(outputs="Paris", expectations={"expected_response": "Paris"}),
        "regex": lambda: pattern(outputs="AB-123"),
        "personal data": lambda: pii(outputs=LONG + " Write to ann@corp.com."),
        "length": lambda: length(outputs=LONG),
    }


CONTENDERS: dict[str, Callable[[], Work]] = {
    "ours": ours,
    "autoevals": autoevals,
    "pydantic_evals": pydantic_evals,
    "mlflow": mlflow,
}


def rate(work: Callable[[], Any], seconds: float) -> float:
    """Scores per second of processor time."""
    count = getattr(work, "count", 1)
    work()
    calls = 0
    step = 1 if count > 1 else 50
    begin = time.process_time()
    while (spent := time.process_time() - begin) < seconds:
        for _ in range(step):
            work()
        calls += step
    return calls * count / spent


def child(contender: str, seconds: float) -> None:
    found: dict[str, Any] = {}
    for name, work in CONTENDERS[contender]().items():
        try:
            found[name] = rate(work, seconds)
        except Exception as error:  # noqa: BLE001 - a peer that cannot do it is part of the result
            found[name] = f"{type(error).__name__}: {error}"[:200]
    print(json.dumps(found))


def measured(python: str, contender: str, seconds: float) -> dict[str, Any]:
    # -P: this file is called like the package that it measures, and its folder would come first.
    line = [python, "-P", __file__, "--child", contender, "--seconds", str(seconds)]
    # The sources beside this file, wherever it is run from; nothing else of the caller's path.
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise SystemExit(f"{contender} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def interpreter_of(module: str, pythons: list[str]) -> str | None:
    for python in pythons:
        probe = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
        if subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode == 0:
            return python
    return None


def import_cost(python: str, module: str | None, rounds: int) -> tuple[float, int]:
    """Milliseconds of a fresh interpreter that imports ``module``, and how many modules that loads."""
    code = f"import {module}\n" if module else ""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        subprocess.run([python, "-c", code], check=True, capture_output=True, env=env)
        times.append(1000 * (time.perf_counter() - begin))
    counted = subprocess.run(
        [python, "-c", f"import sys; n = len(sys.modules)\n{code}print(len(sys.modules) - n)"],
        check=True,
        capture_output=True,
        text=True,
        env=env,
    )
    return statistics.median(times), int(counted.stdout.split()[-1])


def medians(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        name: statistics.median([r[name] for r in rounds])
        if isinstance(rounds[0][name], float)
        else rounds[0][name]
        for name in rounds[0]
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.5, help="processor time for each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--peer-python", action="append", default=[], help="another interpreter that has peers"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.seconds)
        return

    pythons = [sys.executable, *options.peer_python]
    with_peer = {"ours": sys.executable}
    for name, (module, install) in PEERS.items():
        python = interpreter_of(module, pythons)
        if python is None:
            print(f"skipped: {name} is not installed ({install})")
        else:
            with_peer[name] = python
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in with_peer}
    for _ in range(options.rounds):
        for name, python in with_peer.items():
            rounds[name].append(measured(python, name, options.seconds))
    rates = {name: medians(found) for name, found in rounds.items()}

    print(f"\n{'scores per second and core':<18}".ljust(28) + "".join(f"{name:>26}" for name in with_peer))
    for task, mine in rates["ours"].items():
        line = f"{task:<28}{mine:>26,.0f}"
        for name in list(with_peer)[1:]:
            theirs = rates[name].get(task)
            if isinstance(theirs, float):
                line += f"{theirs:>15,.0f} ({mine / theirs:5.1f} x)"
            else:
                line += f"{'failed' if theirs else '-':>26}"
        print(line)
    for name in list(with_peer)[1:]:
        for task, theirs in rates[name].items():
            if isinstance(theirs, str):
                print(f"{name}, {task}: {theirs}")
    both = [
        (mine / rates[name][task], name, task)
        for task, mine in rates["ours"].items()
        for name in list(with_peer)[1:]
        if isinstance(rates[name].get(task), float)
    ]
    if both:
        worst = min(both)
        fast = sum(ratio >= 10 for ratio, _, _ in both)
        print(f"\nour 100,000 in the time of their 10,000 (ratio 10 or more): {fast} of {len(both)} pairs")
        print(f"least ratio: {worst[0]:.2f} ({worst[1]}, {worst[2]})")

    print("\nimport (added to bare Python)")
    imports: dict[str, Any] = {}
    for name, python in with_peer.items():
        bare = import_cost(python, None, 2 * options.rounds + 1)[0]
        spent, modules = import_cost(python, IMPORTS[name], 2 * options.rounds + 1)
        imports[name] = {"ms": round(spent - bare, 1), "modules": modules}
        print(f"  {IMPORTS[name]:<28}{spent - bare:>9.1f} ms {modules:>6} modules")
    if options.json:
        options.json.write_text(json.dumps({"scores_per_second": rates, "import": imports}, indent=2) + "\n")


if __name__ == "__main__":
    main()
