"""Which language a text is written in: by its script, and where several share one, by its commonest words.

Meant for answers of a sentence or more. What is too short, or too near to another language, is not guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Literal

_READ = 20_000
"""Characters that are looked at."""

_LATIN: dict[str, str] = {
    "en": "the of and to in is that it was for on are as with his they at be this have from or had "
    "by but not what "
    "all were we when your can there an which she do how their if will about then them would these "
    "her him has "
    "more could no than been who its now only may after other our you my i please thank thanks hello "
    "yes any here me us cannot can't don't doesn't i'm i've it's that's what's since does did where why into "
    "still again should need want get got just because being too each most such until while show tell",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es "
    "an werden aus er "
    "hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder "
    "aber vor zur "
    "bis mehr durch man sein wurde ich wir ihr ihre ihnen kann können keine kein wenn unter diese "
    "dieser bitte danke "
    "hallo ja nein was mein unser unsere hier",
    "fr": "de la le et les des en un du une que est pour qui dans par sur pas plus au avec il ce ne "
    "se sont ou mais "
    "comme nous vous ils elle leur cette ces aux être ont été son sa ses fait tout je si même aussi "
    "sans très peut "
    "votre notre vos nos bonjour merci oui non mon ma mes c'est d'un d'une n'est qu'il l'on où",
    "es": "de la que el en y a los se del las un por con no una su para es al lo como más o pero sus "
    "le ha me si sin "
    "sobre este ya entre cuando todo esta ser son también fue había era muy hasta desde está mi "
    "porque qué han yo hay "
    "puede todos así nos ni tiene uno donde usted hola gracias sí nuestro nuestra cómo eso esto",
    "pt": "de a o que e do da em um para com não uma os no se na por mais as dos como mas ao ele das "
    "à seu sua ou "
    "quando muito nos já eu também só pelo pela até isso ela entre depois sem mesmo aos seus quem "
    "nas me esse você "
    "essa nem suas meu às minha são está foi ser tem olá obrigado obrigada sim nosso nossa este esta",
    "it": "di e il la che in a per un è con non del una i le si da della come sono nel alla più dei "
    "anche gli al ha ma "
    "delle ci questo lo nella se o dal ai suo sua essere stato perché quando tra dopo molto tutti "
    "solo loro hanno "
    "questa su cui era stata ciao grazie sì mio mia nostro nostra può dell'anno c'è degli sul",
    "nl": "de van het een en in is dat op te zijn met voor niet aan er om ook als dan maar bij of "
    "uit nog naar heeft ze "
    "door over je hij worden wordt deze geen kan was meer wel zich ik we die hebben had moet waar "
    "haar mijn hun u uw "
    "hallo bedankt ja nee wij dit kunt kunnen onze ons zal",
    "sv": "och i att det som en på är av för med till den har de inte om ett han men var jag från vi "
    "så kan när hade "
    "under sig efter eller också denna vid skulle hon nu sin där alla ska mycket mot blev ut över "
    "man detta hej tack "
    "ja nej din ditt vår våra du ni er inom",
    "da": "og i at det er en til af på for der med den de ikke som har et om var jeg men han fra vi "
    "kan så sig hun efter "
    "eller når også ved skal blev over være ud bliver havde meget nu kun mod denne mange deres end "
    "mere hej tak ja nej "
    "din dit vores du hvad hvis noget nogle",
    "no": "og i at det er en til av på for som med den de ikke har et om var jeg men han fra vi kan "
    "så seg hun etter "
    "eller når også ved skal ble over være ut blir hadde mye nå bare mot denne mange deres enn mer "
    "hei takk ja nei din "
    "ditt vår våre du hva hvis noe noen",
    "fi": "ja on ei että se oli hän mutta ovat kun myös joka niin kuin tai sen mukaan ole jos ollut "
    "vain jo ne sitä "
    "olla voi hänen siitä mitä nyt sekä minä kanssa jotka tämä tämän noin vielä kuitenkin sitten "
    "koska hei kiitos "
    "kyllä olen olet meidän teidän sinun voit ovat",
    "pl": "i w na z do się nie że to jest o jak za od po co przez ale tak dla są był czy ma już przy "
    "tylko może lub "
    "który która które jego być było oraz będzie tym także ich ze te ten ta tego jej pod bardzo więc "
    "dzień dobry "
    "dziękuję proszę nasz nasza mam można",
    "cs": "a se v na je že s z do o to i ve by pro si k jako po za ale od jsem tak jeho jak nebo "
    "které být která který "
    "při byl jsou bude není má také jen už až pak co aby podle může když více dobrý den děkuji "
    "prosím vaše naše jsme "
    "této tento",
    "ro": "și de în a la cu pe nu este o un din că mai care pentru se au ce fost fi sau ca sunt prin "
    "ar după dar lui "
    "până foarte el ea fără acest această între când doar dacă îi unei unui bună mulțumesc vă "
    "noastră nostru să am",
    "hu": "a az és hogy nem is egy ez volt meg de csak ha már még mint van ki el vagy sem azt ezt "
    "minden kell lesz után "
    "pedig mert majd által nagyon lehet itt ott ami amely ezek között köszönöm kérem igen jó önnek vagyok",
    "tr": "ve bir bu da için de ile çok olarak daha o ne ama gibi olan en var kadar sonra değil mi "
    "her şey ben ya ki "
    "diye göre ise yok ancak olduğu oldu çünkü hem veya tarafından merhaba teşekkür evet hayır "
    "lütfen siz biz",
    "id": "yang dan di dengan untuk ini dari tidak dalam itu pada akan ke adalah juga saya ada oleh "
    "atau kami mereka "
    "telah sudah bisa karena lebih anda kita seperti dapat tersebut sebagai dia hanya jika terima "
    "kasih ya halo",
    "vi": "và của là có không được cho các một trong những với người này để khi đã từ đó như về tôi "
    "cũng đến ra nhưng "
    "nhiều sẽ vào bạn rất hoặc tại nếu phải xin chào cảm ơn vâng",
    "ca": "de la i el que a en un per amb les els és una del al no es dels ha com més o però aquest "
    "són també seva seu "
    "han pel aquesta quan molt fins entre sobre ser gràcies hola sí nostre nostra",
}
_CYRILLIC: dict[str, str] = {
    "ru": "и в не на что я с он а как это по но из у за от так же все его к было был то бы для мы вы "
    "они она только "
    "ещё еще быть когда уже или если нет чтобы может при вас вам наш спасибо пожалуйста да "
    "здравствуйте также который",
    "uk": "і в не на що я з він а як це по але із у за від так же все його до було був для ми ви "
    "вони вона тільки ще "
    "бути коли вже або якщо немає щоб може при та є дякую будь ласка наш також який вас вам",
    "bg": "и в не на че аз с той а как това по но от за се да са е ще като му до или ако има бе бъде "
    "съм ние вие те тя "
    "само още когато вече благодаря моля също който",
    "sr": "и у не на је да се са за од као су али то би што из или ће није сам смо сте они она само "
    "још када већ ако "
    "хвала молим такође који",
}
_LETTERS: dict[str, dict[str, str]] = {
    "Latn": {
        "ß": "de", "ñ¿¡": "es", "ãõ": "pt", "ěřů": "cs", "őű": "hu", "ğış": "tr", "ąęłńśźż": "pl",
        "șțşţă": "ro",
        "đơưạảấầậắằặẻẽếềểễệỉịọỏốồổộớờởợụủứừữựỳỷỹ": "vi", "œùûëïê": "fr", "ìò": "it",
    },
    "Cyrl": {"ыэё": "ru", "їєґі": "uk", "ђјљњћџ": "sr", "ъ": "bg"},
}  # fmt: skip
_SCRIPTS: dict[str, str] = {
    "Latn": r"[A-Za-zÀ-ÖØ-öø-ɏḀ-ỿ]",
    "Cyrl": r"[Ѐ-ԯ]",
    "Grek": r"[Ͱ-Ͽἀ-῿]",
    "Arab": r"[؀-ۿݐ-ݿ]",
    "Hebr": r"[֐-׿]",
    "Deva": r"[ऀ-ॿ]",
    "Thai": r"[฀-๿]",
    "Hang": r"[가-힯ᄀ-ᇿ]",
    "Kana": r"[぀-ヿ]",
    "Hani": r"[㐀-䶿一-鿿]",
}
_ONE = {"Grek": "el", "Hebr": "he", "Thai": "th", "Hang": "ko"}
_BESIDE = 0.2
"""What the rest of a text must say for a language beside its strongest word; a word of its own says 1."""
_FOUND = {name: re.compile(pattern) for name, pattern in _SCRIPTS.items()}
_FENCE = re.compile(r"```[^`]*+(?:```|\Z)|https?://\S{1,2000}")
_WORD = re.compile(r"(?<![\d_])[^\W\d_]++(?:['’][^\W\d_]++)?(?![\d_])")
_PERSIAN = re.compile(r"[پچژگکی]")
_URDU = re.compile(r"[ٹڈڑےھ]")
LANGUAGES: tuple[str, ...] = tuple(
    sorted({*_LATIN, *_CYRILLIC, *_ONE.values(), "ar", "fa", "ur", "hi", "ja", "zh"})
)
"""ISO 639-1 codes of the languages that are told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """The language of a text, or why it cannot be told."""

    code: str | None = None
    problem: Literal["", "too_short", "ambiguous"] = ""
    nearest: tuple[str, ...] = ()
    """The likeliest languages where several are possible."""


def detect(text: str) -> Detected:
    """The language that ``text`` is written in. Code blocks and addresses do not count."""
    text = _FENCE.sub(" ", text[:_READ])
    letters = {name: len(pattern.findall(text)) for name, pattern in _FOUND.items()}
    japanese = letters["Kana"] > 0.1 * (letters["Kana"] + letters["Hani"])
    # A character of these scripts says about as much as a syllable or a word.
    weights = Counter(
        {name: count * (3 if name in ("Hani", "Hang", "Kana") else 1) for name, count in letters.items()}
    )
    if japanese:
        weights["Kana"] += weights.pop("Hani")
    script, weight = weights.most_common(1)[0]
    if weight < 6:
        return Detected(problem="too_short")
    if weight < 0.6 * weights.total():
        return Detected(problem="ambiguous", nearest=("mixed scripts",))
    if script in ("Latn", "Cyrl"):
        return _by_words(text, script)
    if script == "Kana":
        return Detected(code="ja")
    if script == "Hani":
        # A few Chinese characters are Japanese as well; a sentence of Japanese has kana.
        return (
            Detected(code="zh")
            if letters["Hani"] >= 6
            else Detected(problem="too_short", nearest=("zh", "ja"))
        )
    if script == "Arab":
        count = letters["Arab"]
        if len(_URDU.findall(text)) > 0.02 * count:
            return Detected(code="ur")
        return Detected(code="fa" if len(_PERSIAN.findall(text)) > 0.03 * count else "ar")
    if script == "Deva":
        return Detected(code="hi")
    return Detected(code=_ONE[script])


@cache
def _profile(script: str) -> dict[str, tuple[str, ...]]:
    """Word -> the languages of this script in which it is common."""
    found: dict[str, list[str]] = {}
    for code, words in (_LATIN if script == "Latn" else _CYRILLIC).items():
        for word in set(words.split()):
            found.setdefault(word, []).append(code)
    return {word: tuple(codes) for word, codes in found.items()}


def _by_words(text: str, script: str) -> Detected:
    profile = _profile(script)
    words = [word.lower().replace("’", "'") for word in _WORD.findall(text)]
    if len(words) < 3:
        return Detected(problem="too_short")
    scores: Counter[str] = Counter()
    for word in words:
        codes = profile.get(word, ())
        for code in codes:
            # A word that five languages share says little about which of them it is.
            scores[code] += 1 / len(codes)  # type: ignore[assignment]
    lowered = text.lower()
    for letters, code in _LETTERS[script].items():
        seen = sum(map(lowered.count, letters))
        scores[code] += min(0.25 * seen, 0.1 * len(words) + 0.5)  # type: ignore[assignment]
    ranked = scores.most_common(3)
    nearest = tuple(code for code, score in ranked if score > 0)
    best, second = ranked[0][1], ranked[1][1]
    # The less there is to go by, the clearer it has to be.
    clear = best >= 1.35 * second if best >= 2.5 else best >= 2 * second
    # A name or a loan word is no language: no single word decides.
    own = {word: words.count(word) / len(profile[word]) for word in {*words} & profile.keys()}
    strongest = max((x for word, x in own.items() if ranked[0][0] in profile[word]), default=0.0)
    clear = clear and best - strongest >= _BESIDE
    if best < max(1.0, 0.06 * len(words)) or not clear:
        return Detected(problem="too_short" if len(words) < 12 else "ambiguous", nearest=nearest)
    return Detected(code=ranked[0][0])
