"""The nouns of the pipeline, in its order. One word, one thing; see README for the list.

``Example`` and ``Dataset`` come from production, ``Prompt`` and ``Variant`` are what can be shipped,
``Request`` and ``Reply`` pass the door to models, ``Outcome`` and ``Score`` are what was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

from promptmigrate import template
from promptmigrate.errors import TemplateError
from promptmigrate.files import digest

try:
    from scorers import Score
except ImportError as error:
    import scorers as found

    raise ImportError(
        f"{found.__file__ or list(found.__path__)} stands before the package 'scorers' that promptmigrate "
        "needs; rename that folder or file, or start from another one"
    ) from error

Split: TypeAlias = Literal["train", "validation", "test"]
Purpose: TypeAlias = Literal["task", "judge", "reflection"]
OutcomeKind: TypeAlias = Literal[
    "ok", "truncated", "filtered", "parse_error", "timeout", "rate_limited", "provider_error"
]
ANSWERED: frozenset[str] = frozenset({"ok", "truncated", "filtered"})
"""Kinds in which the model did answer (a filtered answer is an empty one). The others are missing data."""
Messages: TypeAlias = Sequence[Mapping[str, str]]
ROLES = ("system", "developer", "user", "assistant")


@dataclass(frozen=True, kw_only=True)
class Example:
    """One row to evaluate on."""

    id: str
    """Content hash of ``inputs``: the same call has the same id in every harvest."""
    inputs: Mapping[str, Any]
    reference: str | None = None
    """What production answered."""
    expectations: Mapping[str, Any] = field(default_factory=dict)
    """What is known to be right: human labels, feedback."""
    group: str = ""
    """Session or user; rows of one group are never split. Empty: the row is its own group."""
    weight: float = 1.0
    trace_ids: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def content_id(inputs: Mapping[str, Any]) -> str:
        """The id for ``inputs``: 16 hex digits of their digest."""
        return digest(dict(inputs))[7:23]

    @property
    def expected(self) -> Any:
        """What an output is compared with: the expectation if there is one, else production's answer.

        ``expectations["expected_response"]`` wins; a single expectation of another name stands for itself;
        several are given as a mapping.
        """
        if "expected_response" in self.expectations:
            return self.expectations["expected_response"]
        if len(self.expectations) == 1:
            return next(iter(self.expectations.values()))
        return dict(self.expectations) if self.expectations else self.reference

    @property
    def cluster(self) -> str:
        """The unit that is split and resampled as a whole."""
        return self.group or self.id


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Immutable ordered Examples, each in one split."""

    examples: tuple[Example, ...]
    splits: Mapping[str, Split]
    """Example id -> split."""
    name: str = ""

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    def split(self, name: Split) -> tuple[Example, ...]:
        """The Examples of one split, in order."""
        return tuple(e for e in self.examples if self.splits[e.id] == name)

    @cached_property
    def digest(self) -> str:
        """Digest of all rows and their splits, independent of their order."""
        return _rows_digest(self.examples, self.splits)

    def split_digest(self, name: Split) -> str:
        """Digest of the rows of one split."""
        return _rows_digest(self.split(name), self.splits)


def _rows_digest(examples: Iterable[Example], splits: Mapping[str, Split]) -> str:
    rows = [
        [e.id, dict(e.inputs), e.reference, dict(e.expectations), e.group, e.weight, splits[e.id]]
        for e in examples
    ]
    return digest(sorted(rows, key=lambda row: str(row[0])))


@dataclass(frozen=True, kw_only=True)
class Message:
    """One turn of a prompt; ``content`` may hold ``{{variables}}``."""

    role: str
    content: str


@dataclass(frozen=True)
class Prompt:
    """A plain template: a text, or chat messages, with ``{{variables}}``, as in the MLflow registry."""

    messages: tuple[Message, ...]
    chat: bool = True
    """Whether it is written as chat messages; a text prompt is one user message."""

    @classmethod
    def text(cls, text: str) -> Prompt:
        """A prompt that is one text, sent as one user message."""
        return cls((Message(role="user", content=text),), chat=False)

    @classmethod
    def of(cls, source: str | Messages) -> Prompt:
        """A prompt from a text or from chat messages (mappings with ``role`` and ``content``).

        Raises:
            TemplateError: not a text or a list of messages with known roles, or refused by
                :func:`promptmigrate.template.check`.
        """
        if isinstance(source, str):
            prompt = cls.text(source)
        else:
            messages = []
            for index, turn in enumerate(source, 1):
                role, content = turn.get("role"), turn.get("content")
                if role not in ROLES or not isinstance(content, str) or set(turn) != {"role", "content"}:
                    raise TemplateError(
                        f"message {index} of the prompt must have 'role' ({', '.join(ROLES)}) and 'content' "
                        f"(a text), and nothing else; got {dict(turn)!r}"
                    )
                messages.append(Message(role=role, content=content))
            prompt = cls(tuple(messages))
        if not any(message.content.strip() for message in prompt.messages):
            raise TemplateError("the prompt is empty")
        for message in prompt.messages:
            template.check(message.content)
        return prompt

    @property
    def source(self) -> str | list[dict[str, str]]:
        """The template as the registry keeps it: a text or a list of role/content mappings."""
        if not self.chat:
            return self.messages[0].content
        return [{"role": m.role, "content": m.content} for m in self.messages]

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Names of all placeholders, in order of first appearance."""
        return template.variables("\n".join(m.content for m in self.messages))

    def render(self, inputs: Mapping[str, Any]) -> tuple[dict[str, str], ...]:
        """The messages to send for ``inputs`` (extra inputs are ignored).

        Raises:
            TemplateError: a placeholder has no value.
        """
        return tuple({"role": m.role, "content": template.render(m.content, inputs)} for m in self.messages)

    @cached_property
    def digest(self) -> str:
        """Digest of the template."""
        return digest(self.source)

    def __str__(self) -> str:
        if not self.chat:
            return self.messages[0].content
        return "\n\n".join(f"[{m.role}]\n{m.content}" for m in self.messages)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What can be shipped and measured: a Prompt, a model (``provider/name``) and its parameters.

    Of a program with several prompts it holds them all, each a *component* with a name; all are asked with
    the same model and parameters.
    """

    prompt: Prompt
    model: str
    params: Mapping[str, Any] = field(default_factory=dict)
    components: Mapping[str, Prompt] = field(default_factory=dict)
    """Name -> Prompt of a program, in the order of the experiment; empty where there is one prompt only."""
    component: str = ""
    """Which of the components :attr:`prompt` is; not part of the identity of a program's Variant."""
    origin: str = field(default="", compare=False)
    """Where it came from, for people ("original", "contract"); not part of its identity."""

    def __post_init__(self) -> None:
        if self.components and self.components.get(self.component) != self.prompt:
            raise ValueError(f"the prompt is not the component {self.component!r} of the program")

    def having(self, component: str, prompt: Prompt) -> Variant:
        """The same program with another prompt in the place of ``component``."""
        components = {**self.components, component: prompt}
        return replace(self, components=components, component=component, prompt=prompt)

    @cached_property
    def prompt_digest(self) -> str:
        """Digest of the template, or of all templates of a program."""
        if not self.components:
            return self.prompt.digest
        return digest({name: prompt.source for name, prompt in self.components.items()})

    @cached_property
    def digest(self) -> str:
        """Digest of all that is sent: prompt (or prompts), model and parameters."""
        if not self.components:
            return digest([self.prompt.source, self.model, dict(self.params)])
        sources = {name: prompt.source for name, prompt in self.components.items()}
        return digest([sources, self.model, dict(self.params)])

    @property
    def id(self) -> str:
        """Short form of :attr:`digest` for files and tables: 12 hex digits."""
        return self.digest[7:19]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question to a model, as it passes the door."""

    model: str
    messages: tuple[Mapping[str, str], ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    """Temperature, max_tokens, response_format and the like, as in the OpenAI chat API."""
    purpose: Purpose = "task"
    repeat: int = 0
    """Tells repeated askings of the same question apart in the cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back for a Request. A failed call has a ``kind`` outside :data:`ANSWERED` and no text."""

    kind: OutcomeKind
    text: str | None = None
    model: str = ""
    """The model that answered, as the provider names it."""
    finish_reason: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    """None: the price of the model is not known."""
    latency_s: float = 0.0
    """Seconds of the attempt that answered, without waiting in our own queues."""
    cached: bool = False
    attempts: int = 1
    """Requests sent for this reply (0 when it came from the cache)."""
    status: int | None = None
    error: str | None = None

    @property
    def answered(self) -> bool:
        """Whether the model gave an answer (a filtered one is empty, a truncated one is cut short)."""
        return self.kind in ANSWERED


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One Variant answering one Example once."""

    variant: str
    """Digest of the Variant."""
    example: str
    """Id of the Example."""
    repeat: int
    reply: Reply
    scores: tuple[Score, ...] = ()
    """One per scorer, in the order of the configuration; empty if the call failed."""
