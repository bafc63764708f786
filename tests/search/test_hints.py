import pytest

from promptmigrate.search import strategy
from promptmigrate.search.hints import GENERIC, family, hints_for

from . import world as worlds


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        ("anthropic/claude-haiku-4-5", "claude"),
        ("bedrock/anthropic.claude-3-haiku-20240307-v1:0", "claude"),
        ("openai/gpt-4.1-mini", "gpt"),
        ("azure/o3-mini", "gpt"),
        ("vertex_ai/gemini-2.5-flash", "gemini"),
        ("ollama/gemma3:4b", "gemma"),
        ("together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", "llama"),
        ("ollama/codellama", "llama"),
        ("mistral/ministral-8b-latest", "mistral"),
        ("mistral/open-mixtral-8x7b", "mistral"),
        ("deepseek/deepseek-chat", "deepseek"),
        ("groq/deepseek-r1-distill-llama-70b", "deepseek"),
        ("ollama/qwen2.5:7b", None),
        ("azure_ai/Phi-4-mini-instruct", "phi"),
        ("ollama/dolphin-mixtral", "mistral"),
        ("sim/triage-small", None),
        ("x/graphite-o1x", None),
        ("", None),
        ("gpt4all/gpt4all-13b-snoozy", None),
        ("ollama/gpt4all", None),
        ("eleutherai/gpt-j-6b", None),
        ("eleutherai/gpt-neox-20b", None),
        ("openai-community/gpt2", None),
        ("aidc-ai/marco-o1", None),
        ("skywork/skywork-o1-open-llama-3.1-8b", "llama"),
        ("azure/my-gpt-35-turbo", "gpt"),
        ("openai/gpt4o", "gpt"),
        ("openai/chatgpt-4o-latest", "gpt"),
        ("groq/openai/gpt-oss-120b", "gpt"),
        ("bedrock/openai.gpt-oss-20b-1:0", "gpt"),
        ("ft:gpt-4o-mini:acme::abc", "gpt"),
        ("openai/o1", "gpt"),
        ("openai/o1-preview-2024-09-12", "gpt"),
        ("openai/o4-mini-2025-04-16", "gpt"),
        ("azure/prod-o3-mini", "gpt"),
        ("mistral/devstral-small", "mistral"),
        ("mistral/pixtral-12b", "mistral"),
    ],
)
def test_the_family_is_read_from_the_name(model, wanted):
    assert family(model) == wanted
    assert (hints_for(model) == GENERIC) == (wanted is None)


def test_the_rewrite_for_the_family_is_one_call_and_races_like_all_others():
    world = worlds.tickets(clumsy=0.0)
    world.editor = lambda text, turn: "Sort the ticket. Only these: billing, bug, account, shipping."
    result = strategy("reflective").search(world.problem(500))
    asked = [text for text in world.requests if GENERIC[0] in text]
    assert len(asked) == 1 and asked[0] == world.requests[0]
    seeds = result.generations[0].candidates
    (hinted,) = [c for c in seeds if c.origin == "proposal (hints)"]
    assert "#### Inputs" not in asked[0]  # it has seen none of the rows that it is screened on
    assert hinted.rows > 0 and hinted.quality > 0.3 and hinted.fate in ("incumbent", "kept", "eliminated")


def test_a_small_budget_asks_for_no_rewrite():
    world = worlds.tickets()
    strategy("reflective").search(world.problem(100))
    assert not any(GENERIC[0] in text for text in world.requests)
