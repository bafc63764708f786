"""Rows whose truth is in their text, a good source, targets to rescue and beyond rescue."""

import json
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptmigrate.redact import redact
from promptmigrate.simulate import World, models, respond, worlds
from tests.simulate.helpers import (
    ARITHMETIC_RULES,
    EXTRACT_RULES,
    TRIAGE_RULES,
    accuracy,
    messages,
    outputs,
    system_and_row,
    tricky_rows,
    with_demos,
)  # fmt: skip

WORLDS = tuple(worlds().values())
TESTS = {world.name: world.rows(400, seed=5) for world in WORLDS}


def good_prompts(world: World) -> list:
    """Several good prompts that share no wording."""
    if world.name == "triage":
        demos = tricky_rows(world, 4)
        return [with_demos(world, text.replace("{{ticket}}", "").strip(), demos) for text in TRIAGE_RULES]
    if world.name == "extract":
        demos = tricky_rows(world, 4)
        return [with_demos(world, system_and_row(text, "email"), demos) for text in EXTRACT_RULES]
    return list(ARITHMETIC_RULES)


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.name)
class TestRows:
    @given(seed=st.integers(0, 10_000))
    @settings(max_examples=25, deadline=None)
    def test_the_truth_can_be_read_from_the_text_alone(self, world, seed):
        for row in world.rows(8, seed):
            text = row.inputs[world.variable]
            assert world.truth(world.parse(text)) == row.expected
            assert world.correct(row.expected, row.expected)
            framed = f"Please look at this:\n\n{text}\n\nThank you."
            ((start, end),) = world.spans(framed)
            assert framed[start:end] == text

    def test_thousands_of_rows_differ(self, world):
        rows = world.rows(4000, seed=1)
        assert len({row.inputs[world.variable] for row in rows}) == 4000

    def test_same_seed_same_rows_and_a_longer_list_continues_a_shorter_one(self, world):
        assert world.rows(50, seed=3) == world.rows(80, seed=3)[:50]
        assert world.rows(50, seed=3) != world.rows(50, seed=4)

    def test_sessions_and_users_have_several_rows(self, world):
        rows = world.rows(600, seed=2)
        sessions = {row.session for row in rows}
        users = {row.user for row in rows}
        assert len(users) < len(sessions) < len(rows)
        assert len({(row.session, row.user) for row in rows}) == len(sessions)

    def test_some_rows_hold_addresses_and_numbers_to_redact_without_losing_the_truth(self, world):
        found = Counter()
        for row in world.rows(400, seed=6):
            text, counts = redact(row.inputs[world.variable])
            found.update(counts)
            assert world.truth(world.parse(text)) == row.expected
            assert world.spans(text) == [(0, len(text))]
        assert found["email"] > 15
        assert found["phone"] > 5


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.name)
class TestModels:
    def test_the_source_is_right_with_the_production_prompt(self, world):
        assert 0.92 <= accuracy(world, world.source, world.prompt, TESTS[world.name]) <= 0.985

    def test_targets_fail_with_the_production_prompt(self, world):
        for target in (*world.rescuable, *world.hopeless):
            assert accuracy(world, target, world.prompt, TESTS[world.name]) < 0.45

    @pytest.mark.parametrize("wording", range(3))
    def test_good_prompts_in_any_wording_rescue_the_small_model(self, world, wording):
        prompt = good_prompts(world)[wording]
        target = world.rescuable[0]
        source = accuracy(world, world.source, world.prompt, TESTS[world.name])
        assert accuracy(world, target, prompt, TESTS[world.name]) >= source - 0.035

    @pytest.mark.parametrize("wording", range(3))
    def test_no_prompt_rescues_the_tiny_model(self, world, wording):
        prompt = good_prompts(world)[wording]
        for target in world.hopeless:
            assert accuracy(world, target, prompt, TESTS[world.name]) < 0.5
            assert world.optimum(target) < 0.5

    def test_the_optimum_is_above_the_source_and_above_every_prompt_tried(self, world):
        for target in world.rescuable:
            best = world.optimum(target)
            assert best >= world.expectation(world.source)
            assert best <= 0.99
            for prompt in good_prompts(world):
                assert world.expectation(target, prompt, 200) <= best + 0.02

    def test_what_is_measured_is_what_the_rules_say(self, world):
        for model in (world.source, *world.rescuable, *world.hopeless):
            expected = world.expectation(model)
            assert accuracy(world, model, world.prompt, TESTS[world.name]) == pytest.approx(
                expected, abs=0.06
            )

    def test_the_small_model_is_cheaper_and_faster(self, world):
        source = models()[world.source]
        row = TESTS[world.name][0]
        for target in world.rescuable:
            assert 5 <= source.input_per_mtok / models()[target].input_per_mtok <= 12
            request = messages(world, world.prompt, row)
            assert respond(target, request).latency_s < respond(world.source, request).latency_s

    def test_an_unknown_input_gets_a_generic_answer(self, world):
        for model in (world.source, *world.rescuable):
            reply = respond(model, [{"role": "user", "content": "What is the capital of France?"}])
            assert reply.text
            assert not any(world.correct(reply.text, row.expected) for row in TESTS[world.name][:20])

    def test_examples_inside_the_text_are_not_taken_for_the_row(self, world):
        rows = TESTS[world.name]
        shown = "\n\n".join(
            f"Example:\n{row.inputs[world.variable]}\nAnswer: {row.expected}" for row in rows[100:103]
        )
        before = f"{shown}\n\nNow this one:\n{{{{{world.variable}}}}}"
        after = f"Take this:\n{{{{{world.variable}}}}}\n\nHere is how it is done.\n{shown}"
        for prompt in (before, after):
            assert accuracy(world, world.source, prompt, rows[:60]) > 0.85


def triage(prompt: str) -> float:
    return worlds()["triage"].expectation("sim/triage-small", prompt, 300)


class TestTriageFailures:
    def test_each_lever_helps_and_together_they_help_most(self):
        frame = "\n\n{{ticket}}"
        names = (
            "billing, refund, account_access, bug_report, feature_request, shipping, cancellation, general"
        )
        start = triage("Sort the ticket into a queue." + frame)
        listed = triage(f"Sort the ticket into one of these queues: {names}." + frame)
        alone = triage(
            f"Sort the ticket into one of these queues: {names}. Write the queue only, nothing else." + frame
        )
        rules = triage(TRIAGE_RULES[0])
        assert start < listed < alone < rules

    def test_contradictory_instructions_hurt(self):
        good = TRIAGE_RULES[0]
        assert triage(good.replace("No markdown.", "Explain your choice in detail.")) < triage(good) - 0.15

    def test_harmful_rules_hurt(self):
        good = TRIAGE_RULES[0]
        worse = good.replace("- Never refuse", "- If you are unsure, choose general.\n- Never refuse")
        assert triage(worse) < triage(good) - 0.08
        wrong = good.replace("is refund, not billing", "is billing, not refund")
        assert triage(wrong) < triage(good) - 0.03

    def test_a_long_prompt_makes_the_small_model_forget(self):
        padding = "Our company values kindness, and we have been in business for many years. " * 150
        assert triage(padding + TRIAGE_RULES[0]) < triage(TRIAGE_RULES[0]) - 0.2
        large = worlds()["triage"].expectation("sim/triage-large", padding + TRIAGE_RULES[0], 300)
        assert large > 0.93

    def test_sensitive_tickets_are_refused_until_told_otherwise(self):
        world = worlds()["triage"]
        rows = [row for row in world.rows(3000, seed=8) if world.parse(row.inputs["ticket"]).sensitive]
        assert len(rows) > 60
        plain = TRIAGE_RULES[0].replace(
            "- Never refuse, even if lawyers or personal numbers are mentioned.\n", ""
        )
        refused = [
            sum(
                "help with" in text or "not able" in text
                for text in outputs(world, "sim/triage-small", prompt, rows)
            )
            for prompt in (plain, TRIAGE_RULES[0])
        ]
        assert refused[0] > 0.6 * len(rows)
        assert refused[1] < 0.15 * len(rows)

    def test_demos_teach_form_and_kinds_and_bad_demos_do_not(self):
        world = worlds()["triage"]
        demos = tricky_rows(world, 4)
        good = with_demos(world, "Sort the ticket into a queue.", demos)
        assert triage(good) > triage("Sort the ticket into a queue.\n\n{{ticket}}") + 0.4
        chatty = [
            {**m, "content": f"I think it is {m['content']}."} if m["role"] == "assistant" else m
            for m in good
        ]
        assert triage(chatty) < triage(good) - 0.3

    def test_dspy_style_requests_are_answered_in_their_fields(self):
        row = TESTS["triage"][0]
        names = (
            "billing, refund, account_access, bug_report, feature_request, shipping, cancellation, general"
        )
        system = (
            "Your input fields are:\n1. `ticket` (str)\nYour output fields are:\n1. `queue` (str)\n"
            f"In adhering to this structure, your objective is: Choose one of {names}."
        )
        user = (
            f"[[ ## ticket ## ]]\n{row.inputs['ticket']}\n\nRespond with the corresponding output fields, "
            "starting with the field `[[ ## queue ## ]]`, and then ending with the marker for "
            "`[[ ## completed ## ]]`."
        )
        request = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        reply = respond("sim/triage-large", request, {"temperature": 0})
        assert reply.text == f"[[ ## queue ## ]]\n{row.expected}\n\n[[ ## completed ## ]]"


class TestExtractFailures:
    def test_failures_of_form_are_the_known_ones(self):
        world = worlds()["extract"]
        said = outputs(world, "sim/extract-small", world.prompt, TESTS["extract"])
        assert 0.3 < sum("```" in text for text in said) / len(said) < 0.7
        assert sum("orderNumber" in text or "customer_name" in text for text in said) > 30
        assert any(re.search(r'"(?:order_date|orderDate)": "\d+ [A-Z][a-z]+ \d{4}"', text) for text in said)
        assert any(re.search(r'"total\w*": "', text) for text in said)

    def test_one_model_reads_the_user_turn_only(self):
        world = worlds()["extract"]
        text = EXTRACT_RULES[0]
        as_system = system_and_row(text, "email")
        as_user = [{"role": "user", "content": text + "\n\n{{email}}"}]
        assert world.expectation("sim/extract-userturn", as_system, 200) < 0.05
        assert world.expectation("sim/extract-userturn", as_user, 200) > 0.75
        assert world.expectation("sim/extract-small", as_system, 200) > 0.75

    def test_response_format_enforces_json_but_not_its_content(self):
        world = worlds()["extract"]
        for row in TESTS["extract"][:40]:
            reply = respond(
                "sim/extract-small", messages(world, world.prompt, row),
                {"temperature": 0, "response_format": {"type": "json_object"}},
            )  # fmt: skip
            assert isinstance(json.loads(reply.text), dict)


class TestArithmeticFailures:
    def test_steps_are_the_lever_and_answer_only_takes_it_away(self):
        world = worlds()["arithmetic"]

        def expected(text: str) -> float:
            return world.expectation("sim/arithmetic-small", "{{problem}}\n\n" + text, 300)

        steps = expected("Think step by step. Finish with a line 'Answer: <number>'.")
        assert steps > 0.65
        assert expected("Finish with a line 'Answer: <number>'.") < 0.4
        assert expected("Do not show your work. Finish with a line 'Answer: <number>'.") < 0.4
        assert expected("Think step by step. Reply with only the number.") < steps - 0.15
        assert expected("Think step by step.") < steps - 0.15

    def test_working_costs_words(self):
        world = worlds()["arithmetic"]
        row = TESTS["arithmetic"][0]
        short = respond("sim/arithmetic-small", messages(world, world.prompt, row), {"temperature": 0})
        long = respond("sim/arithmetic-small", messages(world, ARITHMETIC_RULES[0], row), {"temperature": 0})
        assert long.output_tokens > 4 * short.output_tokens
