import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptmigrate.search.anatomy import Anatomy, Demo
from promptmigrate.search.parts import parts, split
from promptmigrate.types import Prompt

TICKET = "Sort the ticket.\nUse one word.\n\n# Ticket\n{{ticket}}\n\nQueue:"


def chat(*messages):
    return Prompt.of([{"role": role, "content": content} for role, content in messages])


@pytest.mark.parametrize(
    ("text", "instructions"),
    [
        (TICKET, "Sort the ticket.\nUse one word."),
        ("Classify the sentiment of this text: {{text}}", ""),
        ("Do this.\nTicket: {{ticket}}\nQueue:", "Do this."),
        ("You work for {{company}}. Be kind.\n\nMail:\n{{mail}}", "You work for {{company}}. Be kind."),
        ("Sum it up.\n\n<document>\n{{document}}\n</document>", "Sum it up."),
        ("Rules:\n- be brief\n\n{{a}}\n{{b}}", "Rules:\n- be brief"),
        ("{{document}}\n\nSum up the text above in one sentence.", "Sum up the text above in one sentence."),
        (
            "<doc>\n{{doc}}\n</doc>\n\n## Task\nSum it up.\n\nIn French.\n\nAnswer:",
            "Sum it up.\n\nIn French.",
        ),
        ("{{doc}}\n\nUse only the text above.\n\nQuestion: {{question}}", "Use only the text above."),
        ("{{doc}}\n\nLook for {{thing}} in it, and be brief.", "Look for {{thing}} in it, and be brief."),
        ("```\n{{code}}\n```\nSay what is wrong with it.", "Say what is wrong with it."),
        ("{{a}}\n<rules>\nBe kind and brief.\n</rules>", "Be kind and brief."),
        ("{{a}}\n<b>\nBe kind.\n</b>\n<c>\nBe brief.\n</c>", "<b>\nBe kind.\n</b>\n<c>\nBe brief.\n</c>"),
        ("{{a}}\nAnswer as in\n```\nqueue\n```", "Answer as in\n```\nqueue\n```"),
        (
            "Sort the ticket into a queue.\n\n{{ticket}}\n\nBe kind and brief.",
            "Sort the ticket into a queue.",
        ),
        ("A ticket:\n\n{{ticket}}\n\nSort the ticket into a queue.", "Sort the ticket into a queue."),
        ("{{ticket}}\n\nThank you!", ""),
        ("{{text}}\n\n总结上面的文件，不要使用名字。", "总结上面的文件，不要使用名字。"),
        ('Sort it.\n```json\n{"a": 1}\n```\n\n## Mail\n{{mail}}', 'Sort it.\n```json\n{"a": 1}\n```'),
        ("Sort it:\n~~~\na\n~~~\n{{mail}}", "Sort it:\n~~~\na\n~~~"),
        ("Sort it.\n```\na\n```\n\nMail:\n```\n{{mail}}\n```", "Sort it.\n```\na\n```"),
    ],
)
def test_the_frame_starts_where_the_input_is_handed_over(text, instructions):
    anatomy = Anatomy.of(Prompt.text(text))
    assert anatomy.instructions == instructions
    assert anatomy.compose(anatomy.instructions) == Prompt.text(text)


@given(
    st.one_of(
        st.text(alphabet="ab {}x\n:#.", max_size=80),
        st.lists(
            st.sampled_from(
                ["{{a}}", "B: {{b}}", "Be kind and brief.", "", "</d>", "<d>", "```", "Answer:", "# H"]
            ),
            max_size=12,
        ).map("\n".join),
    )
)
def test_splitting_loses_nothing(text):
    lead, frame = split(text)
    assert lead + frame == text
    assert "".join(parts(text)) == text


def test_instructions_below_the_input_are_edited_there():
    anatomy = Anatomy.of(Prompt.text("<doc>\n{{doc}}\n</doc>\n\nSum up the document.\n\nSummary:"))
    assert anatomy.compose("Be brief.").source == "<doc>\n{{doc}}\n</doc>\n\nBe brief.\n\nSummary:"
    assert anatomy.compose("").source == "<doc>\n{{doc}}\n</doc>\n\nSummary:"
    shown = Demo(example="1", inputs={"doc": "It broke"}, answer="bug")
    made = anatomy.compose("Be brief.", demos=[shown])
    assert made.messages[0].content == "<doc>\nIt broke\n</doc>\n\nSummary:"
    assert made.messages[-1].content == "<doc>\n{{doc}}\n</doc>\n\nBe brief.\n\nSummary:"


def test_a_short_system_message_leaves_the_slot_to_instructions_below_the_input():
    below = "Sort the ticket into billing, bug or account. Answer with one word and no explanation."
    prompt = chat(("system", "You are helpful."), ("user", f"{{{{ticket}}}}\n\n{below}"))
    anatomy = Anatomy.of(prompt)
    assert anatomy.instructions == below and not anatomy.chat_slot
    made = anatomy.compose("Other.")
    assert made == chat(("system", "You are helpful."), ("user", "{{ticket}}\n\nOther."))


def test_a_system_message_may_hand_over_data_above_its_instructions():
    prompt = chat(("system", "<doc>\n{{doc}}\n</doc>\n\nAnswer from it."), ("user", "{{question}}"))
    anatomy = Anatomy.of(prompt)
    assert anatomy.instructions == "Answer from it."
    assert anatomy.compose("Other.").messages[0].content == "<doc>\n{{doc}}\n</doc>\n\nOther."
    moved = anatomy.compose("Other.", placement="user")
    assert moved == chat(("system", prompt.messages[0].content), ("user", "Other.\n\n{{question}}"))


def test_a_chat_prompt_keeps_its_instructions_in_the_system_message():
    prompt = chat(("system", "You sort tickets. Answer with a queue."), ("user", "Ticket: {{ticket}}"))
    anatomy = Anatomy.of(prompt)
    assert anatomy.instructions == "You sort tickets. Answer with a queue."
    assert anatomy.compose("New.") == chat(("system", "New."), ("user", "Ticket: {{ticket}}"))
    assert anatomy.frame == "[user]\nTicket: {{ticket}}"


def test_a_short_system_message_leaves_the_slot_to_longer_instructions_in_the_user_turn():
    lead = "Sort the ticket into billing, bug or account. Answer with one word and no explanation."
    prompt = chat(("system", "You are helpful."), ("user", f"{lead}\n\nTicket: {{{{ticket}}}}"))
    anatomy = Anatomy.of(prompt)
    assert anatomy.instructions == lead
    composed = anatomy.compose("Other.")
    assert composed.messages[0].content == "You are helpful."
    assert composed.messages[1].content == "Other.\n\nTicket: {{ticket}}"


def test_a_system_message_that_hands_over_data_is_frame():
    prompt = chat(("system", "Context:\n{{context}}"), ("user", "Answer briefly.\n\nQuestion: {{question}}"))
    anatomy = Anatomy.of(prompt)
    assert anatomy.instructions == "Answer briefly."
    assert set(anatomy.compose("New.").variables) == {"context", "question"}


def test_empty_instructions_become_a_paragraph_before_the_frame():
    anatomy = Anatomy.of(Prompt.text("Classify the sentiment of this text: {{text}}"))
    assert (
        anatomy.compose("Answer good or bad.").source
        == "Answer good or bad.\n\nClassify the sentiment of this text: {{text}}"
    )


def test_placement_in_the_user_turn_keeps_roles_and_the_original_system_message():
    prompt = chat(("system", "Sort."), ("user", "Ticket: {{ticket}}"))
    moved = Anatomy.of(prompt).compose("Sort well.", placement="user")
    assert moved == chat(("system", "Sort."), ("user", "Sort well.\n\nTicket: {{ticket}}"))


@pytest.mark.parametrize("kind", ["text", "chat"])
def test_demos_are_turns_of_the_frame_only_before_the_last_user_turn(kind):
    if kind == "text":
        prompt = Prompt.text("Sort.\n\nTicket: {{ticket}}\nQueue:")
    else:
        prompt = chat(("system", "Sort."), ("user", "Ticket: {{ticket}}\nQueue:"))
    demo = Demo(example="1", inputs={"ticket": "It broke"}, answer="bug")
    made = Anatomy.of(prompt).compose("Sort.", demos=[demo])
    assert made.chat
    assert [m.role for m in made.messages][-3:] == ["user", "assistant", "user"]
    assert made.messages[-3].content == "Ticket: It broke\nQueue:"
    assert made.messages[-2].content == "bug"
    assert made.messages[-1] == prompt.messages[-1]


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt.text("Say what the order costs in {{currency}}.\n\nOrder: {{order}}"),
        chat(("system", "Say what the order costs in {{currency}}."), ("user", "Order: {{order}}")),
    ],
)
def test_demos_show_the_values_that_stand_in_the_instructions(prompt):
    anatomy = Anatomy.of(prompt)
    demo = Demo(example="1", inputs={"order": "3 boxes at 5", "currency": "EUR"}, answer="15 EUR")
    made = anatomy.compose(anatomy.instructions, demos=[demo])
    assert made.messages[-3].content == "currency: EUR\nOrder: 3 boxes at 5"
    assert set(made.variables) == {"currency", "order"}


TEXT = Prompt.text("Sort.\n\nTicket: {{ticket}}\nQueue:")
BOTH = chat(("system", "Sort."), ("user", "Ticket: {{ticket}}"))
BEFORE = chat(
    ("system", "You are helpful."),
    ("user", "Sort the ticket into billing, bug or account.\n\nTicket: {{ticket}}"),
)
BELOW = Prompt.text("<doc>\n{{doc}}\n</doc>\n\nSum up the document.\n\nSummary:")
BETWEEN = chat(("user", "{{doc}}\n\nUse only the text above.\n\nQuestion: {{question}}"))
NAMED = chat(("system", "Sort for {{company}}."), ("user", "Ticket: {{ticket}}"))


@pytest.mark.parametrize(
    ("prompt", "written", "instructions"),
    [
        (TEXT, "Sort well.\n\nTicket: {{ticket}}\nQueue:\n", "Sort well."),
        (TEXT, "Sort well.\nTicket:  {{ ticket }}\n\nQueue:", "Sort well."),
        (TEXT, "Sort well.\n\nTicket: <ticket>\nQueue:", "Sort well."),
        (TEXT, "Sort well.", "Sort well."),
        (BELOW, "Sort well.", "Sort well."),
        (BELOW, "<doc>\n{{doc}}\n</doc>\nSort well.\n\nSummary:", "Sort well."),
        (BELOW, "<doc>\n<doc>\n</doc>\n(the instructions stand here)\nSort it.\n\nSummary:", "Sort it."),
        (BETWEEN, "[user]\n{{doc}}\n\nSort well.\nQuestion: {{question}}", "Sort well."),
        (BETWEEN, "{{doc}}\n\nSort well.\nQuestion: {{question}}", "Sort well."),
        (BOTH, "Sort well.\n\n[user]\nTicket: {{ticket}}", "Sort well."),
        (BOTH, "Sort well.\n\nTicket: {{ticket}}", "Sort well."),
        (BOTH, "[system]\nSort well.\n\n[user]\nTicket: {{ticket}}", "Sort well."),
        (BOTH, "<<<system>>>\nSort well.\n<<<user>>>\nTicket: {{ticket}}\n", "Sort well."),
        (BEFORE, "[system]\nYou are helpful.\n\n[user]\nSort well.\n\nTicket: {{ticket}}", "Sort well."),
        (BEFORE, "[user]\nSort well.\n\nTicket: {{ticket}}", "Sort well."),
        (NAMED, "[system]\nGo {{company}}.\n[user]\nTicket: {{ticket}}", "Go {{company}}."),
    ],
)  # fmt: skip
def test_takes_the_instructions_out_of_a_frame_that_came_back_as_it_is(prompt, written, instructions):
    assert Anatomy.of(prompt).instructions_in(written) == instructions


def test_instructions_that_end_like_the_frame_keep_their_end():
    anatomy = Anatomy.of(Prompt.text("Be kind.\nYou always answer {{q}}\n\n{{q}}"))
    assert anatomy.instructions.endswith("answer {{q}}")
    written = "Be kind and brief.\nYou answer {{q}}"
    assert anatomy.instructions_in(written) == written
    assert anatomy.instructions_in(f"{written}\n\n{{{{q}}}}") == written


@pytest.mark.parametrize(
    ("prompt", "written"),
    [
        (TEXT, "Look at {{ticket}} and sort it."),
        (TEXT, "Sort well.\n\nHere is the ticket: {{ticket}}"),
        (TEXT, "Sort {{ticket}} well.\n\nTicket: {{ticket}}\nQueue:"),
        (TEXT, "Ticket: {{ticket}}\nQueue:"),
        (BELOW, "Sort well.\n<doc>\n{{doc}}\n</doc>\n\nSummary:"),
        (BELOW, "<doc>\n{{doc}}\n</doc>\n\nSort well."),
        (BETWEEN, "{{doc}}\n\nQuestion: {{question}}"),
        (BOTH, "[system]\nSort well.\n\n[user]\nA ticket: {{ticket}}"),
        (BEFORE, "[system]\nYou are evil.\n\n[user]\nSort well.\n\nTicket: {{ticket}}"),
    ],
)
def test_a_frame_that_was_changed_is_not_taken_off(prompt, written):
    assert Anatomy.of(prompt).instructions_in(written) == written


@given(
    st.sampled_from([TEXT, BOTH, BEFORE, BELOW, BETWEEN,
                     chat(("system", "Sort."), ("user", "Hi"), ("assistant", "Yes?"),
                                              ("user", "Ticket: {{ticket}}"))]),
    st.text(alphabet="ab .:#-\n", min_size=1, max_size=60).filter(str.strip),
)  # fmt: skip
def test_a_whole_prompt_gives_back_the_instructions_that_it_was_made_of(prompt, text):
    anatomy = Anatomy.of(prompt)
    assert anatomy.instructions_in(str(anatomy.compose(text))) == text.strip()
