"""Agreement, kappa, bias and the statistics below them, against scipy and scikit-learn and by simulation."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scorers
from scorers import Score, agreement, cohens_kappa, positional_bias
from scorers._stats import bootstrap, labels_for_share, pearson, slope, spearman, t_quantile, wilson

pytest.importorskip("scipy")


# --- against other libraries


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (1, 1), (7, 10), (200, 200), (399, 1000), (1, 10_000)])
def test_wilson_is_scipys(hits, n):
    from scipy.stats import binomtest

    found = wilson(hits, n)
    wanted = binomtest(hits, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == (
        pytest.approx(wanted.low, abs=1e-12),
        pytest.approx(wanted.high, abs=1e-12),
    )


@pytest.mark.parametrize("freedom", [1, 2, 3, 7.5, 30, 500])
@pytest.mark.parametrize("p", [0.01, 0.25, 0.6, 0.975, 0.9999])
def test_t_quantiles_are_scipys(p, freedom):
    from scipy.stats import t

    assert t_quantile(p, freedom) == pytest.approx(float(t.ppf(p, freedom)), rel=1e-8, abs=1e-10)


def test_slope_is_scipys_with_hc3_errors():
    import numpy
    from scipy.stats import linregress
    from scipy.stats import t as student

    chance = random.Random(1)
    x = [chance.uniform(0, 5) for _ in range(60)]
    y = [0.3 * v + chance.gauss(0, 0.2 + v) for v in x]
    found = slope(x, y)
    assert found.value == pytest.approx(linregress(x, y).slope)
    design = numpy.column_stack([numpy.ones(60), x])
    inverse = numpy.linalg.inv(design.T @ design)
    rest = numpy.asarray(y) - design @ inverse @ design.T @ numpy.asarray(y)
    leverage = numpy.einsum("ij,jk,ik->i", design, inverse, design)
    middle = (design * ((rest / (1 - leverage)) ** 2)[:, None]).T @ design
    half = student.ppf(0.975, 58) * math.sqrt((inverse @ middle @ inverse)[1, 1])
    assert (found.low, found.high) == (pytest.approx(found.value - half), pytest.approx(found.value + half))


def test_correlations_are_scipys():
    from scipy import stats

    chance = random.Random(2)
    x = [chance.randrange(5) for _ in range(50)]
    y = [v + chance.randrange(3) for v in x]
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y)[0])
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y)[0])
    assert spearman([1, 1], [2, 3]) is None


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_kappa_is_scikit_learns(weights, size):
    from sklearn.metrics import cohen_kappa_score

    chance = random.Random(size)
    a = [chance.randrange(size) for _ in range(150)]
    b = [v if chance.random() < 0.6 else chance.randrange(size) for v in a]
    wanted = cohen_kappa_score(a, b, weights=weights)
    assert cohens_kappa(a, b, weights=weights).value == pytest.approx(wanted)
    words = [f"label {v}" for v in a], [f"label {v}" for v in b]
    assert cohens_kappa(*words, weights=weights).value == pytest.approx(wanted)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("xyz")), min_size=1, max_size=40))
def test_kappa_is_scikit_learns_on_anything(pairs):
    import warnings

    from sklearn.metrics import cohen_kappa_score

    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    found = cohens_kappa(a, b)
    if len({*a, *b}) == 1:
        assert found.value is None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found.value == pytest.approx(float(cohen_kappa_score(a, b)))
    assert -1 <= found.low <= found.value + 1e-9 <= found.high + 2e-9 <= 1 + 2e-9


def test_the_large_sample_error_is_that_of_the_published_example():
    """Fleiss, Cohen and Everitt 1969, the table with n = 200: kappa 0.429, weighted 0.348."""
    from scorers._agreement import _alike, _kappa, _kappa_error

    table = [[53, 5, 2], [11, 14, 5], [1, 6, 3]]
    pairs = [(i, j) for i in range(3) for j in range(3) for _ in range(table[i][j] * 2)]
    assert _kappa(pairs, _alike([0, 1, 2], None)) == pytest.approx(0.429, abs=0.001)
    assert _kappa_error(pairs, _alike([0, 1, 2], None)) ** 2 == pytest.approx(0.002885, abs=0.00002)


# --- by simulation


def judged(chance, n, share, sensitivity, specificity):
    good = [chance.random() < share for _ in range(n)]
    return good, [chance.random() < sensitivity if g else chance.random() > specificity for g in good]


@pytest.mark.parametrize(
    ("n", "share", "sensitivity", "specificity"),
    [
        (40, 0.5, 0.9, 0.9),
        (80, 0.8, 0.93, 0.75),
        (60, 0.85, 0.95, 0.6),
        (60, 0.5, 0.98, 0.97),
    ],
)
def test_the_interval_of_kappa_covers_the_truth(n, share, sensitivity, specificity):
    alike = share * sensitivity + (1 - share) * specificity
    said = share * sensitivity + (1 - share) * (1 - specificity)
    by_chance = share * said + (1 - share) * (1 - said)
    truth = (alike - by_chance) / (1 - by_chance)
    chance = random.Random(3)
    found = [cohens_kappa(*judged(chance, n, share, sensitivity, specificity)) for _ in range(600)]
    determined = [f for f in found if f.value is not None]
    assert len(determined) > 590
    assert 0.9 <= sum(f.low <= truth <= f.high for f in determined) / len(determined) <= 0.985


def test_the_interval_of_the_slope_covers_the_truth_for_verdicts():
    chance = random.Random(4)
    hits = 0
    for _ in range(400):
        x = [chance.expovariate(1) for _ in range(60)]
        y = [float(chance.random() < min(0.9, 0.3 + 0.0 * v)) for v in x]
        found = slope(x, y)
        hits += found.low <= 0.0 <= found.high
    assert 0.925 <= hits / 400 <= 0.985


def test_the_bootstrap_over_groups_is_wider_than_rows_allow():
    chance = random.Random(5)
    rows = [
        (group, *pair) for group in range(15) for pair in [[(1, 1), (0, 0), (1, 0)][chance.randrange(3)]] * 12
    ]
    plain = cohens_kappa([a for _, a, _ in rows], [b for *_, b in rows])
    grouped = cohens_kappa([a for _, a, _ in rows], [b for *_, b in rows], groups=[g for g, *_ in rows])
    assert grouped.value == plain.value
    assert grouped.high - grouped.low > 1.8 * (plain.high - plain.low)
    again = cohens_kappa([a for _, a, _ in rows], [b for *_, b in rows], groups=[g for g, *_ in rows])
    assert again == grouped
    assert bootstrap([[1]], lambda rows: None, resamples=10, seed=0) is None


@pytest.mark.parametrize(("share", "half"), [(0.5, 0.05), (0.9, 0.03), (0.99, 0.01), (0.7, 0.2)])
def test_labels_needed_are_just_enough(share, half):
    n = labels_for_share(share, half)

    def width(m):
        found = wilson(share * m, m)
        return (found.high - found.low) / 2

    assert width(n) <= half < width(n - 1)


# --- agreement


def test_agreement_and_its_ties():
    a = ["A", "B", "tie", "A", None, "tie (inconsistent)"]
    b = ["A", "A", "B", "Tie", "A", "tie"]
    found = agreement(a, b)
    assert (found.value, found.n) == (0.4, 5)
    dropped = agreement(a, b, ties="drop")
    assert (dropped.value, dropped.n) == (0.5, 2)
    assert agreement([0.5, 1.0], [0.5, 1.0], ties="drop", tie=0.5).n == 1


def test_agreement_among_several_raters_counts_all_pairs():
    judge = ["A", "B"]
    people = [["A", "A", "B"], ["B"]]
    assert agreement(judge, people).value == 0.75
    assert agreement(people).n == 3
    assert agreement(people).value == pytest.approx(1 / 3)


def test_scores_are_verdicts_and_unscored_ones_are_left_out():
    one = [Score(name="a", value=1.0), Score(name="a", value=0.0), Score(name="a", unscored="off_menu")]
    two = [Score(name="b", value=1.0), Score(name="b", value=1.0), Score(name="b", value=1.0)]
    assert (agreement(one, two).value, agreement(one, two).n) == (0.5, 2)
    assert cohens_kappa(one, two).n == 2


def test_unequal_lengths_and_wrong_labels_are_refused():
    for call in (
        lambda: agreement([1], [1, 2]),
        lambda: cohens_kappa([1], []),
        lambda: cohens_kappa([1, 2], [1, 2], groups=[1]),
        lambda: cohens_kappa([1, 2], [1, 3], labels=[1, 2]),
        lambda: cohens_kappa([1, 2], [1, 3], weights="cubic"),
        lambda: positional_bias(["A"], []),
    ):
        with pytest.raises(ValueError, match=r"one entry per item|labels lacks|weights must"):
            call()


def test_perfect_agreement_on_few_rows_is_not_certain():
    found = cohens_kappa([1, 0] * 6, [1, 0] * 6)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low < 0.6
    assert agreement([], []).value is None
    assert math.isnan(float(agreement([], [])))


# --- order


@pytest.mark.parametrize(
    ("first", "second", "consistent", "primacy", "recency"),
    [
        ("A", "B", 1, 0, 0),
        ("B", "A", 1, 0, 0),
        ("C", "C", 1, 0, 0),
        ("A", "A", 0, 1, 0),
        ("B", "B", 0, 0, 1),
        ("A", "C", 0, 1, 0),
        ("C", "A", 0, 1, 0),
        ("B", "C", 0, 0, 1),
        ("C", "B", 0, 0, 1),
    ],
)
def test_all_nine_pairs_of_verdicts(first, second, consistent, primacy, recency):
    """As in Shi et al. 2024: AB, BA and CC are consistent, AA, AC and CA primacy, the rest recency."""
    found = positional_bias([first], [second])
    assert (found.consistent, found.primacy, found.recency) == (consistent, primacy, recency)
    assert found.preference == recency - primacy
    assert found.flip_rate == 1 - consistent


def test_order_of_verdicts_that_name_the_answer():
    found = positional_bias(["model_1", "model_1", "tie"], ["model_1", "model_2", "error"], named="answer")
    assert (found.n, found.invalid, found.consistent, found.primacy) == (2, 1, 1, 1)
    assert found.toward_first.value == 0.5
    read = {"left": "first", "right": "second"}.get
    assert positional_bias(["left"], ["right"], read=read).consistent == 1


# --- bias over scores


def test_models_and_their_families():
    assert scorers.model_families("openai/o3-mini") == {"openai"}
    assert scorers.model_families("bedrock/anthropic.claude-3-haiku") == {"anthropic"}
    assert scorers.model_families("together_ai/meta-llama/Llama-3.1-70B") == {"meta"}
    assert scorers.model_families("gemini/gemini-2.5-pro") == {"google"}
    assert scorers.model_families("acme/phoenix-1") == set()
    assert scorers.same_family("acme/phoenix-1", "other/phoenix-1") is True
    assert scorers.same_family("openai/gpt-5", "groq/llama-3.3-70b") is False
    assert scorers.same_family("openai/gpt-5", "acme/phoenix") is None


def test_bias_of_pairwise_scores():
    def pair(value, first, second, longer):
        evidence = {
            "first_order": first,
            "second_order": second,
            "flip": first == second,
            "same_family": True,
            "length_difference": longer,
            "judge": "openai/gpt-5",
        }
        return Score(name="p", value=value, evidence=evidence)

    scores = [
        pair(1.0, "first", "second", 900),
        pair(0.0, "second", "first", -400),
        pair(0.5, "first", "first", 100),
        pair(0.5, "second", "second", 50),
        Score(name="p", value=0.5, evidence={"flip": False}),
        Score(name="p", unscored="judge_failed"),
    ]
    found = scorers.bias(scores)
    assert (found.n, found.unscored, found.flip_rate.value, found.flip_rate.n) == (5, 1, 0.5, 4)
    assert (found.position.primacy, found.position.recency, found.same_family) == (1, 1, True)
    assert found.length_slope.value == pytest.approx(slope([0.9, -0.4, 0.1, 0.05], [1, 0, 0.5, 0.5]).value)
    assert scorers.bias(scores, judge="openai/gpt-5", candidate="mistral/mistral-small").same_family is False


def test_length_slope_finds_a_judge_that_likes_length():
    chance = random.Random(6)
    outputs = ["x" * chance.randrange(100, 3000) for _ in range(200)]
    labels = [float(chance.random() < 0.5) for _ in outputs]
    likes = [Score(name="j", value=float(chance.random() < len(o) / 3000)) for o in outputs]
    fair = [Score(name="j", value=label) for label in labels]
    assert scorers.length_slope(likes, outputs).low > 0.2
    assert scorers.length_slope(likes, outputs, labels=labels).low > 0.1
    assert scorers.length_slope(fair, outputs, labels=labels).value == 0.0
    with pytest.raises(ValueError, match="one entry per score"):
        scorers.length_slope(likes, outputs[:5])


def test_judges_tell_the_length_of_what_they_judged():
    from scorers import Answer, Sample

    judge = scorers.relevance(model="x/y")
    score = judge.conclude(Sample(output="12345", inputs={"q": "?"}), Answer(text="VERDICT: PARTLY"))
    assert score.evidence["output_chars"] == 5
