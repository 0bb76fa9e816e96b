"""The items of one answer, each given as soon as nothing can take it back. Knows no event."""

from collections.abc import Callable, Iterator
from typing import Any

from ...protocol.items import Item, parse_item
from ..native import with_native
from .content import is_wire_id, object_text
from .partial import WholeBlock
from .transcript import grown_digest

MESSAGES = "messages"
"""The name of this dialect, under which an item keeps its block."""

AFTER = "inkernel:after"
"""The member of a thought's item with the digest of all blocks up to this thought."""


class AnswerItems:
    """Makes items of the blocks of one answer.

    `id`: the server's name of the message, when it has come. `asked`: the digest of the request.
    `whole`: every block has become an item.
    """

    def __init__(self, asked: Callable[[], bytes]) -> None:
        self.id = ""
        self.whole = True
        self._asked = asked
        self._digest = b""
        self._count = 0
        self._held: list[tuple[Item, str]] = []
        self._awaited: set[str] = set()

    def add(self, block: WholeBlock) -> Iterator[Item]:
        """Take the next block. Gives the items that are certain now, in order."""
        before = self._digest if self._count else self._asked()
        self._digest = grown_digest(before, "assistant", block.raw)
        item = self._item(block)
        self._count += 1
        if item is None:
            self.whole = False
            return
        self._awaited.discard(block.result_of or "")
        self._held.append((item, awaited := _awaited(block)))
        self._awaited |= {awaited} - {""}
        if not self._awaited:
            yield from self._rest()

    def end(self, *, cut: bool) -> Iterator[Item]:
        """The items that waited for the end. Those of them that may be cut off are left out."""
        if not cut:
            self._awaited.clear()
        yield from self._rest()

    def _rest(self) -> Iterator[Item]:
        held, self._held = self._held, []
        yield from (item for item, awaited in held if awaited not in self._awaited)

    def _item(self, block: WholeBlock) -> Item | None:
        """The item that a block is. None if it says nothing."""
        fields: dict[str, Any] = {"type": f"anthropic:{block.kind}"}
        if self.id:
            fields["id"] = f"{self.id}_{self._count}"
        match block.kind:
            case "text":
                if not (text := block.texts.get("text")):
                    return None
                part = {"type": "output_text", "text": text}
                fields |= {"type": "message", "role": "assistant", "content": [part]}
            case "thinking" | "redacted_thinking":
                text = block.texts.get("thinking")
                summary = [{"type": "summary_text", "text": text}] if text else []
                fields |= {"type": "reasoning", "summary": summary, AFTER: self._digest.hex()}
            case "tool_use":
                called = {"call_id": block.id, "name": block.name, "arguments": block.input}
                fields |= {"type": "function_call", **called}
                if not (object_text(block.input) and is_wire_id(block.id) and block.name):
                    return parse_item(fields)  # the block cannot go back as it is
            case _:
                if not object_text(block.raw.decode()):
                    return None
        try:
            return with_native(fields, MESSAGES, block.raw)
        except ValueError:  # as deep as can be read, and one deeper in an item
            return parse_item(fields) if block.kind == "tool_use" else None


def _awaited(block: WholeBlock) -> str:
    """The `end` or the id of a result, for which its item waits. Empty if it waits for nothing.

    The beginning of a call's input is no JSON object. So only an empty one may be a beginning.
    """
    if block.kind == "tool_use":
        return "end" if object_text(block.input) in (None, "{}") else ""
    return block.id or "end" if block.kind == "server_tool_use" else ""
