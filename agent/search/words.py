"""A query as the words to look for, and the other forms in which a text may have them. Pure.

Knows neither SQL nor a record. The forms are FTS5 phrases, which stem their words themselves.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from .thesaurus import STOP_WORDS, alike

MAX_QUERY_WORDS, MAX_QUERY_CHARS = 16, 1_000
"""Most words and characters of a query."""

EXACT, BEGUN, ALIKE, PART = 1.0, 0.9, 0.6, 0.4
"""The worth of a match. It may be the word itself, or a word that begins with the last one. It may
stand for the word, or have only a part in common with it."""

_BACKQUOTED = re.compile(r"`([^`]+)`")
_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")
_WORD = re.compile(r"[^\W_]+")
_NAME = re.compile(r"[A-Za-z0-9]{3,40}")
_BEGINNING = re.compile(r"\w{2,}[\"')\]}]*$")
"""The end of a last word that may be the start of a longer one. One letter is too short."""
_AROUND = "?!.,;:-–—()'\"[]"
_ENDING = re.compile(r"(?<=\w{4})(?:ations?|ing|ed|es|s|e|y|ies)$")
_POSSESSIVE = re.compile(r"['’]s$")
_MIN_CUT_CHARS, _MIN_BEGUN_CHARS, _MIN_LONG_CHARS = 3, 5, 6
"""Fewest letters of a cut word, of one that begins others, and of one that may be cut."""
_SPELLED = (
    (re.compile(r"is(?=e[dsr]?$|ing$|ations?$)"), "iz"),
    (re.compile(r"iz(?=e[dsr]?$|ing$|ations?$)"), "is"),
    (re.compile(r"our(?=s?$|ed$|ing$)"), "or"),
    (re.compile(r"(?<=.)or(?=s?$)"), "our"),
    (re.compile(r"re$"), "er"),
    (re.compile(r"er$"), "re"),
)
"""American and British spelling."""


class Spelling(NamedTuple):
    """A form of a word: an FTS5 phrase, the worth of a match, and the letters to look for."""

    match: str
    worth: float
    letters: str


class Word(NamedTuple):
    """One word or phrase of a query. The first form is the word itself. `phrase`: it was quoted."""

    text: str
    forms: tuple[Spelling, ...]
    phrase: bool = False


def words_of(query: str) -> list[Word]:
    """The words of a query that say something, and its backquoted phrases first."""
    query = query[:MAX_QUERY_CHARS]
    phrases = [Word(it, (_form(it, EXACT),), True) for it in _BACKQUOTED.findall(query)]
    asked = [_POSSESSIVE.sub("", it) for it in _BACKQUOTED.sub(" ", query).split()]
    told = [it for it in asked if not _says_nothing(it)] or ([] if phrases else asked)
    told = list(dict.fromkeys(told))[: MAX_QUERY_WORDS - len(phrases)]
    joined = _neighbours(told)
    words = [Word(it, tuple(_forms(it, joined.get(it, ())))) for it in told]
    if words and _BEGINNING.search(query):
        last = words[-1]
        begun = Spelling(f"{last.forms[0].match} *", BEGUN, last.forms[0].letters)
        words[-1] = last._replace(forms=(last.forms[0], begun, *last.forms[1:]))
    return [*dict.fromkeys(phrases), *words][:MAX_QUERY_WORDS]


def spread(text: str) -> str:
    """The text to index: with the parts of joined names (`KeyError`, `night3`) after it."""
    names = dict.fromkeys(_NAME.findall(text))
    joined = [" ".join(_PARTS.findall(it)) for it in names if not _is_plain(it)]
    return "\n".join([text, *joined])


def _is_plain(name: str) -> bool:
    return name.isdigit() or (name.isalpha() and (name[1:].islower() or name.isupper()))


def pattern_of(words: Sequence[Word], within: bool = False) -> re.Pattern[str]:
    """Finds the words in a text, roughly: a group for each, in order. `within`: also in words."""
    if within:
        return re.compile("|".join(f"({re.escape(it.text)})" for it in words), re.IGNORECASE)
    groups = ("|".join(filter(None, map(_rough, word.forms))) or "(?!)" for word in words)
    found = "|".join(f"({group})" for group in groups)
    return re.compile(rf"(?<![^\W_])(?:{found})", re.IGNORECASE)


def _rough(form: Spelling) -> str:
    """The letters at the start of a word, without its ending."""
    parts = _WORD.findall(form.letters)
    if not parts:
        return ""
    stem = _ENDING.sub("", parts[-1])
    end = r"(?![^\W_])" if form.worth == PART or len(stem) < _MIN_CUT_CHARS else ""
    return r"[\W_]{0,3}".join(map(re.escape, [*parts[:-1], stem])) + end


def _says_nothing(word: str) -> bool:
    bare = word.lower().strip(_AROUND)
    return not bare or bare in STOP_WORDS


def _neighbours(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For each word, what it makes together with those beside it: `red shift` is `redshift`."""
    found: dict[str, tuple[str, ...]] = {}
    plain = [(word, "".join(_WORD.findall(word))) for word in words]
    for (one, first), (other, second) in pairwise(plain):
        if first.isalpha() and second.isalpha():
            for word in (one, other):
                found[word] = (*found.get(word, ()), first + second)
    return found


def _forms(word: str, joined: Sequence[str]) -> Iterator[Spelling]:
    """The word itself, then other forms, each once."""
    seen = set[str]()
    for letters, worth in ((word, EXACT), *_others(word, joined)):
        form = _form(letters.removesuffix("*"), worth, begun=worth < EXACT and letters[-1:] == "*")
        if form.match.lower() not in seen:
            seen.add(form.match.lower())
            yield form


def _others(word: str, joined: Sequence[str]) -> Iterator[tuple[str, float]]:
    parts = _WORD.findall(word)
    lower = "".join(parts).lower()
    if len(parts) == 2 and lower.isalpha():
        yield lower, EXACT
    for said, spelled in _SPELLED:
        if len(parts) == 1 and (other := said.sub(spelled, lower)) != lower:
            yield other, EXACT
    for other in joined:
        yield other, EXACT
    if len(parts) == 1 and len(lower) >= _MIN_BEGUN_CHARS:
        yield f"{lower}*", ALIKE
    for other in alike().get(lower) or alike().get(lower.removesuffix("s"), ()):
        yield other, ALIKE
    pieces = _PARTS.findall(word)
    if len(pieces) > 1:
        yield " ".join(pieces), EXACT
        yield from ((it, PART) for it in pieces[-3:] if len(it) >= _MIN_CUT_CHARS)
    elif len(lower) >= _MIN_LONG_CHARS and lower.isalpha():
        yield from ((lower[:size], PART) for size in range(_MIN_CUT_CHARS, len(lower) - 1))


def _form(text: str, worth: float, begun: bool = False) -> Spelling:
    quoted = text.replace('"', '""')
    return Spelling(f'"{quoted}"{" *" if begun else ""}', worth, text)
