"""Ranks what was found: how much of a query a row has, counting rare words for more than common.

Knows neither the file of the index nor how it is filled. Without FTS5 it scans all text.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import log
from typing import Any, Literal, NamedTuple

from .words import BEGUN, EXACT, Word, pattern_of, words_of

MAX_RANKED, MAX_LOOKED_AT = 500, 100
"""Most matches of one form of a word that are ranked. A form with more is too common to tell. Once
there are enough hits, most matches that are grouped."""

CONTEXT_CHARS = 240
"""Most characters shown around a match."""

WEAK, _LEFT_OUT = 0.5, 0.3
"""Below this share of a query's words, by their worth, a hit is weak. Below the second share of the
best hit's, it is left out."""

_NOWHERE, _PHRASE = 0.5, 3.0
"""The worth of a word that is nowhere, as a part of what it would be worth once. The worth of a
phrase, as so many words."""

_CLOSE, _NEAR = 0.5, 0.5
"""The worth of how often a text has the words (BM25), and of those near each other, beside their
share."""

ROW = "at, kind, handle, whose, turn, cell, counter, gone"
_MATCHES = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?"
_RANK = "SELECT rowid, -bm25(words) FROM words WHERE words MATCH ?"
_ESCAPED = str.maketrans({sign: f"\\{sign}" for sign in "%_\\"})


class Row(NamedTuple):
    """One line of the record: a cell run, a prompt, an answer, or a text that was kept.

    `at`: the byte it begins at. `whose`: who made a run. `counter`: its cell's In [counter].
    `gone`: it was taken back. `text`: to be searched. It is returned only for a kept text.
    """

    at: int
    kind: Literal["run", "said", "answer", "text"]
    handle: str
    whose: str
    turn: int
    cell: str | None
    counter: int | None
    gone: bool
    text: str = ""


class Hit(NamedTuple):
    """The newest of the best rows of a group, and the part of its text that matches best.

    `also`: handles of other rows in the group that match. `weak`: it lacks most of the query.
    """

    row: Row
    passage: str
    also: tuple[str, ...] = ()
    weak: bool = False


Group = Callable[[Row], str | None]
"""Returns the group of a row, such as its cell. A group is one hit. None hides the row."""


class _Matches(NamedTuple):
    """The rows that have a word in some form, with what that is worth. `most`: the most it can be.

    `common`: the form that too many rows have, or "".
    """

    word: Word
    rows: Mapping[int, float]
    most: float
    common: str = ""


class _Ranked(NamedTuple):
    """Rows, the best first, each with its share of the query. `weights`: of the words.

    `scores`: what the order goes by, if not by the shares. `within`: words may be within others.
    """

    shares: Mapping[int, float]
    weights: Sequence[float]
    scores: Mapping[int, float]
    within: bool = False


def find(db: sqlite3.Connection, query: str, group: Group, most: int, fts5: bool) -> list[Hit]:
    """At most `most` groups of rows that have words of a query, the best first."""
    words = words_of(query)
    for ranked in _steps(db, words, fts5):
        if groups := _grouped(db, ranked.shares, group, most):
            return [hit for _, hit in _hits(db, words, ranked, groups)]
    return []


def _hits(
    db: sqlite3.Connection, words: Sequence[Word], ranked: _Ranked, groups: Sequence[Sequence[Row]]
) -> list[tuple[float, Hit]]:
    """The groups as hits with their scores. Those with the words near each other come before."""
    texts = _texts(db, [rows[0].at for rows in groups])
    pattern, total = pattern_of(words, ranked.within), sum(ranked.weights) or 1.0
    hits = list[tuple[float, Hit]]()
    for lead, *others in groups:
        text, worth = passage(texts[lead.at], pattern, ranked.weights)
        also, weak = tuple(row.handle for row in others), ranked.shares[lead.at] < WEAK
        score = ranked.scores[lead.at] + _NEAR * worth / total
        hits.append((score, Hit(lead, text, also, weak)))
    return sorted(hits, key=lambda hit: -hit[0])


def passage(text: str, pattern: re.Pattern[str], weights: Sequence[float]) -> tuple[str, float]:
    """The first part of a text with the most of the words, by weight, and their weight."""
    there = [(it.start(), (it.lastindex or 1) - 1) for it in pattern.finditer(text)]
    best, at, first = 0.0, 0, 0
    counts = [0] * len(weights)
    for start, word in there:
        counts[word] += 1
        while there[first][0] < start - CONTEXT_CHARS * 2 // 3:
            counts[there[first][1]] -= 1
            first += 1
        worth = sum(weight for weight, count in zip(weights, counts, strict=True) if count)
        if worth > best + 1e-9:
            best, at = worth, there[first][0]
    begin = max(0, at - CONTEXT_CHARS // 6)
    return text[begin : begin + CONTEXT_CHARS], best


def _steps(db: sqlite3.Connection, words: Sequence[Word], fts5: bool) -> Iterator[_Ranked]:
    """The rows with the words in any form, else with the words anywhere, also within a word."""
    if words and fts5:
        yield _by_worth(db, words)
    for all_of_them in (True,) if fts5 else (True, False):
        shares = _containing(db, words, all_of_them)
        yield _Ranked(shares, [1.0] * len(words), shares, within=True)


def _by_worth(db: sqlite3.Connection, words: Sequence[Word]) -> _Ranked:
    """The rows by their share of the words. If all words are too common, the latest come first."""
    count = db.execute("SELECT count(*) FROM entry").fetchone()[0]
    found = [_matches(db, word, count) for word in words]
    total = sum(it.most for it in found)
    worth: dict[int, float] = {}
    for it in found:
        for at, value in it.rows.items():
            worth[at] = worth.get(at, 0.0) + value
    if not worth:
        shares = _common(db, found)
        return _Ranked(shares, [1.0] * len(words), shares)
    close = _close(db, [it for it in found if it.rows])
    shares = {at: value / total for at, value in worth.items()}
    scores = {at: share + _CLOSE * close.get(at, 0.0) for at, share in shares.items()}
    order = sorted(shares, key=lambda at: (scores[at], at), reverse=True)
    return _Ranked({at: shares[at] for at in order}, [it.most for it in found], scores)


def _matches(db: sqlite3.Connection, word: Word, count: int) -> _Matches:
    """A form is worth no more than the word itself, if that occurs, however rare the form is."""
    rows: dict[int, float] = {}
    itself, absent, common = 0.0, _NOWHERE * _rarity(count, 0), ""
    for form in word.forms:
        there = _column(db, _MATCHES, form.match, MAX_RANKED + 1)
        if len(there) > MAX_RANKED:
            if form.worth >= BEGUN:
                common, absent = form.match, 0.0
                break
            continue
        worth = _rarity(count, len(there))
        if form.worth == EXACT and there:
            itself = max(itself, worth)
        worth = form.worth * min(worth, itself or worth)
        for at in there:
            rows[at] = max(rows.get(at, 0.0), worth)
    most = itself or max(absent, *rows.values(), 0.0)
    times = _PHRASE if word.phrase else 1.0
    return _Matches(word, {at: it * times for at, it in rows.items()}, most * times, common)


def _rarity(count: int, there: int) -> float:
    return log(1 + (count - there + 0.5) / (there + 0.5))


def _close(db: sqlite3.Connection, found: Sequence[_Matches]) -> dict[int, float]:
    """How well rows match by BM25, the best as 1. Of the rarest words, as far as can be ranked."""
    left, asked = MAX_RANKED, list[str]()
    for it in sorted(found, key=lambda it: len(it.rows)):
        if len(it.rows) <= left or not asked:
            asked.append(it.word.forms[0].match)
        left -= len(it.rows)
    ranks = dict(db.execute(_RANK, (" OR ".join(asked),))) if asked else {}
    best = max(ranks.values(), default=0.0) or 1.0
    return {at: rank / best for at, rank in ranks.items()}


def _common(db: sqlite3.Connection, found: Sequence[_Matches]) -> dict[int, float]:
    """The latest rows with all of the common words, else with any."""
    asked = [it.common for it in found if it.common]
    for operator, share in ((" ", 1.0), (" OR ", 1 / max(len(asked), 1))):
        if asked and (rows := _column(db, _MATCHES, operator.join(asked), MAX_RANKED)):
            return dict.fromkeys(rows, share)
    return {}


def _containing(
    db: sqlite3.Connection, words: Sequence[Word], all_of_them: bool
) -> dict[int, float]:
    """Rows with the words anywhere in them, those with most words first, then the latest."""
    like = [f"%{word.text.translate(_ESCAPED)}%" for word in words]
    if not like:
        return {}
    has = "+".join(["(text LIKE ? ESCAPE '\\')"] * len(like))
    least = len(like) if all_of_them else 1
    sql = (
        f"SELECT at, n FROM (SELECT at, {has} AS n FROM entry) WHERE n >= {least}"
        f" ORDER BY n DESC, at DESC LIMIT {MAX_RANKED}"
    )
    return {at: there / len(like) for at, there in db.execute(sql, like)}


def _column(db: sqlite3.Connection, sql: str, *values: str | int) -> list[Any]:
    return [value for (value,) in db.execute(sql, values)]


def _grouped(
    db: sqlite3.Connection, shares: Mapping[int, float], group: Group, most: int
) -> list[list[Row]]:
    """The rows to show, by group. Of those that match as well as the best, the newest leads."""
    groups, least = dict[str, list[Row]](), 0.0
    places = list(shares)
    for start in range(0, len(places), MAX_LOOKED_AT):
        for row in _rows(db, places[start : start + MAX_LOOKED_AT]):
            if shares[row.at] >= least and (name := group(row)) is not None:
                least = max(least, _LEFT_OUT * shares[row.at])
                groups.setdefault(name, []).append(row)
        if len(groups) >= most:
            break

    def led(rows: list[Row]) -> list[Row]:
        best = max(shares[row.at] for row in rows)
        lead = max((row for row in rows if shares[row.at] > best * 0.99), key=lambda row: row.at)
        return [lead, *(row for row in rows if row is not lead)]

    return [led(rows) for rows in list(groups.values())[:most]]


def _rows(db: sqlite3.Connection, places: Sequence[int]) -> Iterator[Row]:
    """The rows at these places, in their order."""
    among = ", ".join(map(str, places))
    sql = f"SELECT {ROW}, CASE kind WHEN 'text' THEN text ELSE '' END FROM entry"
    found = {values[0]: Row(*values) for values in db.execute(f"{sql} WHERE at IN ({among})")}
    return (found[at] for at in places)


def _texts(db: sqlite3.Connection, places: Sequence[int]) -> dict[int, str]:
    among = ", ".join(map(str, places))
    return dict(db.execute(f"SELECT at, text FROM entry WHERE at IN ({among})"))
