"""Finds the byte positions of a notebook's parts. Knows JSON and its layouts, not cells.

There are two ways. `by_lines` reads Jupyter's layout: one indentation, and a line for each member.
A JSON string has no line end, so that a line's indentation gives its depth. It skips outputs at
2 GB/s. `by_tokens` reads JSON of any layout, at 300 MB/s. Neither reads into outputs. `locate` can
prove that all is JSON, one cell at a time, and keeps nothing of it.
"""

import json
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from ....agent.errors import UsageError

_SPACE = rb"[ \t\r\n]*+"
# A quote after one backslash is part of the string. After none or two it ends the string. After
# more, the other pattern decides. `[^"]` is used since it is ten times as fast as `[^"\\]`.
_QUICK = rb'"[^"]*+(?:(?<=[^\\]\\)"[^"]*+)*+"(?:(?<!\\")|(?<=[^\\]\\\\"))'
_ANY = rb'"(?:[^"\\]|\\.)*+"'
_STRING = b"(?:" + _QUICK + b"|" + _ANY + b")"
_WORD = rb"[\w.+-]++"

_SPACES = re.compile(_SPACE)
_KEY = re.compile(_SPACE + b"(" + _STRING + b")" + _SPACE + b":" + _SPACE, re.DOTALL)
_SCALAR = re.compile(_STRING + b"|" + _WORD, re.DOTALL)
_NEXT = re.compile(_SPACE + rb"([,\]}])")
_ANY_STRING = re.compile(_ANY, re.DOTALL)
_TO_BRACKET = re.compile(rb'(?:[^"\[\]{}]*+' + _QUICK + rb')*+[^"\[\]{}]*+')
_HEAD = re.compile(rb'\{(\r?\n)( +|\t+)(?=")')
BOM = b"\xef\xbb\xbf"


class Member(NamedTuple):
    """The place of one `"key": value`: first byte of the key, first of the value, its end."""

    at: int
    start: int
    end: int


class Located(NamedTuple):
    """The place of an object, and its members. Of a key that occurs twice it has the last."""

    start: int
    end: int
    members: dict[str, Member]


class Layout(NamedTuple):
    """The notebook's own object, and the objects in its `cells`."""

    notebook: Located
    cells: tuple[Located, ...]


def locate(data: bytes, proven: bool) -> Layout:
    """Find all parts. Raises UsageError if `data` is no JSON object, or a cell is none.

    Unless `proven`, it does not read into values. Then it trusts a text that only looks like
    Jupyter's layout, which no program writes.
    """
    lines = by_lines(data)
    values = (value for cell in lines.cells for value in cell.members.values()) if lines else ()
    doubt = _fault(data, lines.notebook, values) if lines and proven else None
    if lines and doubt is None:
        return lines
    try:
        tokens = by_tokens(data)
        fault = _fault(data, tokens.notebook, tokens.cells) if proven else None
    except UsageError as error:
        raise doubt or error from None
    if fault:
        raise doubt or fault
    return tokens


def by_tokens(data: bytes) -> Layout:
    """The parts of JSON in any layout."""
    start = _spaces(data, len(BOM) if data.startswith(BOM) else 0)
    if data[start : start + 1] != b"{":
        raise _no_object(data, start)
    cells: list[Located] = []
    notebook = _object_at(data, start, cells)
    rest = _spaces(data, notebook.end)
    if rest < len(data):
        raise _broken(data, rest, "something follows its end")
    return Layout(notebook, tuple(cells))


def _object_at(data: bytes, start: int, cells: list[Located] | None = None) -> Located:
    """The members of the object whose brace is at `start`. Raises UsageError.

    With `cells`, the object is a notebook's, and its cells are added to them.
    """
    members: dict[str, Member] = {}
    at = start + 1
    closed = _NEXT.match(data, at)
    if closed and closed[1] == b"}":
        return Located(start, closed.end(), members)
    while True:
        key = _KEY.match(data, at)
        if key is None:
            raise _broken(data, _spaces(data, at), "a key is missing")
        name, value = _key(data, key), key.end()
        if cells is not None and name == "cells":
            cells.clear()
            end = _cells_end(data, value, cells)
        else:
            end = _value_end(data, value)
        members[name] = Member(key.start(1), value, end)
        then = _NEXT.match(data, end)
        if then is None or then[1] == b"]":
            raise _broken(data, _spaces(data, end), "a comma or a brace is missing")
        at = then.end()
        if then[1] == b"}":
            return Located(start, at, members)


def _cells_end(data: bytes, at: int, cells: list[Located]) -> int:
    if data[at : at + 1] != b"[":
        return _value_end(data, at)
    at += 1
    closed = _NEXT.match(data, at)
    while not closed or closed[1] != b"]":
        at = _spaces(data, at)
        if data[at : at + 1] != b"{":
            raise _broken(data, at, "a cell is no object")
        cells.append(_object_at(data, at))
        end = cells[-1].end
        closed = _NEXT.match(data, end)
        if closed is None or closed[1] == b"}":
            raise _broken(data, _spaces(data, end), "a comma or a bracket is missing")
        at = closed.end()
    return closed.end()


def _value_end(data: bytes, at: int) -> int:
    if data[at : at + 1] not in (b"{", b"["):
        scalar = _SCALAR.match(data, at)
        if scalar is None:
            raise _broken(data, at, "a value is missing")
        return scalar.end()
    depth = 0
    while True:
        found = _TO_BRACKET.match(data, at)
        at = found.end() if found else at
        if string := _ANY_STRING.match(data, at):
            at = string.end()
            continue
        if data[at : at + 1] in (b"", b'"'):
            raise _broken(data, len(data), "")
        depth += 1 if data[at] in b"[{" else -1
        at += 1
        if not depth:
            return at


def _spaces(data: bytes, at: int) -> int:
    found = _SPACES.match(data, at)
    return found.end() if found else at


def _key(data: bytes, key: re.Match[bytes]) -> str:
    try:
        return json.loads(key[1].decode())
    except ValueError:
        raise _broken(data, key.start(1), "a key is no string") from None


class _Lines(NamedTuple):
    """Patterns of lines at one depth: a member, the end of its value, the end of its object."""

    member: re.Pattern[bytes]
    ends: dict[bytes, re.Pattern[bytes]]
    then: re.Pattern[bytes]
    close: bytes


@cache
def _lines(newline: bytes, indent: bytes, level: int) -> _Lines:
    begin = re.escape(newline + indent * level)
    scalar = _STRING + b"|" + _WORD + rb"|\[\]|\{\}"
    member = begin + rb'"(\w+)": (?:([\[{])(?=\r?\n)|(?:' + scalar + rb")(?=,?\r?\n))"
    # A pattern of literal bytes is searched twice as fast as by `bytes.find` (CPython 3.11).
    ends = {b"[": re.compile(begin + rb"\]"), b"{": re.compile(begin + rb"\}")}
    close = newline + indent * (level - 1) + b"}"
    return _Lines(re.compile(member, re.DOTALL), ends, re.compile(rb",(?=\r?\n)"), close)


def by_lines(data: bytes) -> Layout | None:
    """The parts of Jupyter's layout, of any indentation. None if the layout is different.

    The result is right if each value is JSON. A value that does not end where it seems is not.
    """
    head = _HEAD.match(data)
    if head is None:
        return None
    newline, indent = head[1], head[2]
    cells: list[Located] = []
    opener, closer = newline + indent * 2 + b"{", newline + indent + b"]"

    def cells_end(at: int) -> int | None:
        while data.startswith(opener, at):
            cell = _by_lines(data, at + len(opener) - 1, _lines(newline, indent, 3), None)
            if cell is None:
                return None
            cells.append(cell)
            if data[cell.end : cell.end + 1] != b",":
                return cell.end + len(closer) if data.startswith(closer, cell.end) else None
            at = cell.end + 1
        return None

    notebook = _by_lines(data, 0, _lines(newline, indent, 1), cells_end)
    if notebook is None or _spaces(data, notebook.end) < len(data):
        return None
    return Layout(notebook, tuple(cells))


def _by_lines(
    data: bytes, start: int, lines: _Lines, cells_end: Callable[[int], int | None] | None
) -> Located | None:
    members: dict[str, Member] = {}
    at = start + 1
    while True:
        found = lines.member.match(data, at)
        if found is None:
            return None
        key, opener = found[1].decode(), found[2]
        if key in members:
            return None
        end = found.end()
        if cells_end and opener == b"[" and key == "cells":
            end = cells_end(end)
        elif opener:
            closed = lines.ends[opener].search(data, end)
            end = closed.end() if closed else None
        if end is None:
            return None
        value = found.start(2) if opener else found.end(1) + len(b'": ')
        members[key] = Member(found.start(1) - 1, value, end)
        then = lines.then.match(data, end)
        if then is None:
            break
        at = then.end()
    if not data.startswith(lines.close, end):
        return None
    return Located(start, end + len(lines.close), members)


def _fault(data: bytes, notebook: Located, more: Iterable[Located | Member]) -> UsageError | None:
    """The first part that is no JSON, as an error. Only one part is in memory at a time."""
    parts = [member for key, member in notebook.members.items() if key != "cells"]
    for part in (*parts, *more):
        text = data[part.start : part.end]
        if _is_plain(text):
            continue
        try:
            json.loads(text.decode())
        except json.JSONDecodeError as error:
            line = data.count(b"\n", 0, part.start) + error.lineno
            return UsageError(f"It is not valid JSON: {error.msg} (line {line}).")
        except UnicodeDecodeError as error:
            return _broken(data, part.start + error.start, "this is not UTF-8")
        except (ValueError, RecursionError) as error:
            return _broken(data, part.start, str(error))
    return None


def _is_plain(text: bytes) -> bool:
    """Whether an object, or a list of objects, is surely JSON. False proves nothing.

    It is five times as fast as Python's reader, and keeps nothing of the text.
    """
    grammar = _grammars().get(text[:1])
    try:
        return grammar is not None and grammar.validate_json(text) is not None
    except ValueError:
        return False


@cache
def _grammars() -> dict[bytes, Any]:
    from pydantic_core import SchemaValidator, core_schema

    some = core_schema.typed_dict_schema({}, extra_behavior="ignore")
    return {b"{": SchemaValidator(some), b"[": SchemaValidator(core_schema.list_schema(some))}


def _no_object(data: bytes, at: int) -> UsageError:
    if at == len(data):
        return UsageError("It is empty.")
    try:
        json.loads(data.decode())
    except UnicodeDecodeError as error:
        return _broken(data, error.start, "this is not UTF-8")
    except (ValueError, RecursionError):
        return _broken(data, at, "it does not begin with a brace")
    return UsageError("It is JSON, but no notebook: no object.")


def _broken(data: bytes, at: int, what: str) -> UsageError:
    if at >= len(data.rstrip()):
        line = data.rstrip().count(b"\n") + 1
        return UsageError(
            f"It is not valid JSON: it breaks off in its last line, {line}, "
            "or a quote or bracket is not closed."
        )
    line = data.count(b"\n", 0, at) + 1
    return UsageError(f"It is not valid JSON: {what} (line {line}).")
