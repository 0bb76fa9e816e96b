"""The session in figures, for the commands that show it. Knows no shell and no command."""

from pathlib import Path

from .conversation.state import Conversation
from .dialects.request import fixed_tokens
from .frozen import frozen
from .protocol.events import Usage


@frozen
class Overview:
    """`turns`: all turns so far. `left`: those not taken back. `steps`, `seconds`, `sent`: sums of
    the turns that are over; `sent` in characters of tool outputs.

    `tokens`: of the next request, by the server's count if `counted`, else estimated. `resumed`:
    it came from its record.
    """

    session_id: str
    turns: int
    left: int
    items: int
    usage: Usage
    steps: int
    seconds: float
    sent: int
    tokens: int
    counted: bool
    record: Path | None
    resumed: bool


def overview_of(
    conversation: Conversation, fields: bytes, session: str, record: Path | None, resumed: bool
) -> Overview:
    """The figures of a session. `fields`: the fixed part of its requests."""
    return Overview(
        session_id=session,
        turns=conversation.turns,
        left=len(conversation.heads),
        items=len(conversation.history.entries),
        usage=conversation.usage,
        steps=conversation.steps,
        seconds=conversation.seconds,
        sent=conversation.sent,
        tokens=conversation.size(fixed_tokens(fields)),
        counted=conversation.counted is not None,
        record=record,
        resumed=resumed,
    )
