import pytest

from promptmigrate.search.anatomy import Anatomy, Candidate, Demo
from promptmigrate.search.guard import Guard
from promptmigrate.types import Prompt, Variant

from .world import example

ROW = "My parcel number seven arrived with a broken lid and two missing screws"
TRAIN = [example({"ticket": ROW}, reference="shipping"), example({"ticket": "Short one"}, reference="bug")]
PROMPT = Prompt.of(
    [{"role": "system", "content": "Sort the ticket."}, {"role": "user", "content": "{{ticket}}"}]
)


def candidate(instructions, prompt=PROMPT, **changes):
    base = Variant(prompt=PROMPT, model="toy/small")
    return Candidate(anatomy=Anatomy.of(prompt), base=base, instructions=instructions, **changes)


@pytest.fixture
def guard():
    return Guard(PROMPT, max_tokens=200, train=TRAIN)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Sort {{subject}} well.", "invents the placeholder {{subject}}"),
        ("Sort it. {% if x %}", "Jinja"),
        ("Sort {{the ticket}} well.", "'{{'"),
        ("Sort it well. " * 80, "limit is 200"),
        (f"For example '{ROW}' is shipping.", "copies a training row"),
        ("   ", "system message is empty"),
    ],
)
def test_refuses(guard, text, reason):
    assert reason in (guard.refuse(candidate(text)) or "")


def test_a_whole_template_that_loses_its_placeholder_is_refused(guard):
    lost = Prompt.of([{"role": "system", "content": "Sort."}, {"role": "user", "content": "The ticket."}])
    assert "lost the placeholder {{ticket}}" in (guard.refuse(candidate("Sort.", lost)) or "")


def test_other_roles_are_refused(guard):
    other = Prompt.of([{"role": "user", "content": "Sort.\n\n{{ticket}}"}])
    assert "roles" in (guard.refuse(candidate("Sort it well.", other)) or "")


def test_passes_what_is_new_and_refuses_near_duplicates(guard):
    assert guard.refuse(candidate("Sort the ticket into its queue.")) is None
    guard.admit(candidate("Sort the ticket into its queue."))
    assert guard.refuse(candidate("Sort the ticket into its queue.")) == "it was tried before"
    assert "same" in (guard.refuse(candidate("sort the ticket, into its QUEUE!")) or "")
    assert guard.refuse(candidate("Sort the ticket into its queue. Write lowercase.")) is None
    # The same words with demos are another candidate.
    shown = (Demo(example="1", inputs={"ticket": "x"}, answer="bug"),)
    assert guard.refuse(candidate("Sort the ticket into its queue.", demos=shown)) is None


def test_demos_may_quote_train_rows(guard):
    shown = (Demo(example=TRAIN[0].id, inputs={"ticket": ROW}, answer="shipping"),)
    assert guard.refuse(candidate("Sort the ticket.", demos=shown)) is None


def test_boilerplate_that_many_rows_share_is_not_a_copy():
    greeting = "Dear support team I am writing to you today about"
    rows = [example({"ticket": f"{greeting} item {i} thing{i} case{i}"}) for i in range(20)]
    guard = Guard(PROMPT, max_tokens=500, train=rows)
    assert guard.refuse(candidate(f"Tickets begin with '{greeting}'; skip that.")) is None


@pytest.mark.parametrize(
    "text",
    [
        ROW.replace("broken", "cracked"),
        ROW.replace("parcel", "package").upper(),
        f"If the ticket says '{ROW.replace('a broken', 'some damaged')}', answer shipping.",
        "| parcel | " + " | ".join(ROW.replace("and", "or").split()) + " |",
    ],
)
def test_a_row_with_a_word_changed_is_a_copy(guard, text):
    assert "copies a training row" in (guard.refuse(candidate(f"Sort the ticket. {text}")) or "")


def test_a_chinese_row_with_a_character_changed_is_a_copy():
    row = "我的包裹上周已经到了，但是盖子坏了，还少了两个螺丝。"
    guard = Guard(PROMPT, max_tokens=500, train=[example({"ticket": row})])
    edited = row.replace("上周", "昨天").replace("两个", "几个")
    assert "copies a training row" in (guard.refuse(candidate(f"例如：{edited}")) or "")
    assert guard.refuse(candidate("如果包裹到了但是有东西坏了或者少了，就选物流。")) is None


def test_a_rule_on_what_rows_say_is_no_copy(guard):
    rule = "A parcel that arrived with something broken or missing, such as a lid or screws, is shipping."
    assert guard.refuse(candidate(f"Sort the ticket. {rule}")) is None


def test_rows_that_differ_in_a_number_from_what_the_prompt_says_are_no_copies():
    said = "Dear support team, I am writing to you today about my order number"
    rows = [example({"ticket": f"{said} {i}{i}"}) for i in range(30)]
    prompt = Prompt.text(f"Tickets begin with '{said}'. Sort them.\n\n{{{{ticket}}}}")
    guard = Guard(prompt, max_tokens=500, train=rows)
    assert guard.refuse(candidate(f"Tickets begin with '{said}'. Sort them well.", prompt)) is None


def test_json_braces_in_instructions_pass(guard):
    assert guard.refuse(candidate('Answer like {"a": {"b": 1}}.')) is None


@pytest.mark.parametrize(
    "row",
    [
        "我上周买的扫描仪到货时外壳已经破裂，而且缺少两颗螺丝，请尽快给我退款或者更换一台新的设备",
        "先週購入したスキャナーが届いたとき、ケースが割れていてネジが二本足りませんでした。返金してください",
        "เครื่องสแกนที่ซื้อเมื่อสัปดาห์ที่แล้วมาถึงโดยที่ฝาแตกและสกรูหายไปสองตัวกรุณาคืนเงิน",
        "मेरा पार्सल टूटे हुए ढक्कन और दो पेंच कम के साथ आया और मुझे पैसे वापस चाहिए",
        "제 소포가 뚜껑이 깨지고 나사 두 개가 없는 상태로 도착해서 지금 바로 환불을 받고 싶습니다",
        "我的 Acme X200 scanner 到货时外壳破裂 please refund 谢谢",
    ],
)
def test_copies_are_seen_in_every_script(row):
    guard = Guard(PROMPT, max_tokens=2000, train=[example({"ticket": row}, reference="bug")])
    half = row[: len(row) * 2 // 3]
    for copy in (row, half, row.upper(), f"> {row}!"):
        assert "copies a training row" in (guard.refuse(candidate(f"Sort it. 例如：{copy}")) or "")
    few = row[: len(row) // 6]
    assert guard.refuse(candidate(f"Sort it. A word such as {few} says nothing.")) is None


def test_a_copy_is_named_as_it_is_written():
    row = "我的 Acme X200 scanner 到货时外壳破裂 please refund"
    guard = Guard(PROMPT, max_tokens=2000, train=[example({"ticket": row})])
    assert '("我的 acme x200 scanner 到货时外' in (guard.refuse(candidate(row)) or "")


def test_rules_in_chinese_are_no_near_duplicates():
    guard = Guard(PROMPT, max_tokens=2000, train=[])
    guard.admit(candidate("请把工单分到正确的队列。"))
    assert "same" in (guard.refuse(candidate("请把工单分到正确的队列！")) or "")
    assert guard.refuse(candidate("请把工单分到正确的队列。退款归财务部。")) is None


ANSWER = (
    "We are sorry to hear that your parcel came damaged and will send a courier to collect it tomorrow "
    "morning between nine and eleven"
)


@pytest.mark.parametrize("known", [{"expected_response": ANSWER}, {"facts": {"reply": ANSWER, "queue": "a"}}])
def test_long_answers_that_are_expected_are_not_copied(known):
    guard = Guard(PROMPT, max_tokens=500, train=[example({"ticket": "x"}, **known)])
    assert "copies" in (guard.refuse(candidate(f"Answer like this: {ANSWER}")) or "")


def test_short_answers_are_labels_and_may_be_named():
    label = "goes to the second level support desk of the north office"
    guard = Guard(PROMPT, max_tokens=500, train=[example({"ticket": "x"}, reference=label)])
    assert guard.refuse(candidate(f"Where a crane is broken, the ticket {label}.")) is None


def test_what_a_prompt_of_the_user_quotes_may_stay():
    given = Prompt.of(
        [{"role": "system", "content": f"As in: {ROW}"}, {"role": "user", "content": "{{ticket}}"}]
    )
    guard = Guard(PROMPT, max_tokens=500, train=TRAIN, given=[given])
    assert guard.refuse(candidate(f"Sort it well. As in: {ROW}")) is None


@pytest.mark.parametrize(
    "text", ["按照规则处理" * 40, "กรุณาตอบสั้นๆ " * 40, "😀" * 250, "=" * 4000, "a" * 1300]
)
def test_the_cap_counts_tokens_of_every_script(text):
    guard = Guard(PROMPT, max_tokens=200, train=[])
    assert "the limit is 200" in (guard.refuse(candidate(text)) or "")
