"""Blocks of the model and the person in the order that the Messages API demands. Knows no item.

The person speaks first and last, and each call has an output in the next message. The words of the
person in the meantime come after that. All of it follows from the blocks alone. So a history that
grew and one that is translated anew are the same.
"""

from collections.abc import Iterator
from typing import Any

from ...protocol.verbatim_json import dumps
from .content import blocks_of, result_block, text_block
from .transcript import RoleBlock, Transcript

_GO_ON = dumps(text_block("Go on."))
_BEGINNING = dumps(text_block("The conversation goes on from here."))
_ALONE = text_block("An output whose call is no longer here:")
_LOST = "This output is missing. The call may have had effects."


class Exchange:
    """Messages in order. `said`: their bytes. `answer` is the id of a message, if it is known."""

    def __init__(self, seed: bytes = b"") -> None:
        self.said = Transcript(seed)
        self._open: list[tuple[str, str]] = []
        self._later: list[bytes] = []
        self._answer: str = ""
        self._paused = False
        self._thought: bool | None = None
        """Whether the model began with a thought since the person spoke. None: it has not begun."""

    @property
    def goes_on_without_a_thought(self) -> bool:
        """True if the model is to go on after calls, and began without a thought."""
        return self._thought is False and bool(self._open or self.said.role == "user")

    def model(self, block: bytes, answer: str = "", markable: bool = True) -> None:
        """Add a block of the model."""
        self._begin(answer)
        self.said.add("assistant", block, markable)
        self._thought = bool(self._thought)

    def call(self, block: bytes, call_id: str, wire_id: str, answer: str = "") -> None:
        """Add a call, which waits for its output. `wire_id`: its id in the block."""
        self.model(block, answer)
        self._open.append((call_id, wire_id))

    def servers(self, block: bytes, answer: str) -> None:
        """Add a block of a tool that runs at the server.

        The model may go on right after it: so it does when the server has paused a turn.
        """
        self.model(block, answer, markable=False)
        self._paused = True

    def think(self, block: bytes, answer: str, after: str | None = None) -> None:
        """Add a thought. `after`: the digest of all that it holds after. Else it is left out."""
        self._begin(answer)
        if after in (None, self.said.digest_with(block).hex()):
            self.said.think(block)
            self._thought = self._thought is not False

    def person(self, block: bytes) -> None:
        """Add a block of the person. It waits until every call has an output."""
        if self._open:
            self._later.append(block)
        else:
            self.said.add("user", block)
            self._thought = None

    def result(self, call_id: str, content: str | list[dict[str, Any]]) -> None:
        """Add the output of a call: text, or blocks. When its call is gone, the person says it."""
        found = next((call for call in self._open if call[0] == call_id), None)
        if found is None:
            blocks = blocks_of(content) if isinstance(content, str) else content
            for block in (_ALONE, *blocks):
                self.person(dumps(block))
            return
        self._open.remove(found)
        self.said.add("user", dumps(result_block(found[1], content)))
        if not self._open:
            self._end_results()

    def tail(self) -> list[RoleBlock]:
        """Blocks that make a request valid which ends here. Later, others may be in their place."""
        missing = list(self._missing())
        if missing or self._paused or self.said.role == "user":
            return missing
        return [("user", _GO_ON if self.said.role else _BEGINNING)]

    def _begin(self, answer: str) -> None:
        """Make room for a block of the model."""
        said = self.said
        other = bool(answer and self._answer and answer != self._answer)
        goes_on = bool(answer) and answer == self._answer
        if self._open and (said.role == "user" or other or (self._later and not goes_on)):
            self._end_results()
        if other:
            said.forget_thoughts()
        if said.role == "":
            said.add("user", _BEGINNING)
        elif said.role == "assistant" and other and not self._paused:
            said.add("user", _GO_ON)
        self._answer, self._paused = answer, False

    def _end_results(self) -> None:
        """Give every open call an output. Then add the words in the meantime."""
        for role, block in self._missing():
            self.said.add(role, block)
        self._thought = None if self._later else self._thought
        self._open.clear()
        self._later.clear()

    def _missing(self) -> Iterator[RoleBlock]:
        """Outputs for the open calls, and then the words in the meantime."""
        for _, wire_id in self._open:
            yield "user", dumps(result_block(wire_id, _LOST))
        for block in self._later:
            yield "user", block
