import asyncio
import importlib.util
import json
import math
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorers import (
    ScorerSpecError,
    _embed,
    _similarity,
    bleu,
    chrf,
    ends_with,
    levenshtein,
    rouge_l,
    semantic_similarity,
    starts_with,
    token_f1,
)
from scorers._similarity import common_subsequence, cosine, distance_by_bits, edit_distance

WORDS = st.lists(
    st.sampled_from(
        [
            "the",
            "cat",
            "3,000",
            "-",
            "1.5",
            "(hi)",
            "&amp;",
            "U.S.",
            "don't",
            "2-3",
            "foo_bar",
            "\n",
            ",x",
            ".",
        ]
    ),
    min_size=1,
    max_size=14,
).map(" ".join)
SHORT = st.text(alphabet="abc", max_size=80)


def table(a, b, step):
    row = list(range(len(b) + 1)) if step == "distance" else [0] * (len(b) + 1)
    for i, x in enumerate(a):
        new = [i + 1 if step == "distance" else 0]
        for j, y in enumerate(b):
            if step == "distance":
                new.append(min(row[j] + (x != y), row[j + 1] + 1, new[j] + 1))
            else:
                new.append(row[j] + 1 if x == y else max(row[j + 1], new[j]))
        row = new
    return row[-1]


@given(SHORT, SHORT)
def test_edit_distance_is_that_of_the_textbook(a, b):
    assert edit_distance(a, b) == table(a, b, "distance")
    if a and b:
        assert distance_by_bits(a, b) == table(a, b, "distance")


@given(SHORT, SHORT)
def test_common_subsequence_is_that_of_the_textbook(a, b):
    assert common_subsequence(a, b) == table(a, b, "subsequence") == common_subsequence(list(b), list(a))


@pytest.mark.skipif(not importlib.util.find_spec("rapidfuzz"), reason="rapidfuzz is not installed")
@settings(deadline=None)
@given(st.text(max_size=200), st.text(max_size=200))
def test_with_and_without_rapidfuzz_the_same(a, b):
    if a and b:
        assert distance_by_bits(a, b) == edit_distance(a, b)


@pytest.mark.skipif(not importlib.util.find_spec("sacrebleu"), reason="sacrebleu is not installed")
@settings(deadline=None)
@given(WORDS, WORDS, WORDS)
def test_bleu_and_chrf_are_those_of_sacrebleu(output, a, b):
    from sacrebleu.metrics import BLEU, CHRF

    if output.strip() and a.strip() and b.strip():
        for tokenize in ("13a", "char", "none", "zh", "intl"):
            theirs = BLEU(effective_order=True, tokenize=tokenize).sentence_score(output, [a, b]).score / 100
            ours = bleu(tokenize=tokenize)(output=output, expected=[a, b]).value
            assert ours == pytest.approx(theirs, abs=1e-9)
        for words in (0, 2):
            theirs = CHRF(word_order=words).sentence_score(output, [a, b]).score / 100
            assert chrf(words=words)(output=output, expected=[a, b]).value == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(
    ("output", "references", "value"),
    # sacreBLEU 2.6.0, sentence_score with effective_order
    [
        ("The cat sat on the mat.", ["The cat is on the mat."], 0.4889230224349009),
        ("The dog bit the man.", ["The dog bit the guy.", "The dog had bit the man."], 0.9036020036098453),
        ("It costs $3,000 (U.S.)", ["It costs 3,000 dollars"], 0.092875289995668),
        ("cat", ["cat"], 1.0),
        ("cat", ["dog"], 0.0),
    ],
)
def test_bleu_as_recorded(output, references, value):
    assert bleu()(output=output, expected=references).value == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(
    ("words", "value"),
    [(0, 0.6717273492330232), (2, 0.6943695278069348)],  # sacreBLEU 2.6.0
)
def test_chrf_as_recorded(words, value):
    score = chrf(words=words)(output="The cat sat on the mat.", expected="The cat is on the mat.")
    assert score.value == pytest.approx(value, abs=1e-9)


@pytest.mark.skipif(not importlib.util.find_spec("rouge_score"), reason="rouge_score is not installed")
@settings(deadline=None)
@given(WORDS, WORDS)
def test_rouge_l_is_that_of_google(output, reference):
    from rouge_score.rouge_scorer import RougeScorer

    if any(map(str.isalnum, output + reference)):
        theirs = RougeScorer(["rougeL"]).score(reference, output)["rougeL"].fmeasure
        assert rouge_l()(output=output, expected=reference).value == pytest.approx(theirs, abs=1e-9)


def test_rouge_l_counts_words_of_every_script():
    assert rouge_l()(output="Müller wohnt hier", expected="Müller wohnt dort").value == pytest.approx(2 / 3)
    assert rouge_l()(output="我在北京", expected="我在上海").value == pytest.approx(0.5)
    assert rouge_l()(output="?!", expected="...").value == 0.0


@pytest.mark.parametrize(
    ("output", "expected", "value"),
    [
        ("The Eiffel Tower!", "eiffel tower", 1.0),
        ("Paris Paris", "Paris", 2 / 3),
        ("Rome", "Paris", 0.0),
        ("北京市", "北京", 0.8),
        ("", "Paris", 0.0),
    ],
)
def test_token_f1(output, expected, value):
    assert token_f1()(output=output, expected=expected).value == pytest.approx(value)


def test_the_closest_reference_counts():
    score = levenshtein()(output="cat", expected=["dog", "cart", "cut"])
    assert (score.value, score.evidence["reference"], score.evidence["distance"]) == (0.75, 1, 1)
    assert levenshtein()(output="cat", expected=[]).unscored == "bad_expected"


def test_kinds_and_threshold():
    kinds = [
        levenshtein()(output=output, expected="abcd").evidence["kind"]
        for output in ("abcd", "abxx", "xxxx", " ")
    ]
    assert kinds == ["match", "partial", "different", "empty"]
    near = levenshtein(threshold=0.5)
    assert (near(output="abxx", expected="abcd").value, near(output="axxx", expected="abcd").value) == (
        1.0,
        0.0,
    )
    assert "below 0.5" in near(output="axxx", expected="abcd").rationale
    for wrong in (0, 1.5):
        with pytest.raises(ScorerSpecError, match="threshold"):
            levenshtein(threshold=wrong)


def test_what_is_too_long_is_unscored(monkeypatch):
    monkeypatch.setattr(_similarity, "MAX_CELLS", 100)
    for scorer in (levenshtein(), rouge_l()):
        assert scorer(output="a b " * 50, expected="c d " * 50).unscored == "timeout"
        assert scorer(output="a b " * 50 + "c", expected="a b " * 50 + "d").value > 0.9
    assert chrf()(output="a" * 400_000, expected="b").unscored == "timeout"
    assert bleu()(output="a " * 300_000, expected="b").unscored == "timeout"


def test_a_missing_package_is_named():
    if not importlib.util.find_spec("sacrebleu"):
        with pytest.raises(ScorerSpecError, match=r"pip install 'promptmigrate\[text\]'"):
            bleu(tokenize="zh")
    if not importlib.util.find_spec("sentence_transformers"):
        with pytest.raises(ScorerSpecError, match=r"pip install 'promptmigrate\[embeddings\]'"):
            semantic_similarity(local_model="x")


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_text_is_itself_and_no_value_is_out_of_range(a, b):
    for scorer in (levenshtein(), token_f1(), rouge_l(), bleu(), chrf(), chrf(words=2)):
        assert 0.0 <= scorer(output=a, expected=b).value <= 1.0
        assert scorer(output=a, expected=a).value == 1.0 or not a.strip()


# --- embeddings


def letters(texts):
    return [[text.count("a"), text.count("b"), -text.count("c")] for text in texts]


def test_semantic_similarity():
    scorer = semantic_similarity(embed=letters)
    assert scorer(output="ab", expected="ba").value == pytest.approx(1.0)
    assert scorer(output="a", expected="b").value == 0.0
    assert scorer(output="ab", expected=["c", "a"]).value == pytest.approx(math.sqrt(0.5))
    assert semantic_similarity(embed=letters, threshold=0.9)(output="aab", expected="ab").value == 1.0
    assert semantic_similarity()(output="a", expected="b").evidence["kind"] == "no_embed"
    assert "pass embed=" in semantic_similarity()(output="a", expected="b").rationale


@pytest.mark.parametrize("vectors", [[[1.0]], [[1.0], [1.0, 2.0]], [[1.0], [math.nan]], [[], []]])
def test_embeddings_that_cannot_be_compared_are_unscored(vectors):
    assert semantic_similarity(embed=lambda texts: vectors)(output="a", expected="b").unscored == "error"


def test_which_model_embeds():
    with pytest.raises(ScorerSpecError, match="must be provider/name"):
        semantic_similarity(model="all-MiniLM-L6-v2")
    with pytest.raises(ScorerSpecError, match="not both"):
        semantic_similarity(model="a/b", local_model="c")


@pytest.fixture
def modules(monkeypatch):
    found = {}
    monkeypatch.setattr(_embed, "module", found.get)
    monkeypatch.setattr(_embed, "open_door", lambda: found.get("door"))
    for ask in (_embed._ask_door, _embed._ask_litellm):
        ask.cache_clear()
    yield found
    for ask in (_embed._ask_door, _embed._ask_litellm):
        ask.cache_clear()


def test_by_name_the_door_is_asked(modules):
    asked = []

    class Door:
        async def acomplete(self, request):
            asked.append(request)
            if request.messages[0]["content"] == "fail":
                return SimpleNamespace(answered=False, kind="timeout", error="sent nothing")
            return SimpleNamespace(
                answered=True, text=json.dumps(letters([request.messages[0]["content"]])[0])
            )

        def run(self, coroutine):
            return asyncio.run(coroutine)

        def close(self):
            pass

    modules["door"] = Door()
    modules["promptmigrate.types"] = SimpleNamespace(Request=SimpleNamespace)
    scorer = semantic_similarity(model="openai/small")
    assert scorer(output="ab", expected="ba").value == pytest.approx(1.0)
    assert [(r.model, r.messages[0]["role"], r.purpose) for r in asked] == [
        ("openai/small", "embed", "judge")
    ] * 2
    failed = scorer(output="fail", expected="ba")
    assert (failed.unscored, failed.rationale) == ("judge_failed", "timeout: sent nothing")


def test_without_promptmigrate_litellm_is_asked_and_without_both_it_says_so(modules):
    scorer = semantic_similarity(model="openai/small")
    assert "pass embed=" in scorer(output="a", expected="b").rationale

    def embedding(*, model, input, **options):  # noqa: A002 - as LiteLLM calls it
        if "fail" in input:
            raise RuntimeError("no such model")
        rows = [{"index": i, "embedding": vector} for i, vector in enumerate(letters(input))]
        return SimpleNamespace(data=rows[::-1])

    _embed._ask_litellm.cache_clear()
    modules["litellm"] = SimpleNamespace(embedding=embedding)
    assert scorer(output="aab", expected="b").value == pytest.approx(1 / math.sqrt(5))
    assert scorer(output="fail", expected="b").rationale == "RuntimeError: no such model"


def test_cosine():
    assert cosine([1, 0], [1, 1]) == pytest.approx(math.sqrt(0.5))
    assert cosine([0, 0], [1, 1]) == 0.0


# --- starts and ends


@pytest.mark.parametrize(
    ("scorer", "output", "value"),
    [
        (starts_with(texts=["straße"]), "STRASSE 12", 1.0),
        (starts_with(texts=["café"]), "cafe\u0301 noir", 1.0),
        (starts_with(texts=["Dear"], ignore_case=False), "dear Ann", 0.0),
        (starts_with(texts=["a"], strip=False), " a", 0.0),
        (ends_with(texts=["?", "!"]), "Really!\n", 1.0),
        (ends_with(texts=["end"]), "endless", 0.0),
        (ends_with(texts=["end"]), "", 0.0),
    ],
)
def test_starts_and_ends(scorer, output, value):
    assert scorer(output=output).value == value


def test_starts_with_what_is_expected():
    assert starts_with()(output="Hello Ann", expected=["Dear", "Hello"]).evidence["found"] == "Hello"
    assert starts_with()(output="Hello", expected="").unscored == "bad_expected"
    with pytest.raises(ScorerSpecError, match="empty"):
        ends_with(texts=[])
