"""Searches an index by several wordings at once. Knows neither files nor how an index is filled."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from sqlite3 import Connection
from typing import NamedTuple

from ...search.thesaurus import STOP_WORDS
from .index import Among, IndexedPassage, IndexQuery, has_other_letters, matches

FUSION = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009)."""
MAX_CANDIDATES = 60
"""Most passages of one wording that are ranked."""
SNIPPET_CHARS = 260
"""Most characters of a hit that are shown."""


_ALL = Among()
_TRIGRAM = 3


class FileHit(NamedTuple):
    """A place that was found: its best passage, and the part of that which has the words."""

    passage: IndexedPassage
    snippet: str
    score: float


def search_index(
    db: Connection, queries: Sequence[str], limit: int, among: Among = _ALL
) -> list[FileHit]:
    """The best places for some wordings, one hit for each place."""
    scores: dict[int, float] = defaultdict(float)
    known: dict[int, IndexedPassage] = {}
    for query in queries:
        for asked in _asked(query):
            for rank, it in enumerate(matches(db, asked, among, MAX_CANDIDATES)):
                scores[it.id] += 1 / (FUSION + rank)
                known[it.id] = it
    best: dict[object, IndexedPassage] = {}
    for id in sorted(scores, key=lambda it: (-scores[it], it)):
        it = known[id]
        best.setdefault((it.path, it.place), it)
    words = words_to_mark(queries)
    return [
        FileHit(it, snippet(it.text, words), scores[it.id]) for it in list(best.values())[:limit]
    ]


def words_to_mark(queries: Sequence[str]) -> list[str]:
    """The words of all wordings, without those that say nothing."""
    return list(dict.fromkeys(word for query in queries for word in _words(query)))


def snippet(text: str, words: Sequence[str]) -> str:
    """The part of a text that has the most of these words, with marks around them, on one line."""
    stems = [re.escape(word[: max(4, len(word) - 3)]) for word in words]
    pattern = re.compile("|".join(rf"\b{it}\w*" for it in stems) or r"(?!)", re.IGNORECASE)
    found = list(pattern.finditer(text))
    start = max(0, _densest(found) - 40) if found else 0
    while 0 < start < len(text) and not text[start - 1].isspace():
        start -= 1
    part = text[start : start + SNIPPET_CHARS]
    marked = " ".join(pattern.sub(lambda it: f"«{it[0]}»", part).split())
    return f"{'… ' if start else ''}{marked}{' …' if start + SNIPPET_CHARS < len(text) else ''}"


def _densest(found: "list[re.Match[str]]") -> int:
    """Where the part begins that has the most different words."""
    best, most, first = found[0].start(), 0, 0
    within: Counter[str] = Counter()
    for last in found:
        within[last[0].lower()] += 1
        while last.start() - found[first].start() > SNIPPET_CHARS - 60:
            within -= Counter((found[first][0].lower(),))
            first += 1
        if len(within) > most:
            best, most = found[first].start(), len(within)
    return best


def _asked(query: str) -> Iterator[IndexQuery]:
    plain = unicodedata.normalize("NFKC", query)
    if words := _words(plain):
        yield IndexQuery("words", " OR ".join(f'"{word}"' for word in words))
    others = [it for it in re.findall(r"\w+", plain) if has_other_letters(it)]
    parts = dict.fromkeys(it[at : at + 3] for it in others for at in range(len(it) - 2))
    if parts:
        yield IndexQuery("letters", " OR ".join(f'"{it}"' for it in parts))
    yield from (IndexQuery("part", it) for it in others if len(it) < _TRIGRAM)


def _words(query: str) -> list[str]:
    words = list(dict.fromkeys(re.findall(r"\w+", unicodedata.normalize("NFKC", query).lower())))
    return [it for it in words if it not in STOP_WORDS] or words
