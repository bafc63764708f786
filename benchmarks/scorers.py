"""Deterministic scorers side by side: ours, autoevals, pydantic_evals, MLflow and deepeval, in one run.

Every contender runs in a process of its own on one core and scores the same 2,000 rows per task, no two
alike, four of five of them right, called as its documentation calls it. Rounds alternate, medians are shown.
Ours is measured three ways: ``columns`` (two lists in, a list of Scores out: how a table is scored),
``call`` (one call per row) and ``read`` (one call per row, rationale and evidence read, which are made only
then). A peer that is not installed is named with the line that installs it; `--peer-python` runs peers with
another interpreter.

    python benchmarks/scorers.py [--seconds 0.5] [--rounds 3] [--peer-python PATH] [--json FILE]

Part 1: scores per second, and ratios of our columns and our calls to the peer. Part 2: our 100,000 against a
peer's 10,000 (that is, a ratio of 10). Part 3: a loop of nothing but the one C call that does the work, ours
and the peer's: no code around it could be faster. Part 4: time and modules that an import adds.

What is reached (Python 3.11, two busy cores; msgspec and rapidfuzz installed), by columns and by calls to
the peer: exact match 14.6 and 4.9 times autoevals, 217 and 73 deepeval, 627 and 211 mlflow, over 800
pydantic_evals; contains over 180 pydantic_evals; regex 21 and 12 mlflow, 63 and 34 deepeval; personal data
15.8 and 13.4, length 11.0 and 5.9 mlflow; JSON valid 11.3 and 4.3, two numbers 10.8 and 3.0, JSON fields 10.6
and 9.6, edit distance 2.3 and 1.6 autoevals. So the ratio of 10 is reached in 12 of 13 pairs by columns, in 7
by calls; those next to 10 fall to either side of it with the load of the machine. Why not in the others:

- A call with keywords costs Python 0.2 us before anything is scored, and autoevals' whole exact match
  takes 1.5 us. Only without a call per row (columns) is 10 times that possible.
- A match is one shared Score (0.05 us); a miss is an object of its own (0.3 us, in columns 0.2), whose reason
  is told when it is read. Read at once (``read``), that costs 1 to 20 us: it is what the peers do not tell.
- Edit distance: the C call alone takes 1.1 us (rapidfuzz; polyleven 1.0) of the peer's 2.9, so a loop of it
  without any score would be 2.6 times the peer. Ours is near that, since texts that are alike are compared in
  a band first; for those that are not, the band is lost.
- JSON valid depends on msgspec, which checks a text without making its value (0.12 us); with orjson alone the
  ratio is about 6, with the standard library 3. A text that is cut short needs no parser.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DEEPEVAL_TELEMETRY_OPT_OUT", "YES")

ROWS = 2_000
SENTENCE = "Parcel {0} left our warehouse on Monday and will reach you by Thursday at the latest."
OTHER = "The parcel {0} left the warehouse on Monday; it will reach you on Wednesday or Thursday."
PEERS = {
    "autoevals": ("autoevals", "pip install autoevals"),
    "pydantic_evals": ("pydantic_evals", "pip install pydantic-evals"),
    "mlflow": ("mlflow", "pip install mlflow"),
    "deepeval": ("deepeval", "pip install deepeval"),
}
IMPORTS = {
    "ours": "scorers",
    "autoevals": "autoevals",
    "pydantic_evals": "pydantic_evals.evaluators",
    "mlflow": "mlflow.genai.scorers",
    "deepeval": "deepeval.metrics",
}
MODES = ("columns", "call", "read")
Work = Callable[[], Any]
"""Scores all rows of one task once."""


def ticket(i: int, right: bool) -> dict[str, Any]:
    urgency = "high" if right else "low"
    customer = {"name": f"Ann {i}", "vip": bool(i % 2)}
    return {"urgency": urgency, "customer": customer, "tags": ["a", f"b{i}"], "amount": i + 0.5}


def rows(task: str) -> tuple[list[Any], list[Any]]:
    """Outputs and what is expected: no two rows alike, each fifth one wrong."""
    calls = [{"name": "weather", "arguments": {"city": "Rome"}}, {"name": "book", "arguments": {"seats": 2}}]
    made = {"tool_calls": [{"function": {"name": c["name"], "arguments": json.dumps(c["arguments"])}}
                           for c in calls]}  # fmt: skip
    labels = ("billing", "delivery", "account")

    def row(i: int, right: bool) -> tuple[Any, Any]:
        text, other = SENTENCE.format(i), OTHER.format(i)
        wrong = i + (not right)
        answer = json.dumps(ticket(i, right))
        return {
            "exact match": (f"Paris {i}", f"Paris {wrong}"),
            "label match": (f"**{labels[i % 3].title()}**.", labels[(i + (not right)) % 3]),
            "contains": (text + (" We are sorry." if right else ""), None),
            "starts with": (text if right else other, None),
            "regex": (f"AB-{i}" if right else f"A-{i}", None),
            "two numbers": (i, wrong),
            "number in a text": (f"{i} boxes of 14, so the answer is {i}.", str(wrong)),
            "JSON valid": (answer if right else answer[:-1], None),
            "JSON fields": (answer, ticket(i, True)),
            "edit distance": (text, other),
            "token F1": (text, other),
            "ROUGE-L": (text, other),
            "BLEU": (text, other),
            "chrF": (text, other),
            "tool calls": (made if right else {"tool_calls": []}, calls),
            "length": (text if right else text * 3, None),
            "language": (text, None),
            "refusal": (text, None),
            "personal data": (text + ("" if right else f" Write to ann{i}@corp.com."), None),
            "XML valid": (f"<answer><city>Rome {i}</city>" + "</answer>" * right, None),
            "CSV valid": (f"name,age\nAnn,{i}\nBob" + ",42" * right, None),
            "Python compiles": (f"def f(x):\n    return x + {i}" + "" if right else "def f(", None),
        }[task]

    pairs = [row(i, i % 5 != 0) for i in range(ROWS)]
    return [output for output, _ in pairs], [expected for _, expected in pairs]


def ours(mode: str) -> dict[str, Work]:
    import scorers

    built = {
        "exact match": scorers.exact_match(),
        "label match": scorers.label_match(labels=["billing", "delivery", "account"]),
        "contains": scorers.contains(texts=["refund", "sorry"], mode="any"),
        "starts with": scorers.starts_with(texts=["Parcel"]),
        "regex": scorers.regex(pattern=r"[A-Z]{2}-\d+", mode="full"),
        "two numbers": scorers.numeric_match(),
        "number in a text": scorers.numeric_match(),
        "JSON valid": scorers.json_valid(),
        "JSON fields": scorers.json_match(),
        "edit distance": scorers.levenshtein(),
        "token F1": scorers.token_f1(),
        "ROUGE-L": scorers.rouge_l(),
        "BLEU": scorers.bleu(),
        "chrF": scorers.chrf(),
        "tool calls": scorers.tool_calls(),
        "length": scorers.length(max_words=20),
        "language": scorers.language(language="en"),
        "refusal": scorers.refusal(),
        "personal data": scorers.pii_leak(),
        "XML valid": scorers.xml_valid(),
        "CSV valid": scorers.csv_valid(),
        "Python compiles": scorers.code_compiles(),
    }

    def work(task: str, scorer: Any) -> Work:
        outputs, expected = rows(task)
        pairs = list(zip(outputs, expected, strict=True))
        if mode == "columns":
            return lambda: scorer.score_columns(outputs, expected)
        if mode == "call":
            return lambda: [scorer(output=o, expected=e) for o, e in pairs]

        def read() -> None:
            for o, e in pairs:
                score = scorer(output=o, expected=e)
                _ = score.rationale, score.evidence

        return read

    return {task: work(task, scorer) for task, scorer in built.items()}


def autoevals() -> dict[str, Work]:
    from autoevals import ExactMatch, JSONDiff, Levenshtein, NumericDiff, ValidJSON

    def work(task: str, scorer: Any, parse: bool = False) -> Work:
        outputs, expected = rows(task)
        pairs = list(zip(map(json.loads, outputs) if parse else outputs, expected, strict=True))
        return lambda: [scorer(o, e) for o, e in pairs]

    return {
        "exact match": work("exact match", ExactMatch()),
        "JSON valid": work("JSON valid", ValidJSON()),
        "JSON fields": work("JSON fields", JSONDiff(), parse=True),
        "edit distance": work("edit distance", Levenshtein()),
        "two numbers": work("two numbers", NumericDiff()),
    }


def pydantic_evals() -> dict[str, Work]:
    from pydantic_evals import Case, Dataset
    from pydantic_evals.evaluators import Contains, EqualsExpected

    def through(task: str, evaluator: Any) -> Work:
        outputs, expected = rows(task)
        few = 200  # of 2,000 rows: it takes a third of a millisecond for each
        cases = [Case(name=str(i), inputs=outputs[i], expected_output=expected[i]) for i in range(few)]
        dataset = Dataset(name="bench", cases=cases, evaluators=[evaluator])

        def run() -> Any:
            return dataset.evaluate_sync(lambda given: given, progress=False)

        run.count = few  # type: ignore[attr-defined]
        return run

    return {
        "exact match": through("exact match", EqualsExpected()),
        "contains": through("contains", Contains(value="sorry", case_sensitive=False)),
    }


def mlflow() -> dict[str, Work]:
    from mlflow.genai.scorers import PIIDetection, RegexMatch, ResponseLength, scorer

    @scorer
    def exact_match(outputs: Any, expectations: Any) -> bool:
        return bool(outputs == expectations["expected_response"])

    def work(task: str, built: Any) -> Work:
        outputs, _ = rows(task)
        return lambda: [built(outputs=output) for output in outputs]

    outputs, expected = rows("exact match")
    pairs = [(o, {"expected_response": e}) for o, e in zip(outputs, expected, strict=True)]
    return {
        "exact match": lambda: [exact_match.run(outputs=o, expectations=e) for o, e in pairs],
        "regex": work("regex", RegexMatch(pattern=r"[A-Z]{2}-\d+")),
        "personal data": work("personal data", PIIDetection()),
        "length": work("length", ResponseLength(max_length=20)),
    }


def deepeval() -> dict[str, Work]:
    from deepeval.metrics import ExactMatchMetric, PatternMatchMetric
    from deepeval.test_case import LLMTestCase

    def work(task: str, metric: Any) -> Work:
        cases = [
            LLMTestCase(input="x", actual_output=output, expected_output=expected)
            for output, expected in zip(*rows(task), strict=True)
        ]
        return lambda: [metric.measure(case, _show_indicator=False) for case in cases]

    return {
        "exact match": work("exact match", ExactMatchMetric()),
        "regex": work("regex", PatternMatchMetric(pattern=r"[A-Z]{2}-\d+")),
    }


def bare(calls: dict[str, tuple[str, str]], task: str, *, pairs: bool) -> Work | None:
    """A loop of only the one C function that does the work of ``task``; None if it is not installed."""
    module, path = calls[task]
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        return None
    call: Any = importlib.import_module(module)
    for attribute in path.split("."):
        call = getattr(call, attribute)
    if path == "json.Decoder":
        call = call(importlib.import_module(module).Raw).decode
    outputs, expected = rows(task)
    if pairs:
        return lambda: list(map(call, outputs, expected))
    right = [output for index, output in enumerate(outputs) if index % 5]

    def run() -> None:
        list(map(call, right))  # what it refuses would cost an exception: that is not the limit

    run.count = len(right)  # type: ignore[attr-defined]
    return run


OUR_CALLS = {
    "JSON valid": ("msgspec", "json.Decoder"),
    "edit distance": ("rapidfuzz.distance.Levenshtein", "distance"),
}
THEIR_CALLS = {"JSON valid": ("json", "loads"), "edit distance": ("polyleven", "levenshtein")}


def limits(calls: dict[str, tuple[str, str]]) -> dict[str, Work]:
    found = {task: bare(calls, task, pairs=task == "edit distance") for task in calls}
    return {task: work for task, work in found.items() if work is not None}


CONTENDERS: dict[str, Callable[[], dict[str, Work]]] = {
    **{f"ours {mode}": partial(ours, mode) for mode in MODES},
    "autoevals": autoevals,
    "pydantic_evals": pydantic_evals,
    "mlflow": mlflow,
    "deepeval": deepeval,
    "limit ours": partial(limits, OUR_CALLS),
    "limit theirs": partial(limits, THEIR_CALLS),
}


def rate(work: Work, seconds: float) -> float:
    """Scores per second of processor time."""
    count = getattr(work, "count", ROWS)
    work()
    rounds = 0
    begin = time.process_time()
    while (spent := time.process_time() - begin) < seconds:
        work()
        rounds += 1
    return float(rounds * count / spent)


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
    with_peer = {f"ours {mode}": sys.executable for mode in MODES}
    peers: dict[str, str] = {}
    for name, (module, install) in PEERS.items():
        python = interpreter_of(module, pythons)
        if python is None:
            print(f"skipped: {name} is not installed ({install})")
        else:
            peers[name] = python
    with_peer |= peers
    loops = {"limit ours": sys.executable, "limit theirs": peers.get("autoevals", sys.executable)}
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in with_peer | loops}
    for _ in range(options.rounds):
        for name, python in (with_peer | loops).items():
            rounds[name].append(measured(python, name, options.seconds))
    rates = {name: medians(found) for name, found in rounds.items()}

    print(f"\n{'scores per second and core':<28}" + "".join(f"{name:>14}" for name in with_peer))
    for task in rates["ours columns"]:
        cells = [rates[name].get(task) for name in with_peer]
        shown = (f"{c:,.0f}" if isinstance(c, float) else "failed" if c else "-" for c in cells)
        print(f"{task:<28}" + "".join(f"{cell:>14}" for cell in shown))
    print(f"\n{'ratio to the peer':<44}{'columns':>10}{'call':>10}{'read':>10}")
    both = []
    for name in peers:
        for task, theirs in rates[name].items():
            if isinstance(theirs, str):
                print(f"{name}, {task}: {theirs}")
                continue
            ratios = [rates[f"ours {mode}"][task] / theirs for mode in MODES]
            both.append((ratios[0], ratios[1], name, task))
            print(f"{task + ', ' + name:<44}" + "".join(f"{ratio:>8.1f} x" for ratio in ratios))
    if both:
        fast = [sum(pair[way] >= 10 for pair in both) for way in (0, 1)]
        worst = min(both)
        print(
            f"\nour 100,000 in the time of their 10,000 (ratio 10 or more): by columns {fast[0]}, by calls "
            f"{fast[1]} of {len(both)} pairs\nleast ratio: {worst[0]:.1f} by columns ({worst[2]}, {worst[3]})"
        )

    print(f"\n{'one C call alone, ns':<24}{'theirs':>8}{'ours':>8}  our columns to it, it to autoevals")
    for task, ours_alone in rates["limit ours"].items():
        theirs_alone = rates["limit theirs"].get(task)
        shown = [f"{1e9 / speed:>8.0f}" if speed else f"{'-':>8}" for speed in (theirs_alone, ours_alone)]
        peer = rates.get("autoevals", {}).get(task)
        most = f"{ours_alone / peer:.1f} x" if isinstance(peer, float) else "-"
        print(f"{task:<24}{''.join(shown)}  {rates['ours columns'][task] / ours_alone:.2f}, {most}")

    print("\nimport (added to bare Python)")
    imports: dict[str, Any] = {}
    for name, python in {"ours": sys.executable, **peers}.items():
        bare = import_cost(python, None, 2 * options.rounds + 1)[0]
        spent, modules = import_cost(python, IMPORTS[name], 2 * options.rounds + 1)
        imports[name] = {"ms": round(spent - bare, 1), "modules": modules}
        print(f"  {IMPORTS[name]:<28}{spent - bare:>9.1f} ms {modules:>6} modules")
    if options.json:
        options.json.write_text(json.dumps({"scores_per_second": rates, "import": imports}, indent=2) + "\n")


if __name__ == "__main__":
    main()
