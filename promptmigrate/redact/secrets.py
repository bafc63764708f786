"""Secrets: keys and tokens by their form, and values that are named as secret."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:[^-]|-(?!----))*+-----END [A-Z0-9 ]{0,40}-----"
    r"|(?:(?:\s|\\[rn])*+[A-Za-z0-9+/=]{20,}+)*+)"
)
_TOKEN = re.compile(
    r"(?<![\w-])(?:"
    r"eyJ[\w-]{8,}+\.eyJ[\w-]{4,}+\.[\w-]*+"  # JSON Web Token
    r"|(?:sk|rk|pk)[-_](?=[\w-]{0,80}\d)[\w-]{16,}+"  # OpenAI, Anthropic, OpenRouter, Stripe
    r"|(?:gh[pousr]_|github_pat_)\w{20,}+"
    r"|glpat-[\w-]{16,}+"
    r"|xox[abeoprs]-[\w-]{10,}+|xapp-[\w-]{10,}+"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)"
    r"|AIza[\w-]{30,}+|ya29\.[\w-]{20,}+"
    r"|(?:hf|npm|gsk|r8|whsec|shpat|shpss)_[A-Za-z0-9]{20,}+"
    r"|(?:xai|pplx|nvapi|lin_api|dop_v1|tgp_v1|dckr_pat|pypi|lsv2_pt|lsv2_sk)[-_][\w-]{20,}+"
    r"|dapi[0-9a-f]{32}(?!\w)|SK[0-9a-f]{32}(?!\w)"
    r"|SG\.[\w-]{16,}+\.[\w-]{16,}+"
    r")"
)
_URL_LOGIN = re.compile(r"(?<=://)[^\s/@:\[\]]{1,200}:[^\s/@]{1,200}(?=@)")
_URL_PARAMETER = re.compile(
    r"([?&](?:api[_-]?key|key|token|access[_-]?token|auth|sig|signature|secret|password|x-amz-signature|"
    r"x-amz-security-token|x-goog-signature)=)(?!\[SECRET\])[^&\s#\"'<>]{6,}+",
    re.IGNORECASE,
)
_BEARER = re.compile(
    r"((?<![A-Za-z])(?:bearer|basic)[ \t]{1,4})(?=[\w.~+/=-]{0,200}\d)[\w.~+/=-]{12,}+", re.IGNORECASE
)
_NAMED_WORDS = (
    r"(?:api[_-]?keys?|secret[_-]?(?:access[_-]?)?keys?|client[_-]?secret|access[_-]?token|auth[_-]?token|"
    r"refresh[_-]?token|session[_-]?token|private[_-]?key|passwords?|passwd|passphrase|credentials?)"
)
SECRET_KEY = re.compile(
    rf"(?:[\w-]{{0,40}}[_-])?(?:{_NAMED_WORDS}|secret|pwd|authorization|x-api-key)", re.IGNORECASE
)
_NAMED = re.compile(
    rf"((?:{_NAMED_WORDS}|(?<![A-Za-z])(?:secret|token|pwd|pw))(?![A-Za-z])[\"']?"
    r"(?:[ \t]{0,3}(?:=|:=|=>|:)[ \t]{0,3}|[ \t]{1,3}(?:is|was)[ \t]{1,3}))"
    r"([\"'`]?)([^\s\"'`,;<>(){}\[\]]{6,200})(?:\2)",
    re.IGNORECASE,
)
# fmt: off
_TOKEN_MARKS = (
    "eyj", "sk", "rk", "pk", "gh", "glpat", "xox", "xapp", "akia", "asia", "aiza", "ya29",
    "hf_", "npm_", "gsk_", "r8_", "whsec_", "shpat_", "shpss_", "xai", "pplx", "nvapi",
    "lin_api", "dop_v1", "tgp_v1", "dckr_pat", "pypi", "lsv2_", "dapi", "sg.",
)
# fmt: on
_NAME_MARKS = ("key", "secret", "token", "pass", "pw", "credential")
_LETTER, _FIGURE = re.compile(r"[^\W\d_]"), re.compile(r"\d")


def without_secrets(text: str) -> tuple[str, int]:
    """``text`` without secrets, and how many there were."""
    found = 0

    def whole(_: re.Match[str]) -> str:
        nonlocal found
        found += 1
        return "[SECRET]"

    def keep_name(match: re.Match[str]) -> str:
        nonlocal found
        found += 1
        return f"{match[1]}[SECRET]"

    def named(match: re.Match[str]) -> str:
        nonlocal found
        name, quote, value = match[1], match[2], match[3]
        assigned = "=" in name and not name.endswith((" ", "\t"))
        mixed = _LETTER.search(value) and _FIGURE.search(value.rstrip(".!?"))
        # "password: please reset it" is prose; quoted, assigned or letters with digits is a value.
        if value.startswith(("$", "%", "os.environ", "env:")) or not (assigned or quote or mixed):
            return match[0]
        found += 1
        kept = value[len(value.rstrip(".!?")) :] if not quote else ""
        return f"{name}{quote}[SECRET]{quote}{kept}"

    folded = text.casefold()
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(whole, text)
    if _has(folded, _TOKEN_MARKS):
        text = _TOKEN.sub(whole, text)
    if "://" in text:
        text = _URL_LOGIN.sub(whole, text)
    if "=" in text:
        text = _URL_PARAMETER.sub(keep_name, text)
    if _has(folded, ("bearer", "basic")):
        text = _BEARER.sub(keep_name, text)
    if _has(folded, _NAME_MARKS):
        text = _NAMED.sub(named, text)
    return text, found


def _has(folded: str, words: Iterable[str]) -> bool:
    return any(word in folded for word in words)
