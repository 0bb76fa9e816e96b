"""Reads a notebook's file cell by cell, and writes it as a whole. Knows no edits.

Parts stay bytes until someone uses them, so unused outputs never become objects. The file is read,
not mapped, since a mapped file that somebody shortens would end the kernel.
"""

import hashlib
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from itertools import count
from pathlib import Path
from typing import Any, Literal, cast

from ....agent.errors import UsageError
from ....agent.frozen import frozen
from .scan import Layout, Located, locate

CellKind = Literal["code", "markdown", "raw"]
MAJOR, MINOR = 4, 5
PROVEN_SIZE = 4_000_000
"""Bytes of a file. A smaller one is fully checked to be JSON when it is read, in about 15 ms."""
_VALID_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@frozen
class Cell:
    """One cell: the place of its bytes in `body`, and its content, which is decoded on demand.

    `id` is the one in the file. If there is none, or several cells have it, it is made from what
    the cell is. `shared`: the id that several have. `kind`: also a word that no format knows.
    """

    at: int
    id: str
    kind: str
    place: Located
    shared: str
    body: bytes = field(repr=False, compare=False)

    @property
    def span(self) -> tuple[int, int]:
        """The positions of the cell's first byte, and of the byte after its last."""
        return self.place.start, self.place.end

    @property
    def source(self) -> str:
        """The cell's text. Raises UsageError if it has none."""
        return _source(self.body, self.place, self.at)

    @property
    def execution_count(self) -> int | None:
        """The number of its run. None for a cell that did not run, or is no code."""
        number = _value(self.body, self.place, "execution_count")
        return number if type(number) is int else None

    @property
    def metadata(self) -> dict[str, Any]:
        """The cell's metadata."""
        return _value(self.body, self.place, "metadata") or {}


@frozen
class Ipynb:
    """A notebook. `data`: the file's bytes. `body`: the bytes that spans refer to.

    Both are the same, unless the file is of format 2 or 3. Then `body` is the converted notebook.
    """

    nbformat: int
    nbformat_minor: int
    cells: tuple[Cell, ...]
    layout: Layout = field(repr=False)
    data: bytes = field(repr=False, compare=False)
    body: bytes = field(repr=False, compare=False)

    @property
    def metadata(self) -> dict[str, Any]:
        """The notebook's metadata. Empty if they are no object."""
        found = _value(self.body, self.layout.notebook, "metadata")
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

    def cell(self, which: str | int) -> Cell:
        """The cell with this id, or at this position from 0. Raises UsageError."""
        if isinstance(which, int):
            if 0 <= which < len(self.cells):
                return self.cells[which]
            raise UsageError(f"There is no cell {which}: the notebook has {len(self.cells)}.")
        for cell in self.cells:
            if cell.id == which:
                return cell
        raise no_such_cell(which, self.cells)


def no_such_cell(cell_id: str, cells: Iterable[Cell]) -> UsageError:
    """The error for an id that no cell has, or that several of these have."""
    several = sum(cell.shared == cell_id for cell in cells)
    if several:
        return UsageError(f"{several} cells have the id {cell_id!r}: name one by its number.")
    return UsageError(f"No cell has the id {cell_id!r}.")


def outputs(cell: Cell) -> tuple[dict[str, Any], ...]:
    """A code cell's outputs in nbformat's form in memory, with whole texts, not lists of lines."""
    found = cast("list[Any]", _value(cell.body, cell.place, "outputs") or [])
    return tuple(_joined(output) for output in found)


def read_ipynb(path: Path) -> Ipynb:
    """The notebook in a file. Raises UsageError with a sentence that says what is wrong."""
    try:
        return parse_ipynb(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except UsageError as error:
        raise UsageError(f"{path} cannot be read as a notebook. {error.message}") from None


def parse_ipynb(data: bytes, proven: bool = False, names: Sequence[str] = ()) -> Ipynb:
    """A notebook of format 2 to 4 from a file's bytes. Raises UsageError.

    With `proven`, or up to PROVEN_SIZE bytes, it checks that the whole file is JSON. In a larger
    file, the content of outputs is checked only when they are read. `names`: ids of the cells that
    are known already. An id that is made may be another after an edit of other cells.
    """
    proven = proven or len(data) <= PROVEN_SIZE
    layout = locate(data, proven)
    major, minor = (_version(data, layout, key) for key in ("nbformat", "nbformat_minor"))
    body = data
    if major < MAJOR:
        body = _converted(data)
        layout = locate(body, proven)
    elif not _begins(body, layout.notebook, "cells", b"["):
        raise UsageError("It has no list of cells, which every notebook has.")
    cells = _cells(body, layout, minor if major == MAJOR else 0)
    if names:
        cells = tuple(map(_named, cells, names))
    return Ipynb(major, minor, cells, layout, data, body)


def _version(data: bytes, layout: Layout, key: str) -> int:
    number = _value(data, layout.notebook, key)
    if key == "nbformat_minor":
        return number if type(number) is int else 0
    if type(number) is not int:
        raise UsageError("It is JSON, but no notebook: it has no format number (nbformat).")
    if not 2 <= number <= MAJOR:
        raise UsageError(f"It is a notebook of format {number}. Only 2 to {MAJOR} can be read.")
    return number


def _converted(data: bytes) -> bytes:
    """The file in format 4, without nbformat's random ids: ours must be the same each time."""
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
    """JSON as UTF-8. A lone surrogate, which UTF-8 does not have, becomes a JSON escape."""
    return text.encode("utf-8", "backslashreplace")


def _cells(body: bytes, layout: Layout, minor: int) -> tuple[Cell, ...]:
    kinds = [_kind(body, place, at) for at, place in enumerate(layout.cells)]
    given = [_given_id(body, place) for place in layout.cells]
    often = Counter(given)
    taken = {one for one in given if one is not None}
    cells: list[Cell] = []
    for at, (place, kind, one) in enumerate(zip(layout.cells, kinds, given, strict=True)):
        alone = often[one] == 1
        name, shared = one, ""
        if one is not None and not alone:
            name, shared = None, one if minor >= MINOR else ""
        elif one is not None and minor < MINOR and not _VALID_ID.fullmatch(one):
            name = None
        if name is None:
            name = made_id(f"{shared or at}:{kind}:{_source(body, place, at)}", taken)
            taken.add(name)
        cells.append(Cell(at, name, kind, place, shared, body))
    return tuple(cells)


def _named(cell: Cell, name: str) -> Cell:
    """The cell under a name that was made for it while other cells had its id."""
    return cell if cell.id == name else replace(cell, id=name, shared=cell.shared or cell.id)


def made_id(content: str, taken: set[str]) -> str:
    """An id of eight hexadecimal digits, computed from the content and not taken yet."""
    names = (
        hashlib.blake2b(f"{n}:{content}".encode("utf-8", "surrogatepass"), digest_size=4)
        for n in count()
    )
    return next(name for found in names if (name := found.hexdigest()) not in taken)


def _begins(body: bytes, place: Located, key: str, signs: bytes | tuple[bytes, ...]) -> bool:
    member = place.members.get(key)
    return member is not None and body.startswith(signs, member.start)


def _kind(body: bytes, place: Located, at: int) -> str:
    """A cell's kind. It also checks the other members that reading the cell needs."""
    kind = _value(body, place, "cell_type")
    if not isinstance(kind, str):
        raise UsageError(f"Cell {at} has no kind: its cell_type is {kind!r}.")
    if not _begins(body, place, "source", (b'"', b"[")):
        raise UsageError(f"Cell {at} has no source.")
    for key, begin in (("metadata", b"{"), ("outputs", b"[")):
        if key in place.members and not _begins(body, place, key, begin):
            raise UsageError(f"Cell {at} has an invalid member: its {key}.")
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
    """A member's value. None if there is none."""
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
    """Replace `before` by `after`, completely or not at all. Raises UsageError.

    It refuses if the file is not `before` any more. Permissions stay, and links are followed.
    """
    target = Path(os.path.realpath(path))
    try:
        if not _holds(target, before):
            raise UsageError(
                f"{path} was saved by somebody else meanwhile. Nothing was written.",
                "Read it again.",
            )
        if not os.access(target, os.W_OK):
            raise UsageError(f"{path} is read-only. Nothing was written.")
        save_file(target, after)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None


def _holds(path: Path, data: bytes) -> bool:
    """Whether the file has exactly this content. It reads a piece at a time."""
    at = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            if piece != data[at : at + len(piece)]:
                return False
            at += len(piece)
    return at == len(data)


def save_file(path: Path, data: bytes) -> None:
    """Write a file, completely or not at all. Raises OSError. Links are followed."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # a device or a pipe
        target.write_bytes(data)
        return
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:80]}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, _mode(target))
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _mode(target: Path) -> int:
    """The permissions of a file, or those that a new one gets."""
    if target.exists():
        return target.stat().st_mode & 0o7777
    masked = os.umask(0)
    os.umask(masked)
    return 0o666 & ~masked
