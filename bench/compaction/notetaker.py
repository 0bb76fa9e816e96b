"""A mechanical note-taker, the same for all ways of compaction, and three that fail.

It reads the items of a request and copies the sentences that plain words mark (`Task:`, `Plan:`,
`Decision:`, `mean of x is 3.2 mm`). It takes the newest first, up to the words asked for.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from inkernel.agent.errors import ServerFaultError

Item = Mapping[str, Any]
NoteTaker = Callable[[Sequence[Any]], Awaitable[str]]
"""From a request's items to the text of the answer."""

GARBAGE = "I would rather go on with the task."
What = Literal["task", "plan", "done", "decision", "fact"]

_MARKED = re.compile(
    r"\b(?P<mark>Task|Plan|Done|Decision): (?P<rest>[^\n]+?)(?=\.(?:\s|$)| \(out-|\n|$)"
    r"|\b(?:mean|offset) of \w+ is -?[\d.]*\d(?: mm)?"
)
_ASKED = re.compile(r"At most ([\d,]+) words")
_HANDLE = re.compile(r"out-\d+")
_HEADING = re.compile(r"<cells>\n## .*?(out-\d+)")


@dataclass(frozen=True)
class Noted:
    """One sentence, and the handle that its line or the head of its item names."""

    what: What
    text: str
    handle: str | None

    @property
    def words(self) -> int:
        """How many words."""
        return len(self.text.split())


@dataclass(frozen=True)
class Summary:
    """The notes. Each part has the newest first."""

    task: tuple[Noted, ...]
    plan: tuple[Noted, ...]
    decisions: tuple[Noted, ...]
    facts: tuple[Noted, ...]

    def as_json(self) -> str:
        """In the form that the prompt for notes asks for."""
        told = {
            "state": " ".join(f"{it.text}." for it in self.task),
            "plan": [{"text": it.text, "done": False} for it in self.plan],
            "decisions": [_cited(it) for it in self.decisions],
            "facts": [_cited(it) for it in self.facts],
        }
        return json.dumps(told)

    def as_text(self) -> str:
        """As a plain summary, a line each."""
        every = (*self.task, *self.plan, *self.decisions, *self.facts)
        return "\n".join(f"{it.text}." for it in every)


async def good_notes(items: Sequence[Any]) -> str:
    """Notes in the form and length that the last item asks for."""
    asked = _ASKED.search("".join(texts_of(items[-1])))
    assert asked is not None
    return take_notes(items, int(asked[1].replace(",", ""))).as_json()


async def garbage(_items: Sequence[Any]) -> str:
    """An answer that is no notes."""
    return GARBAGE


async def absent(_items: Sequence[Any]) -> str:
    """No model: it fails at once."""
    raise ServerFaultError("Out of order.")


async def stalled(_items: Sequence[Any]) -> str:
    """No answer, ever."""
    await asyncio.Event().wait()
    return ""


def take_notes(items: Sequence[Item], words: int) -> Summary:
    """The task and open plan items, then decisions and facts, the newest first.

    At most so many words in all.
    """
    found = {noted.text: noted for noted in reversed(list(_newest_first(items)))}
    ordered = list(reversed(found.values()))
    done = {noted.text.partition(": ")[2] for noted in ordered if noted.what == "done"}
    task = [noted for noted in ordered if noted.what == "task"]
    plan = [
        noted
        for noted in ordered
        if noted.what == "plan" and noted.text.partition(": ")[2] not in done
    ]
    rest = [noted for noted in ordered if noted.what in ("decision", "fact")]
    kept: list[Noted] = []
    for noted in (*task, *plan, *rest):
        words -= noted.words
        if words < 0:
            break
        kept.append(noted)

    def of(what: What) -> tuple[Noted, ...]:
        return tuple(noted for noted in kept if noted.what == what)

    return Summary(of("task"), of("plan"), of("decision"), of("fact"))


def texts_of(item: Item) -> Iterator[str]:
    """The parts of an item that a model reads: texts, and the values of a call's arguments."""
    if item["type"] == "function_call":
        yield from (str(value) for value in json.loads(item["arguments"]).values())
        return
    content: object = item.get("content", item.get("output", ""))
    if isinstance(content, str):
        yield content
    for part in cast("list[Item]", content) if isinstance(content, list) else ():
        if "text" in part:
            yield str(part["text"])


def _newest_first(items: Sequence[Item]) -> Iterator[Noted]:
    """Sentences of the last item first. Within an item they keep their order, as in a digest."""
    for item in reversed(items):
        for text in texts_of(item):
            yield from _noted(text)


def _noted(text: str) -> Iterator[Noted]:
    head = _HEADING.match(text)
    for match in _MARKED.finditer(text):
        if "…" in match[0]:  # only the start of a sentence
            continue
        line = text[match.start() :].partition("\n")[0]
        named = _HANDLE.search(line)
        mark = (match["mark"] or "fact").lower()
        yield Noted(cast("What", mark), match[0], named[0] if named else head and head[1])


def _cited(noted: Noted) -> dict[str, Any]:
    return {"text": noted.text, "from": [noted.handle] if noted.handle else []}
