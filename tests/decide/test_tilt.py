from __future__ import annotations

from promptmigrate.decide import PairedRow, Rules, decide


def rows(*, lost: int, others: int = 0, count: int = 220) -> list[PairedRow]:
    """All answers right; ``lost`` rows lack the candidate's, ``others`` production's."""
    return [
        PairedRow(
            example=f"e{index:03}",
            cluster=f"e{index:03}",
            baseline=None if lost <= index < lost + others else 1.0,
            candidate=None if index < lost else 1.0,
        )
        for index in range(count)
    ]


def test_a_candidate_that_alone_fails_on_many_rows_is_not_promoted():
    verdict = decide(rows(lost=19), Rules(margin=0.05))
    assert verdict.verdict == "INCONCLUSIVE"
    assert verdict.missing.candidate == 19
    assert any(
        "19 rows could be measured under production but not under the candidate" in r for r in verdict.reasons
    )
    assert verdict.delta == 0.0


def test_failures_that_chance_explains_are_missing_data():
    assert decide(rows(lost=5), Rules(margin=0.05)).verdict == "PROMOTE"
    assert decide(rows(lost=9, others=8), Rules(margin=0.05)).verdict == "PROMOTE"


def test_a_wide_margin_bears_them_even_when_they_count_as_failed():
    assert decide(rows(lost=8), Rules(margin=0.12)).verdict == "PROMOTE"


def test_rows_that_production_lacks_are_no_doubt_about_the_candidate():
    assert decide(rows(lost=0, others=12), Rules(margin=0.05)).verdict == "PROMOTE"
