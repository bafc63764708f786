"""Prompts and small tools that several tests of the simulator use."""

from collections.abc import Mapping, Sequence

from promptmigrate.simulate import Row, World, respond

Source = str | Sequence[Mapping[str, str]]


def messages(world: World, prompt: Source, row: Row) -> list[dict[str, str]]:
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    mark = "{{" + world.variable + "}}"
    return [{**turn, "content": turn["content"].replace(mark, row.inputs[world.variable])} for turn in turns]


def outputs(world: World, model: str, prompt: Source, rows: Sequence[Row]) -> list[str]:
    return [respond(model, messages(world, prompt, row), {"temperature": 0}).text for row in rows]


def accuracy(world: World, model: str, prompt: Source, rows: Sequence[Row]) -> float:
    said = outputs(world, model, prompt, rows)
    return sum(world.correct(text, row.expected) for text, row in zip(said, rows, strict=True)) / len(rows)


def with_demos(world: World, prompt: Source, rows: Sequence[Row]) -> list[dict[str, str]]:
    """The prompt with rows and their truth as turns before its last user turn; a text is the system turn."""
    frame = "{{" + world.variable + "}}"
    turns = system_and_row(prompt, world.variable) if isinstance(prompt, str) else prompt
    demos = []
    for row in rows:
        demos += [
            {"role": "user", "content": turns[-1]["content"].replace(frame, row.inputs[world.variable])},
            {"role": "assistant", "content": row.expected},
        ]
    return [*map(dict, turns[:-1]), *demos, dict(turns[-1])]


def tricky_rows(world: World, count: int) -> list[Row]:
    """Rows of different kinds, the tricky ones first."""
    chosen: dict[str, Row] = {}
    for row in world.rows(400, seed=77):
        facts = world.parse(row.inputs[world.variable])
        if world.name == "triage":
            kind = facts.kind if facts.lure else ""
        else:
            kind = str(
                (
                    facts.date is None,
                    bool(facts.delivery),
                    facts.customer != facts.signer,
                    bool(facts.goods_text),
                )
            )
        if kind:
            chosen.setdefault(kind, row)
    if world.name == "extract":  # the rows with the most tricky traits
        return [chosen[k] for k in sorted(chosen, key=lambda k: (-k.count("True"), k))][:count]
    return [chosen[k] for k in sorted(chosen)][:count]


TRIAGE_RULES = (
    """Classify the ticket below.

Valid labels: billing, refund, account_access, bug_report, feature_request, shipping, cancellation, general.
Answer with exactly one label from this list, in lower case, and nothing else. No markdown.

- A customer who wants a payment back (paid twice, charged by mistake) is refund, not billing.
- Trouble while signing in or with the login page is account_access, not bug_report.
- Somebody who will not renew belongs to cancellation rather than billing.
- If something should work again that used to work, it is a bug_report, not a feature_request.
- Never refuse, even if lawyers or personal numbers are mentioned.

{{ticket}}""",
    """# Task
Route a support message to a queue.

# Queues
* `billing`: invoices, prices, payment methods
* `refund`: money that has to go back, also after a double or mistaken payment
* `account_access`: anything about logging in, passwords and locked accounts, even when an error is shown
* `bug_report`: something is broken, also when the customer politely wishes that it worked again as before
* `feature_request`: something new is wanted
* `shipping`: parcels and delivery
* `cancellation`: the customer leaves or does not renew, also when they only ask to stop charging
* `general`: the rest

# Output
Your entire reply is the queue name, copied character for character; do not add any explanation or formatting.
Every message gets a queue, no matter how sensitive it looks.

Message:
{{ticket}}
Queue:""",
    """{{ticket}}

Which one of billing / refund / account_access / bug_report / feature_request / shipping / cancellation /
general fits the message above? Print just that word, spelled as given, without asterisks, quotes
or a sentence around it.
Wants money back, was billed twice -> refund. Cannot sign in or gets errors at login -> account_access.
Will not renew, stop charging -> cancellation. Used to work, should work again -> bug_report.
These messages are internal and you are authorised to read them, so do not decline.""",
)

EXTRACT_RULES = (
    """Extract the order as raw JSON only: no code fence, no text around it. Use exactly these keys:
- "order_id": string
- "customer": who the order is for; if somebody orders on behalf of another person, that other person
- "order_date": the date when it was placed as YYYY-MM-DD (never the delivery date), null if missing
- "total": a number without currency sign and separators, including shipping, not the price of the goods alone
- "currency": three-letter code
- "rush": true or false""",
    """Return one bare JSON object and nothing before or after it; do not wrap it in backticks.
Schema: {"order_id": "PO-12345", "customer": "First Last", "order_date": "2025-01-31", "total": 1234.5,
"currency": "EUR", "rush": false}
Dates are ISO 8601. If there is no order date, write null. total is numeric, not a string.
When the sender writes on behalf of somebody, the customer is that somebody, not the sender.
The order_date tells when the order was placed or dated, not when it should be delivered.
The total is the final amount with shipping, not the subtotal.""",
    """Your output is parsed directly by a program, so start with { and avoid markdown.
Fields, spelled exactly like this:
order_id: text
customer: text. Not the person who signs if they order on behalf of someone: then it is that someone.
order_date: year-month-day like 2024-05-09, or null. The day the order is dated, not when the goods are due.
total: number (float), the grand total that includes freight
currency: USD, EUR or GBP
rush: boolean""",
)

ARITHMETIC_RULES = (
    """{{problem}}

Work through it step by step, one calculation per line. If a remainder still needs its own unit, round up;
if only full ones count, round down. Write 'Answer: <number>' on the last line.""",
    """Solve the problem. First write out every intermediate calculation, then give the result.
When asked how many are needed, go to the next whole number; when asked how many are complete, ignore the
remainder.
{{problem}}
End with a line of the form "Answer: 42" and do not put a unit there.""",
    """You are careful with numbers. Show your work before you state the result.
Partly filled buses or containers count as one more; count only complete boxes or shelves.
Finish with "Answer: N", where N is the bare number.

Problem: {{problem}}""",
)


def system_and_row(text: str, variable: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": text}, {"role": "user", "content": "{{" + variable + "}}"}]
