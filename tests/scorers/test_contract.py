"""All built-in scorers keep the contract that plug-ins have to keep."""

from typing import ClassVar

import scorers
from scorers import Answer, Sample
from scorers.testing import JudgeContract, ScorerContract


def answering(text):
    async def complete(question):
        return Answer(text=text)

    return complete


class TestExactMatch(ScorerContract):
    good = Sample(output="Paris\n", expected="Paris")
    bad = Sample(output="paris", expected="Paris")

    def make(self):
        return scorers.exact_match()


class TestExtract(ScorerContract):
    good = Sample(output="I think. So the answer is (B).", expected="(B)")
    bad = Sample(output="So the answer is (C).", expected="(B)")

    def make(self):
        return scorers.exact_match(extract="the answer is", ignore_case=True, name="after_marker")


class TestLabelMatch(ScorerContract):
    good = Sample(output="**Billing**.", expected="billing")
    bad = Sample(output="Delivery", expected="billing")

    def make(self):
        return scorers.label_match(labels=["billing", "delivery"])


class TestLabelFind(ScorerContract):
    good = Sample(output="It is about billing.", expected="billing")
    bad = Sample(output="It is about billing or delivery.", expected="billing")

    def make(self):
        return scorers.label_match(labels=["billing", "delivery"], find=True)


class TestContains(ScorerContract):
    good = Sample(output="We are Sorry", expected="sorry")
    bad = Sample(output="We are happy", expected="sorry")

    def make(self):
        return scorers.contains()


class TestContainsNone(ScorerContract):
    good = Sample(output="We are happy")
    bad = Sample(output="As an AI model, I")
    needs_expected = False

    def make(self):
        return scorers.contains(texts=["as an AI"], mode="none", whole_words=True)


class TestRegex(ScorerContract):
    good = Sample(output=" AB-12 ")
    bad = Sample(output="AB-12 or so")
    needs_expected = False

    def make(self):
        return scorers.regex(pattern=r"([A-Z]+)+-\d+", mode="full")


class TestRegexExpected(ScorerContract):
    good = Sample(output="see AB-12", expected=r"\bAB-\d\d\b")
    bad = Sample(output="see AB-1", expected=r"\bAB-\d\d\b")

    def make(self):
        return scorers.regex(multiline=True)


class TestJsonMatch(ScorerContract):
    good = Sample(output='{"a": 1.0, "b": ["x", "Y"]}', expected={"b": ["y", "x"], "a": 1})
    bad = Sample(output='```json\n{"a": 1}\n```', expected={"a": 1})

    def make(self):
        return scorers.json_match(ignore_order=True, ignore_case=True, tolerance=0.1)


class TestJsonMatchOrdered(ScorerContract):
    good = Sample(output='{"a": [1, {"b": null}]}', expected='{"a": [1, {"b": null}]}')
    bad = Sample(output='{"a": [0, {"b": 0}]}', expected='{"a": [1, {"b": null}]}')

    def make(self):
        return scorers.json_match(ignore=("c",), fields=["a"], metric="recall")


class TestNumericMatch(ScorerContract):
    good = Sample(output="3 boxes of 14 make 42 eggs.", expected=42)
    bad = Sample(output="#### 41", expected="42")

    def make(self):
        return scorers.numeric_match()


class TestNumericStrict(ScorerContract):
    good = Sample(output="1.234,5 €", expected=1234.5)
    bad = Sample(output="It is 1.234,5", expected=1234.5)

    def make(self):
        return scorers.numeric_match(strict=True, decimal_comma=True, tolerance=0.01)


class TestEquivalence(JudgeContract):
    good = Sample(output="  YES. ", expected="yes")
    bad = Sample(output="", expected="yes")
    answers: ClassVar = {"Same.\nVERDICT: EQUIVALENT": 1.0, '{"reason": "x", "verdict": "different"}': 0.0}

    def make(self):
        return scorers.equivalence(model="x/y", complete=answering("VERDICT: DIFFERENT"))


class TestCorrectness(JudgeContract):
    good = Sample(output="Paris", expected="Paris")
    bad = Sample(output="London", expected="Paris")
    answers: ClassVar = {"VERDICT: CORRECT": 1.0, "VERDICT: INCORRECT": 0.0}

    def make(self):
        return scorers.correctness(model="x/y", max_tokens=100, complete=answering("No. VERDICT: INCORRECT"))


class TestGuidelines(JudgeContract):
    good = Sample(output="Dear customer, thanks.")
    needs_expected = False
    answers: ClassVar = {
        "VERDICT 1: MET\nVERDICT 2: NOT_MET": 0.5,
        '{"verdicts": ["MET", "MET"]}': 1.0,
        '{"verdicts": {"1": "NOT_MET", "2": "not met"}}': 0.0,
    }

    def make(self):
        return scorers.guidelines(
            model="x/y",
            guidelines=["Is polite", "Is short"],
            complete=answering("VERDICT 1: MET\nVERDICT 2: MET"),
        )
