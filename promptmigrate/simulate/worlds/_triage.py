"""Support-ticket triage: a fixed set of queues that smaller models rename, decorate and confuse."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from promptmigrate.simulate._chance import Dice
from promptmigrate.simulate._reading import ROW_MARK, Demo
from promptmigrate.simulate._signals import Signals, clauses, read_signals
from promptmigrate.simulate._types import SimModel, count_tokens
from promptmigrate.simulate.worlds._base import Guidance, Span, World
from promptmigrate.simulate.worlds._nature import Nature
from promptmigrate.simulate.worlds._people import Cast
from promptmigrate.simulate.worlds._rules import tell_apart
from promptmigrate.simulate.worlds._tickets import (
    CUES,
    LABELS,
    TRICKY,
    Ticket,
    kinds,
    read_ticket,
    ticket_spans,
    write_ticket,
)  # fmt: skip

_OTHER_NAMES = {
    "billing": ("Payments", "Invoice issue", "billing_issue", "finance"),
    "refund": ("Refund request", "Returns", "reimbursement"),
    "account_access": ("Login issue", "Account", "authentication", "access_problem"),
    "bug_report": ("Technical issue", "Bug", "technical_support"),
    "feature_request": ("Product feedback", "Feature", "enhancement", "suggestion"),
    "shipping": ("Delivery", "Logistics", "order_status"),
    "cancellation": ("Churn", "Subscription", "termination"),
    "general": ("General inquiry", "Other", "miscellaneous"),
}
_SENTENCES = (
    "The queue for this ticket is {label}.",
    "This ticket belongs to {label}.",
    "Queue: {label}\n\nThe customer describes a matter that this queue handles, so route it there.",
    "{label}\n\nReasoning: the message mentions what this team takes care of.",
    "Based on the ticket, I would assign it to the {label} queue. Let me know if you need anything else!",
    "Category: {label}",
)
_MARKED = ("**{label}**", "**Queue:** {label}", "`{label}`", "- {label}")
_REFUSAL = (
    "I'm sorry, but I can't help with legal or personal matters.",
    "I'm not able to assist with this request as it contains sensitive information.",
)
_ANSWER_LEAD = re.compile(
    r"^[\s\"'”’)\]}*`]*(?:(?:the )?(?:correct |right |expected )?(?:label|category|queue|class|answer|"
    r"output|reply|"
    r"response|result|assistant|a)\b[^\n:=\w]{0,4}(?:is|should be)?\s*[:=]*|-+>|=+>|→|"
    r"⇒)?[\s\"'`*]*([A-Za-z_ ]{4,24})",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class TriageGuidance(Guidance):
    """What a prompt says about triage."""

    signals: Signals
    listed: float
    """Share of the queue names that stand in the prompt."""
    rules: Mapping[str, float]
    """For each tricky kind how well the text tells it apart; -1: it says the wrong thing."""
    shown: Mapping[str, float]
    """For each tricky kind whether a demo shows it; -1: with the wrong label."""
    bare_demos: float
    """How firmly demos show the bare label."""
    catch_all: bool


def _mix(**changes: float) -> Mapping[str, float]:
    return changes


class Triage(World):
    """Which queue does a ticket belong to?"""

    name = "triage"
    variable = "ticket"
    about = "Support tickets to one of eight queues. Smaller models rename, decorate and confuse the queues."
    prompt = (
        "You are the triage assistant of Northwind, which sells office software and the hardware that "
        "goes with it. "
        "Read the support ticket and decide which queue should take care of it. Our queues are billing, "
        "refund, "
        "account_access, bug_report, feature_request, shipping, cancellation and general.\n\n"
        "Ticket:\n{{ticket}}\n\nQueue:"
    )
    source = "sim/triage-large"
    rescuable = ("sim/triage-small",)
    hopeless = ("sim/triage-tiny",)
    models = (
        SimModel(
            name="sim/triage-large", role="source", world="triage", input_per_mtok=2.5, output_per_mtok=10.0,
            base_latency_s=0.9, token_latency_s=0.012, about="what production runs on",
        ),
        SimModel(
            name="sim/triage-small", role="target", world="triage", input_per_mtok=0.3, output_per_mtok=1.2,
            base_latency_s=0.25, token_latency_s=0.004, context_tokens=32_000,
            about="talkative, renames queues, confuses four pairs; good when told and shown",
        ),
        SimModel(
            name="sim/triage-tiny", role="target", world="triage", input_per_mtok=0.05, output_per_mtok=0.2,
            base_latency_s=0.1, token_latency_s=0.002, context_tokens=8_000,
            about="often does not understand the ticket; no prompt helps enough",
        ),
    )  # fmt: skip
    natures: ClassVar[Mapping[str, Nature]] = {
        "sim/triage-large": Nature(
            base=_mix(decorate=0.008, markdown=0.004, rename=0.015, casing=0.004, confuse=0.03, wrong=0.01,
            refuse=0.03, harm=0.0, shared=0.01),
            floor=_mix(decorate=0.002, markdown=0.001, rename=0.001, casing=0.001, confuse=0.015,
            wrong=0.008, refuse=0.01, harm=0.1, shared=0.01),
            obeys=0.98, imitates=0.98, attention_tokens=6000,
        ),
        "sim/triage-small": Nature(
            base=_mix(decorate=0.55, markdown=0.18, rename=0.55, casing=0.18, confuse=0.68, wrong=0.05,
            refuse=0.8, harm=0.0, shared=0.01),
            floor=_mix(decorate=0.002, markdown=0.002, rename=0.0, casing=0.002, confuse=0.012, wrong=0.008,
            refuse=0.02, harm=0.22, shared=0.01),
            obeys=0.97, imitates=0.94, attention_tokens=700,
        ),
        "sim/triage-tiny": Nature(
            base=_mix(decorate=0.6, markdown=0.2, rename=0.6, casing=0.25, confuse=0.85, wrong=0.5,
            refuse=0.6, harm=0.0, shared=0.01),
            floor=_mix(decorate=0.05, markdown=0.02, rename=0.05, casing=0.03, confuse=0.65, wrong=0.45,
            refuse=0.3, harm=0.3, shared=0.01),
            obeys=0.75, imitates=0.85, attention_tokens=400,
        ),
    }  # fmt: skip

    def write(self, rng: random.Random, cast: Cast) -> tuple[str, str]:
        return write_ticket(rng, cast)

    def spans(self, text: str) -> list[Span]:
        return ticket_spans(text)

    def parse(self, row: str) -> Ticket | None:
        return read_ticket(row)

    def truth(self, facts: Ticket) -> str:
        return facts.label

    def correct(self, output: str, expected: str) -> bool:
        return output.strip() == expected

    def inline_answer(self, tail: str) -> str | None:
        match = _ANSWER_LEAD.match(tail)
        if not match:
            return None
        said = match[1].strip().lower().replace(" ", "_")
        return next((label for label in LABELS if said == label or said.startswith(label + "_")), None)

    def study(self, text: str, demos: Sequence[Demo]) -> TriageGuidance:
        lowered = text.lower()
        lines = clauses(text)
        signals = read_signals(text)
        listed = sum(bool(re.search(rf"(?<!\w){label}(?!\w)", lowered)) for label in LABELS) / len(LABELS)
        rules, shown = {}, {}
        facts = [(read_ticket(demo.row), demo) for demo in demos]
        for kind in kinds():
            if not kind.lure:
                continue
            right, wrong = _spellings(kind.label), _spellings(kind.lure)
            rules[kind.name] = tell_apart(lines, right, wrong, re.compile(CUES[kind.name]))
            said = [
                demo.output.strip() == kind.label for fact, demo in facts if fact and fact.kind == kind.name
            ]
            shown[kind.name] = (0.95 if any(said) else -1.0) if said else 0.0
        bare = [1.0 if demo.turn else 0.85 for demo in demos if demo.output in LABELS]
        share = sum(bare) / len(demos) if demos else 0.0
        return TriageGuidance(
            tokens=count_tokens(text.replace(ROW_MARK, "")),
            demos=len(demos),
            signals=signals,
            listed=max(listed, 0.9 * min(1.0, len({d.output for d in demos} & set(LABELS)) / 4)),
            rules=rules,
            shown=shown,
            bare_demos=share * min(1.0, 0.4 + 0.3 * len(demos)) if demos else 0.0,
            catch_all=any(
                re.search(r"unsure|doubt|uncertain|not sure|unclear|ambiguous|most general|catch-?all", line)
                and re.search(r"\bgeneral\b|catch-?all|broadest", line)
                for line in lines
            ),
        )

    def ideal(self) -> TriageGuidance:
        every = dict.fromkeys(TRICKY, 1.0)
        signals = Signals(bare=1, plain=1, exact=1, always=1, defined=1)
        return TriageGuidance(
            tokens=400,
            demos=4,
            signals=signals,
            listed=1,
            rules=every,
            shown=every,
            bare_demos=1,
            catch_all=False,
        )

    def pressures(self, guidance: Guidance, facts: Ticket) -> Mapping[str, tuple[float, float]]:
        assert isinstance(guidance, TriageGuidance)
        s, shown = guidance.signals, guidance.bare_demos
        torn = 0.45 if s.explain and s.bare else 1.0  # told to explain and not to: it does either
        bare = s.bare * torn
        known = guidance.listed * (1.0 if s.exact else 0.8 if s.bare >= 0.8 else 0.55)
        result = {
            "decorate": (bare, 0.0 if s.explain else shown),
            "markdown": (max(s.plain, 0.9 * bare), shown),
            "rename": (known, shown * 0.95),
            "casing": (1.0 if s.exact else 0.6 * bare, shown),
            "shared": (0.0, 0.0),
        }
        if facts.lure:
            rule, demo = guidance.rules[facts.kind], guidance.shown[facts.kind]
            if min(rule, demo) < 0 and max(rule, demo) <= 0:
                result["confuse"] = (-0.35, 0.0)  # a rule or a demo that says the wrong thing
            else:
                result["confuse"] = (max(rule, 0.3 * s.defined), max(demo, 0.0))
        else:
            result["wrong"] = (0.8 * s.defined, min(1.0, guidance.demos / 4))
        if facts.sensitive:
            result["refuse"] = (s.always, 0.6 * shown)
        if guidance.catch_all and facts.label != "general":
            result["harm"] = (1.0, 0.0)
        return result

    def render(self, facts: Ticket, struck: frozenset[str], guidance: Guidance, dice: Dice) -> str:  # noqa: ARG002
        if "refuse" in struck:
            return dice.pick("refusal", _REFUSAL)
        label = facts.label
        if "harm" in struck:
            label = "general"
        elif "confuse" in struck:
            label = facts.lure
        elif "wrong" in struck or "shared" in struck:
            label = dice.pick("wrong label", [name for name in LABELS if name != label])
        if "rename" in struck:
            label = dice.pick("other name", _OTHER_NAMES[label])
        if "casing" in struck:
            label = label.replace("_", " ").capitalize()
        if "decorate" in struck:
            sentence = dice.pick("sentence", _SENTENCES)
            return sentence.format(label=f"**{label}**" if "markdown" in struck else label)
        if "markdown" in struck:
            return dice.pick("mark", _MARKED).format(label=label)
        return label


def _spellings(label: str) -> tuple[str, ...]:
    return (label, label.replace("_", " ")) if "_" in label else (label,)
