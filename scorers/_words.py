"""Words, sentences and tokens of texts in any script."""

from __future__ import annotations

import re

UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    r"\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"  # Han, kana
)
"""Characters of scripts that put no space between words, for use inside a character class."""
_UNSPACED = re.compile(f"[{UNSPACED}]")
_ALNUM = re.compile(r"[^\W_]")
_TOKEN = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")
_ASCII_KINDS = bytes(32 if chr(code).isspace() else 97 for code in range(256))
_ASCII_MARKS = bytes(code for code in range(128) if not (chr(code).isalnum() or chr(code).isspace()))
_ASCII_TOKEN = re.compile(r"[a-z0-9]+")
# Only from the start of a run of marks, so that a long run costs no more than its length.
_END = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’)\]*_]*+(?=\s|\Z)|[。！？]++|\n\s*\n|\n(?=\s*(?:[-*•]|\d{1,3}[.)])\s)"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Za-z]|e\.g|i\.e|etc|vs|cf|al|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|Inc|Ltd|No|Fig|approx|bzw|z\.B|d\.h|ca|"
    r"Nr|Abs)|^\s*\d{1,3})\.\Z"
)


def count_words(text: str) -> int:
    """Words as a reader counts them: what stands between spaces and has a letter or a digit.

    In scripts without spaces between words (Chinese, Japanese, Thai, ...) each character counts as one.
    """
    if text.isascii():
        # Marks go, letters and digits become one letter, white space one space: words are counted by starts.
        return (b" " + text.encode().translate(_ASCII_KINDS, _ASCII_MARKS)).count(b" a")
    unspaced = len(_UNSPACED.findall(text))
    rest = _UNSPACED.sub(" ", text) if unspaced else text
    return unspaced + sum(1 for part in rest.split() if _ALNUM.search(part))


def tokens(text: str) -> list[str]:
    """Runs of letters and digits of a lower-case text; one character each in scripts without spaces."""
    return (_ASCII_TOKEN if text.isascii() else _TOKEN).findall(text)


def sentences(text: str) -> list[str]:
    """The sentences of ``text``; a paragraph and an item of a list end one too."""
    found: list[str] = []
    start = 0
    for match in _END.finditer(text):
        end = match.end()
        if match[0] == "." and _ABBREVIATION.search(text[max(start, end - 12) : end]):
            continue
        if _ALNUM.search(text, start, end):
            found.append(text[start:end].strip())
            start = end
    if _ALNUM.search(text, start):
        found.append(text[start:].strip())
    return found


def estimate_tokens(text: str) -> int:
    """About how many tokens a model's tokeniser makes of ``text``: a quarter of its characters, or one for
    each character of a script without spaces. Off by up to a third for ordinary prose."""
    unspaced = 0 if text.isascii() else len(_UNSPACED.findall(text))
    return unspaced + -(-(len(text) - unspaced) // 4)
