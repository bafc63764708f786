"""What is publicly known of a model family's habits: hints for the editor that rewrites a prompt for it.

In our words, from the guides below; what a hint is worth, the race decides. Families without an address hold
only what is widely reported of them.

- Claude: platform.claude.com/docs/en/build-with-claude/prompt-engineering/claude-prompting-best-practices
- Gemma: ai.google.dev/gemma/docs/formatting
- Llama: www.llama.com/docs/how-to-guides/prompting
- Mistral: docs.mistral.ai/guides/prompting_capabilities
- DeepSeek: docs.together.ai/docs/prompting-deepseek-r1
"""

from __future__ import annotations

import re
from typing import Final

GENERIC: Final = (
    "Small and open models do best with short, direct sentences, one rule each, the most important first.",
    "They need the exact form of the answer spelled out, and do not guess what is meant.",
)
_FAMILIES: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    (
        "claude",
        r"claude",
        (
            "It follows explicit, complete instructions closely and does well when told why a rule is there.",
            "Sections in XML tags keep rules, context and the form of the answer apart.",
            "Saying what to do works better than saying what not to do.",
        ),
    ),
    (
        "gpt",
        # By their own names: GPT4All, GPT-J and Marco-o1 are others' models.
        r"(?<![a-z0-9])(?:chatgpt|gpt(?:-?(?:[3-9]|oss)|-latest|$)(?!all))"
        r"|(?:^|[.:])o[1-9](?![a-z0-9])|(?<![a-z0-9])o[1-9]-(?:mini|preview|pro)(?![a-z])",
        (
            "It takes instructions literally: one clear sentence about the wanted behaviour is enough.",
            "What is only implied may be left out; rules that conflict make its answers unsteady.",
        ),
    ),
    (
        "gemini",
        r"gemini",
        ("It prefers a short, direct task, with constraints and the form of the answer stated outright.",),
    ),
    (
        "gemma",
        r"gemma",
        ("It was trained without a system role: instructions belong in the user turn, above the input.",),
    ),
    (
        "llama",
        r"llama",
        (
            "Clear and concise instructions without jargon work best, with enough context for the task.",
            "Specific examples help it to see what kind of answer is expected.",
        ),
    ),
    (
        "mistral",
        r"(?:mi[sx]|pix|vox)tral|(?:mini|code|magi|dev)stral",
        (
            "It should be told its purpose first: the role and the task, in one sentence.",
            "General instructions may stand before the input in the user turn just as in a system message.",
        ),
    ),
    (
        "deepseek",
        r"deepseek",
        (
            "Its reasoning models are best given all instructions in the user turn, without a system prompt.",
            "State requirements outright, in plain language and marked sections; long prompts do it harm.",
        ),
    ),
    (
        "phi",
        r"\bphi(?![a-z])",
        ("It is small and made for the chat layout: simple, direct instructions suit it.",),
    ),
)


def family(model: str) -> str | None:
    """The family of a model, from the last part of its name (``provider/model``); None if it is not known.

    A distilled model goes by the family it was distilled from: it was taught that one's manner.
    """
    name = model.rpartition("/")[2].lower().replace("_", "-")
    if "distill" in name and "deepseek" in name:
        return "deepseek"
    found = [(m.start(), label) for label, pattern, _ in _FAMILIES if (m := re.search(pattern, name))]
    return min(found)[1] if found else None


def hints_for(model: str) -> tuple[str, ...]:
    """Sentences on the habits of ``model``'s family; general ones where it is not known."""
    label = family(model)
    return next((hints for name, _, hints in _FAMILIES if name == label), GENERIC)
