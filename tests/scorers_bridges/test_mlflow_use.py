"""MLflow's scorers as ours: values, errors, and where their judges ask."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest
from aiohttp import web

import scorers
import scorers.mlflow
from scorers import Sample, Scorer, ScorerSpecError, from_spec, to_spec
from scorers._mlflow_endpoint import Endpoint, at
from scorers._mlflow_values import value_of
from scorers.testing import ScorerContract
from tests.lm.conftest import Provider, answer, completion, status

VARIABLES = ("OPENAI_API_BASE", "OPENAI_BASE_URL", "OPENAI_API_KEY", "MLFLOW_GENAI_JUDGE_DEFAULT_MODEL")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The caller's own settings, which must be there again after every call."""
    from scorers._mlflow_wrap import prepare

    prepare()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.setenv("LLM_KEY", "sk-of-endpoint")
    for name in VARIABLES:
        if name != "OPENAI_API_KEY":
            monkeypatch.delenv(name, raising=False)
    return settings()


def settings() -> dict[str, str]:
    """The environment but for what pytest keeps there."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def judge(**options: Any) -> Any:
    from mlflow.genai.judges import make_judge

    given = {"name": "fine", "instructions": "Is {{ outputs }} fine?", "model": "openai:/small"}
    return make_judge(**{**given, **options})


def decorated(value: Any, **options: Any) -> Any:
    from mlflow.genai.scorers import scorer

    def given(outputs: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    return scorer(given, **options)


# --- values


@pytest.mark.parametrize(
    ("given", "value"),
    [(True, 1.0), (False, 0.0), ("yes", 1.0), ("No", 0.0), (1, 1.0), (0, 0.0), (0.25, 0.25)],
)
def test_values_that_mean_what_they_say(given: Any, value: float) -> None:
    score = scorers.mlflow.use(decorated(given))(output="x")
    assert (score.name, score.value, score.unscored) == ("given", value, None)
    assert score.evidence["mlflow_value"] == given


@pytest.mark.parametrize("given", [3, -0.5, float("nan"), "excellent", "0.8", "unknown", ""])
def test_values_that_need_a_mapping_are_unscored_without_one(given: Any) -> None:
    score = scorers.mlflow.use(decorated(given))(output="x")
    assert (score.value, score.unscored) == (None, "off_menu")
    assert "mapping" in score.rationale


def test_a_mapping_by_text_and_by_function() -> None:
    words = scorers.mlflow.use(decorated("Excellent"), mapping={"excellent": 1.0, "poor": 0.25})
    assert words(output="x").value == 1.0
    scale = scorers.mlflow.use(decorated(4), mapping=lambda value: (value - 1) / 4)
    assert scale(output="x").value == 0.75
    assert (
        scorers.mlflow.use(decorated(9), mapping=lambda value: value / 4)(output="x").unscored == "off_menu"
    )
    assert value_of(3, {"3": 0.5}) == 0.5


def test_what_is_raised_or_missing_is_unscored() -> None:
    broken = scorers.mlflow.use(decorated(ValueError("boom")))(output="x")
    assert (broken.unscored, broken.rationale) == ("error", "ValueError: boom")
    assert scorers.mlflow.use(decorated(None))(output="x").unscored == "error"


def test_a_feedback_keeps_rationale_source_cost_and_error() -> None:
    from mlflow.entities import AssessmentSource, Feedback

    source = AssessmentSource(source_type="LLM_JUDGE", source_id="openai:/x")
    metadata = {"mlflow.assessment.judgeCost": "0.125", "mlflow.assessment.judgeInputTokens": "9"}
    given = Feedback(value="yes", rationale="since it is", source=source, metadata=metadata)
    score = scorers.mlflow.use(decorated(given), name="mine")(output="x")
    assert (score.name, score.value, score.rationale) == ("mine", 1.0, "since it is")
    assert (score.cost_usd, score.input_tokens, score.output_tokens) == (0.125, 9, 0)
    assert score.evidence["decided_by"] == "openai:/x"
    failed = scorers.mlflow.use(decorated(Feedback(error=ValueError("no model"))))(output="x")
    assert (failed.unscored, failed.rationale) == ("judge_failed", "no model")


def test_one_of_several_feedbacks_is_chosen() -> None:
    from mlflow.entities import Feedback

    several = [Feedback(name="tone", value=True), Feedback(name="length", value=0.5)]
    undecided = scorers.mlflow.use(decorated(several))(output="x")
    assert undecided.unscored == "error"
    assert "tone, length" in undecided.rationale
    assert scorers.mlflow.use(decorated(several), feedback="length")(output="x").value == 0.5
    assert scorers.mlflow.use(decorated(several), feedback="none")(output="x").unscored == "error"


def test_what_is_handed_over() -> None:
    from mlflow.genai.scorers import scorer

    seen: dict[str, Any] = {}

    @scorer
    def look(inputs: Any, outputs: Any, expectations: Any, trace: Any) -> bool:
        seen.update(inputs=inputs, outputs=outputs, expectations=expectations, trace=trace)
        return True

    used = scorers.mlflow.use(look)
    used(output="o", expected="e", inputs={"q": 1}, trace={"not": "MLflow's"})
    assert seen == {
        "inputs": {"q": 1}, "outputs": "o", "expectations": {"expected_response": "e"}, "trace": None,
    }  # fmt: skip
    used(output="o", expected={"facts": ["a"]})
    assert seen["expectations"] == {"facts": ["a"]}


def test_it_is_a_scorer_of_ours() -> None:
    import mlflow

    used = scorers.mlflow.use(decorated(True))
    assert isinstance(used, Scorer)
    assert used.version == f"mlflow-{mlflow.__version__}"
    assert used(output="x").version == used.version
    found = scorers.score_traces([{"outputs": "x"}, {"outputs": "y"}], scorers=[used])
    assert found.mean("given") == 1.0


def test_deterministic_scorers_of_mlflow() -> None:
    used = from_spec(
        {
            "use": "scorers.mlflow:use",
            "theirs": "mlflow.genai.scorers:RegexMatch",
            "options": {"pattern": "^a"},
        }
    )
    assert [used(output=text).value for text in ("abc", "xyz")] == [1.0, 0.0]


def test_a_spec_builds_an_equal_scorer() -> None:
    spec = {
        "use": "scorers.mlflow:use",
        "theirs": "mlflow.genai.scorers:RelevanceToQuery",
        "base_url": "https://llm.example.com/v1",
        "api_key_env": "LLM_KEY",
        "model": "openai/small",
        "name": "relevant",
        "mapping": {"partly": 0.5},
    }
    used = from_spec(spec)
    assert to_spec(used) == spec
    assert from_spec(to_spec(used)) == used
    assert used.name == "relevant"
    with pytest.raises(ScorerSpecError, match="module:attribute"):
        to_spec(scorers.mlflow.use(decorated(True)))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"theirs": 3}, "is no MLflow scorer"),
        ({"theirs": "mlflow.genai.scorers:Nothing"}, "cannot be loaded"),
        ({"theirs": "mlflow.genai.scorers:RegexMatch", "options": {"x": 1}}, "cannot be made"),
        ({"theirs": "mlflow.genai.scorers:Safety", "base_url": "ftp://x"}, "no http"),
        ({"theirs": "mlflow.genai.scorers:Safety", "base_url": "http://llm.example.com/v1"}, "not encrypted"),
        ({"theirs": "mlflow.genai.scorers:Safety", "base_url": "https://u:p@example.com/v1"}, "password"),
        (
            {
                "theirs": "mlflow.genai.scorers:Safety",
                "options": {"model": "anthropic:/claude"},
                "base_url": "https://llm.example.com/v1",
            },
            "OpenAI-compatible",
        ),
    ],
)
def test_what_cannot_be_used_is_told_when_it_is_made(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ScorerSpecError, match=told):
        scorers.mlflow.use(**options)


# --- judges and their endpoint


def test_a_judge_asks_the_given_endpoint(server: Provider, environment: dict[str, str], folder: Path) -> None:
    used = scorers.mlflow.use(judge(), base_url=server.url, api_key_env="LLM_KEY")
    score = used(output="good one")
    assert (score.name, score.value, score.rationale) == ("fine", 1.0, "it says yes")
    assert (score.input_tokens, score.output_tokens) == (11, 3)
    assert used(output="bad one").value == 0.0
    assert [body["model"] for body in server.requests] == ["small", "small"]
    assert server.headers[0]["Authorization"] == "Bearer sk-of-endpoint"
    assert settings() == environment
    assert list(folder.iterdir()) == []  # no store is made where there is none


def test_a_key_for_another_host_is_not_sent(server: Provider) -> None:
    scorers.mlflow.use(judge(), base_url=server.url)(output="good")
    assert "sk-of-openai" not in str(server.headers)


def test_built_in_judges_get_endpoint_and_model(server: Provider, environment: dict[str, str]) -> None:
    from mlflow.genai.scorers import Correctness, Guidelines, RelevanceToQuery, Safety

    endpoint: dict[str, Any] = {"base_url": server.url, "api_key_env": "LLM_KEY", "model": "acme-judge"}
    for theirs in (RelevanceToQuery(), Safety(), Correctness(), Guidelines(guidelines=["Be kind"])):
        score = scorers.mlflow.use(theirs, **endpoint)(
            output="a good answer", expected="a good answer", inputs={"question": "which?"}
        )
        assert (score.name, score.value) == (theirs.name, 1.0), score
        assert server.requests[-1]["model"] == "acme-judge"
    assert server.calls == 4
    assert settings() == environment


def test_an_answer_that_cannot_be_read_or_a_failing_endpoint_is_unscored(server: Provider) -> None:
    used = scorers.mlflow.use(judge(), base_url=server.url)
    server.default = answer("no JSON")
    assert used(output="x").unscored == "judge_failed"
    server.default = status(401, "bad key")
    failed = used(output="x")
    assert failed.unscored == "judge_failed"
    assert "sk-of" not in failed.rationale
    assert all(name not in os.environ for name in VARIABLES if name != "OPENAI_API_KEY")


def test_an_answer_off_the_menu_is_unscored(server: Provider) -> None:
    """MLflow itself takes "banana" for an answer to yes or no."""
    server.default = answer(json.dumps({"result": "banana", "rationale": "hm"}))
    used = scorers.mlflow.use(judge(feedback_value_type=Literal["yes", "no"]), base_url=server.url)
    assert used(output="x").unscored == "off_menu"


def test_a_timeout_is_unscored_and_the_environment_is_restored(server: Provider) -> None:
    release = threading.Event()

    async def stuck(request: web.Request, body: Any) -> web.StreamResponse:
        import asyncio

        while not release.is_set():
            await asyncio.sleep(0.01)
        return web.json_response(completion("{}"))

    server.default = stuck
    theirs = judge()
    theirs.timeout = 0.3
    score = scorers.mlflow.use(theirs, base_url=server.url)(output="x")
    release.set()
    assert score.unscored == "timeout"
    assert "OPENAI_API_BASE" not in os.environ


def test_a_missing_key_is_told(server: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    used = scorers.mlflow.use(judge(), base_url=server.url, api_key_env="LLM_KEY")
    monkeypatch.delenv("LLM_KEY")
    score = used(output="x")
    assert score.unscored == "judge_failed"
    assert "LLM_KEY" in score.rationale
    with pytest.raises(ScorerSpecError, match="LLM_KEY"):
        scorers.mlflow.use(judge(), base_url=server.url, api_key_env="LLM_KEY")


def test_judges_of_two_endpoints_in_threads_do_not_mix(server: Provider) -> None:
    other = Provider()
    other.default = server.default
    try:
        first = scorers.mlflow.use(judge(name="a", model="openai:/of-a"), base_url=server.url)
        second = scorers.mlflow.use(judge(name="b", model="openai:/of-b"), base_url=other.url)
        plain = scorers.mlflow.use(decorated(True))
        jobs = [first, second, plain] * 12
        with ThreadPoolExecutor(12) as pool:
            found = list(pool.map(lambda used: used(output="good"), jobs))
        assert all(score.value == 1.0 for score in found)
        assert {body["model"] for body in server.requests} == {"of-a"}
        assert {body["model"] for body in other.requests} == {"of-b"}
        assert (server.calls, other.calls) == (12, 12)
    finally:
        other.close()
    assert "OPENAI_API_BASE" not in os.environ


def test_calls_to_one_endpoint_run_side_by_side(server: Provider) -> None:
    together = threading.Barrier(4, timeout=20)
    original = server.default

    async def meeting(request: web.Request, body: Any) -> web.StreamResponse:
        import asyncio

        await asyncio.to_thread(together.wait)
        return await original(request, body)

    server.default = meeting
    used = scorers.mlflow.use(judge(), base_url=server.url)
    found = used.batch([Sample(output="good")] * 4, concurrency=4)
    assert [score.value for score in found] == [1.0] * 4


def test_a_waiting_endpoint_gets_its_turn() -> None:
    """Calls of one endpoint that keep coming do not lock out another."""
    a, b = Endpoint(base_url="http://127.0.0.1:1/a"), Endpoint(base_url="http://127.0.0.1:1/b")
    order: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with at(a):
            inside.set()
            leave.wait(20)
            order.append("a1")

    def enter(endpoint: Endpoint, name: str) -> None:
        with at(endpoint):
            order.append(name)
            assert os.environ["OPENAI_API_BASE"] == endpoint.base_url

    threads = [threading.Thread(target=first)]
    threads[0].start()
    assert inside.wait(20)
    from scorers._mlflow_endpoint import _switch

    for endpoint, name in ((b, "b"), (a, "a2")):
        threads.append(threading.Thread(target=enter, args=(endpoint, name)))
        threads[-1].start()
        while _switch._waiting < len(threads) - 1:
            pass
    leave.set()
    for thread in threads:
        thread.join(20)
    assert order[0] == "a1"
    assert sorted(order) == ["a1", "a2", "b"]


def test_a_judge_inside_another_cannot_have_another_endpoint() -> None:
    inner = scorers.mlflow.use(decorated(True), base_url="https://b.example.com/v1")

    def outer(output: Any) -> float:
        score = inner(output=output)
        assert score.unscored == "error" and "inside another" in score.rationale
        return 1.0

    wrapped = scorers.mlflow.wrap(outer)
    used = scorers.mlflow.use(wrapped, base_url="https://a.example.com/v1")
    assert used(output="x").value == 1.0


def test_there_and_back() -> None:
    """wrap(use(x)) and use(wrap(x)) keep value, rationale and the reason of what is unscored."""
    ours = scorers.mlflow.use(scorers.mlflow.wrap("label_match"))
    score = ours(output="x", expected="y")
    assert (score.name, score.value, score.rationale) == ("label_match", 0.0, "expected 'y', got 'x'")
    assert ours(output="x").unscored == "judge_failed"


async def test_in_coroutines(server: Provider) -> None:
    used = scorers.mlflow.use(judge(), base_url=server.url)
    assert (await used.score_async(output="good")).value == 1.0


def test_evaluate_with_a_used_and_wrapped_judge(mlflow: Any, server: Provider) -> None:
    used = scorers.mlflow.use(judge(), base_url=server.url)
    rows = [{"inputs": {"q": i}, "outputs": text} for i, text in enumerate(("good", "bad"))]
    result = mlflow.genai.evaluate(data=rows, scorers=[scorers.mlflow.wrap(used)])
    assert result.metrics == {"fine/mean": 0.5}  # MLflow alone gives no metric for a judge of yes and no
    sources = [item["source"]["source_type"] for row in result.result_df["assessments"] for item in row]
    assert sources == ["LLM_JUDGE"] * 2


class TestContract(ScorerContract):
    """What holds for every scorer holds for a used one."""

    needs_expected = False
    good = Sample(output="abc")
    bad = Sample(output="xyz")

    def make(self) -> Scorer:
        spec = {"theirs": "mlflow.genai.scorers:RegexMatch", "options": {"pattern": "^a"}}
        return from_spec({"use": "scorers.mlflow:use", **spec})
