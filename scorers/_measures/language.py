"""language: the output is written in the expected language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from scorers._base import Measure
from scorers._errors import ScorerSpecError, nearest
from scorers._languages import LANGUAGES, detect
from scorers._text import as_text, clip
from scorers._types import Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Language(Measure):
    """1.0 where the output is written in the expected language, 0.0 where it is in another one.

    The language is told by the script, and where languages share one, by their commonest words. Code blocks
    and addresses do not count. Fewer than about three ordinary words, a single word that no other one bears
    out, mixed languages and near relatives that the text does not tell apart are unscored (``error``), not
    guessed. Told apart are Arabic,
    Bulgarian, Catalan, Chinese, Czech, Danish, Dutch, English, Finnish, French, German, Greek, Hebrew,
    Hindi, Hungarian, Indonesian, Italian, Japanese, Korean, Norwegian, Persian, Polish, Portuguese,
    Romanian, Russian, Serbian (Cyrillic), Spanish, Swedish, Thai, Turkish, Ukrainian, Urdu and Vietnamese.

    Kinds of evidence: ``match``, ``empty``, ``other_language``; unscored: ``too_short``, ``ambiguous``.

    Example:
        >>> from scorers import language
        >>> language(language="fr")(output="Le colis est arrivé hier dans notre entrepôt.").value
        1.0
        >>> language()(output="The parcel is on its way to you.", expected="Das Paket ist auf dem Weg.").value
        0.0
        >>> language(language="de")(output="OK").unscored
        'error'
    """

    version: ClassVar[str] = "2"
    name: str = "language"
    language: str | None = None
    """Code of the expected language (``en``, ``pt-BR``: the region does not count). By default that of the
    expected answer."""
    input_key: str | None = None
    """Answer in the language of this input."""

    def _check(self) -> None:
        if self.language is not None:
            if self.input_key is not None:
                raise ScorerSpecError(
                    f"{self.name}: give 'language' or 'input_key', not both", key="input_key"
                )
            code = self._code(self.language)
            if code not in LANGUAGES:
                raise ScorerSpecError(
                    f"{self.name}: {self.language!r} is not a language that is known"
                    f"{nearest(code, LANGUAGES)}; "
                    f"known are {', '.join(LANGUAGES)}",
                    key="language",
                )

    @staticmethod
    def _code(language: str) -> str:
        return language.replace("_", "-").partition("-")[0].lower()

    def _needs_expected(self) -> bool:
        return self.language is None and self.input_key is None

    def _score(self, sample: Sample) -> Score:
        if self.language is not None:
            wanted = self._code(self.language)
        else:
            source = sample.expected
            if self.input_key is not None:
                source = sample.inputs.get(self.input_key) if isinstance(sample.inputs, Mapping) else None
            given = detect(as_text(source))
            if given.code is None:
                return self._unscored(
                    "bad_expected", f"there is no telling the language of {clip(as_text(source).strip())!r}"
                )
            wanted = given.code
        output = as_text(sample.output)
        if not output.strip():
            return self._found(0.0, "empty", f"expected an answer in {wanted!r}, got none", expected=wanted)
        found = detect(output)
        if found.code is None:
            near = f" (near: {', '.join(found.nearest)})" if found.nearest else ""
            return self._unscored(
                "error",
                f"there is no telling the language of {clip(output.strip())!r}{near}",
                kind=found.problem,
                nearest=list(found.nearest),
            )
        if found.code == wanted:
            return self._found(1.0, "match", "", language=found.code)
        told = f"expected {wanted!r}, got {found.code!r}: {clip(output.strip())!r}"
        return self._found(0.0, "other_language", told, language=found.code, expected=wanted)


language = Language
