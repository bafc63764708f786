"""The optimizers that are compared, each unmodified, with the settings a good user would choose for a budget.

Each takes a :class:`Job` and gives the prompt it would ship. What they have in common is the provider, the
rows, the grade and what is said about a wrong answer.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.worlds import Row, Source, World, messages_of
from benchmarks.worlds.provider import EDITOR, TASK, Provider, Server

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
COLD = {"temperature": 0.0}
THREADS = 8
FEW = 20
"""Validation rows of the "V=20" settings."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of one optimizer."""

    world: World
    provider: Provider
    calls: int
    """Task calls it may make."""
    train: tuple[Row, ...]
    validation: tuple[Row, ...]
    seed: int


Optimizer = Callable[[Job], Source]


# --- ours ---------------------------------------------------------------------------------------------------


def reflective(job: Job) -> Source:
    """The product's own search. Its budget counts the editor's calls too, so it makes fewer task calls."""
    return search(job).best.prompt.source  # type: ignore[no-any-return]


def search(job: Job, *, cache: Path | None = None, port: int = 0, budget: Any = None, **problem: Any) -> Any:
    """A SearchResult, through the Door and over HTTP.

    ``cache``: a call cache to go on with; it knows a provider by its address, so ``port`` must be
    the same; ``budget``: what the Door holds to; ``problem``: other settings of the search.
    """
    from promptmigrate.config import EndpointConfig
    from promptmigrate.evaluate import Evaluator, Measure
    from promptmigrate.lm import Door
    from promptmigrate.search import Problem
    from promptmigrate.search import strategy as named
    from promptmigrate.types import Prompt, Variant

    original = Variant(
        prompt=Prompt.of(job.world.prompt), model=f"bench/{TASK}", params=COLD, origin="original"
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(job.provider, port=port) as server,
        Door.open(
            endpoints={"bench": EndpointConfig(base_url=server.base_url, allow_local=True)},
            cache=cache or Path(folder) / "calls.sqlite",
            budget=budget,
        ) as door,
    ):
        evaluator = Evaluator(door, [Measure(scorer=grader(job.world))])
        settings: dict[str, Any] = {
            "original": original,
            "train": tuple(map(example, job.train)),
            "validation": tuple(map(example, job.validation)),
            "evaluate": evaluator.run,
            "reflect": door.complete,
            "reflection_model": f"bench/{EDITOR}",
            "calls": job.calls,
            "may_change": frozenset({"instructions", "demos", "format"}),
            "max_prompt_tokens": 2000,
            "seed": job.seed,
            "price_of": door.price,
        }
        return named("reflective").search(Problem(**{**settings, **problem}))


def example(row: Row) -> Any:
    """A row as the product's Example."""
    from promptmigrate.types import Example

    return Example(
        id=Example.content_id(row.inputs),
        inputs=dict(row.inputs),
        reference=row.truth,
        expectations={"expected_response": row.truth},
    )


def grader(world: World) -> Any:
    """The world's grade as a scorer of the product."""
    import re

    from scorers import Score

    class Grade:
        name, version = "grade", "1"

        def __call__(self, *, inputs: Any = None, output: Any = None, **_: Any) -> Score:
            ref = re.search(world.ref, " ".join(map(str, inputs.values())))
            assert ref is not None
            value, said = world.grade(world.row(int(ref[1])), str(output))
            return Score(name="grade", value=value, rationale=said)

    return Grade()


# --- DSPy -------------------------------------------------------------------------------------------------


def _dspy(job: Job) -> tuple[Any, Any, list[Any], list[Any], Any]:
    """Program, metric, train and validation examples, and the editor's LM."""
    import dspy

    from benchmarks import dspy_program

    task = dspy_program.lm(job.provider, TASK, temperature=0.0)
    editor = dspy_program.lm(job.provider, EDITOR, temperature=1.0)
    dspy.configure(lm=task)
    train, validation = (dspy_program.examples(rows) for rows in (job.train, job.validation))
    return dspy_program.WorldProgram(job.world), dspy_program.metric(job.world), train, validation, editor


def dspy_gepa(job: Job) -> Source:
    import dspy

    program, metric, train, validation, editor = _dspy(job)
    optimizer = dspy.GEPA(
        metric=metric, max_metric_calls=job.calls, reflection_lm=editor, num_threads=THREADS, seed=job.seed
    )
    return optimizer.compile(program, trainset=train, valset=validation).source()  # type: ignore[no-any-return]


def mipro(job: Job) -> Source:
    import dspy

    program, metric, train, validation, editor = _dspy(job)
    candidates = 4 if job.calls < 500 else 6
    rows = len(validation)
    left = job.calls - rows - candidates * 6  # the seed's score, bootstrapping
    small = min(35, rows)
    trials = max(2, int(left / (rows if small == rows else small + rows / 5)))
    optimizer = dspy.MIPROv2(
        metric=lambda e, p, trace=None: metric(e, p).score,
        prompt_model=editor, auto=None, num_candidates=candidates, num_threads=THREADS,
        max_bootstrapped_demos=4, max_labeled_demos=4, seed=job.seed + 1,
    )  # fmt: skip
    return optimizer.compile(  # type: ignore[no-any-return]
        program,
        trainset=train,
        valset=validation,
        num_trials=trials,
        minibatch=small < rows,
        minibatch_size=small,
    ).source()


def simba(job: Job) -> Source:
    import dspy

    program, metric, train, _, editor = _dspy(job)
    batch = min(len(train), 8 if job.calls < 500 else 16)
    candidates = 2 if job.calls < 500 else 4
    step = batch * (2 * candidates + 1)
    train = train[: max(batch, job.calls // (3 * (candidates + 1)))]
    steps = max(1, (job.calls - (candidates + 1) * len(train)) // step)
    optimizer = dspy.SIMBA(
        metric=lambda e, p: metric(e, p).score,
        bsize=batch, num_candidates=candidates, max_steps=steps, prompt_model=editor, num_threads=THREADS,
    )  # fmt: skip
    return optimizer.compile(program, trainset=train, seed=job.seed).source()  # type: ignore[no-any-return]


def fewshot(job: Job) -> Source:
    import dspy

    program, metric, train, validation, _ = _dspy(job)
    random.seed(job.seed)
    order = random.Random(job.seed).sample(train, len(train))  # its own seeds are fixed
    programs = max(1, int(job.calls / (len(validation) + 8)) - 3)
    optimizer = dspy.BootstrapFewShotWithRandomSearch(
        metric=lambda e, p, trace=None: metric(e, p).score >= 1 if trace is not None else metric(e, p).score,
        max_bootstrapped_demos=4, max_labeled_demos=8, num_candidate_programs=programs, num_threads=THREADS,
    )  # fmt: skip
    return optimizer.compile(program, trainset=order, valset=validation).source()  # type: ignore[no-any-return]


# --- gepa -------------------------------------------------------------------------------------------------


def gepa(job: Job) -> Source:
    import gepa as library

    world, provider = job.world, job.provider

    class Adapter(library.GEPAAdapter):  # type: ignore[misc]
        propose_new_texts = None

        def evaluate(self, batch: Any, candidate: Mapping[str, str], capture_traces: bool = False) -> Any:
            source = world.compose(candidate["instructions"])
            answers = [provider.chat(TASK, messages_of(source, row.inputs), COLD) for row in batch]
            grades = [world.grade(row, answer) for row, answer in zip(batch, answers, strict=True)]
            traces = list(zip(batch, answers, grades, strict=True)) if capture_traces else None
            return library.EvaluationBatch(
                outputs=answers, scores=[grade for grade, _ in grades], trajectories=traces
            )

        def make_reflective_dataset(self, candidate: Any, eval_batch: Any, components_to_update: Any) -> Any:
            records = [
                {"Inputs": dict(row.inputs), "Generated Outputs": answer, "Feedback": said}
                for row, answer, (_, said) in eval_batch.trajectories
            ]
            return dict.fromkeys(components_to_update, records)

    def editor(prompt: Any) -> str:
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        return provider.chat(EDITOR, messages, {"temperature": 1.0})

    result = library.optimize(
        seed_candidate={"instructions": world.task()},
        trainset=list(job.train), valset=list(job.validation), adapter=Adapter(), reflection_lm=editor,
        max_metric_calls=job.calls, seed=job.seed,
    )  # fmt: skip
    return world.compose(result.best_candidate["instructions"])


# --- MLflow -----------------------------------------------------------------------------------------------


def _mlflow(job: Job, optimizer: Callable[[], Any], rows: tuple[Row, ...]) -> Source:
    with tempfile.TemporaryDirectory() as folder, Server(job.provider) as server:
        os.environ.update(
            OPENAI_API_BASE=server.base_url, OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY="bench",
            MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_SQLALCHEMYSTORE_POOL_SIZE="50",
            MLFLOW_GENAI_EVAL_MAX_WORKERS=str(THREADS),
        )  # fmt: skip
        import mlflow
        from mlflow.genai.scorers import scorer

        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.set_experiment("bench")
        prompt = mlflow.genai.register_prompt("bench", job.world.prompt)
        by_inputs = {tuple(row.inputs.values()): row for row in rows}

        @mlflow.trace  # type: ignore[untyped-decorator]
        def predict(**inputs: str) -> str:
            made = mlflow.genai.load_prompt("prompts:/bench/1").format(**inputs)
            messages = [{"role": "user", "content": made}] if isinstance(made, str) else made
            return job.provider.chat(TASK, messages, COLD)

        @scorer  # type: ignore[untyped-decorator]
        def grade(inputs: dict[str, str], outputs: str) -> Any:
            from mlflow.entities import Feedback

            value, said = job.world.grade(by_inputs[tuple(inputs.values())], str(outputs))
            return Feedback(value=value, rationale=said)

        result = mlflow.genai.optimize_prompts(
            predict_fn=predict,
            train_data=[
                {"inputs": dict(row.inputs), "expectations": {"expected_response": row.truth}} for row in rows
            ],
            prompt_uris=[prompt.uri], optimizer=optimizer(), scorers=[grade],
            aggregation=lambda found: _value(found["grade"]),
        )  # fmt: skip
        found: Source = result.optimized_prompts[0].template
        return found


def _value(found: Any) -> float:
    return float(getattr(found, "value", found))


def mlflow_gepa(job: Job) -> Source:
    def made() -> Any:
        from mlflow.genai.optimize import GepaPromptOptimizer

        kwargs = {"seed": job.seed}
        return GepaPromptOptimizer(
            reflection_model=f"openai:/{EDITOR}", max_metric_calls=job.calls, gepa_kwargs=kwargs
        )

    return _mlflow(job, made, job.train)


def mlflow_metaprompt(job: Job) -> Source:
    def made() -> Any:
        from mlflow.genai.optimize import MetaPromptOptimizer

        return MetaPromptOptimizer(reflection_model=f"openai:/{EDITOR}", lm_kwargs={"temperature": 1.0})

    return _mlflow(job, made, job.train[: max(4, job.calls // 2)])


@dataclass(frozen=True, kw_only=True)
class Contender:
    """An optimizer, how many validation rows it is given, and how long it takes."""

    run: Optimizer
    rows: int | None = None
    """At most this many validation rows; None: as many as the budget's table says."""
    all_rows: bool = False
    """Whether it is given every row that there is at any budget."""
    ours: bool = False
    seconds: float = 5.0
    """CPU seconds of a run of 1,000 calls, for the forecast; roughly proportional to calls."""
    start: float = 4.0
    """CPU seconds before the first call (imports)."""


CONTENDERS: dict[str, Contender] = {
    "ours": Contender(run=reflective, ours=True, seconds=3, start=1),
    "ours (all rows)": Contender(run=reflective, ours=True, all_rows=True, seconds=4, start=1),
    "dspy.GEPA": Contender(run=dspy_gepa, seconds=3, start=1),
    "dspy.GEPA V=20": Contender(run=dspy_gepa, rows=FEW, seconds=3, start=1),
    "MIPROv2": Contender(run=mipro, seconds=2, start=1),
    "SIMBA": Contender(run=simba, seconds=2, start=1),
    "few-shot random search": Contender(run=fewshot, seconds=2, start=1),
    "gepa": Contender(run=gepa, seconds=2, start=1),
    "gepa V=20": Contender(run=gepa, rows=FEW, seconds=2, start=1),
    "mlflow GEPA": Contender(run=mlflow_gepa, seconds=70, start=10),
    "mlflow metaprompt": Contender(run=mlflow_metaprompt, seconds=8, start=9),
}
