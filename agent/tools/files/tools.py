"""The tools that search the files of a folder, and read one by place. Knows no index's form."""

import asyncio
import sqlite3
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from ...printable import printable
from ...protocol.actions import Touches
from ...protocol.cells import StreamOutput
from ...protocol.events import OutputShown
from ...protocol.items import text_part
from ...text.images import image_or_words
from ..schema import FieldsOf
from ..tool import Tool, ToolCall, ToolOutput, always, text_output
from ..values import ImageBytes
from .folder_indexes import FolderIndexes
from .found import FileHit, search_index
from .index import Among, NoSearchError, opened_index, unreadable
from .indexing import Indexer, IndexState, document_texts, picture_of
from .places import PlacedText, UnreadableFile, asked_place

READING_SECONDS = 20.0
"""How long a search waits for files that are not read yet."""
MAX_NAMED = 5
"""Most files without text, and most places of a file, that an answer names."""
MAX_PLACES = 30
_SEARCH = (
    "Search the text of files in the working folder: PDF, Word, slides, sheets, HTML, notebooks, "
    "code. Cite hits as [path, place]."
)
_READ = "Read a file by place: a page, slide, sheet, heading, cell, or lines."

Kind = Literal["", "pdf", "word", "slides", "sheet", "html", "notebook", "markdown", "text", "code"]


class SearchFiles(BaseModel):
    """Words to search for."""

    queries: list[str] = Field(
        min_length=1,
        max_length=6,
        description="keywords, in several wordings: as the text itself may say it",
    )
    path: str = Field("", max_length=1_000, description="only this file, folder or glob")
    kind: Kind = ""
    limit: int = Field(8, ge=1, le=20)


class ReadFile(BaseModel):
    """A file to read."""

    path: str = Field(max_length=4_000)
    place: str = Field("", max_length=500, description="as a hit names it, or `pages 3-5`")
    as_image: bool = Field(False, description="show a page of a PDF: a scan, figure or table")


def file_tools(
    folder: Callable[[], Path], indexes: Callable[[], FolderIndexes]
) -> tuple[Tool[SearchFiles], Tool[ReadFile]]:
    """The tools `search_files` and `read_file` over the working folder."""

    async def search(call: ToolCall, asked: SearchFiles) -> ToolOutput:
        indexer = indexes().of(folder())
        try:
            state = await _refreshed(indexer, call)
            return await asyncio.to_thread(_found, indexer, state, asked)
        except (NoSearchError, OSError, sqlite3.DatabaseError) as error:
            return text_output(f"The index cannot be used: {error}", "error")

    async def read(_call: ToolCall, asked: ReadFile) -> ToolOutput:
        try:
            return await asyncio.to_thread(_read, folder() / asked.path, asked)
        except UnreadableFile as problem:
            return text_output(f"{asked.path} cannot be read: {problem}.", "error")

    def touches(asked: ReadFile) -> Touches:
        return _touches(folder(), asked.path)

    look = always("look")
    return (
        Tool("search_files", _SEARCH, FieldsOf(SearchFiles), search, look, returns="list"),
        Tool("read_file", _READ, FieldsOf(ReadFile), read, touches, returns="list"),
    )


async def _refreshed(indexer: Indexer, call: ToolCall) -> IndexState:
    """The state of the index, once changed files are read, or after a while."""
    state, until = await asyncio.to_thread(indexer.refresh), time.monotonic() + READING_SECONDS
    shown = False
    while state.waiting and time.monotonic() < until:
        await asyncio.sleep(0.1)
        state = indexer.state
        if state.waiting:
            _say(call, f"\rreading files: {state.files - state.waiting} of {state.files}")
            shown = True
    if shown:
        _say(call, "\n")
    return state


def _say(call: ToolCall, text: str) -> None:
    output = StreamOutput(name="stdout", text=text)
    call.show(OutputShown(call_id=call.block or call.id, output=output))


def _found(indexer: Indexer, state: IndexState, asked: SearchFiles) -> ToolOutput:
    among = Among(_glob(indexer.folder, asked.path), asked.kind)
    with opened_index(indexer.index) as db:
        hits = search_index(db, asked.queries, asked.limit, among)
        silent = unreadable(db)
    told = [f"{at}. {_hit_line(it)}" for at, it in enumerate(hits, 1)]
    if not told:
        told = [f"Nothing found in {state.files:,} files. Try other words, which the text may use."]
    told += _remarks(state, silent)
    parts = (text_part(printable("\n".join(told))),)
    return ToolOutput(parts, value=[_hit_value(it) for it in hits])


def _glob(folder: Path, path: str) -> str:
    """The glob of paths below the folder that a path means."""
    if not path.strip(" ./"):
        return ""
    inner = path.removeprefix(f"{folder}/").removeprefix("./").rstrip("/")
    return f"{inner}/*" if (folder / inner).is_dir() else inner


def _hit_line(hit: FileHit) -> str:
    return f"{hit.passage.path}, {hit.passage.place.words}: {hit.snippet}"


def _hit_value(hit: FileHit) -> dict[str, Any]:
    it = hit.passage
    where = {"path": it.path, "place": it.place.words, **it.place.values}
    return {**where, "start": it.start, "end": it.end, "text": it.text, "score": hit.score}


def _remarks(state: IndexState, silent: Mapping[str, str]) -> list[str]:
    told: list[str] = []
    if state.waiting:
        told.append(f"[{state.waiting:,} of {state.files:,} files are not read yet: search again]")
    if silent:
        named = "; ".join(f"{path}: {why}" for path, why in list(silent.items())[:MAX_NAMED])
        more = f"; {len(silent) - MAX_NAMED:,} more" if len(silent) > MAX_NAMED else ""
        told.append(f"[without text: {named}{more}]")
    return told


def _read(path: Path, asked: ReadFile) -> ToolOutput:
    if asked.as_image:
        data = picture_of(path, max(asked_place(asked.place).first, 1))
        encoded = b64encode(data).decode()
        return ToolOutput((image_or_words("image/png", encoded),), value=ImageBytes(data))
    texts = document_texts(path)
    chosen = asked_place(asked.place).among(texts)
    if not any(it.text.strip() for it in chosen):
        return text_output(_no_text(asked, texts), "error")
    told = [f"[{asked.path}, {it.place.words}]\n{it.text}" for it in chosen if it.text.strip()]
    values = [{"place": it.place.words, **it.place.values, "text": it.text} for it in chosen]
    return ToolOutput((text_part(printable("\n\n".join(told))),), value=values)


def _no_text(asked: ReadFile, texts: Sequence[PlacedText]) -> str:
    if not any(it.text.strip() for it in texts):
        return f"{asked.path} has no text. A scan has pictures: `as_image` shows a page."
    names = [it.place.words for it in texts]
    some = ", ".join(names[:MAX_PLACES]) + (" …" if len(names) > MAX_PLACES else "")
    return printable(f"{asked.path} has no text at {asked.place!r}. There are: {some}")


def _touches(folder: Path, path: str) -> Touches:
    """A file of the working folder is looked at. Another one, or a hidden one, is read."""
    whole = Path(folder, path)
    try:
        inner = whole.resolve().relative_to(folder.resolve())
    except (ValueError, OSError, RuntimeError):
        return Touches(effects=frozenset(("read_files",)), paths=(str(whole),))
    if any(part.startswith(".") for part in inner.parts):
        return Touches(effects=frozenset(("read_files",)), paths=(str(whole),))
    return Touches(effects=frozenset(("look",)))
