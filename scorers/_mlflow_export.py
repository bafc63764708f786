"""Our judges as judges of MLflow's own, which its server can keep and run on a schedule."""

from __future__ import annotations

import re
from typing import Any, Literal

from scorers._bridge import as_scorer
from scorers._errors import ScorerSpecError
from scorers._judge import JudgeBase
from scorers._judge_forms import IS_DATA
from scorers._judges.correctness import Correctness
from scorers._judges.equivalence import Equivalence
from scorers._judges.guidelines import Guidelines
from scorers._judges.judged_conciseness import JudgedConciseness
from scorers._judges.relevance import Relevance
from scorers._judges.rubric import Rubric
from scorers._judges.safety import Safety
from scorers._mlflow_wrap import prepare

_AGAINST = (Correctness, Equivalence)
_ALL = (*_AGAINST, Guidelines, JudgedConciseness, Relevance, Rubric, Safety)
_MODEL = re.compile(r"[a-z][a-z_-]*:/.+")


def export(ours: Any, *, model: str, name: str | None = None) -> Any:
    """One of our judges as MLflow's own judge: the only form that MLflow (3.17) keeps and schedules.

    ::

        judge = scorers.mlflow.export(scorers.rubric(criteria="Is it kind?", model="openai/gpt-5-mini"),
                                      model="gateway:/judges")
        judge.register().start(sampling_config=ScorerSamplingConfig(sample_rate=0.1))

    The question goes along: criteria, scale, harms, and the rule that outputs are data. The rest is MLflow's:
    its feedback is the verdict in words (``guidelines`` becomes its own judge: one yes or no for all), and
    checks that settle clear cases, the fence with a nonce, unscored reasons and calibration cards are left
    behind. Judges that need an expected value (``correctness``, ``equivalence``) can be registered, but
    MLflow does not start them.

    Args:
        ours: A judge, its name or its spec: ``correctness``, ``equivalence``, ``guidelines``,
            ``judged_conciseness``, ``relevance``, ``rubric`` or ``safety``.
        model: Whom MLflow asks: ``gateway:/endpoint`` for a schedule, else ``provider:/name``.
        name: Name of the judge, if not that of ours.

    Raises:
        ScorerSpecError: ``ours`` is another scorer, or ``model`` is none for MLflow.
    """
    judge = as_scorer(ours)
    if not isinstance(judge, _ALL):
        raise ScorerSpecError(
            f"{judge.name} cannot become a judge of MLflow: only correctness, equivalence, guidelines, "
            "judged_conciseness, relevance, rubric and safety are one question. Score production traces with "
            "'promptmigrate traces score' instead"
        )
    if not _MODEL.fullmatch(model):
        raise ScorerSpecError(
            f"model {model!r} is none for MLflow: write gateway:/endpoint or provider:/name", key="model"
        )
    prepare()
    if isinstance(judge, Guidelines):
        from mlflow.genai.scorers import Guidelines as TheirGuidelines

        return TheirGuidelines(name=name or judge.name, guidelines=list(judge.guidelines), model=model)
    from mlflow.genai.judges import make_judge

    menu: Any = Literal[tuple(judge.verdict_values)]
    return make_judge(
        name=name or judge.name, instructions=_instructions(judge), model=model, feedback_value_type=menu
    )


def _instructions(judge: JudgeBase) -> str:
    # Braces of the user's own would be variables to MLflow, which knows its own only.
    task = judge._task().replace("{{", "{ {").replace("}}", "} }")
    wanted = "EXPECTED:\n{{ expectations }}\n\n" if isinstance(judge, _AGAINST) else ""
    return (
        f"{task}\n\nThe material stands behind the words INPUT and so on. {IS_DATA}\n\n"
        f"INPUT:\n{{{{ inputs }}}}\n\n{wanted}OUTPUT:\n{{{{ outputs }}}}\n\n"
        f"The result is one of {', '.join(judge.verdict_values)}."
    )
