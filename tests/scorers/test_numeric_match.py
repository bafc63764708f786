from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorers import ScorerSpecError, numeric_match
from scorers._numbers import answer, numbers


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,2,3", [1, 2, 3]),
        ("1,234,567.89", [1234567.89]),
        ("1\u202f234 or 5'000 or 1_000", [1234, 5000, 1000]),
        ("12/05/2024", [12]),
        ("10-5", [10, 5]),
        ("10 - 5", [10, 5]),
        ("- 7 apples", [7]),
        ("−5 and (-6) and x=-7", [-5, -6, -7]),
        ("$-5 -$5.20 US$42 (USD)43", [-5, -5.2, 42, 43]),
        ("v2.0 GPT4 h2o", []),
        ("42km 2nd #5 .5", [42, 2, 5, 0.5]),
        ("1e5 1.5E-3", [100000.0, 0.0015]),
        ("3/4", [0.75]),
        ("1/0", []),
        ("$1.5 million", [1500000.0]),
        ("3-5 days", [3, 5]),
        ("end 42.", [42]),
        ("9" * 1000, []),
        ("12,34,567.5 ₹1,00,000", [1234567.5, 100000]),
        ("1.234,50 and 1,234.50", [1234.5, 1234.5]),
        ("1.5e3 1.5 × 10^3 2*10^-2 6x10² 6.02×10²³", [1500, 1500, 0.02, 600, 6.02e23]),
        ("2^10 cm^2 m^{2} 10^400 999^999", [1024]),
        ("1 1/2 cups, ½, 2¾ and in 2020 1/2 of 3 5/4", [1.5, 0.5, 2.75, 2020, 0.5, 3, 1.25]),
        ("EUR25 USD 26 BUSD27", [25, 26]),
        ("2 dozen, 3 hundred, 1.5 lakh, 2 crore", [24, 300, 150000, 20000000]),
    ],
)
def test_numbers_in_texts(text, values):
    assert [n.value for n in numbers(text)] == values


@pytest.mark.parametrize(
    ("text", "value", "how"),
    [
        ("6 * 7 = 42. #### 42", 42, "marked"),
        ("Answer: 42 of 50", 42, "marked"),
        ("The answer is: **42**.", 42, "marked"),
        ("\\boxed{42}", 42, "marked"),
        ("answer = 3 + 4 = 7", 7, "marked"),
        ("Answer: Tom has 42", 42, "marked"),
        ("answer is 1, no, answer is 2", 2, "marked"),
        ("Answer:\n\n42\n50", 42, "marked"),
        ("3 boxes of 14 make 42", 42, "last"),
        ("the answer eludes me", None, "last"),
    ],
)
def test_which_number_is_the_answer(text, value, how):
    found, found_how = answer(text)
    assert (found.value if found else None, found_how) == (value, how)


@pytest.mark.parametrize(
    ("output", "expected", "value", "kind"),
    [
        ("42", "42", 1.0, "match"),
        ("42.0", 42, 1.0, "match"),
        (42, "#### 42", 1.0, "match"),
        ("0.30000000000000004", 0.3, 1.0, "match"),
        ("12345678901234567891", 12345678901234567890, 0.0, "close"),
        ("-42", "42", 0.0, "sign"),
        ("4200", "42", 0.0, "scale"),
        ("42.1", "42", 0.0, "close"),
        ("50", "42", 0.0, "different"),
        ("many", "42", 0.0, "no_number"),
        ("", "42", 0.0, "empty"),
        (float("nan"), "42", 0.0, "no_number"),
        (True, 1, 0.0, "no_number"),
        ("12%", "12", 1.0, "match"),
        ("12%", "0.12", 1.0, "match"),
        ("12%", "12%", 1.0, "match"),
        ("0.12%", "12%", 0.0, "scale"),
        ("Net loss: (1,234)", -1234, 1.0, "match"),
        ("($1,234.50)", "-1234.5", 1.0, "match"),
        ("(500)", 500, 1.0, "match"),
        ("| (500) |", "(500)", 1.0, "match"),
        ("six apples (6)", -6, 0.0, "sign"),
        ("(500)", "(400)", 0.0, "different"),
        ("$2.5M", 2500000, 1.0, "match"),
        ("2.5k", "2.5M", 0.0, "scale"),
        ("5m", 5, 1.0, "match"),
        ("2 bn", 2e9, 1.0, "match"),
        ("50 bps", 0.005, 1.0, "match"),
        ("\\boxed{\\frac{3}{4}}", 0.75, 1.0, "match"),
        ("$-1\\dfrac{1}{2}$", -1.5, 1.0, "match"),
        ("1{,}234\\,567", 1234567, 1.0, "match"),
        ("1.5 \\times 10^{3}", 1500, 1.0, "match"),
        ("42\\%", "0.42", 1.0, "match"),
    ],
)
def test_numeric_match(output, expected, value, kind):
    score = numeric_match()(output=output, expected=expected)
    assert (score.value, score.evidence["kind"]) == (value, kind)


@pytest.mark.parametrize("expected", ["none", "", True, float("nan"), float("inf"), {"a": 1}])
def test_expected_that_is_no_number(expected):
    assert numeric_match()(output="42", expected=expected).unscored == "bad_expected"


def test_tolerances():
    assert numeric_match(tolerance=0.5)(output="42.5", expected=42).value == 1.0
    assert numeric_match(tolerance=0.5)(output="42.6", expected=42).value == 0.0
    assert numeric_match(relative_tolerance=0.01)(output="101", expected=100).value == 1.0
    assert numeric_match(relative_tolerance=0.01)(output="102", expected=100).value == 0.0
    with pytest.raises(ScorerSpecError, match="negative"):
        numeric_match(tolerance=-1)


def test_strict_and_decimal_comma():
    strict = numeric_match(strict=True)
    assert strict(output=" $1,200.00. ", expected=1200).value == 1.0
    assert strict(output="12 %", expected=12).value == 1.0
    assert strict(output="It is 42", expected=42).evidence["kind"] == "not_a_number"
    for text in ("1.234,50 €", "1 234,50 €", "1,234.50"):
        assert numeric_match(decimal_comma=True)(output=text, expected=1234.5).value == 1.0


def test_own_marker():
    assert numeric_match(marker="Total")(output="Total 42, of which 3 are bad", expected=42).value == 1.0


@given(st.integers(-(10**15), 10**15))
def test_every_integer_is_found_however_it_is_written(number):
    for text in (
        str(number),
        f"{number:,}",
        f"So the answer is {number:,}.",
        f"costs ${number}",
        f"{number} km",
    ):
        assert numeric_match()(output=text, expected=number).value == 1.0


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_every_float_is_found(number):
    assert numeric_match()(output=f"x = {number!r}", expected=number).value == 1.0


@given(st.text("0123456789.,-+/%$ eE#kxm^{}\\()½²\u00a0'_", max_size=60))
def test_no_text_breaks_it(text):
    assert numeric_match()(output=text, expected=1).value in (0.0, 1.0)
    assert numeric_match(strict=True, decimal_comma=True)(output=text, expected=1).value in (0.0, 1.0)


@pytest.mark.parametrize(
    ("output", "expected", "value"),
    [
        (np.int64(5), 5, 1.0),
        (5, np.float32(5), 1.0),
        ("5.5", Decimal("5.5"), 1.0),
        (Decimal("5.5"), Fraction(11, 2), 1.0),
        (np.float64("nan"), 5, 0.0),
        (np.True_, 1, 0.0),
        (Fraction(1, 3), "2/3", 0.0),
    ],
)
def test_numbers_of_other_libraries(output, expected, value):
    assert numeric_match()(output=output, expected=expected).value == value
