"""A notebook's file as text: its cells, read one by one, and written whole. Knows no edits.

What is read stays bytes until it is asked for: outputs that nobody looks at become no objects. The
file is read, not mapped: a mapped file that somebody shortens would end the kernel.
"""

import hashlib
import json
import os
import re
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal, cast

from ....agent.errors import UsageError
from .scan import Layout, Located, locate

CellKind = Literal["code", "markdown", "raw"]
CELL_KINDS: tuple[CellKind, ...] = ("code", "markdown", "raw")
MAJOR, MINOR = 4, 5
PROVEN_SIZE = 4_000_000
"""Bytes up to which reading looks whether all of a file is JSON: some 15 ms."""
_VALID_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: where its bytes are in `body`, and what they say, decoded when it is asked for.

    `id` is the one in the file; where there is none, one that the same position, kind and source
    always give.
    """

    at: int
    id: str
    kind: CellKind
    place: Located
    body: bytes = field(repr=False, compare=False)

    @property
    def span(self) -> tuple[int, int]:
        """The cell's first byte, and the one behind its last."""
        return self.place.start, self.place.end

    @property
    def source(self) -> str:
        """Its text. Raises UsageError when there is none."""
        return _source(self.body, self.place, self.at)

    @property
    def execution_count(self) -> int | None:
        """The number of its run, of a code cell that ran."""
        number = _value(self.body, self.place, "execution_count")
        return number if type(number) is int else None

    @property
    def metadata(self) -> dict[str, Any]:
        """What else is kept of it."""
        return _value(self.body, self.place, "metadata") or {}


@dataclass(frozen=True, slots=True)
class Ipynb:
    """A notebook. `data` is the file's bytes; `body` the bytes that spans are in.

    The two are one, unless the file is of format 2 or 3: then `body` is what it was converted to.
    """

    nbformat: int
    nbformat_minor: int
    cells: tuple[Cell, ...]
    layout: Layout = field(repr=False)
    data: bytes = field(repr=False, compare=False)
    body: bytes = field(repr=False, compare=False)

    def cell(self, which: str | int) -> Cell:
        """By its id, or its position from 0. Raises UsageError when there is none, or several."""
        if isinstance(which, int):
            if 0 <= which < len(self.cells):
                return self.cells[which]
            raise UsageError(f"There is no cell {which}: the notebook has {len(self.cells)}.")
        found = [cell for cell in self.cells if cell.id == which]
        if len(found) == 1:
            return found[0]
        raise no_such_cell(which, len(found))


def no_such_cell(cell_id: str, found: int) -> UsageError:
    """Of an id that no cell has, or more than one."""
    if found:
        hint = "Save it in Jupyter: that gives each cell an id of its own."
        return UsageError(f"{found} cells have the id {cell_id!r}.", hint)
    return UsageError(f"No cell has the id {cell_id!r}.")


def outputs(cell: Cell) -> tuple[dict[str, Any], ...]:
    """A code cell's outputs, as nbformat has them in memory: texts whole, not as lists of lines."""
    found = cast("list[Any]", _value(cell.body, cell.place, "outputs") or [])
    return tuple(_joined(output) for output in found)


def read_ipynb(path: Path) -> Ipynb:
    """The notebook in a file. Raises UsageError: what is wrong with the file, in a sentence."""
    try:
        return parse_ipynb(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except UsageError as error:
        raise UsageError(f"{path} cannot be read as a notebook. {error.message}") from None


def parse_ipynb(data: bytes, proven: bool = False) -> Ipynb:
    """A notebook of format 2 to 4 from a file's bytes. Raises UsageError.

    `proven`, and of a file up to PROVEN_SIZE always, all of it is known to be JSON; of a larger one
    what stands within outputs is looked at when they are asked for.
    """
    proven = proven or len(data) <= PROVEN_SIZE
    layout = locate(data, proven)
    major, minor = (_version(data, layout, key) for key in ("nbformat", "nbformat_minor"))
    body = data
    if major < MAJOR:
        body = _converted(data)
        layout = locate(body, proven)
    elif not _begins(body, layout.notebook, "cells", b"["):
        raise UsageError("It has no cells: a notebook has a list of them.")
    cells = _cells(body, layout, minor if major == MAJOR else 0)
    return Ipynb(major, minor, cells, layout, data, body)


def _version(data: bytes, layout: Layout, key: str) -> int:
    number = _value(data, layout.notebook, key)
    if key == "nbformat_minor":
        return number if type(number) is int else 0
    if type(number) is not int:
        raise UsageError("It is JSON, but no notebook: it does not say its format (nbformat).")
    if not 2 <= number <= MAJOR:
        raise UsageError(f"It is a notebook of format {number}; what can be read is 2 to {MAJOR}.")
    return number


def _converted(data: bytes) -> bytes:
    """Format 4 without ids: nbformat makes them by chance, and ours must be the same each time."""
    import nbformat
    from nbformat import reader, v4

    try:
        old = cast("Any", reader).reads(data.decode("utf-8-sig"))
        notebook = cast("Any", nbformat).convert(old, MAJOR)
        for cell in notebook.cells:
            cell.pop("id", None)
        notebook.nbformat_minor = MINOR - 1
        return encoded(cast("Any", v4).writes(notebook) + "\n")
    except (ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise UsageError(f"It cannot be converted to format {MAJOR}: {reason}.") from None


def encoded(text: str) -> bytes:
    """JSON as UTF-8; half a surrogate pair, which UTF-8 does not have, as JSON's escape."""
    return text.encode("utf-8", "backslashreplace")


def _cells(body: bytes, layout: Layout, minor: int) -> tuple[Cell, ...]:
    kinds: list[CellKind] = [_kind(body, place, at) for at, place in enumerate(layout.cells)]
    given = [_given_id(body, place) for place in layout.cells]
    if minor < MINOR:
        often = Counter(given)
        given = [
            one if one and often[one] == 1 and _VALID_ID.fullmatch(one) else None for one in given
        ]
    taken = {one for one in given if one is not None}
    cells: list[Cell] = []
    for at, (place, kind, known) in enumerate(zip(layout.cells, kinds, given, strict=True)):
        name = known
        if name is None:
            name = made_id(f"{at}:{kind}:{_source(body, place, at)}", taken)
            taken.add(name)
        cells.append(Cell(at, name, kind, place, body))
    return tuple(cells)


def made_id(content: str, taken: set[str]) -> str:
    """Eight hexadecimal digits that follow from the content and are not taken."""
    names = (
        hashlib.blake2b(f"{n}:{content}".encode("utf-8", "surrogatepass"), digest_size=4)
        for n in count()
    )
    return next(name for found in names if (name := found.hexdigest()) not in taken)


def _begins(body: bytes, place: Located, key: str, signs: bytes | tuple[bytes, ...]) -> bool:
    member = place.members.get(key)
    return member is not None and body.startswith(signs, member.start)


def _kind(body: bytes, place: Located, at: int) -> CellKind:
    """A cell's, of which all is looked at that reading it stands on."""
    kind = _value(body, place, "cell_type")
    if kind not in CELL_KINDS:
        raise UsageError(f"Cell {at} is of no known kind: its cell_type is {kind!r}.")
    if not _begins(body, place, "source", (b'"', b"[")):
        raise UsageError(f"Cell {at} has no source.")
    for key, begin in (("metadata", b"{"), ("outputs", b"[")):
        if key in place.members and not _begins(body, place, key, begin):
            raise UsageError(f"Cell {at} is not as the format says: its {key}.")
    return kind


def _given_id(body: bytes, place: Located) -> str | None:
    name = _value(body, place, "id")
    return name if isinstance(name, str) else None


def _source(body: bytes, place: Located, at: int) -> str:
    source = _value(body, place, "source")
    lines = [source] if isinstance(source, str) else source
    if not all(isinstance(line, str) for line in lines):
        raise UsageError(f"Cell {at}'s source is neither text nor lines of text.")
    return "".join(lines)


def _value(body: bytes, place: Located, key: str) -> Any:
    """A member's value; None when there is none."""
    member = place.members.get(key)
    if member is None:
        return None
    try:
        return json.loads(body[member.start : member.end].decode())
    except (ValueError, RecursionError) as error:
        line = body.count(b"\n", 0, member.start) + 1
        raise UsageError(f"It is not valid JSON: {key} in line {line}: {error}.") from None


def _joined(output: Any) -> dict[str, Any]:
    if not isinstance(output, dict):
        raise UsageError("An output is no object.")
    found = cast("dict[str, Any]", output)
    data = found.get("data")
    if isinstance(data, dict):
        bundle = cast("dict[str, Any]", data)
        return {**found, "data": {kind: _text(kind, value) for kind, value in bundle.items()}}
    return {**found, "text": _text("", found["text"])} if "text" in found else found


def _text(kind: str, value: Any) -> Any:
    is_json = kind == "application/json" or re.fullmatch(r"application/.*\+json", kind)
    if is_json or not isinstance(value, list):
        return value
    lines = cast("list[Any]", value)
    return "".join(lines) if all(isinstance(line, str) for line in lines) else lines


def write_ipynb(path: Path, before: bytes, after: bytes) -> None:
    """Put `after` in the place of `before`, whole or not at all. Raises UsageError.

    Refused when the file is not `before` any more. Permissions stay; a link's target is written.
    """
    target = Path(os.path.realpath(path))
    try:
        if not _holds(target, before):
            raise UsageError(
                f"{path} was saved by somebody else meanwhile: nothing was written.",
                "Read it again.",
            )
        if not os.access(target, os.W_OK):
            raise UsageError(f"{path} is read-only: nothing was written.")
        _replace(target, after)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None


def _holds(path: Path, data: bytes) -> bool:
    """Whether the file is this, a piece at a time."""
    at = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            if piece != data[at : at + len(piece)]:
                return False
            at += len(piece)
    return at == len(data)


def _replace(target: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:80]}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, target.stat().st_mode & 0o7777)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
