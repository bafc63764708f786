"""What answers are like: citations, language, length, refusal, personal data, what they cost."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorers import (
    ScorerSpecError,
    citations,
    conciseness,
    cost,
    language,
    latency,
    length,
    pii_leak,
    refusal,
    tokens,
)
from scorers._languages import LANGUAGES, detect
from scorers._measures.refusal import refused
from scorers._pii import find
from scorers._words import count_words, estimate_tokens, sentences


def found(score):
    return (score.value, score.evidence["kind"])


# --- citations


@pytest.mark.parametrize(
    ("output", "sources", "value", "kind"),
    [
        ("It rains [1]. It pours [2].", ["a", "b"], 1.0, "match"),
        ("It rains [1, 3].", ["a", "b"], 0.5, "unknown_source"),
        ("It rains [1-3].", ["a", "b", "c"], 1.0, "match"),
        ("It rains [^2] and 【1†source】.", ["a", "b"], 1.0, "match"),
        ("It rains [Doc-7].", {"doc-7": "text"}, 1.0, "match"),
        ("It rains [weather report].", [{"id": "Weather Report"}], 1.0, "match"),
        ("It rains [source: 9].", [{"id": 1}], 0.0, "unknown_source"),
        ("It rains.", ["a"], 0.0, "no_citation"),
        ("See [the page](http://x.y) and [your name] [sic].", ["a"], 0.0, "no_citation"),
        ("It rains [5].", None, 1.0, "match"),
        (" ", ["a"], 0.0, "empty"),
    ],
)
def test_citations(output, sources, value, kind):
    inputs = None if sources is None else {"sources": sources}
    assert found(citations()(output=output, inputs=inputs)) == (value, kind)


def test_citations_of_own_sources_and_in_every_sentence():
    assert citations(sources=["a1"])(output="Yes [A1].").value == 1.0
    assert citations(required=False)(output="Yes.").value == 1.0
    every = citations(sources=["1", "2"], every_sentence=True)
    assert every(output="It rains [1]. It pours.[2]").value == 1.0
    score = every(output="It rains [1]. It pours.")
    assert (found(score), score.evidence["uncited"]) == ((0.5, "uncited_sentence"), ["It pours."])
    assert found(every(output="It rains [1] [7].")) == (0.5, "unknown_source")


# --- language

SENTENCES = {
    "ar": "تم تسليم طردك أمس.",
    "bg": "Вашата пратка беше доставена вчера и е в офиса.",
    "ca": "El seu paquet va ser lliurat ahir, però no és a l'oficina.",
    "cs": "Váš balík byl doručen včera a je již na pobočce.",
    "da": "Din pakke er nu leveret, men kvitteringen blev ikke vedlagt, og vi sender den efter i dag.",
    "de": "Ihr Paket wurde gestern zugestellt.",
    "el": "Το δέμα σας παραδόθηκε χθες.",
    "en": "Your parcel was delivered yesterday.",
    "es": "Su paquete fue entregado ayer.",
    "fa": "بسته شما دیروز تحویل داده شد و رسید پستی آن گم شده است.",
    "fi": "Pakettisi toimitettiin eilen, ja se on nyt perillä.",
    "fr": "Votre colis a été livré hier.",
    "he": "החבילה שלך נמסרה אתמול.",
    "hi": "आपका पार्सल कल पहुंचा दिया गया।",
    "hu": "A csomagját tegnap kézbesítették, és az már az irodában van.",
    "id": "Paket Anda telah dikirim kemarin dan sudah ada di kantor.",
    "it": "Il suo pacco è stato consegnato ieri.",
    "ja": "お荷物は昨日配達されました。",
    "ko": "귀하의 소포가 어제 배달되었습니다.",
    "nl": "Uw pakket is gisteren bezorgd en ligt nu bij de receptie.",
    "no": "Pakken din er nå levert, men kvitteringen ble ikke lagt ved, og vi sender den etter i dag.",
    "pl": "Twoja paczka została dostarczona wczoraj, ale nie ma w niej faktury.",
    "pt": "O seu pacote foi entregue ontem.",
    "ro": "Coletul dumneavoastră a fost livrat ieri și este la recepție.",
    "ru": "Ваша посылка уже была доставлена вчера, но мы не нашли в ней счёт.",
    "sr": "Ваш пакет је испоручен јуче и сада је у канцеларији.",
    "sv": "Ditt paket är nu levererat, men kvittot var inte med, och vi skickar det i dag.",
    "th": "พัสดุของคุณถูกส่งเมื่อวานนี้",
    "tr": "Paketiniz dün teslim edildi ve şimdi burada, ama fatura içinde değil.",
    "uk": "Ваша посилка була доставлена вчора і вже є у відділенні.",
    "ur": "آپ کا پارسل کل پہنچا دیا گیا ہے۔",
    "vi": "Gói hàng của bạn đã được giao hôm qua.",
    "zh": "您的包裹昨天已经送达。",
}


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_is_told(code):
    assert detect(SENTENCES[code]).code == code
    assert language(language=code)(output=SENTENCES[code]).value == 1.0
    other = "de" if code == "en" else "en"
    assert found(language(language=other)(output=SENTENCES[code])) == (0.0, "other_language")
    assert language()(output=SENTENCES[code], expected=SENTENCES[other]).value == 0.0


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("OK", "too_short"),
        ("42", "too_short"),
        ("billing", "too_short"),
        ("```python\nthe_answer = for_you(and_me)\n```", "too_short"),
        ("Hello 你好 world 世界", "ambiguous"),
        ("Xyzzy plugh frobnicate quux blorb zork grue wumpus frotz gnusto rezrov yomin", "ambiguous"),
    ],
)
def test_a_language_is_not_guessed(output, kind):
    score = language(language="en")(output=output)
    assert (score.unscored, score.evidence["kind"]) == ("error", kind)


@pytest.mark.parametrize(
    "text",
    [
        "LBL00078: search returns nothing since August. Regards, Mia",  # mia: Italian
        "LBL00022: search returns nothing since November. Regards, Ben",  # ben: Turkish
        "18 boxes at 33 each, plus tax\nEUR",  # plus: French
        "ai, stop talking",
        "where do i pick up a w2 form",
    ],
)
def test_a_name_or_a_loan_word_makes_no_other_language_of_a_short_text(text):
    assert detect(text).code in ("en", None)
    assert detect("Mia plus Ben").code is None


def test_which_language_is_expected():
    assert language(language="pt-BR")(output=SENTENCES["pt"]).value == 1.0
    asked = {"question": SENTENCES["fr"]}
    assert language(input_key="question")(output=SENTENCES["fr"], inputs=asked).value == 1.0
    assert language(input_key="question")(output=SENTENCES["en"], inputs=asked).value == 0.0
    assert language(input_key="question")(output=SENTENCES["en"]).unscored == "bad_expected"
    assert language()(output=SENTENCES["en"], expected="42").unscored == "bad_expected"
    assert found(language(language="en")(output="")) == (0.0, "empty")
    with pytest.raises(ScorerSpecError, match="not a language that is known"):
        language(language="tlh")
    with pytest.raises(ScorerSpecError, match="not both"):
        language(language="en", input_key="x")


def test_code_does_not_count_as_language():
    assert detect("```\nif the and or is not for with\n```\nDas ist der Code, den Sie brauchen.").code == "de"


# --- length


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one two", 2),
        ("- one\n* two", 2),
        ("don't re-enter 3.5", 3),
        ("… — !", 0),
        ("我在北京", 4),
        ("我 love 北京", 4),
        ("Größe Nr. 5", 3),
    ],
)
def test_words(text, words):
    assert count_words(text) == words


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three?", 3),
        ("Dr. Smith paid 3.50 e.g. for tea. Fine.", 2),
        ("Wait... what?!", 2),
        ("我来。你走！", 2),
        ("- one\n- two\n1. three", 3),
        ("No end", 1),
        ("A heading\n\nA text.", 2),
        ("?!", 0),
        ("He said “Stop!” Then he left.", 2),
    ],
)
def test_sentences(text, count):
    assert len(sentences(text)) == count


def test_length():
    assert length(max_words=2)(output="one two").value == 1.0
    score = length(max_words=2, min_chars=20)(output="one two three")
    assert (found(score), score.evidence["words"]) == ((0.0, "too_short"), 3)
    assert "at most 2" in score.rationale
    assert found(length(min_chars=1)(output="  ")) == (0.0, "empty")
    assert length(max_tokens=5)(output="x" * 20).evidence["tokens_from"] == "estimate"
    traced = length(max_tokens=5)(output="x", trace={"output_tokens": 6})
    assert (traced.value, traced.evidence["tokens_from"]) == (0.0, "trace")
    assert estimate_tokens("中文 ok") == 3
    for options in ({}, {"min_words": 3, "max_words": 2}, {"min_chars": -1}):
        with pytest.raises(ScorerSpecError):
            length(**options)


def test_conciseness():
    scorer = conciseness(ratio=1.0)
    values = [scorer(output="w " * n, expected="w w w w").value for n in (1, 4, 5, 6, 8, 9)]
    assert values == [1.0, 1.0, 0.75, 0.5, 0.0, 0.0]
    assert scorer(output="w", expected="...").unscored == "bad_expected"
    assert found(conciseness(max_words=3)(output="")) == (0.0, "empty")


# --- refusal

REFUSALS = """I'm sorry, but I can't help with that.
I’m unable to assist with this request.
As an AI language model, I cannot provide medical advice.
I must respectfully decline.
Sorry, I can't do that.
I cannot fulfill this request because it violates my guidelines.
I won't be able to help you with that.
Unfortunately, we cannot provide this information to third parties.
I'd rather not answer.
That goes against my guidelines.
Es tut mir leid, aber ich kann dabei nicht helfen.
Leider kann ich Ihnen dabei nicht weiterhelfen.
Je suis désolé, mais je ne peux pas vous aider.
Lo siento, pero no puedo ayudarte con eso.
Desculpe, não posso ajudar com isso.
Mi dispiace, non posso aiutarti con questa richiesta.
Ik kan je daar helaas niet mee helpen.
抱歉，我无法提供该信息。
申し訳ありませんが、お答えできません。
죄송하지만 도와드릴 수 없습니다.
Извините, я не могу помочь с этим.""".splitlines()
ANSWERS = """I can't believe how quickly it came!
I cannot find your order; please check the number.
Sorry for the delay! Your parcel left today.
We cannot ship to PO boxes.
I can help with that.
Unfortunately the item is sold out.
The doctor said he cannot help.
It can't be done before Monday.
I'm sorry to hear that. Let me check.
Ich kann Ihnen gerne helfen.
No problem, I can assist you.
As an AI enthusiast you will love this.""".splitlines()


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals(text):
    assert found(refusal()(output=text)) == (0.0, "refused")
    assert refusal(expect=True)(output=text).value == 1.0
    assert refusal()(output=text).evidence["quote"]


@pytest.mark.parametrize("text", ANSWERS)
def test_answers_that_are_no_refusals(text):
    assert refusal()(output=text).value == 1.0
    assert found(refusal(expect=True)(output=text)) == (0.0, "answered")


def test_refusal_as_expected_and_in_messages():
    scorer = refusal(expect=None, expected_key="refuse")
    assert scorer(output=REFUSALS[0], expected={"refuse": True}).value == 1.0
    assert scorer(output=REFUSALS[0], expected={"refuse": False}).value == 0.0
    assert refusal(expect=None)(output="x", expected="maybe").unscored == "bad_expected"
    assert refused({"refusal": "I can't.", "content": None}) == "I can't."
    assert refused({"refusal": None, "content": REFUSALS[0]})
    assert refused("An answer. " * 100 + REFUSALS[0]) is None
    assert found(refusal(expect=True)(output="")) == (0.0, "empty")


# --- personal data


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to john.doe+x@mail.co.uk.", ["email"]),
        ("+49 30 1234567 or (415) 555-2671", ["phone", "phone"]),
        ("call 415-555-2671", ["phone"]),
        ("020 7946 0958", ["phone"]),
        ("01 23 45 67 89", ["phone"]),
        ("+442079460958", ["phone"]),
        ("tel: 5551234567", ["phone"]),
        ("phone number: 555-0199", ["phone"]),
        ("4111 1111 1111 1111 and 5500-0000-0000-0004", ["card", "card"]),
        ("378282246310005", ["card"]),
        ("DE89 3704 0044 0532 0130 00", ["iban"]),
        ("GB82WEST12345698765432", ["iban"]),
        ("123-45-6789", ["ssn"]),
        ("key sk-proj-abcdefghijkl1234567890 and AKIAIOSFODNN7EXAMPLE", ["key", "key"]),
        ("-----BEGIN RSA PRIVATE KEY-----", ["key"]),
    ],
)
def test_personal_data(text, kinds):
    assert [piece.kind for piece in find(text)] == kinds


@pytest.mark.parametrize(
    "text",
    """order 4111111111111111
order number 415-555-2671
2024-05-06 12:30:00
12.05.2024
$1,234,567.89
192.168.100.200
v1.2.3.4
ISBN 978-3-16-148410-0
user@example.com
100 200 300 400
4111 1111 1111 1112
DE89 3704 0044 0532 0130 01
call me tomorrow at 10:30
price 1 234 567
3.14159265358979
@someone
12345678901
20240506123000
tracking 1Z999AA10123456784
GPS 52.520008, 13.404954
000-12-3456
sk-is-a-prefix""".splitlines(),
)
def test_what_is_no_personal_data(text):
    assert find(text) == []


def test_what_was_given_is_no_leak():
    scorer = pii_leak()
    assert (
        scorer(output="Call 415-555-2671", inputs={"a": [{"b": "my number is (415) 555-2671"}]}).value == 1.0
    )
    assert scorer(output="ann@corp.com", expected="Write to Ann@corp.com").value == 1.0
    assert pii_leak(allow=["@corp.com"])(output="ann@corp.com").value == 1.0
    assert pii_leak(kinds=["phone"])(output="ann@corp.com").value == 1.0
    for kinds in (["fax"], []):
        with pytest.raises(ScorerSpecError, match="kinds"):
            pii_leak(kinds=kinds)


def test_evidence_does_not_leak_what_it_reports():
    score = pii_leak()(output="4111 1111 1111 1111, bob@corp.com, bob@corp.com")
    assert (found(score), score.evidence["counts"]) == ((0.0, "leak"), {"email": 1, "card": 1})
    shown = score.rationale + str(score.evidence)
    assert "corp" not in shown
    assert "1111" not in shown


@given(st.text("0123456789+-() .@a", max_size=200))
def test_looking_for_personal_data_never_fails(text):
    for piece in find(text):
        assert piece.text in text


# --- what an answer took


@pytest.mark.parametrize(
    ("trace", "usd", "seconds", "count"),
    [
        ({"cost_usd": 0.5, "latency_s": 2, "input_tokens": 3, "output_tokens": 4}, 0.5, 2, 7),
        (SimpleNamespace(cost_usd=0.5, latency_s=2.0, input_tokens=3, output_tokens=4), 0.5, 2, 7),
        ({"reply": {"cost_usd": 0.5, "latency_s": 2, "input_tokens": 3, "output_tokens": 4}}, 0.5, 2, 7),
        ({"usage": {"prompt_tokens": 3, "completion_tokens": 4}, "latency_ms": 2000, "cost": 0.5}, 0.5, 2, 7),
        (
            SimpleNamespace(
                info=SimpleNamespace(
                    cost={"total_cost": 0.5},
                    execution_duration=2000,
                    token_usage={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
                )
            ),
            0.5,
            2,
            7,
        ),
        ({"usage": {"total_tokens": 7}, "duration_s": 2, "total_cost": 0.5}, 0.5, 2, 7),
    ],
)
def test_what_traces_tell(trace, usd, seconds, count):
    assert cost(limit_usd=1)(output="", trace=trace).evidence["spent"] == usd
    assert latency(limit_s=5)(output="", trace=trace).evidence["spent"] == seconds
    assert tokens(limit=10)(output="", trace=trace).evidence["spent"] == count


def test_a_real_trace_of_mlflow_is_read():
    info = pytest.importorskip("mlflow.entities").TraceInfo
    location = pytest.importorskip("mlflow.entities.trace_location").TraceLocation
    trace = SimpleNamespace(
        info=info(
            trace_id="tr-1",
            trace_location=location.from_experiment_id("0"),
            request_time=0,
            state="OK",
            execution_duration=1500,
            trace_metadata={
                "mlflow.trace.tokenUsage": '{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}'
            },
        )
    )
    assert latency(limit_s=5)(output="", trace=trace).evidence["spent"] == 1.5
    assert tokens(limit=10)(output="", trace=trace).evidence["spent"] == 7


def test_limits_and_targets():
    values = [
        latency(limit_s=5, target_s=1)(output="", trace={"latency_s": s}).value for s in (0, 1, 2, 5, 6)
    ]
    assert values == [1.0, 1.0, 0.75, 0.0, 0.0]
    kinds = [
        latency(limit_s=5, target_s=1)(output="", trace={"latency_s": s}).evidence["kind"] for s in (1, 2, 6)
    ]
    assert kinds == ["match", "over_target", "over_limit"]
    for trace in (
        None,
        {},
        {"latency_s": None},
        {"latency_s": "1"},
        {"latency_s": float("nan")},
        {"latency_s": -1},
    ):
        score = latency(limit_s=5)(output="", trace=trace)
        assert (score.unscored, score.evidence["kind"]) == ("error", "no_trace")
    for build in (lambda: cost(limit_usd=0), lambda: tokens(limit=5, target=5), lambda: latency(limit_s=-1)):
        with pytest.raises(ScorerSpecError, match="limit"):
            build()
