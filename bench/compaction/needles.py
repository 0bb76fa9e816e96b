"""Looks for facts planted in 500 cells after many compactions: ours, and two baselines.

It plays one session to the engine once. The baselines get the same items. A fact is in the window
when its exact text is there. It comes back when `recall` gives its exact text.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from inkernel.agent.conversation.history import Entry, item_tokens
from inkernel.agent.conversation.record import read_record, whole_item
from inkernel.agent.protocol.items import call_output, parse_item
from inkernel.agent.protocol.record_lines import CellRunLine, ItemLine
from inkernel.agent.protocol.verbatim_json import dumps, loads
from inkernel.agent.session import Session
from inkernel.agent.text.tokens import estimate
from inkernel.agent.tools.recall import Recall
from inkernel.agent.tools.tool import ToolCall, find_tool

from .baselines import codex_way, truncated
from .notetaker import good_notes, texts_of
from .player import Model, Teller, played
from .story import OF_TURNS, Needle, make_story

TURNS, CELLS = 100, 4
WINDOW = 32_000
TRIES = 4
"""Most calls of `recall` for one fact: the first, then its best results, one at a time."""

WAYS = ("ours", "codex", "truncation")

_RANGE = re.compile(r"^- out-(\d+)–out-(\d+):", re.MULTILINE)
_NAMED = re.compile(r"\bout-\d+\b|\bturn \d+\b")


@dataclass(frozen=True)
class Back:
    """A fact that came back. `tokens`: of all calls and their outputs. None: it did not come."""

    tokens: int | None
    calls: int


@dataclass(frozen=True)
class Found:
    """One fact, at the end. `named`: how the window names its run or turn, if it does.

    `whole`: for each way, whether the window has its text. `current`: the text is in a line that
    does not say that it was superseded. `by_name`, `by_query`: the result of recalling it.
    """

    kind: str
    text: str
    turn: int
    named: str
    whole: dict[str, bool]
    current: dict[str, bool]
    by_name: Back | None
    by_query: Back


def measure_needles() -> dict[str, Any]:
    """Tell the story, look for all facts."""
    with TemporaryDirectory(prefix="ink") as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> dict[str, Any]:
    story = make_story(TURNS, CELLS)
    model = Model(good_notes)
    names: dict[str, Any] = {}
    session = played(folder, model, WINDOW, names)
    teller = Teller(session, names, model)
    compactions = [it for turn in story.turns for it in (await teller.tell(turn)).compactions]
    fixed = estimate(session.fields())
    entries = list(appended(session.journal.record.path))
    windows = {
        "ours": session.conversation.history.entries,
        "codex": codex_way(entries, WINDOW, fixed),
        "truncation": truncated(entries, WINDOW, fixed),
    }
    texts = {way: text_of(kept) for way, kept in windows.items()}
    found = [await _found(needle, session, texts) for needle in story.needles]
    session.journal.record.close()
    return {
        "cells": story.cells,
        "window": WINDOW,
        "told tokens": sum(item_tokens(entry.item) for entry in entries),
        "largest request": max(model.sizes),
        "requests": len(model.sizes),
        "notes requests": model.notes,
        "compactions": [[it.before, it.after, it.dropped, it.notes] for it in compactions],
        "window tokens": {
            way: fixed + sum(item_tokens(entry.item) for entry in kept)
            for way, kept in windows.items()
        },
        "needles": [asdict(it) for it in found],
        "digest": session.conversation.digest.text if session.conversation.digest else "",
    }


def appended(record: Path) -> Iterator[Entry]:
    """All items that a session appended, as if it had never been shortened."""
    places: dict[str, int] = {}
    for read in read_record(record):
        at, line = read.at, read.line
        if isinstance(line, CellRunLine):
            places[line.handle] = at
        if isinstance(line, ItemLine) and not line.apart:
            item = whole_item(record, line, places)
            yield Entry(item, line.turn, line.cell, line.about, line.run)


def text_of(entries: Sequence[Entry]) -> str:
    """All text of a window's items that a model reads."""
    return "\n".join(chain.from_iterable(texts_of(loads(entry.item.wire)) for entry in entries))


async def _found(needle: Needle, session: Session, texts: dict[str, str]) -> Found:
    name = name_of(needle, session)
    named = _how_named(name, needle, texts["ours"])
    return Found(
        kind=needle.kind,
        text=needle.text,
        turn=needle.turn,
        named=named,
        whole={way: needle.text in text for way, text in texts.items()},
        current={way: _as_current(needle.text, text) for way, text in texts.items()},
        by_name=await _bring_back(session, needle, {"cells": [name]}, 1) if named else None,
        by_query=await _bring_back(session, needle, {"query": needle.query}, TRIES),
    )


def _as_current(text: str, window: str) -> bool:
    return any(text in line and "superseded" not in line for line in window.splitlines())


def name_of(needle: Needle, session: Session) -> str:
    """The handle of the fact's run, or its turn."""
    if needle.kind in OF_TURNS or needle.run is None:
        return f"turn {needle.turn}"
    runs = session.outputs.runs
    told = [head for head in runs.heads if head.turn == needle.turn and head.by == "person"]
    mine = [head for head in runs.heads if head.turn == needle.turn and head.by == "agent"]
    return [*told, *mine][needle.run].handle


def _how_named(name: str, needle: Needle, window: str) -> str:
    """How the window names a run or turn: in a line or text of its own, in a range, or not."""
    if re.search(rf"\b{re.escape(name)}\b", window):
        return "itself"
    if name.startswith("turn "):
        return "as left out" if "turn(s) are left out" in window else ""
    number = int(name.partition("-")[2])
    spans = (map(int, it.groups()) for it in _RANGE.finditer(window))
    return "in a range" if any(first <= number <= last for first, last in spans) else ""


async def _bring_back(session: Session, needle: Needle, asked: dict[str, Any], tries: int) -> Back:
    """Call `recall`. Then recall the handles of its answers, one at a time, in their order."""
    tool = find_tool(session.tools, "recall")
    assert tool is not None
    waiting, seen, tokens = [asked], set[str](), 0
    for calls in range(1, tries + 1):
        asked = waiting.pop(0)
        output = await tool.run(ToolCall("call_again"), Recall.model_validate(asked))
        tokens += _cost(asked, output.parts)
        text = output.text
        if needle.text in text:
            return Back(tokens, calls)
        names = [it for it in _NAMED.findall(text) if it not in seen]
        seen.update(names)
        waiting += [{"cells": [name]} for name in dict.fromkeys(names)]
        if not waiting:
            break
    return Back(None, calls)


def _cost(asked: dict[str, Any], parts: Any) -> int:
    """Tokens of a call and its output, as items."""
    arguments = dumps(asked).decode()
    call = {"type": "function_call", "name": "recall", "call_id": "call_again"}
    item = parse_item({**call, "arguments": arguments})
    return item_tokens(item) + item_tokens(call_output("call_again", parts))
