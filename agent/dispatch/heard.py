"""The tokens of an answer that did not end. Knows no server and no session."""

from dataclasses import dataclass, field

from ..conversation.history import item_tokens
from ..dialects.dialect import Counted, ResponseDone, SamplePart
from ..protocol.events import CallDelta, Notice, ReasoningDelta, TextDelta, Usage
from ..protocol.items import Item
from ..text.tokens import estimate

LEAST_COUNTED = 0.25
"""The part of our own count below which a server's count is none. Ours is seldom 20 % too large."""


@dataclass(slots=True)
class Heard:
    """The tokens of one answer so far, as its server counts and as we do."""

    usage: Usage = field(default_factory=Usage)
    ended: bool = False
    _pieces: list[str] = field(default_factory=list[str])
    _items: int = 0

    def take(self, part: SamplePart | Counted | Notice) -> None:
        """Count one more part."""
        match part:
            case ResponseDone():
                self.ended = True
            case Counted(usage=usage):
                self.usage = usage
            case TextDelta() | ReasoningDelta() | CallDelta():
                self._pieces.append(part.text)
            case Item():
                self._items += item_tokens(part)
            case _:
                pass

    def of_broken(self, asked: int) -> Usage | None:
        """The tokens of an answer that broke off. None if it ended, or if none began.

        `asked`: tokens of the request, as we count. The server's count is taken, unless it is less
        than `LEAST_COUNTED` of ours: then it has only the beginning, or nothing.
        """
        said = max(estimate("".join(self._pieces)), self._items)
        if self.ended or not (said or self.usage.input or self.usage.output):
            return None
        reported = self.usage
        read = asked if reported.input < asked * LEAST_COUNTED else 0
        told = said if reported.output < said * LEAST_COUNTED else 0
        return Usage(
            input=read or reported.input,
            cached=0 if read else reported.cached,
            written=0 if read else reported.written,
            output=told or reported.output,
            reasoning=reported.reasoning,
            estimated=read + told,
        )
