"""What is publicly known of a model family's habits: hints for the editor that rewrites a prompt for it.

From the vendors' own guides, in our words; what a hint is worth, the race decides.

- Claude: platform.claude.com/docs/en/build-with-claude/prompt-engineering/claude-prompting-best-practices
- GPT and the o-series: platform.openai.com/docs/guides/prompt-engineering, cookbook.openai.com/examples/gpt4-1_prompting_guide
- Gemini: ai.google.dev/gemini-api/docs/prompting-strategies
- Gemma: ai.google.dev/gemma/docs/core/prompt-structure
- Llama: www.llama.com/docs/how-to-guides/prompting
- Mistral: docs.mistral.ai/guides/prompting_capabilities
- Qwen: qwen.readthedocs.io/en/latest and the model cards of Qwen2.5 and Qwen3
- DeepSeek: github.com/deepseek-ai/DeepSeek-R1, usage recommendations
- Phi: the model card of huggingface.co/microsoft/phi-4
"""  # noqa: E501

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
        r"gpt|\bo[134](?![a-z0-9])|chatgpt",
        (
            "It takes instructions literally: one clear sentence about the wanted behaviour is enough.",
            "Contradictory or outdated rules cost it more than missing ones; where two conflict it tends to "
            "follow the later one.",
            "Headed sections (role, rules, form of the answer) help it; long explanations do not.",
        ),
    ),
    (
        "gemini",
        r"gemini",
        (
            "It prefers a short, direct task, with constraints and the form of the answer stated outright.",
            "A consistent layout and labels before each part help it; examples show it the form best.",
        ),
    ),
    (
        "gemma",
        r"gemma",
        (
            "It was trained without a system role: everything it must know should stand close to the input.",
            "Short instructions in plain sentences work best.",
        ),
    ),
    (
        "llama",
        r"llama",
        (
            "It likes explicit, detailed instructions with their restrictions stated, as a list of rules.",
            "It tends to add introductions and explanations: say plainly that only the answer is wanted.",
        ),
    ),
    (
        "mistral",
        r"mi[sx]tral|ministral|codestral|magistral",
        (
            "It wants the role, the task, then rules in a clear hierarchy with delimiters between parts.",
            "Vague or quantitative wording (such as too long) misleads it: give objective rules.",
        ),
    ),
    (
        "deepseek",
        r"deepseek",
        (
            "Its reasoning models are best given all instructions in the user turn, without a system prompt.",
            "For mathematics ask for step-by-step reasoning and a fixed place for the final answer.",
        ),
    ),
    (
        "qwen",
        r"qwen|qwq",
        (
            "Standardise its output by stating the exact form of the answer in the prompt.",
            "For mathematics ask for step-by-step reasoning and a fixed place for the final answer.",
        ),
    ),
    (
        "phi",
        r"\bphi(?![a-z])",
        (
            "It is small and does best with a chat layout, one task, and simple direct instructions.",
            "It knows few facts: give the domain knowledge that the task needs in the prompt.",
        ),
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
