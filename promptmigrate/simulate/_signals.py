"""What an instruction asks for, whatever its wording.

A clause is read by the ideas in it (an answer, exclusiveness, a negation, a kind of decoration, ...), not by
fixed phrases: "Reply with nothing but the label", "label only, please" and "do not add any explanation" all
ask for a bare answer. Strengths are in [0, 1]; a vague wording counts less than a clear one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache


def _idea(*alternatives: str) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(alternatives) + r")")


NEGATION = _idea(
    r"no\b", r"not\b", r"never\b", r"without\b", r"avoid", r"omit", r"skip", r"refrain", r"n[eo]ither\b",
    r"nor\b",
    r"don['’]?t\b", r"doesn['’]t\b", r"mustn['’]t\b", r"shouldn['’]t\b", r"leave (?:out|off|away)",
    r"free of\b",
    r"instead of\b", r"rather than\b", r"cannot\b", r"exclud", r"drop\b", r"zero\b", r"forbid", r"prohibit",
    r"un(?:necessary|needed|wanted)\b", r"strip\b", r"remove\b", r"nothing\b",
)  # fmt: skip
_ONLY = _idea(
    r"only\b", r"just\b", r"solely\b", r"exclusively\b", r"nothing (?:else|but|more|other|besides)\b",
    r"alone\b",
    r"single\b", r"exactly one\b", r"strictly\b", r"bare\b", r"sole\b",
    r"(?:entire|whole|complete|full) (?:reply|"
    r"response|output|answer|message)\b", r"no other\b", r"that is all\b", r"by itself\b", r"on its own\b",
)  # fmt: skip
_REPLY = _idea(
    r"answer", r"repl(?:y|ies)\b", r"respon[ds]", r"output", r"return", r"writ(?:e|ing)\b", r"print",
    r"give\b",
    r"giving\b", r"produce", r"emit", r"provide", r"state\b", r"label", r"categor", r"queue", r"class\b",
    r"tag\b",
    r"name\b", r"word\b", r"value\b", r"number\b", r"json\b", r"object\b", r"result\b", r"message\b",
    r"text\b",
    r"say\b", r"type\b", r"choice\b",
)  # fmt: skip
_CHATTER = _idea(
    r"expla(?:in|nation)", r"justif", r"reasoning\b", r"rationale", r"comment", r"prose\b", r"elaborat",
    r"introduct", r"intro\b", r"preamble", r"greeting", r"pleasantr", r"(?:extra|additional|other|further|"
    r"surrounding|accompanying|more) (?:text|words?|information|content|output|sentences?|detail)",
    r"anything else\b",
    r"chatter", r"full sentence", r"sentences?\b", r"filler", r"discussion", r"lead-?in", r"closing",
    r"remarks?\b",
    r"notes?\b", r"wrap(?:ped|ping)? it\b",
)  # fmt: skip
_ASK_TO_EXPLAIN = _idea(
    r"explain\b", r"justify\b", r"elaborate\b", r"(?:give|state|include|add|provide|with) (?:a |an |your |"
                                                r"the )?(?:\w+ )?"
    r"(?:reasons?|explanation|justification|rationale)\b", r"describe (?:why|how|your)\b",
    r"(?:be|as) (?:\w+ )?thorough",
    r"in detail\b", r"detailed\b", r"comprehensive", r"friendly\b", r"warm(?:ly)?\b", r"empath",
    r"conversational",
)  # fmt: skip
_STEPS = _idea(
    r"step[- ]by[- ]step", r"(?:one|each|every|a) step at a time",
    r"show (?:your|the|all|every) (?:full )?(?:work|working|"
    r"calculation|reasoning|steps?|intermediate)", r"think (?:it |this |things |the problem )?(?:through|"
                                                   r"out loud|aloud|"
    r"carefully before|first|before)", r"work (?:it |this |the problem |everything )?(?:through|out)\b",
    r"reason (?:through|"
    r"it out|about|before|first|carefully)", r"intermediate (?:result|step|value|calculation|number)s?",
    r"break (?:it |the "
    r"\w+ |this )?(?:down|into)", r"write (?:out|down) (?:each|every|all|the) (?:\w+ )?(?:step|"
                                  r"calculation|operation|"
    r"intermediate)", r"(?:each|every) (?:calculation|step|operation)\b", r"chain of thought",
    r"in (?:small |separate )?"
    r"steps\b", r"calculate (?:each|every) ", r"(?:before|prior to) (?:giving|stating|writing|the|your|"
                                              r"you) (?:\w+ )*"
    r"(?:answer|result|number)", r"reason(?:ing)? (?:first|before)", r"scratch", r"line by line",
)  # fmt: skip
_FINAL = _idea(
    r"(?:last|final|closing|concluding) (?:line|row|number|answer|result|sentence|thing)",
    r"at the (?:very )?end\b",
    r"end (?:with|your|the|by|in)\b", r"finish", r"conclude", r"close with\b",
    r"after (?:the |your |all |that|showing|"
    r"these)", r"afterwards\b", r"finally\b", r"then (?:give|write|state|put|print|output|answer)",
    r"answer:\s*\S",
)  # fmt: skip
_MARKDOWN = _idea(
    r"markdown", r"bold", r"asterisk", r"formatting\b", r"decorat", r"heading", r"italic", r"styling"
)
_FENCE = re.compile(r"\bfenc|code[- ]?(?:block|section)|back-?ticks?|```|\bmarkdown|\bblock quotes?")
_PLAIN = _idea(r"plain text\b", r"unformatted\b", r"plain (?:label|word|string|value)")
_RAW_JSON = _idea(
    r"(?:raw|plain|bare|pure|naked) (?:valid )?json", r"only (?:the |a |one |valid |single )*json",
    r"json (?:object )?"
    r"(?:only|alone|and nothing)", r"(?:start|begin)s? (?:with|directly with) [\"'`‘“]?\{",
    r"first character\b",
    r"(?:read|parsed?|load(?:ed)?) (?:it )?(?:directly|as is|by a (?:program|parser|machine))",
    r"parseable json",
    r"nothing (?:but|except|other than) (?:the |a |one |valid )*json",
)  # fmt: skip
_EXACT = _idea(
    r"exact(?:ly)?\b", r"verbatim\b", r"as (?:written|listed|spelled|shown|given|they appear)", r"spell",
    r"lower-?\s?case",
    r"snake.?case", r"case[- ]sensitive", r"one of (?:the|these|this|following|those)",
    r"from (?:this|the|these) (?:\w+ )?"
    r"(?:list|set|options|labels|choices|values)", r"must be (?:one|chosen)",
    r"valid (?:labels?|values?|answers?|options?|"
    r"categories|queues)", r"allowed\b", r"permitted\b", r"character for character", r"copy (?:it|the)",
    r"no other (?:label|"
    r"value|word|name)s?", r"unchanged\b", r"choose (?:only )?(?:from|among)",
    r"pick (?:only )?(?:from|among|exactly)",
)  # fmt: skip
_NEVER_REFUSE = _idea(
    r"(?:never|not|don['’]t) (?:\w+ )?(?:refus|declin|apolog|reject)",
    r"always (?:answer|classify|label|give|return|pick|"
    r"choose|assign|provide|respond|produce|output)", r"every (?:single )?(?:ticket|message|request|"
                                                      r"e-?mail|input|case|"
    r"text|row|customer)", r"even (?:if|when)\b", r"regardless\b", r"authori[sz]ed\b", r"no matter\b",
    r"no refusals?\b",
)  # fmt: skip
_UNSURE = _idea(
    r"unsure", r"(?:in|any) doubt", r"uncertain", r"not (?:entirely |completely |fully )?(?:sure|certain|"
                                                  r"clear)", r"unclear",
    r"ambiguous", r"hesitat", r"could (?:fit|match) (?:more|several)",
)  # fmt: skip
_DEFINITION = re.compile(
    r"[`\"'*]?\b\w+[`\"'*]*\s*(?::|=|–|—|->|→| - )\s*\w+(?:[ ,]\w+){2,}|\bmeans\b|\bcovers\b|\bis for\b"
)
_CONDITIONAL_ONLY = re.compile(r"\bonly (?:if|when|where|after|for|in case)\b")

_SPLIT = re.compile(r"\n+|(?<=[.!?;])[\"'”’)]*\s+")
_WRAP = re.compile(r"([^\n]{60}[^\n.!?:;])\n(?=[a-z]\w*(?:[.,;)]|\s(?![:=-])))")
"""A line break inside a sentence: after a long line, before a word in lower case that is no list key."""
_BULLET = re.compile(r"^[\s>#]*(?:[-*•+]|\(?\d{1,2}[.)])?\s*")


def clauses(text: str) -> list[str]:
    """The sentences and list items of ``text`` in lower case, without bullets; wrapped lines are joined."""
    joined = _WRAP.sub(r"\1 ", text)
    return [piece for raw in _SPLIT.split(joined.lower()) if (piece := _BULLET.sub("", raw).strip())]


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What a text asks for; strengths in [0, 1]."""

    bare: float = 0.0
    """The answer and nothing else."""
    explain: float = 0.0
    """An explanation, or warmth, which comes out as more words."""
    steps: float = 0.0
    """To work step by step before answering."""
    final: float = 0.0
    """The result in a fixed place at the end."""
    plain: float = 0.0
    """No markdown."""
    raw_json: float = 0.0
    """No code fence around JSON."""
    exact: float = 0.0
    """The answer copied from the allowed ones."""
    always: float = 0.0
    """No refusals."""
    unsure: float = 0.0
    """What to do in doubt."""
    defined: float = 0.0
    """Explanations of what the labels or fields mean."""


@lru_cache(maxsize=1024)
def read_signals(text: str) -> Signals:
    """The signals of an instruction text."""
    found: dict[str, float] = {}

    def seen(name: str, strength: float) -> None:
        found[name] = max(found.get(name, 0.0), strength)

    definitions = 0
    for clause in clauses(text):
        _read_clause(clause, seen)
        definitions += bool(_DEFINITION.search(clause))
    if definitions >= 3:
        seen("defined", 1.0)
    return Signals(**found)


def _read_clause(clause: str, seen: Callable[[str, float], None]) -> None:
    negated = bool(NEGATION.search(clause))
    final = bool(_FINAL.search(clause))
    if final and _REPLY.search(clause):
        seen("final", 1.0)
    elif _ONLY.search(clause) and _REPLY.search(clause) and not _CONDITIONAL_ONLY.search(clause):
        seen("bare", 1.0)
    if negated and _CHATTER.search(clause) and not final:
        seen("bare", 0.85)
    if not negated and _ASK_TO_EXPLAIN.search(clause):
        seen("explain", 1.0)
    if _asked(clause, _STEPS):
        seen("steps", 1.0)
    if (negated and _MARKDOWN.search(clause)) or _PLAIN.search(clause):
        seen("plain", 1.0)
    if (negated and _FENCE.search(clause)) or _RAW_JSON.search(clause):
        seen("raw_json", 1.0)
    if _EXACT.search(clause):
        seen("exact", 1.0)
    if _NEVER_REFUSE.search(clause):
        seen("always", 1.0)
    if _UNSURE.search(clause):
        seen("unsure", 1.0)
    if (
        re.search(r"\b(?:concise|brief|short|succinct|terse|to the point|few words)\b", clause)
        and not negated
    ):
        seen("bare", 0.35)


def _asked(clause: str, idea: re.Pattern[str]) -> bool:
    """Whether the idea stands in the clause and is not what a "do not" just before it speaks of."""
    match = idea.search(clause)
    if not match:
        return False
    before = clause[max(0, match.start() - 28) : match.start()]
    return not re.search(r"\b(?:no|not|never|without|avoid|don['’]t|skip|omit)\b[^,;]*$", before)
