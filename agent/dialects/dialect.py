"""The seam between the conversation and an API's own words. Knows no API and does no I/O.

A conversation is items of the Responses API. A dialect writes requests in another API's words, and
its reader turns that API's stream into the same parts. Both are pure, and cost follows what is new.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from ..frozen import frozen
from ..protocol.events import CallDelta, HostedProgress, ReasoningDelta, TextDelta, Usage
from ..protocol.items import Item
from ..protocol.verbatim_json import array_elements, loads
from .request import HeldPrefix, Request


@frozen
class ResponseDone:
    """The response is complete. `usage` is None when the server counted nothing.

    `response_id`: a next request may name it as previous. None when the server gave none. `more`:
    the model has not ended its turn, and is to be asked again although it called nothing of ours.
    """

    usage: Usage | None
    response_id: str | None = None
    more: bool = False


@frozen
class Counted:
    """The server counted these tokens of a response that fails: the error comes next."""

    usage: Usage


Delta = TextDelta | ReasoningDelta | CallDelta | HostedProgress
SamplePart = Delta | Item | ResponseDone


class Reader(Protocol):
    """Reads the events of one response and gives its parts.

    `finished`: the response is complete. `over`: it is finished, or the server said that no more
    comes. `whole`: the parts that were given are all that the server holds. `settled`: the model
    has ended its answer, and only counts and the end of the stream are missing.
    """

    finished: bool
    over: bool
    whole: bool

    @property
    def settled(self) -> bool: ...

    @property
    def usage(self) -> Usage | None:
        """The tokens that the server has counted so far. None if it counted nothing."""
        ...

    def read_all(self, events: Iterable[bytes]) -> Iterator[SamplePart]:
        """The parts in events that came together. Neighbouring deltas of a kind become one.

        It reads nothing after the end. It raises the ModelError of a failed, incomplete or
        unreadable response, after it gave all earlier parts.
        """
        ...

    def closed(self) -> Iterator[SamplePart]:
        """The parts that are complete because the server closed the stream. Raises as above."""
        ...


class Dialect(Protocol):
    """Requests and answers as one API has them. It keeps what it translated, so one conversation
    has one of its own.
    """

    @property
    def path(self) -> str:
        """The endpoint under the server's address, such as `/responses`."""
        ...

    def body(self, request: Request, held: HeldPrefix | None = None) -> bytes:
        """The JSON object to send for a stream, without the items that the server holds."""
        ...

    def reader(self) -> Reader:
        """A reader for one response."""
        ...

    def events_of(self, body: bytes) -> list[bytes] | None:
        """The events of a response that came whole, although a stream was asked for.

        None if the body is no response.
        """
        ...


class Translation(ABC):
    """The items of a request in another API's words, translated once each.

    `Request.items` only grows, and is a new object after a rewrite of the window.
    """

    def __init__(self) -> None:
        self._items = bytearray()
        self._done = 0
        self._fields = b""
        self._head = b""

    def head(self, request: Request) -> bytes:
        """The fixed fields, translated when they are others than the last time."""
        if request.fields != self._fields:
            self._fields = request.fields
            self._head = self.translated(loads(b"{" + request.fields + b"}"))
        return self._head

    def grow(self, request: Request) -> None:
        """Translate the items of `request` that are new since the last time."""
        if request.items is not self._items or request.end < self._done:
            self._items, self._done = request.items, 0
            self.clear()
        new = bytes(request.items[self._done : request.end]).lstrip(b",")
        self._done = sys.maxsize  # until all are added: after an error, all are translated anew
        for text in array_elements(f"[{new.decode()}]"):
            self.add(loads(text.encode()), text)
        self._done = request.end

    @abstractmethod
    def clear(self) -> None:
        """Forget all items, because the window was rewritten."""

    @abstractmethod
    def translated(self, fields: dict[str, Any]) -> bytes:
        """The fixed fields of the Responses API as JSON members of this one, without braces."""

    @abstractmethod
    def add(self, item: dict[str, Any], text: str) -> None:
        """Translate the next item. `text`: its JSON, verbatim."""
