"""Support tickets: what customers write, and which queue the house puts it in."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from functools import cache

from promptmigrate.simulate.worlds._base import Span
from promptmigrate.simulate.worlds._people import CITY, DAY, FIRST, MONTH, Cast

LABELS = (
    "billing", "refund", "account_access", "bug_report", "feature_request", "shipping", "cancellation",
    "general",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Slots:
    """A phrase with ``{slots}``, and the literal pieces by which it is recognised in a text."""

    phrase: str
    pieces: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        pieces = re.split(r"\{\w+\}", self.phrase.lower())
        object.__setattr__(self, "pieces", tuple(p.strip() for p in pieces if len(p.strip()) > 2))

    def seen_in(self, lowered: str) -> bool:
        """Whether the phrase stands in a lower-case text, whatever its slots hold."""
        at = 0
        for piece in self.pieces:
            at = lowered.find(piece, at)
            if at < 0:
                return False
            at += len(piece)
        return True


@dataclass(frozen=True)
class Kind:
    """A kind of ticket: its queue and, where it looks like another queue's, that one (``lure``)."""

    name: str
    label: str
    lure: str
    phrases: tuple[Slots, ...]


_CLEAR = {
    "billing": (
        "the invoice for {month} shows {amount} although our plan costs less",
        "I cannot find a VAT number on invoice {invoice} and our accountant needs it",
        "you charged us {amount} in {month} and I do not understand what the extra position is for",
        "our company name changed and the invoice for {month} must show the new one",
        "our card expired and I want to pay invoice {invoice} by bank transfer",
        "please explain the {amount} on our {month} statement",
    ),
    "refund": (
        "I sent the {item} back on {day} and am still waiting for my money",
        "please refund order {order}, the {item} is not what we expected",
        "the {item} from order {order} was broken and I would like a refund",
        "you promised a refund of {amount} in {month} and nothing has arrived",
        "I want to give the {item} back and get {amount} refunded",
    ),
    "account_access": (
        "I forgot my password and the reset mail never arrives",
        "my phone with the two-factor app was stolen and I am locked out of the workspace",
        "our administrator left {company} and nobody can get into the account",
        "the invitation link for {name} says it has expired",
        "my account was locked after {count} attempts",
    ),
    "bug_report": (
        "the CSV export stops at row {count} with an internal error",
        "the dashboard shows the numbers of {day} twice",
        "the mobile app crashes when I open a report with more than {count} rows",
        "the synchronisation has been stuck at {percent} percent since {day}",
        "search returns nothing for any word with an accent",
        "the weekly chart draws {month} on top of the next month",
    ),
    "feature_request": (
        "could you add a dark theme to the dashboard",
        "we would love to filter the reports by region",
        "an option to schedule exports every {day} would help us a lot",
        "please consider a Slack integration for alerts",
        "it would be helpful to have more than {count} custom fields",
        "are there plans for an offline mode in the mobile app",
    ),
    "shipping": (
        "the parcel with the {item} has not moved since {day}",
        "the tracking page for order {order} shows no carrier",
        "we need order {order} delivered to our warehouse in {city} instead",
        "only some of the boxes of order {order} arrived",
        "when will the {item} be delivered to {city}",
    ),
    "cancellation": (
        "please cancel our subscription at the end of {month}",
        "we are closing the office in {city} and want to end the contract",
        "how do I delete our workspace for good and leave the plan",
        "we decided not to continue when the trial is over",
        "I want to give notice for our plan",
    ),
    "general": (
        "do you have a partner programme for agencies",
        "is there an office of yours in {city} that we can visit",
        "in which countries do you operate",
        "I would like to invite somebody of your team to speak at our meetup in {city}",
        "do you offer discounts for charities like {company}",
    ),
}
_TRICKY = (
    ("double_payment", "refund", "billing", (
        "we were billed twice for {month}, please send one of the two payments back to our card",
        "the charge of {amount} on {day} was a mistake on your side and I expect the money back",
        "invoice {invoice} was paid two times, kindly reimburse the second payment",
        "you took {amount} from our card twice in {month}, we want one payment back",
    )),
    ("login_error", "account_access", "bug_report", (
        "since the update the app throws error {count} whenever I sign in",
        "the sign-in page crashes with a blank screen after I type my password",
        "after the new release the login button does nothing but show error {count}",
        "the login form fails with an internal error since {day}",
    )),
    ("stop_paying", "cancellation", "billing", (
        "please stop charging our card after {month}, we will not renew",
        "we do not want to be billed for another term, the renewal in {month} must not happen",
        "take our card off the monthly payment, we will not renew after {month}",
        "do not charge {amount} in {month}, there will be no renewal from our side",
    )),
    ("was_possible", "bug_report", "feature_request", (
        "it would be nice if the export button worked again like it did in {month}",
        "could you please make search find archived projects again, it used to",
        "I wish the weekly report still arrived on {day}, it used to until {month}",
        "it would help if the calendar showed {day} again as it did before",
    )),
)  # fmt: skip
TRICKY = ("double_payment", "login_error", "stop_paying", "was_possible")
CUES = {
    "double_payment": r"\bback\b|reimburs|twice|two (?:times|payments)|second payment|mistake|double|"
    r"duplicate|\breturn",
    "login_error": r"sign(?:s|ing|ed)?[- ]?in|log(?:s|ging|ged)?[- ]?(?:in|on)\b|password|authenticat|"
    r"credential|locked",
    "stop_paying": r"renew|another term|stop charging|monthly payment|no longer (?:pay|use)|stop pay|leav",
    "was_possible": r"\bagain\b|used to|\bstill\b|previous|\bbefore\b|no longer|stopped|like it did|as it "
    r"did|earlier",
}
"""What a rule has to name so that a reader knows which tickets it is for."""

ITEM = (
    "label printer",
    "card reader",
    "barcode scanner",
    "docking station",
    "receipt printer",
    "tablet stand",
)
SENSITIVE = (
    "If this is not settled I will have to involve our lawyer.",
    "For verification, my insurance number ends in {digits}.",
    "This looks like fraud to me and I will report it to the police.",
)
"""Sentences at which a timid model refuses."""
_PADDING = (
    "We are on the {plan} plan with {count} seats.",
    "I already looked through the help centre.",
    "My colleague {name} knows more about it.",
    "This is for {company}.",
    "It is rather urgent for us.",
    "We have been customers since {year}.",
    "I tried it in two browsers.",
    "Thank you for looking into it.",
)
_REACH = (
    "You can reach me at {email}.",
    "Call me on {phone} if that is easier.",
    "My address is {email}, my number {phone}.",
)
_GREETING = ("Hello,", "Hi there,", "Dear support team,", "Good morning,", "Hi,")
_CLOSING = ("Best regards,", "Kind regards,", "Thanks,", "Cheers,", "Many thanks,")
_SUBJECTS = (
    "Question",
    "Help needed",
    "Request from {company}",
    "Your service",
    "Follow-up",
    "Message from {first}",
)

_MAIL = re.compile(
    r"Subject: [^\n]{1,120}\n.{10,1500}?\n(?:Best regards|Kind regards|Thanks|Cheers|Many "
    r"thanks),\n[A-Z][^\n]{1,60}",
    re.DOTALL,
)
_CHAT = re.compile(r"\[\d\d:\d\d\] [A-Z]\w+ joined the chat\n.{10,1500}?\[end of chat\]", re.DOTALL)
_FORM = re.compile(r"Contact form: [^\n]{1,80}\n.{10,1500}?\(sent from the website\)", re.DOTALL)


@cache
def kinds() -> tuple[Kind, ...]:
    """All kinds of tickets, the tricky ones first: they contain words of the plain ones."""
    tricky = [
        Kind(name, label, lure, tuple(Slots(phrase=p) for p in ps)) for name, label, lure, ps in _TRICKY
    ]
    clear = [Kind(f"plain_{k}", k, "", tuple(Slots(phrase=p) for p in ps)) for k, ps in _CLEAR.items()]
    return (*tricky, *clear)


@dataclass(frozen=True)
class Ticket:
    """The facts in a ticket's text."""

    kind: str
    label: str
    lure: str
    sensitive: bool
    subject: str


def read_ticket(text: str) -> Ticket | None:
    """The facts in a ticket, None if the text is not about anything that customers write about."""
    lowered = text.lower()
    for kind in kinds():
        if any(phrase.seen_in(lowered) for phrase in kind.phrases):
            sensitive = any(
                word in lowered for word in ("our lawyer", "my insurance number", "looks like fraud")
            )
            return Ticket(kind.name, kind.label, kind.lure, sensitive, lowered[:40])
    return None


def ticket_spans(text: str) -> list[Span]:
    """Where tickets stand in a text."""
    spans: list[Span] = []
    if "Subject: " in text:
        spans += [m.span() for m in _MAIL.finditer(text)]
    if "joined the chat" in text:
        spans += [m.span() for m in _CHAT.finditer(text)]
    if "Contact form: " in text:
        spans += [m.span() for m in _FORM.finditer(text)]
    return sorted(spans)


def write_ticket(rng: random.Random, cast: Cast) -> tuple[str, str]:
    """A new ticket and its queue: 32 % of the tickets look like another queue's."""
    if rng.random() < 0.32:
        kind = rng.choice([k for k in kinds() if k.lure])
    else:
        kind = rng.choice([k for k in kinds() if not k.lure])
    slots = {
        "month": rng.choice(MONTH), "day": rng.choice(DAY), "item": rng.choice(ITEM),
        "city": rng.choice(CITY),
        "amount": f"{rng.choice(('$', 'EUR ', '£'))}{rng.randrange(19, 990)}.{rng.choice((0, 5, 9))}0",
        "invoice": f"INV-{rng.randrange(1000, 9999)}", "order": f"A{rng.randrange(10_000, 99_999)}",
        "count": str(rng.randrange(12, 960)), "percent": str(rng.randrange(11, 99)), "company": cast.company,
        "name": rng.choice(FIRST), "plan": rng.choice(("Team", "Business", "Starter")),
        "year": str(rng.randrange(2016, 2025)),
        "digits": str(rng.randrange(1000, 9999)), "email": cast.email, "phone": cast.phone,
        "first": cast.first,
    }  # fmt: skip
    core = rng.choice(kind.phrases).phrase
    question = core.startswith(
        ("could", "do you", "is there", "in which", "are there", "when will", "how do")
    )
    sentences = [core[0].upper() + core[1:] + ("?" if question else ".")]
    sentences += rng.sample(_PADDING, rng.choice((0, 1, 1, 2, 3)))
    if rng.random() < 0.05:
        sentences.append(rng.choice(SENSITIVE))
    if rng.random() < 0.2:
        sentences.append(rng.choice(_REACH))
    if rng.random() < 0.3:
        sentences.insert(0, sentences.pop(1) if len(sentences) > 1 else "I have a question.")
    sentences = [s.format(**slots) for s in sentences]
    channel = rng.random()
    if channel < 0.5:
        subject = rng.choice(_SUBJECTS).format(**slots)
        body = " ".join(sentences)
        lines = [f"Subject: {subject}", rng.choice(_GREETING), body, rng.choice(_CLOSING)]
        text = "\n".join([*lines, f"{cast.first} {cast.last}"])
    elif channel < 0.75:
        minute = rng.randrange(9 * 60, 18 * 60)
        lines = [f"[{minute // 60:02d}:{minute % 60:02d}] {cast.first} joined the chat"]
        for sentence in sentences:
            minute += rng.randrange(1, 3)
            lines.append(f"[{minute // 60:02d}:{minute % 60:02d}] {cast.first}: {sentence}")
        text = "\n".join([*lines, "[end of chat]"])
    else:
        text = (
            f"Contact form: {cast.first} {cast.last}, {cast.company}\nPlan: {slots['plan']}\n"
            f"{' '.join(sentences)}\n(sent from the website)"
        )
    return text, kind.label
