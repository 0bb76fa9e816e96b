"""A session as its record on the disk keeps it, and ways to ask of it. Knows no loop."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.runs import Marks
from inkernel.agent.conversation.validity import Validity
from inkernel.agent.protocol.cells import CellRun, StreamOutput
from inkernel.agent.protocol.items import Item
from inkernel.agent.protocol.observed import UserCellRun
from inkernel.agent.protocol.record_lines import ItemLine, OtherLine
from inkernel.agent.search.index import Index
from inkernel.agent.search.ranking import Hit, Row
from inkernel.agent.tools.recall import recall_tool
from inkernel.agent.tools.tool import ToolCall, ToolOutput

ODD = "a\ud800b 雨 é\x1b\r\n\x00```\n````py\n~~~"
KEPT = ODD.replace("\ud800", "\ufffd")


class RecordedSession:
    """Turns and runs go in; the index and the tool are asked."""

    def __init__(self, path: Path) -> None:
        self.record = Record(path)
        self.outputs = OutputStore(self.record)
        self.index = Index(path)
        self.hidden: set[str] = set()
        self.stale: set[str] = set()
        self.turns = 0
        self.seen = 0

    def holds(self) -> Validity:
        """What still does."""
        marks = Marks(hidden=frozenset(self.hidden))
        return Validity(self.outputs.runs, marks, frozenset(self.stale))

    def turn(self, said: str = "Go on.", cell: str | None = None, count: int | None = None) -> int:
        """A turn begins."""
        self.turns += 1
        values = {"turn": self.turns, "cell": cell, "count": count, "said": said}
        self.record.append(OtherLine("turn", values))
        self.outputs.begin(self.turns, cell)
        return self.turns

    def item(self, item: Item, about: str = "model", **more: Any) -> None:
        """An item of the turn."""
        values = {"n": 0, "turn": self.turns, "cell": None, "about": about, **more}
        self.record.append(ItemLine(**values, wire=item.wire))

    def ran(self, source: str, *outputs: Any, **more: Any) -> str:
        """A run of the agent's."""
        run = CellRun(source=source, status=more.pop("status", "ok"), outputs=outputs, **more)
        return self.outputs.keep_run("call", run)

    def person_ran(self, source: str, cell: str | None, count: int | None = None, **more: Any):
        """A run of the person's."""
        self.seen += 1
        kept = self.outputs.keep_seen(UserCellRun(self.seen, cell, count, source, "ok", **more))
        return kept.handle

    def find(self, query: str, group: Callable[[Row], str | None] | None = None) -> list[Hit]:
        """What the index finds; each row for itself."""
        return self.index.search(query, group or (lambda row: str(row.at)), 20)

    def handles(self, query: str) -> list[str]:
        """Handles of what the index finds."""
        return [hit.row.handle for hit in self.find(query)]

    async def ask(self, *cells: str, most: int = 4_000, **more: Any) -> ToolOutput:
        """What the tool answers."""
        tool = recall_tool(self.outputs, self.record, most, self.holds)
        return await tool.run(ToolCall("call"), tool.arguments.take({"cells": list(cells), **more}))

    async def told(self, *cells: str, most: int = 4_000, **more: Any) -> str:
        """Its text."""
        return (await self.ask(*cells, most=most, **more)).text


def printed(text: str) -> StreamOutput:
    return StreamOutput(name="stdout", text=text)
