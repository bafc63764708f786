from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promptmigrate.errors import DataError, StorageError
from promptmigrate.harvest import traces
from promptmigrate.harvest.recognise import same_model
from promptmigrate.types import Prompt
from scorers import _mlflow_traces
from scorers.mlflow import moment
from tests.harvest.conftest import PROMPT, Gather, tracked


def inputs_of(found: Any) -> list[dict[str, Any]]:
    return sorted((dict(example.inputs) for example in found.dataset), key=str)


def manual(
    client: Any,
    experiment_id: str,
    *,
    inputs: Any,
    outputs: Any,
    start_ms: int | None = None,
    seconds: float = 0.5,
    name: str = "call",
    tags: dict[str, str] | None = None,
    attributes: dict[str, Any] | None = None,
    kind: str = "UNKNOWN",
    status: str = "OK",
) -> str:
    """One back-dated single-span trace, written by MLflow's own client."""
    start = (start_ms or 1_767_225_600_000) * 1_000_000
    span = client.start_trace(
        name,
        span_type=kind,
        inputs=inputs,
        attributes=attributes,
        tags=tags,
        experiment_id=experiment_id,
        start_time_ns=start,
    )
    client.end_trace(span.trace_id, outputs=outputs, status=status, end_time_ns=start + int(seconds * 1e9))
    return span.trace_id


@pytest.fixture(scope="module")
def autologged(uri: str, openai_url: str) -> str:
    """Autologged OpenAI calls: plain, streamed, cut short, of another prompt, and failed."""
    import openai

    with tracked(uri, "autologged") as mlflow:
        mlflow.openai.autolog()
        try:
            with openai.OpenAI(base_url=openai_url, api_key="sk-test-1234567890abcdef") as client:

                def ask(messages: Any, **options: Any) -> Any:
                    return client.chat.completions.create(model="gpt-4.1", messages=messages, **options)

                def rendered(ticket: str, tier: str) -> Any:
                    return list(PROMPT.render({"ticket": ticket, "tier": tier}))

                ask(rendered("I was charged twice.", "gold"), temperature=0)
                for _ in ask(rendered("Streamed, please.\nTwo lines.", "silver"), stream=True):
                    pass
                ask(rendered("Mind the length of this.", "gold"))
                ask([{"role": "user", "content": "Write a poem."}])
                ask([*rendered("With history", "gold"), {"role": "assistant", "content": "x"}])

                @mlflow.trace
                def triage(ticket: str, tier: str) -> str:
                    mlflow.genai.load_prompt("prompts:/triage/2")
                    mlflow.update_current_trace(session_id="session of Alice", user="alice")
                    text = ask(rendered(ticket.strip(), tier)).choices[0].message.content
                    return f"<b>{text}</b>"

                @mlflow.trace
                def handle(request: dict[str, Any]) -> dict[str, Any]:
                    mlflow.genai.load_prompt("prompts:/triage/1")
                    said = [
                        ask(rendered(text, "bronze")).choices[0].message.content for text in request["all"]
                    ]
                    return {"labels": said}

                @mlflow.trace
                def translate(ticket: str, tier: str) -> str:
                    mlflow.genai.load_prompt("prompts:/other/1")
                    return "hello"

                @mlflow.trace
                def broken(ticket: str, tier: str) -> str:
                    raise ValueError("down")

                triage("  Where is my parcel?  ", "gold")
                handle({"all": ["First of two", "Second of two"]})
                translate("Not this one", "gold")
                with pytest.raises(ValueError, match="down"):
                    broken("It fails", "gold")
        finally:
            mlflow.openai.autolog(disable=True)
    return "autologged"


def test_autologged_and_linked_calls_are_recognised_and_the_rest_is_counted(
    autologged: str, gather: Gather
) -> None:
    found = gather(autologged)
    assert inputs_of(found) == [
        {"tier": "bronze", "ticket": "First of two"},
        {"tier": "bronze", "ticket": "Second of two"},
        {"tier": "gold", "ticket": "I was charged twice."},
        {"tier": "gold", "ticket": "Where is my parcel?"},
        {"tier": "silver", "ticket": "Streamed, please.\nTwo lines."},
    ]
    assert {example.reference for example in found.dataset} == {"billing"}
    assert found.profile.read == 9
    assert found.profile.dropped == {
        "does not match the prompt's template": 2,
        "linked to another prompt": 1,
        "the answer was cut short": 1,
        "the call failed": 1,
    }


def test_what_the_call_cost_and_who_answered_is_kept(autologged: str, gather: Gather) -> None:
    rows = {example.inputs["ticket"]: example for example in gather(autologged).dataset}
    metadata = rows["I was charged twice."].metadata
    assert (metadata["model"], metadata["input_tokens"], metadata["output_tokens"]) == ("gpt-4.1", 21, 3)
    assert metadata["cost_usd"] == pytest.approx(21 * 2e-6 + 3 * 8e-6)
    assert metadata["latency_s"] > 0
    when = datetime.fromisoformat(metadata["timestamp"])
    assert abs(datetime.now(UTC) - when) < timedelta(hours=1)
    assert rows["Where is my parcel?"].metadata["prompt"] == "triage/2"


def test_session_becomes_a_group_that_names_nobody(autologged: str, gather: Gather) -> None:
    rows = {example.inputs["ticket"]: example for example in gather(autologged).dataset}
    grouped = rows["Where is my parcel?"]
    assert grouped.group and "alice" not in grouped.group.lower()
    assert rows["I was charged twice."].group == ""
    ungrouped = gather(autologged, data={"split": {"group_by": "none"}})
    assert {example.group for example in ungrouped.dataset} == {""}


def test_only_the_prompt_asked_for(autologged: str, gather: Gather) -> None:
    found = gather(autologged, traces={"prompt": "prompts:/triage/2"})
    tickets = {example.inputs["ticket"] for example in found.dataset}
    assert "Where is my parcel?" in tickets and "First of two" not in tickets
    with pytest.raises(DataError, match="name or name/version"):
        gather(autologged, traces={"prompt": "prompts:/triage@production"})


def test_other_models_are_dropped(autologged: str, gather: Gather) -> None:
    assert len(gather(autologged, source_model="azure/gpt-4.1").dataset) == 5
    with pytest.raises(DataError, match="5 answered by another model"):
        gather(autologged, source_model="openai/gpt-4.1-mini")


@pytest.mark.parametrize(
    ("wanted", "seen", "same"),
    [
        ("openai/gpt-4.1", "gpt-4.1", True),
        ("openai/gpt-4.1", "gpt-4.1-2025-04-14", True),
        ("anthropic/claude-haiku-4-5-20251001", "claude-haiku-4-5", True),
        ("openai/gpt-4.1", "gpt-4.1-mini", False),
        ("openai/gpt-4", "gpt-4.1", False),
        ("sim/triage-large", "sim/triage-small", False),
    ],
)
def test_model_names(wanted: str, seen: str, same: bool) -> None:
    assert same_model(wanted, seen) is same
    assert same_model(seen, wanted) is same


@pytest.mark.slow
def test_litellm_and_dspy_calls_are_recognised(uri: str, openai_url: str, gather: Gather) -> None:
    import dspy
    import litellm

    with tracked(uri, "others") as mlflow:
        mlflow.litellm.autolog()
        try:
            litellm.completion(
                model="openai/gpt-4.1",
                api_base=openai_url,
                api_key="none",
                messages=list(PROMPT.render({"ticket": "By LiteLLM", "tier": "gold"})),
            )
            # LiteLLM hands its log to threads of its own.
            for _ in range(100):
                mlflow.flush_trace_async_logging()
                if gather_count(uri, "others"):
                    break
                threading_wait()
        finally:
            mlflow.litellm.autolog(disable=True)
        mlflow.dspy.autolog()
        try:
            lm = dspy.LM("openai/gpt-4.1", api_base=openai_url, api_key="none", cache=False)
            with dspy.context(lm=lm):
                dspy.Predict("ticket, tier -> label")(ticket="By DSPy", tier="silver")
        finally:
            mlflow.dspy.autolog(disable=True)
    found = gather("others")
    assert inputs_of(found) == [
        {"tier": "gold", "ticket": "By LiteLLM"},
        {"tier": "silver", "ticket": "By DSPy"},
    ]
    assert {example.reference for example in found.dataset} == {"billing"}
    assert {same_model("gpt-4.1", str(example.metadata["model"])) for example in found.dataset} == {True}


def gather_count(uri: str, experiment: str) -> int:
    from promptmigrate import mlflow_store

    client = mlflow_store.client(uri)
    found = client.get_experiment_by_name(experiment)
    return len(client.search_traces(locations=[found.experiment_id], include_spans=False))


def threading_wait() -> None:
    import time

    time.sleep(0.1)


class TestWrittenByHand:
    """Traces written span by span, as exporters and our gateway write them."""

    @pytest.fixture
    def write(self, uri: str, request: pytest.FixtureRequest) -> Any:
        from mlflow import MlflowClient

        name = f"manual-{request.node.name}"
        with tracked(uri, name) as mlflow:
            client = MlflowClient(tracking_uri=uri)
            experiment_id = client.get_experiment_by_name(name).experiment_id

            def run(**options: Any) -> str:
                return manual(client, experiment_id, **options)

            run.experiment = name  # type: ignore[attr-defined]
            run.mlflow = mlflow  # type: ignore[attr-defined]
            yield run

    @staticmethod
    def gateway(**attributes: Any) -> dict[str, Any]:
        return {
            "promptmigrate.route": "support",
            "promptmigrate.variant": "production",
            "promptmigrate.prompt_digest": PROMPT.digest,
            "mlflow.llm.model": "openai/gpt-4.1",
            **attributes,
        }

    def test_gateway(self, write: Any, gather: Gather) -> None:
        def inputs(ticket: str) -> dict[str, Any]:
            variables = {"ticket": ticket, "tier": "gold"}
            return {"variables": variables, "messages": list(PROMPT.render(variables))}

        write(inputs=inputs("served"), outputs="billing", attributes=self.gateway(), seconds=1.25)
        write(
            inputs=inputs("new prompt"),
            outputs="x",
            attributes=self.gateway(**{"promptmigrate.prompt_digest": "sha256:" + "0" * 64}),
        )
        write(inputs=inputs("shadow"), outputs="x", attributes=self.gateway(**{"promptmigrate.shadow": True}))
        write(inputs=None, outputs="x", attributes=self.gateway())
        write(inputs=inputs("silent"), outputs="  ", attributes=self.gateway())
        found = gather(write.experiment)
        assert inputs_of(found) == [{"ticket": "served", "tier": "gold"}]
        (example,) = found.dataset
        assert example.metadata["latency_s"] == 1.25
        assert example.metadata["variant"] == "production"
        assert found.profile.dropped == {
            "linked to another prompt": 1,
            "a shadow call, not served": 1,
            "the template's variables were not recorded": 1,
            "no text in the answer": 1,
        }

    def test_gen_ai_attributes(self, write: Any, gather: Gather) -> None:
        system, user = PROMPT.render({"ticket": "By OpenTelemetry", "tier": "gold"})
        write(
            inputs=None,
            outputs=None,
            attributes={
                "gen_ai.request.model": "gpt-4.1",
                "gen_ai.usage.input_tokens": 5,
                "gen_ai.system_instructions": json.dumps([{"type": "text", "content": system["content"]}]),
                "gen_ai.input.messages": json.dumps(
                    [{"role": "user", "parts": [{"type": "text", "content": user["content"]}]}]
                ),
                "gen_ai.output.messages": json.dumps(
                    [
                        {
                            "role": "assistant",
                            "parts": [{"type": "text", "content": "billing"}],
                            "finish_reason": "stop",
                        }
                    ]
                ),
            },
        )
        (example,) = gather(write.experiment).dataset
        assert example.inputs == {"ticket": "By OpenTelemetry", "tier": "gold"}
        assert (example.reference, example.metadata["model"]) == ("billing", "gpt-4.1")
        assert example.metadata["input_tokens"] == 5

    def test_arguments_keep_their_types_and_a_json_answer_its_text(self, write: Any, gather: Gather) -> None:
        prompt = Prompt.text("Order {{order}} with {{count}}")
        order = {"items": ["a", "ü"], "total": 3.5}
        write(inputs={"order": order, "count": 3}, outputs='{"ok": true}')
        (example,) = gather(write.experiment, prompt=prompt, prompt_uri=None).dataset
        assert example.inputs == {"order": order, "count": 3}
        assert example.reference == '{"ok": true}'

    def test_expectations_and_feedback(self, write: Any, gather: Gather) -> None:
        from mlflow.entities import AssessmentSource

        def call(ticket: str) -> str:
            return write(inputs={"ticket": ticket, "tier": "gold"}, outputs="billing")

        human = AssessmentSource(source_type="HUMAN", source_id="bob@example.com")
        judge = AssessmentSource(source_type="LLM_JUDGE", source_id="judge")
        log = write.mlflow
        log.log_expectation(trace_id=call("corrected"), name="expected_response", value="refund")
        log.log_feedback(trace_id=call("confirmed"), name="correct", value=True, source=human)
        log.log_feedback(trace_id=call("refuted"), name="correct", value=False, source=human)
        log.log_feedback(trace_id=call("judged"), name="correct", value=False, source=judge)
        both = call("refuted, then corrected")
        log.log_feedback(trace_id=both, name="correct", value=False, source=human)
        log.log_expectation(trace_id=both, name="label", value="shipping")
        found = gather(write.experiment)
        rows = {example.inputs["ticket"]: example for example in found.dataset}
        assert rows["corrected"].expected == "refund"
        assert rows["confirmed"].expectations == {"expected_response": "billing"}
        assert rows["refuted, then corrected"].expected == "shipping"
        assert rows["judged"].expectations == {}
        assert rows["judged"].metadata["feedback"] == {"correct": False}
        assert found.profile.dropped == {"marked wrong by a person, with no right answer given": 1}
        assert found.profile.expectations == 3

    def test_evaluations_are_not_production(self, write: Any, gather: Gather) -> None:
        write(inputs={"ticket": "a", "tier": "b"}, outputs="x", tags={"mlflow.eval.requestId": "1"})
        with pytest.raises(DataError, match="1 read, 1 made by an evaluation"):
            gather(write.experiment)

    def test_names_alone_do_not_do_when_other_text_went_to_the_model(
        self, write: Any, gather: Gather
    ) -> None:
        from mlflow.entities import SpanType

        with write.mlflow.start_span("grade") as outer:
            outer.set_inputs({"ticket": "a", "tier": "b"})
            with write.mlflow.start_span("llm", span_type=SpanType.CHAT_MODEL) as inner:
                inner.set_inputs({"messages": [{"role": "user", "content": "Grade this answer."}]})
                inner.set_outputs("good")
            outer.set_outputs("good")
        with pytest.raises(DataError, match="does not match the prompt's template"):
            gather(write.experiment)

    def test_time_limit_and_filter(self, write: Any, gather: Gather) -> None:
        base = datetime(2026, 3, 1, tzinfo=UTC)
        for day in range(6):
            when = int((base + timedelta(days=day)).timestamp() * 1000)
            write(
                inputs={"ticket": f"day {day}", "tier": "gold"},
                outputs="billing",
                start_ms=when,
                tags={"env": "canary" if day % 2 else "prod"},
            )

        def days(**options: Any) -> list[int]:
            found = gather(write.experiment, traces=options)
            return sorted(int(example.inputs["ticket"][4:]) for example in found.dataset)

        assert days(since="2026-03-03", until="2026-03-05") == [2, 3, 4]
        assert days(limit=2) == [4, 5]
        assert days(filter="tags.env = 'canary'") == [1, 3, 5]
        assert days(filter="tags.env = 'canary'", until="2026-03-05T12:00") == [1, 3]
        with pytest.raises(DataError, match="no traces in the given time"):
            days(since="1d")

    def test_pages_neither_double_nor_skip(
        self, write: Any, gather: Gather, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Nine traces, of which five share one millisecond: more than a page of two.
        moments = [1_767_000_000_000] * 5 + [1_767_000_000_000 + 10 * index for index in range(1, 5)]
        for index, when in enumerate(moments):
            write(inputs={"ticket": str(index), "tier": "gold"}, outputs="billing", start_ms=when)
        monkeypatch.setattr("scorers._mlflow_traces.PAGE", 2)
        monkeypatch.setattr(traces, "SPAN_BATCH", 3)
        found = gather(write.experiment)
        assert found.profile.read == 9
        assert len(found.dataset) == 9 and found.profile.duplicates == 0

    def test_traces_that_arrive_while_reading_change_nothing_older(
        self, write: Any, gather: Gather, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for index in range(6):
            write(
                inputs={"ticket": f"old {index}", "tier": "t"},
                outputs="x",
                start_ms=1_767_000_000_000 + index,
            )
        real, late = _mlflow_traces._page, []

        def search(*arguments: Any) -> Any:
            page = real(*arguments)
            late.append(write(inputs={"ticket": f"late {len(late)}", "tier": "t"}, outputs="x"))
            return page

        monkeypatch.setattr("scorers._mlflow_traces.PAGE", 2)
        monkeypatch.setattr(_mlflow_traces, "_page", search)
        found = gather(write.experiment)
        tickets = [example.inputs["ticket"] for example in found.dataset]
        assert sorted(tickets) == [f"old {index}" for index in range(6)]
        assert found.profile.duplicates == 0 and len(late) >= 3


def test_wrong_names_are_told_with_the_nearest(uri: str, gather: Gather, autologged: str) -> None:
    with pytest.raises(DataError, match=r"'autologed' does not exist .*did you mean 'autologged'"):
        gather("autologed")
    with pytest.raises(DataError, match=r"filter is refused by MLflow: .*nonsense"):
        gather(autologged, traces={"filter": "nonsense = 3"})


def test_content_is_never_logged(autologged: str, gather: Gather, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="promptmigrate"):
        gather(autologged)
    assert "parcel" not in caplog.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30d", datetime(2026, 1, 1, tzinfo=UTC)),
        ("12h", datetime(2026, 1, 30, 12, tzinfo=UTC)),
        ("2026-01-05", datetime(2026, 1, 5, tzinfo=UTC)),
        ("2026-01-05T10:00:00+02:00", datetime(2026, 1, 5, 8, tzinfo=UTC)),
    ],
)
def test_moment(text: str, expected: datetime) -> None:
    assert moment(text, now=datetime(2026, 1, 31, tzinfo=UTC)) == expected


def test_moment_that_is_none() -> None:
    with pytest.raises(ValueError, match="'soon' is neither an age such as 30d"):
        moment("soon")


def test_a_store_that_is_not_there(tmp_path: Any, gather: Gather) -> None:
    from promptmigrate.config import DataConfig
    from promptmigrate.harvest import harvest

    data = DataConfig.model_validate({"traces": {"experiment": "x"}})
    missing = tmp_path / "none.db"
    with pytest.raises(StorageError, match=r"there is no file .*none\.db"):
        harvest(data, PROMPT, tracking_uri=f"sqlite:///{missing}")
    assert not missing.exists()
