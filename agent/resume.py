"""A session as its record tells it, to go on from. Knows no live session.

Kinds of line that are not named here are passed over.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import RecordError
from .events import Usage
from .history import Entry, History
from .items import FunctionCallOutput, Item, Message, Reasoning, parse_item
from .rawjson import loads
from .record import Line, read_lines

_ITEM = b',"item":'
"""Before an item in its line. No string before it can hold this: there, quotes are escaped."""


@dataclass(slots=True)
class Resumed:
    """What a session needs to go on. `told`: the lines of kind `told`, in order.

    `outputs`: the byte at which the line of each handle begins. Calls that a crash left open are
    `history.open_calls`.
    """

    session: str
    history: History = field(default_factory=History)
    turns: int = 0
    cell: str | None = None
    told: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    usage: Usage = field(default_factory=Usage)
    last: Usage | None = None
    outputs: dict[str, int] = field(default_factory=dict[str, int])


def resume(path: Path) -> Resumed:
    """Read a session's record. A last line cut off by a crash is left out.

    Reasoning that a crash cut off from the item after it is left out: a server refuses it alone.
    Raises RecordError naming file and line.
    """
    resumed = Resumed(path.stem)
    pending: list[Entry] = []
    for number, line in enumerate(read_lines(path), 1):
        try:
            _take(resumed, line, pending)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RecordError(
                f"{path}, line {number}: a line of kind {line.value['kind']!r} cannot be read.",
                "Remove that line, or begin anew: `%agent new`.",
            ) from error
    return resumed


def _take(resumed: Resumed, line: Line, pending: list[Entry]) -> None:
    value = line.value
    match value["kind"]:
        case "item":
            _take_item(resumed, line, pending)
        case "session":
            resumed.session = value["session"]
        case "turn":
            resumed.turns, resumed.cell = value["turn"], value["cell"]
        case "told":
            resumed.told.append(value)
        case "sample":
            resumed.last = Usage(**value["usage"])
            resumed.usage += resumed.last
        case "output" | "cell_run" if "handle" in value:
            resumed.outputs[value["handle"]] = line.at
        case _:
            pass


def _take_item(resumed: Resumed, line: Line, pending: list[Entry]) -> None:
    value = line.value
    wire = line.text.partition(_ITEM)[2].rstrip()[:-1]
    item, cell = parse_item(loads(wire), wire), value.get("cell", resumed.cell)
    entry = Entry(item, value["turn"], cell, value.get("about", "model"))
    if isinstance(entry.item, Reasoning):
        pending.append(entry)
        return
    if not _is_ours(entry.item):
        for before in pending:
            resumed.history.append(before)
    pending.clear()
    resumed.history.append(entry)


def _is_ours(item: Item) -> bool:
    """It was not made by the model."""
    if isinstance(item, Message):
        return item.role != "assistant"
    return isinstance(item, FunctionCallOutput)
