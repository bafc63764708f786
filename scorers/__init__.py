"""Scorers for the outputs of language models: broad, exact, and honest about what could not be scored.

A scorer is a frozen dataclass that is called on one output::

    >>> import scorers
    >>> scorers.label_match()(output="**Billing**", expected="billing").value
    1.0

Importing this package needs the standard library only; each scorer is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scorers._builtin import LAZY
from scorers._types import Answer, Complete, Judge, Question, Sample, Score, Scorer, UnscoredReason

if TYPE_CHECKING:
    from scorers._agreement import agreement, cohens_kappa
    from scorers._bias import Bias, bias, flip_rate, length_slope, model_families, same_family
    from scorers._calibration import calibrate, calibrate_async
    from scorers._card import Calibration, load_card
    from scorers._checks import Check
    from scorers._complete import response_format, set_default_complete
    from scorers._contract import mine_contract
    from scorers._deliberate import Deliberation, deliberate, models_of, most_questions, run_judge
    from scorers._errors import NoCompleteError, ScorerSpecError
    from scorers._fingerprint import fingerprint
    from scorers._judges.completeness import Completeness, completeness
    from scorers._judges.correctness import Correctness, correctness
    from scorers._judges.equivalence import Equivalence, equivalence
    from scorers._judges.faithfulness import Faithfulness, faithfulness
    from scorers._judges.guidelines import Guidelines, guidelines
    from scorers._judges.instruction_following import InstructionFollowing, instruction_following
    from scorers._judges.judged_conciseness import JudgedConciseness, judged_conciseness
    from scorers._judges.pairwise import Pairwise, pairwise
    from scorers._judges.panel import Panel, panel
    from scorers._judges.relevance import Relevance, relevance
    from scorers._judges.rubric import Rubric, rubric
    from scorers._judges.safety import Safety, safety
    from scorers._judges.summary_quality import SummaryQuality, summary_quality
    from scorers._labelled import Labelled, load_labelled
    from scorers._measures.affixes import EndsWith, StartsWith, ends_with, starts_with
    from scorers._measures.bleu import Bleu, bleu
    from scorers._measures.chrf import Chrf, chrf
    from scorers._measures.citations import Citations, citations
    from scorers._measures.code_compiles import CodeCompiles, code_compiles
    from scorers._measures.conciseness import Conciseness, conciseness
    from scorers._measures.contains import Contains, contains
    from scorers._measures.csv_valid import CsvValid, csv_valid
    from scorers._measures.exact_match import ExactMatch, exact_match
    from scorers._measures.format_contract import FormatContract, format_contract
    from scorers._measures.json_match import JsonMatch, json_match
    from scorers._measures.json_schema import JsonSchema, json_schema
    from scorers._measures.json_valid import JsonValid, json_valid
    from scorers._measures.label_match import LabelMatch, label_match, mine_labels
    from scorers._measures.language import Language, language
    from scorers._measures.length import Length, length
    from scorers._measures.levenshtein import Levenshtein, levenshtein
    from scorers._measures.numeric_match import NumericMatch, numeric_match
    from scorers._measures.pii_leak import PiiLeak, pii_leak
    from scorers._measures.refusal import Refusal, refusal
    from scorers._measures.regex import Regex, regex
    from scorers._measures.rouge_l import RougeL, rouge_l
    from scorers._measures.semantic_similarity import SemanticSimilarity, semantic_similarity
    from scorers._measures.spending import Cost, Latency, Tokens, cost, latency, tokens
    from scorers._measures.token_f1 import TokenF1, token_f1
    from scorers._measures.tool_calls import ToolCalls, tool_calls
    from scorers._measures.xml_valid import XmlValid, xml_valid
    from scorers._measures.yaml_valid import YamlValid, yaml_valid
    from scorers._position import PositionalBias, positional_bias
    from scorers._registry import from_spec, names, to_spec
    from scorers._stats import Estimate
    from scorers._traces import score_traces

__all__ = [
    "Answer", "Bias", "Bleu", "Calibration", "Check", "Chrf", "Citations", "CodeCompiles", "Complete",
    "Completeness", "Conciseness", "Contains", "Correctness", "Cost", "CsvValid", "Deliberation",
    "EndsWith", "Equivalence", "Estimate", "ExactMatch", "Faithfulness", "FormatContract", "Guidelines",
    "InstructionFollowing", "JsonMatch", "JsonSchema", "JsonValid", "Judge", "JudgedConciseness",
    "LabelMatch", "Labelled", "Language", "Latency", "Length", "Levenshtein", "NoCompleteError",
    "NumericMatch", "Pairwise", "Panel", "PiiLeak", "PositionalBias", "Question", "Refusal", "Regex",
    "Relevance", "RougeL", "Rubric", "Safety", "Sample", "Score", "Scorer", "ScorerSpecError",
    "SemanticSimilarity", "StartsWith", "SummaryQuality", "TokenF1", "Tokens", "ToolCalls",
    "UnscoredReason", "XmlValid", "YamlValid", "agreement", "bias", "bleu", "calibrate",
    "calibrate_async", "chrf", "citations", "code_compiles", "cohens_kappa", "completeness",
    "conciseness", "contains", "correctness", "cost", "csv_valid", "deliberate", "ends_with",
    "equivalence", "exact_match", "faithfulness", "fingerprint", "flip_rate", "format_contract",
    "from_spec", "guidelines", "instruction_following", "json_match", "json_schema", "json_valid",
    "judged_conciseness", "label_match", "language", "latency", "length", "length_slope", "levenshtein",
    "load_card", "load_labelled", "mine_contract", "mine_labels", "model_families", "models_of",
    "most_questions", "names", "numeric_match", "pairwise", "panel", "pii_leak", "positional_bias",
    "refusal", "regex", "relevance", "response_format", "rouge_l", "rubric", "run_judge", "safety",
    "same_family", "score_traces", "semantic_similarity", "set_default_complete", "starts_with",
    "summary_quality", "to_spec", "token_f1", "tokens", "tool_calls", "xml_valid", "yaml_valid",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = LAZY[name]
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
