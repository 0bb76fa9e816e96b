"""Formats of keys that their makers document, and places in texts that hold a key. Pure.

Each row has marks, one of which is in every key of its format: a text without them costs one look
for each. A row masks its group `key`, or all that it finds.

Sources: the key pages of OpenAI, Anthropic, OpenRouter and Google, and the IAM guide of AWS. Secret
scanning of GitHub, GitLab, Slack, Stripe, npm, PyPI and Hugging Face. RFC 7519 has JWT, RFC 7468
private keys, RFC 3986 passwords in addresses.
"""

import re
import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

MOST_HELD = 17_000
"""Characters at the end of a stream that may be the start of a key, at most: a private key's."""
_TOKEN_CHARS = f"{string.ascii_letters}{string.digits}_-./+=:@%"
_BETWEEN_WORDS = " \t\n\r\0"
_OF_ANY_CHARS = ("connection-password", "environment-secret")
"""Formats whose keys may have signs that no token has."""
_BEGIN, _END = "-----BEGIN ", "-----END"


@dataclass(frozen=True, slots=True)
class Format:
    """One format. `marks`: texts, one of which is in each key. `pattern`: finds them."""

    name: str
    marks: tuple[str, ...]
    pattern: re.Pattern[str]


def _row(name: str, pattern: str, *marks: str) -> Format:
    return Format(name, marks, re.compile(pattern))


_WORD = r"(?<![A-Za-z0-9_-])"
_WHOLE = r"(?:(?!-----(?:BEGIN|END))[\s\S]){16,16000}+(?=-----END)"
_APART = r"(?:\\[nrt]|[^A-Za-z0-9+/=]){0,40}+"
_CUT = (
    rf"(?:{_APART}[A-Z][A-Za-z-]+: [^\n\\]{{0,100}})*+"
    rf"(?:{_APART}[A-Za-z0-9+/=]{{16,}}+)++(?:{_APART}[A-Za-z0-9+/=]++(?:(?<==)|\Z))?"
)
"""The text of a private key up to its end, and of one without an end: lines of base64, with what
may be between lines in quotes, tables and listings. Headers may come before them."""
FORMATS = (
    _row(
        "openai-key",
        _WORD + r"sk-(?:or-v1-|ant-\w+-|proj-|svcacct-|admin-)?"
        r"(?:[0-9a-f]{32,}\b|(?=[\w-]*[0-9])(?=[\w-]*[A-Z])[\w-]{32,})",
        "sk-",
    ),
    _row("aws-key-id", _WORD + r"(?:AKIA|ASIA)[A-Z2-7]{16}\b", "AKIA", "ASIA"),
    _row(
        "aws-secret-key",
        r"(?i:secret_?access_?key)\W{1,8}(?P<key>[A-Za-z0-9/+=]{40})(?![A-Za-z0-9/+=])",
        *("ecret_access_key", "ECRET_ACCESS_KEY", "ecretAccessKey"),
    ),
    _row(
        "github-token",
        _WORD + r"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{40,})",
        *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    ),
    _row("gitlab-token", _WORD + r"glpat-[\w-]{20,}", "glpat-"),
    _row("google-key", _WORD + r"(?:AIza[\w-]{35}|GOCSPX-[\w-]{28})", "AIza", "GOCSPX-"),
    _row(
        "slack-token",
        _WORD + r"xox[abeoprs]-[\w-]{10,}|(?<=hooks\.slack\.com/services/)T\w+/B\w+/\w+",
        *("xox", "hooks.slack.com"),
    ),
    _row("stripe-key", _WORD + r"[rs]k_live_[A-Za-z0-9]{24,}", "sk_live_", "rk_live_"),
    _row("huggingface-token", _WORD + r"hf_[A-Za-z0-9]{34,}", "hf_"),
    _row("npm-token", _WORD + r"npm_[A-Za-z0-9]{36}", "npm_"),
    _row("pypi-token", _WORD + r"pypi-AgE[\w-]{50,}", "pypi-"),
    _row("jwt", _WORD + r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}", "eyJ"),
    _row(
        "private-key",
        rf"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?P<key>{_WHOLE}|{_CUT})",
        "PRIVATE KEY",
    ),
    _row(
        "connection-password",
        r"://[^\s:@/'\"<>]{0,99}:(?P<key>[^\s@/'\"<>{}$*\[\]]{4,200})@",
        "://",
    ),
    _row(
        "environment-secret",
        r"(?:^|[\n\0'\"\\]|\\x00)[A-Z0-9_]{0,60}(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD)="
        r"(?P<key>[^\s\0\\'\"<>{}$*\[\]]{8,500})",
        *("KEY=", "TOKEN=", "SECRET=", "PASSWORD=", "PASSWD="),
    ),
)


def formats_in(text: str, allowed: frozenset[str] = frozenset()) -> tuple[Format, ...]:
    """The formats of which there is a key in a text."""
    marked = [row for mark, row in _MARKS if mark in text]
    rows = (row for row in dict.fromkeys(marked) if row.name not in allowed)
    return tuple(row for row in rows if row.pattern.search(text))


_MARKS = tuple((mark, row) for row in FORMATS for mark in row.marks)
"""In one row, since nearly every text has none of them."""


def masked_formats(text: str, word: str, allowed: frozenset[str] = frozenset()) -> str:
    """The text with `word` in place of each key of a known format."""
    for row in formats_in(text, allowed):
        text = row.pattern.sub(_replacing(word), text)
    return text


def _replacing(word: str) -> Callable[[re.Match[str]], str]:
    def replaced(found: re.Match[str]) -> str:
        if "key" not in found.re.groupindex:
            return word
        start, end = found.start("key") - found.start(), found.end("key") - found.start()
        return f"{found[0][:start]}{word}{found[0][end:]}"

    return replaced


def held_chars(text: str) -> int:
    """How many characters at the end of a text may be the start of a key that goes on."""
    tail = text[-MOST_HELD:]
    token = len(tail.rstrip(_TOKEN_CHARS))
    word = max(tail.rfind(it) for it in _BETWEEN_WORDS) + 1
    starts = list(_private_key(tail))
    starts += [run for run, begins in ((word, _ANY), (token, _TOKENS)) if begins.fits(tail, run)]
    return len(tail) - min(starts) if starts else 0


class _Beginnings:
    """The ways in which keys of some formats begin. `least`: characters of a cut beginning."""

    def __init__(self, rows: Iterable[Format], least: int) -> None:
        self._marks = tuple(mark for row in rows for mark in row.marks)
        self._one = tuple({mark[:1] for mark in self._marks})
        self._cut = tuple(mark[:n] for mark in self._marks for n in range(least, len(mark)))

    def fits(self, tail: str, run: int) -> bool:
        """Whether the last run of a key's characters has a mark, or ends with the beginning of one.

        If the run is a single character, that is such a beginning.
        """
        if tail.endswith(self._cut) or (len(tail) - run == 1 and tail.endswith(self._one)):
            return True
        return any(tail.find(mark, run) >= 0 for mark in self._marks)


_ANY = _Beginnings((row for row in FORMATS if row.name in _OF_ANY_CHARS), 1)
_TOKENS = _Beginnings((row for row in FORMATS if row.name not in _OF_ANY_CHARS), 2)


def _private_key(tail: str) -> Iterator[int]:
    """The place where a private key begins, or may."""
    at = tail.rfind(_BEGIN)
    if at >= 0 and _END not in tail[at:]:
        yield at
    elif part := next((n for n in range(len(_BEGIN) - 1, 0, -1) if tail.endswith(_BEGIN[:n])), 0):
        yield len(tail) - part
