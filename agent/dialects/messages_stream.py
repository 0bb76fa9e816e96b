"""From the events of a message's stream to deltas, items and its end. Does no I/O.

It tolerates the faults of real servers: starts, stops and indexes that are missing or come twice,
usage in any event, a last event that never comes. An answer needs a stop reason or a last event.
Read in 2026-11: platform.claude.com/docs/en/build-with-claude/streaming and /handling-stop-reasons.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ..errors import (
    AnswerRefusedError,
    ModelError,
    ProtocolError,
)
from ..protocol.events import CallDelta, ReasoningDelta, TextDelta, Usage
from ..protocol.failures import Hide, as_sentence, error_in_stream
from ..protocol.items import Item
from ..protocol.verbatim_json import array_elements, dumps, loads, members
from .blocks.answer import AnswerItems
from .blocks.partial import OpenBlock
from .dialect import Delta, ResponseDone, SamplePart
from .partial_items import MOST_OPEN
from .received import (
    as_count,
    as_dict,
    as_text,
    broken_event,
    cut_off,
    json_of,
    no_event,
    typed_event,
    usage_of,
)

_DELTAS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", ""),
    "input_json_delta": ("partial_json", ""),
    "citations_delta": ("citation", ""),
}
"""The member of a delta that has the piece, and the kind of block for pieces that are shown."""

_SHOWN = ("text", "thinking")
"""The members that are shown as they grow, and the kinds of block that have them."""

_GROWS = {"partial_json": "input", "citation": "citations"}
"""The member of the block, where its name is another than in the delta."""

_CUT_OFF = ("max_tokens", "model_context_window_exceeded")
_KIND = re.compile(rb'"type"\s*:\s*"([\w.:-]+)"')
_EVENTS = ("message_", "content_block_")
_SAID = 300
"""Most characters of a server's explanation."""


class _Piece(NamedTuple):
    block: OpenBlock
    member: str
    text: str


class MessagesReader:
    """Reads the events of one message and gives its parts.

    `finished`: the message is complete. `over`: it is finished, or the server said that no more
    comes. `whole`: the parts that were given are all that the server holds. `hide`: takes secrets
    out of a server's words. `asked`: the digest of the request that is answered.
    """

    def __init__(
        self, server: str, model: str, hide: Hide = str, asked: Callable[[], bytes] = bytes
    ) -> None:
        self._server = server
        self._model = model
        self._hide = hide
        self.finished = False
        self.over = False
        self.whole = True
        self._begun = False
        self._stop = ""
        self._details: dict[str, Any] = {}
        self._counts: dict[str, int] = {}
        self._items = AnswerItems(asked)
        self._open: dict[object, OpenBlock] = {}
        self._thoughts = 0

    @property
    def settled(self) -> bool:
        """True if the model has ended its answer. The end of the stream is missing."""
        return bool(self._stop)

    @property
    def usage(self) -> Usage | None:
        """The tokens that the server has counted so far."""
        return _usage(self._counts)

    def read_all(self, events: Iterable[bytes]) -> Iterator[SamplePart]:
        """The parts in events that came together. Neighbouring deltas of a kind become one.

        It reads nothing after the end. It raises the ModelError of a failed, incomplete, refused
        or unreadable response, after it gave all earlier parts.
        """
        run: list[_Piece] = []
        try:
            for part in self._parts(events):
                if isinstance(part, _Piece):
                    if run and (run[0].block is not part.block or run[0].member != part.member):
                        yield from _delta(run)
                        run = []
                    run.append(part)
                else:
                    yield from _delta(run)
                    run = []
                    yield part
        except ModelError:
            yield from _delta(run)
            raise
        yield from _delta(run)

    def closed(self) -> Iterator[SamplePart]:
        """The end, if the server closed the stream after the reason why the model stopped."""
        if self._stop and not self.over:
            yield from self._ended()

    def _parts(self, events: Iterable[bytes]) -> Iterator[SamplePart | _Piece]:
        for data in filter(None, events):
            if data == b"[DONE]":
                yield from self.closed()
                self.over = True
            if self.over:
                return
            yield from self._read(*self._object(data))

    def _read(self, event: dict[str, Any], data: bytes) -> Iterator[SamplePart | _Piece]:
        match event["type"]:
            case "content_block_delta":
                yield from self._grown(event, data)
            case "content_block_start":
                yield from self._started(event, data)
            case "content_block_stop":
                yield from self._stopped(self._key(event.get("index")))
            case "message_start":
                message = as_dict(event.get("message"))
                self._items.id = self._items.id or as_text(message.get("id"))
                self._count(message.get("usage"))
            case "message_delta":
                self._told(event)
            case "message_stop":
                yield from self._ended()
            case "error":
                error = event.get("error") or event
                raise error_in_stream(error, self._server, self._model, self._hide)
            case _:
                pass  # ping, and what may come one day

    def _started(self, event: dict[str, Any], data: bytes) -> Iterator[SamplePart]:
        index, fields = event.get("index"), as_dict(event.get("content_block"))
        key = index if isinstance(index, int) else object()
        yield from self._make_room(key)
        if not isinstance(fields.get("type"), str):
            self.whole = False
            return
        block = self._begin(key, fields, self._inner(data, "content_block"))
        if block.kind == "tool_use":
            yield CallDelta(call_id=block.told("id"), name=block.told("name"), text="")
        elif block.kind in _SHOWN and (text := block.told(block.kind)):
            yield from _delta([_Piece(block, block.kind, text)])

    def _make_room(self, key: object) -> Iterator[Item]:
        """End the block that a new one takes the place of."""
        yield from self._stopped(key)
        if len(self._open) >= MOST_OPEN:
            yield from self._stopped(next(iter(self._open)))

    def _begin(self, key: object, fields: dict[str, Any], texts: dict[str, str]) -> OpenBlock:
        block = self._open[key] = OpenBlock(fields, texts, self._thoughts)
        self._thoughts += block.kind == "thinking"
        return block

    def _grown(self, event: dict[str, Any], data: bytes) -> Iterator[SamplePart | _Piece]:
        """The piece in a delta. Text that belongs to no block, or to one of another kind, begins
        one of its own.
        """
        key, delta = self._key(event.get("index")), as_dict(event.get("delta"))
        name, kind = _DELTAS.get(as_text(delta.get("type")), ("", ""))
        block = self._open.get(key)
        if name in _SHOWN and (block is None or block.kind != kind):
            yield from self._make_room(key)
            block = self._begin(key, {"type": kind}, {"type": f'"{kind}"'})
        if not name or block is None:
            self.whole = False
            return
        if name == "citation":
            piece = self._inner(data, "delta").get(name, "")
        else:
            piece = as_text(delta.get(name))
        if piece:
            block.grow(_GROWS.get(name, name), piece)
            yield _Piece(block, name, piece)

    def _key(self, index: object) -> object:
        """The block that an index means. Else it is the latest that began without an index."""
        if isinstance(index, int) and index in self._open:
            return index
        unnamed = (key for key in reversed(self._open) if not isinstance(key, int))
        return next(unnamed, index if isinstance(index, int) else next(reversed(self._open), None))

    def _inner(self, data: bytes, name: str) -> dict[str, str]:
        """The JSON text of each member of an object in an event."""
        try:
            return members(members(data.decode())[name])
        except ValueError:  # it holds a NaN
            raise self._unreadable(data) from None

    def _stopped(self, key: object) -> Iterator[Item]:
        if block := self._open.pop(key, None):
            yield from self._items.add(block.whole())
            self.whole = self.whole and self._items.whole

    def _told(self, event: dict[str, Any]) -> None:
        delta = as_dict(event.get("delta"))
        self._stop = as_text(delta.get("stop_reason")) or self._stop
        self._details = as_dict(delta.get("stop_details")) or self._details
        self._count(event.get("usage"))

    def _count(self, usage: object) -> None:
        """Take counts in. All of them are totals, and some servers send them as 0 at first."""
        for name, value in _counts(usage):
            self._counts[name] = max(self._counts.get(name, 0), value)

    def _ended(self) -> Iterator[SamplePart]:
        if self._stop == "refusal":
            raise self._refused()
        cut = self._stop in _CUT_OFF
        for key in [key for key, block in self._open.items() if not cut or block.kind == "text"]:
            yield from self._stopped(key)
        yield from self._items.end(cut=cut)
        if cut:
            raise cut_off(self._server, self._stop)
        self.finished = self.over = True
        yield ResponseDone(self.usage, self._items.id or None, self._stop == "pause_turn")

    def _refused(self) -> AnswerRefusedError:
        category = as_text(self._details.get("category"))[:_SAID]
        said = self._hide(as_text(self._details.get("explanation")))[:_SAID]
        told = f" It says: {as_sentence(said)}" if said else ""
        return AnswerRefusedError(
            f"{self._model} declined to answer{f' ({category})' if category else ''}.{told}",
            "Say it differently, or choose another model: `%agent model`.",
        )

    def _object(self, data: bytes) -> tuple[dict[str, Any], bytes]:
        """The event as a dict whose type is a string, and its JSON text."""
        try:
            event, data = json_of(data)
        except ValueError:
            event = self._mended(data)
        if (fields := typed_event(event)) is None:
            raise self._unreadable(data)
        self._begun = True
        return fields, data

    def _mended(self, data: bytes) -> object:
        """The event in place of a text that is no JSON, if it is not needed."""
        found = _KIND.search(data)
        kind = found[1].decode() if found else ""
        if kind == "ping":
            return {"type": kind}
        if self._begun or kind.startswith(_EVENTS):
            raise broken_event(self._server)
        raise self._unreadable(data)

    def _unreadable(self, data: bytes) -> ProtocolError:
        return no_event(self._server, data, "Messages", self._hide)


def whole_message(body: bytes) -> list[bytes] | None:
    """The events of a message that came whole. None if the body is no message."""
    try:
        message = loads(body)
        if not isinstance(as_dict(message).get("content"), list):
            return None
        blocks = array_elements(members(body.decode())["content"])
    except ValueError:
        return None
    start = {"id": message.get("id"), "usage": message.get("usage")}
    events = [dumps({"type": "message_start", "message": start})]
    for index, block in enumerate(blocks):
        fields = b'"index":%d,"content_block":%b' % (index, block.encode())
        events.append(b'{"type":"content_block_start",%b}' % fields)
        events.append(b'{"type":"content_block_stop","index":%d}' % index)
    delta = {name: message.get(name) for name in ("stop_reason", "stop_details")}
    events.append(dumps({"type": "message_delta", "delta": delta}))
    return [*events, b'{"type":"message_stop"}']


def _delta(run: list[_Piece]) -> Iterator[Delta]:
    """Pieces of one block as one delta, if it is of a kind that is shown."""
    if not run:
        return
    block, member, _ = run[0]
    text = "".join([piece.text for piece in run])
    if member == "text":
        yield TextDelta(text=text)
    elif member == "thinking":
        yield ReasoningDelta(text=text, part=block.number)
    elif member == "partial_json" and block.kind == "tool_use":
        yield CallDelta(call_id=block.told("id"), name=block.told("name"), text=text)


def _counts(usage: object) -> Iterator[tuple[str, int]]:
    for name, value in as_dict(usage).items():
        if count := as_count(value):
            yield name, count
        elif name == "output_tokens_details":
            yield from _counts(value)


def _usage(said: dict[str, int]) -> Usage | None:
    if not said:
        return None
    read = said.get("cache_read_input_tokens", 0)
    written = said.get("cache_creation_input_tokens", 0)
    counts = {
        "input": said.get("input_tokens", 0) + read + written,
        "cached": read,
        "written": written,
        "output": said.get("output_tokens", 0),
        "reasoning": said.get("thinking_tokens", 0),
    }
    return usage_of(counts)
