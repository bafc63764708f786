from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from promptmigrate import template
from promptmigrate.search import strategy
from promptmigrate.search.minimise import MARGIN, ddmin, minimise
from promptmigrate.search.pieces import dangles, joined, pieces, without
from promptmigrate.search.state import State
from promptmigrate.types import Prompt

from . import world as worlds


@given(count=st.integers(0, 40), needed=st.sets(st.integers(0, 39)), parts=st.integers(1, 50))
def test_ddmin_leaves_what_is_needed_and_nothing_else(count, needed, parts):
    needed = {n for n in needed if n < count}
    asked = []

    def passes(kept):
        asked.append(kept)
        return needed <= set(kept)

    assert set(ddmin(count, passes, parts=parts)) == needed
    assert all(list(kept) == sorted(set(kept)) for kept in asked)


@given(
    count=st.integers(1, 12),
    alternatives=st.lists(st.sets(st.integers(0, 11), min_size=1), min_size=1, max_size=4),
)
def test_ddmin_gives_a_subset_that_passes_and_of_which_nothing_can_be_dropped(count, alternatives):
    alternatives = [{n for n in a if n < count} for a in alternatives]

    def passes(kept):
        return any(a <= set(kept) for a in alternatives)

    kept = ddmin(count, passes)
    assert passes(kept)
    assert not any(passes(tuple(k for k in kept if k != gone)) for gone in kept)


def test_ddmin_keeps_all_where_nothing_passes():
    assert ddmin(5, lambda kept: False) == (0, 1, 2, 3, 4)


_LINES = st.lists(
    st.sampled_from(
        [
            "",
            "  ",
            'Sort it. Be kind! "Quoted" too.',
            "- a",
            "- a rule of more than four words",
            "```json",
            "```",
            "1. one",
            "Form:",
            "Use {{x}} here. Then stop.",
            "\tindented",
        ]
    )
)


@given(_LINES)
def test_pieces_give_the_text_back(lines):
    text = "\n".join(lines)
    assert joined(pieces(text)) == text.strip()
    assert all(piece.text.strip() for piece in pieces(text))


def test_pieces_are_sentences_and_blocks():
    form, block, rule = (
        "Answer with one of:\n- red\n- blue",
        "```\na\n\nb\n```",
        "- When it rains, take the bus home.",
    )
    text = f"Sort it. Be kind.\n\n{form}\n\n{block}\n{rule}"
    assert [p.text for p in pieces(text)] == ["Sort it.", "Be kind.", form, block, rule]
    assert [p.fixed for p in pieces("Look at {{x}}. Stop.")] == [True, False]


NEEDED = "Answer with only one of: billing, bug, account, shipping."
RULES = [
    f'If the ticket mentions "{word}", the answer is {worlds.LORE[word]}.' for word in list(worlds.LORE)[:5]
]
USELESS = [
    "The company was founded by two friends.",
    "Its office has a view of the sea.",
    "Lunch is at noon.",
]


def state(calls, *, useless=USELESS, noise=0.0, **changes):
    world = worlds.tickets(600, noise=noise)
    text = "\n".join([useless[0], NEEDED, *RULES[:2], *useless[1:], *RULES[2:]]) if useless else NEEDED
    prompt = Prompt.of([{"role": "system", "content": text}, {"role": "user", "content": "{{ticket}}"}])
    problem = world.problem(calls, **changes)
    found = State(replace(problem, original=replace(problem.original, prompt=prompt)))
    found.admit(found.original)
    found.table.measure([found.original], found.validation[: min(80, calls // 3)])
    return world, found


def test_useless_sentences_leave_and_needed_ones_stay():
    world, found = state(2000)
    shortened = minimise(found, found.original)
    left = shortened.candidate.instructions
    assert set(shortened.removed) == set(USELESS)
    assert all(rule in left for rule in (NEEDED, *RULES))
    assert (
        world.true_quality(shortened.candidate.variant) >= world.true_quality(found.original.variant) - MARGIN
    )
    assert world.calls == found.table.calls <= 2000


def test_what_cannot_be_shown_stays():
    for calls in (60, 120, 180):
        _, found = state(calls)
        before = found.table.calls
        shortened = minimise(found, found.original)
        assert shortened.candidate is found.original and not shortened.removed
        assert found.table.calls == before  # nothing is spent where no proof is possible


def test_it_uses_at_most_its_share_of_the_calls():
    _, found = state(600)
    before = found.table.calls
    minimise(found, found.original)
    assert before < found.table.calls <= before + 0.3 * 600


def test_a_frozen_prompt_and_an_unwanted_minimiser_change_nothing():
    for changes in ({"minimise": False}, {"may_change": frozenset({"format"})}):
        _, found = state(2000, **changes)
        assert minimise(found, found.original).candidate is found.original


def test_demos_that_teach_nothing_leave():
    world, found = state(2000)
    demos = found.seeds.demos(4)
    with_demos = found.original.but(demos=demos, origin="with demos")
    found.admit(with_demos)
    found.table.measure([with_demos], found.validation[:80])
    shortened = minimise(found, with_demos)
    assert sum(text.startswith("demo: ") for text in shortened.removed) == len(demos) - len(
        shortened.candidate.demos
    )
    assert len(shortened.candidate.demos) < 4
    assert world.true_quality(shortened.candidate.variant) >= world.true_quality(with_demos.variant) - MARGIN


def test_a_search_says_what_it_dropped():
    text = "\n".join(["You sort tickets.", *USELESS])
    world = worlds.tickets(900, noise=0.0, words=2, clumsy=0.0)
    world.prompt = Prompt.of([{"role": "system", "content": text}, {"role": "user", "content": "{{ticket}}"}])
    rules = frozenset({"instructions"})  # demos alone would do here, and one sentence has to stay
    result = strategy("reflective").search(world.problem(2500, may_change=rules))
    assert result.calls == world.calls <= 2500
    assert set(USELESS) <= set(result.removed)
    assert result.tokens is not None and result.tokens[1] < result.tokens[0]
    assert not any(useless in str(result.best.prompt) for useless in USELESS)
    assert result.generations[-1].phase == "minimise" and result.generations[-1].best == result.best
    whole = strategy("reflective").search(world.problem(2500, may_change=rules, minimise=False))
    assert not whole.removed
    assert world.true_quality(result.best) >= world.true_quality(whole.best) - MARGIN


def test_a_heading_goes_with_all_that_stood_below_it():
    parts = pieces(
        "Sort it.\n\nOutput format:\n- Only the label itself, please.\n- No full stop at its end.\n\nBe kind."
    )
    texts = [p.text for p in parts]
    rules = [i for i, text in enumerate(texts) if text.startswith("- ")]
    assert len(rules) == 2
    assert without(parts, rules) == "Sort it.\n\nBe kind."
    assert "Output format:" in without(parts, rules[:1])
    assert without(parts, []) == "\n".join(
        ["Sort it.", "", "Output format:", *(texts[i] for i in rules), "", "Be kind."]
    )


def test_a_list_stays_while_a_sentence_speaks_of_it():
    parts = pieces(
        "Sort it.\n\nAnswer with one of these labels:\n- a\n- b\nSpell it as above. Be kind.\n"
        "- Bills that came twice are refunds."
    )
    texts = [p.text for p in parts]
    listed, above = (
        texts.index("Answer with one of these labels:\n- a\n- b"),
        texts.index("Spell it as above."),
    )
    assert dangles(parts, {listed})
    assert not dangles(parts, {listed, above})
    assert not dangles(parts, {0, len(parts) - 1})
    assert not dangles(parts, set())


def test_samples_and_tables_are_dropped_as_a_whole():
    text = (
        "Sort it.\n\nInput: My bill is wrong.\nOutput: billing\nInput: No sound.\nOutput: tech\n\n"
        "| Queue | When |\n|---|---|\n| tech | outages |\n\n"
        "- Note: be kind to everybody always.\n- Be brief with them all."
    )
    assert [p.text for p in pieces(text)] == [
        "Sort it.",
        "Input: My bill is wrong.\nOutput: billing",
        "Input: No sound.\nOutput: tech",
        "| Queue | When |\n|---|---|\n| tech | outages |",
        "- Note: be kind to everybody always.",
        "- Be brief with them all.",
    ]
    assert joined(pieces(text)) == text


def test_a_tag_goes_with_all_of_its_block_and_never_alone():
    parts = pieces("<rules>\n# Tone\nBe kind.\n<notes>\nBe brief.\n</notes>\n</rules>\nSort it.")
    at = {p.text: i for i, p in enumerate(parts)}
    assert all(p.fixed for p in parts if p.text.startswith("<"))
    without_notes = without(parts, {at["Be brief."]})
    assert without_notes == "<rules>\n# Tone\nBe kind.\n</rules>\nSort it."
    assert without(parts, {at["Be brief."], at["Be kind."]}) == "Sort it."


def test_what_is_left_of_a_line_stays_on_a_line_of_its_own():
    parts = pieces("<rules>\nBe kind. Be brief.\n\nSay why. Say how.\n</rules>")
    at = {p.text: i for i, p in enumerate(parts)}
    left = without(parts, {at["Be kind."], at["Say why."]})
    assert left == "<rules>\nBe brief.\n\nSay how.\n</rules>"


LINES = st.sampled_from(
    ["# Head", "Sub:", "Do it. Not that!", "- item", "1. First do this and that.", "```", '{"a": {"b": 1}}',
     "| a | b |", "|---|---|", "<ex>", "</ex>", "<ex>{{x}}</ex>", "Use {{y}} in {{x}} now.", "", "\t",
     "Input: x", "Output: {{y}}", "请分类。只输出标签。", "a\u00a0b. \u00a0C", "\u2028sep", "x\x0cy"]
)  # fmt: skip


@given(
    text=st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", "  \n", "\n\n", " "]))).map(
        lambda parts: "".join(line + end for line, end in parts)
    ),
    data=st.data(),
)
def test_only_whole_pieces_go_and_placeholders_never(text, data):
    parts = pieces(text)
    assert joined(parts) == text.strip()
    loose = [i for i, p in enumerate(parts) if not p.fixed]
    dropped = data.draw(st.sets(st.sampled_from(loose))) if loose else set()
    left = without(parts, dropped)
    assert template.occurrences(left) == template.occurrences(text)
    before, after = [p.text for p in parts], [p.text for p in pieces(left)]
    assert after.count("<ex>") - after.count("</ex>") == before.count("<ex>") - before.count("</ex>")
