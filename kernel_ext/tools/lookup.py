"""More tools that read live objects without running code: search, source with docs, tables.

Knows no shell: the host gives it the names. It reads values and paths as `inspect` does.
"""

import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from itertools import islice
from sys import modules
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from ...agent.tools.schema import FieldsOf
from ...agent.tools.tool import Tool, ToolCall, ToolOutput, always, text_output
from ..values.adapter import Refused
from ..values.adapters.evidence import is_scalar
from ..values.describe import brief, short
from ..values.introspect import clip, dict_items, is_a, label, mro, named_fields, stored
from ..values.libraries import known_exactly
from ..values.paths import MAX_PATH_CHARS, follow_code
from ..values.redact import redacted, without_passwords
from ..values.source import FoundSource, NoSource, find_docs, find_source
from ..values.watchdog import in_time, watching
from .table import table_tool

MAX_FOUND, MAX_LISTING_CHARS = 40, 8_000
"""Names and characters of a listing, at most."""
MAX_SEARCHED_KEYS = 300
"""Columns, keys or attributes of one value that are searched."""
MAX_NEAR_NAMES = 5
"""Similar names that are added when few names match."""
MAX_SOURCE_LINES, MAX_SOURCE_TEXT_CHARS = 400, 16_000
"""Lines and characters of source, at most."""
MAX_DOC_TEXT_CHARS = 8_000
"""Characters of documentation, at most."""
MAX_LINE_CHARS = 400
"""Characters of a line, at most."""


class SearchNames(BaseModel):
    """The names to find."""

    query: str = Field(max_length=200, description="part of any of these")
    kind: str | None = Field(
        default=None, max_length=100, description="only of this type, such as DataFrame, function"
    )


class SourceOf(BaseModel):
    """Whose source or documentation to read."""

    object: str = Field(
        max_length=MAX_PATH_CHARS, description="a plain path, such as pd.merge or model.fit"
    )
    docs: bool = Field(default=False, description="signature and docstring instead")
    start: int | None = Field(default=None, ge=1, description="first line, numbered as in the file")
    end: int | None = Field(default=None, ge=1, description="last line, included")


def looking_tools(namespace: Callable[[], Mapping[str, object]]) -> tuple[Tool[Any], ...]:
    """The read-only tools over the user's names. They call `namespace` at each call."""

    async def search(_call: ToolCall, asked: SearchNames) -> ToolOutput:
        with watching():
            return text_output(_search(asked, namespace()))

    async def source(_call: ToolCall, asked: SourceOf) -> ToolOutput:
        tell = _docs if asked.docs else partial(_source, asked)
        return _answer(asked.object, namespace(), tell)

    return (
        Tool("search_names", _SEARCH, FieldsOf(SearchNames), search, always("look")),
        Tool("source", _SOURCE, FieldsOf(SourceOf), source, always("look")),
        table_tool(namespace),
    )


_SEARCH = (
    "Find live variables without running code: by name, type, or a column, key or attribute they "
    "have."
)
_SOURCE = (
    "The Python source, or the docs, of a live function, method, class or module, also of one "
    "from a notebook cell, without running code: as this kernel has it."
)


def _answer(path: str, names: Mapping[str, object], tell: Callable[[object], str]) -> ToolOutput:
    said = clip(path, 120)
    try:
        with watching():
            return text_output(f"`{said}`: {tell(follow_code(path, _known(names)))}")
    except (Refused, NoSource) as reason:
        return text_output(f"`{said}` {reason}", "error")


def _known(names: Mapping[str, object]) -> Mapping[str, object]:
    """The names, with the builtins and the loaded modules that no name hides."""
    return {**modules, **builtins.__dict__, **names}


class _Match(NamedTuple):
    """A matching name. The lowest rank is best. `by`: the match, if it is not in the name."""

    rank: int
    name: str
    held: object
    by: str = ""


def _search(asked: SearchNames, names: Mapping[str, object]) -> str:
    query, kind = asked.query.strip().lower(), (asked.kind or "").strip().lower()
    of_kind = {name: held for name, held in names.items() if not kind or _is_kind(held, kind)}
    matches = sorted(_matches(query, of_kind.items()), key=lambda match: match.rank)
    if len(matches) < MAX_NEAR_NAMES:
        found = {match.name for match in matches}
        near = get_close_matches(asked.query, of_kind, MAX_NEAR_NAMES, 0.6) if query else []
        matches += [_Match(9, name, of_kind[name], "similar") for name in near if name not in found]
    what = f"{clip(asked.query)!r}" + (f" of kind {clip(asked.kind)!r}" if kind else "")
    if not matches:
        return f"Of {len(of_kind):,} names none matches {what}."
    lines = [f"{len(matches):,} of {len(names):,} names match {what}:"]
    room = MAX_LISTING_CHARS - len(lines[0])
    for shown, match in enumerate(matches):
        by = f" ({match.by})" if match.by else ""
        line = f"{clip(match.name)}{by}: {brief(redacted(match.name, match.held))}"
        room -= len(line) + 1
        if room < 0 or shown == MAX_FOUND:
            return "\n".join([*lines, f"… {len(matches) - shown:,} more"])
        lines.append(line)
    return "\n".join(lines)


def _is_kind(held: object, kind: str) -> bool:
    return any(kind in label(base).lower() for base in mro(type(held))[:-1] or (object,))


def _matches(query: str, names: Iterable[tuple[str, object]]) -> Iterator[_Match]:
    for name, held in names:
        at = name.lower().find(query)
        if at >= 0:
            exact = len(name) == len(query)
            yield _Match(0 if exact else 1 if at == 0 else 2, name, held)
        elif query in label(type(held)).lower():
            yield _Match(3, name, held)
        elif not is_scalar(type(held)):
            keys = in_time(_keys, redacted(name, held), lambda _: ())
            key = next((key for key in keys if query in key[:MAX_LINE_CHARS].lower()), None)
            if key is not None:
                yield _Match(4, name, held, f"has {clip(key)!r}")


def _keys(held: Any) -> tuple[str, ...]:
    """Columns, keys, fields or attributes that are plain text, up to `MAX_SEARCHED_KEYS`."""
    try:
        texts = (key for key in islice(_labels(held), MAX_SEARCHED_KEYS) if type(key) is str)
        return tuple(key for key in texts if key[:2] != "__")
    except Exception:
        return ()


def _labels(held: Any) -> Iterator[object]:
    found = known_exactly(held)
    if found:
        adapter, kind = found
        return iter(adapter.labels(held, kind))
    if is_a(held, dict):
        return (key for key, _ in islice(dict_items(held), MAX_SEARCHED_KEYS))
    if is_a(held, tuple):
        return (name for name, _ in named_fields(held) or ())
    plain = not any(is_a(held, kind) for kind in (type, FunctionType, ModuleType))
    return (key for key, _ in islice(stored(held), MAX_SEARCHED_KEYS)) if plain else iter(())


def _source(asked: SourceOf, held: object) -> str:
    found = find_source(held)
    last = found.first + len(found.lines) - 1
    first, end = max(asked.start or 1, found.first), min(asked.end or last, last)
    if first > end:
        raise NoSource(f"is {found.what}, which has only the lines {found.first}–{last}.")
    lines, room = list[str](), MAX_SOURCE_TEXT_CHARS
    for line in found.lines[first - found.first : end - found.first + 1][:MAX_SOURCE_LINES]:
        text = clip(without_passwords(line.expandtabs().rstrip()[:10_000]), MAX_LINE_CHARS)
        room -= len(text) + 1
        if room < 0:
            break
        lines.append(text)
    return "\n".join([_heading(found, first, first + len(lines) - 1, last), *lines])


def _heading(found: FoundSource, first: int, shown: int, last: int) -> str:
    whole = (first, shown) == (found.first, last)
    part = "" if whole else f" of {found.first}–{last}"
    more = f", go on with start={shown + 1}" if shown < last else ""
    note = f" ({found.note})" if found.note else ""
    return f"{found.what}{note} in {found.place}, lines {first}–{shown}{part}{more}"


def _docs(held: object) -> str:
    head, text = find_docs(held, short)
    lines, room = [head], MAX_DOC_TEXT_CHARS
    for line in text.split("\n") if text else ["It has no docstring."]:
        said = clip(without_passwords(line.expandtabs()), MAX_LINE_CHARS)
        room -= len(said) + 1
        if room < 0:
            return "\n".join([*lines, f"… cut at {MAX_DOC_TEXT_CHARS:,} characters"])
        lines.append(said)
    return "\n".join(lines)
