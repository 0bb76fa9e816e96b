"""From the events of a response stream to deltas, items and its end. Does no I/O.

Tolerant of the servers there are: missing sequence numbers, indexes, part events and argument
deltas, items repeated or closed late, an output only in the last snapshot. A done item overrides
its deltas; a stream without a terminal event is no answer.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from .errors import IncompleteError, ModelError, ProtocolError
from .events import CallDelta, ReasoningDelta, TextDelta, Usage
from .faults import error_in_stream
from .items import FunctionCall, Item, parse_item


@dataclass(frozen=True, slots=True)
class Finished:
    """The response is complete. `usage` is None when the server counted nothing."""

    usage: Usage | None


SamplePart = TextDelta | ReasoningDelta | CallDelta | Item | Finished


class ResponseReader:
    """Fed the data of each event of one response, gives what it means.

    `finished`: the response is complete; nothing that follows is part of it.
    """

    def __init__(self, server: str, model: str) -> None:
        self._server = server
        self._model = model
        self.finished = False
        self._done: set[object] = set()
        self._calls: dict[str, tuple[str, str]] = {}
        self._last_call = ("", "")
        self._readers: dict[str, Callable[[dict[str, Any]], Iterator[SamplePart]]] = {
            "response.output_text.delta": self._text,
            "response.refusal.delta": self._text,
            "response.reasoning_summary_text.delta": self._reasoning,
            "response.reasoning_text.delta": self._reasoning,
            "response.reasoning.delta": self._reasoning,
            "response.output_item.added": self._added,
            "response.output_item.done": self._item_done,
            "response.function_call_arguments.delta": self._arguments,
            "response.completed": self._ended,
            "response.incomplete": self._ended,
            "response.failed": self._failed,
            "error": self._failed,
        }

    def read(self, data: bytes) -> Iterator[SamplePart]:
        """What one event means: nothing, a delta, items, or the end.

        Raises the ModelError that a failed, incomplete or unreadable response is.
        """
        event = _object(data, self._server)
        kind = event.get("type")
        if kind is None and "error" in event:
            kind = "error"
        read = self._readers.get(str(kind))
        return read(event) if read else iter(())

    def _text(self, event: dict[str, Any]) -> Iterator[SamplePart]:
        yield TextDelta(text=_str(event.get("delta")))

    def _reasoning(self, event: dict[str, Any]) -> Iterator[SamplePart]:
        part = event.get("summary_index", event.get("content_index"))
        yield ReasoningDelta(
            text=_str(event.get("delta")), part=part if isinstance(part, int) else 0
        )

    def _added(self, event: dict[str, Any]) -> Iterator[SamplePart]:
        item = event.get("item")
        if isinstance(item, dict) and cast("dict[str, Any]", item).get("type") == "function_call":
            fields = cast("dict[str, Any]", item)
            self._last_call = (_str(fields.get("call_id")), _str(fields.get("name")))
            self._calls[_str(fields.get("id"))] = self._last_call
            yield CallDelta(call_id=self._last_call[0], name=self._last_call[1], text="")

    def _arguments(self, event: dict[str, Any]) -> Iterator[SamplePart]:
        call_id, name = self._calls.get(_str(event.get("item_id")), self._last_call)
        yield CallDelta(call_id=call_id, name=name, text=_str(event.get("delta")))

    def _item(self, data: object) -> Iterator[Item]:
        """The item in `data`, once: servers repeat items, and cut-off calls are not calls."""
        if not isinstance(data, dict):
            return
        fields = cast("dict[str, Any]", data)
        try:
            item = parse_item(fields)
        except ValueError:
            return
        key = (item.type, item.call_id if isinstance(item, FunctionCall) else item.id or item.wire)
        cut_off = isinstance(item, FunctionCall) and fields.get("status") == "incomplete"
        if key not in self._done and not cut_off:
            self._done.add(key)
            yield item

    def _item_done(self, event: dict[str, Any]) -> Iterator[SamplePart]:
        yield from self._item(event.get("item"))

    def _ended(self, event: dict[str, Any]) -> Iterator[SamplePart]:
        response = _dict(event.get("response"))
        output = response.get("output")
        for data in cast("list[object]", output) if isinstance(output, list) else ():
            yield from self._item(data)
        if event["type"] == "response.incomplete" or response.get("status") == "incomplete":
            raise _incomplete(response, self._server)
        self.finished = True
        yield Finished(_usage(response.get("usage")))

    def _failed(self, event: dict[str, Any]) -> Iterator[SamplePart]:
        own = event if event.get("type") == "error" else None
        error = _dict(event.get("response")).get("error") or event.get("error") or own
        raise error_in_stream(error, self._server, self._model)


def _object(data: bytes, server: str) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise ProtocolError(
            f"{server} sent an event that is not a JSON object: {data[:80]!r}.",
            "That is not a Responses stream; check base_url.",
        )
    return cast("dict[str, Any]", event)


def _incomplete(response: dict[str, Any], server: str) -> ModelError:
    reason = _str(_dict(response.get("incomplete_details")).get("reason")) or "no reason given"
    return IncompleteError(
        f"{server} cut the answer off: {reason}.",
        "What came before is kept. Ask for the rest, or for less.",
    )


def _usage(value: object) -> Usage | None:
    usage = _dict(value)
    if not usage:
        return None
    return Usage(
        input=_int(usage.get("input_tokens")),
        cached=_int(_dict(usage.get("input_tokens_details")).get("cached_tokens")),
        output=_int(usage.get("output_tokens")),
        reasoning=_int(_dict(usage.get("output_tokens_details")).get("reasoning_tokens")),
    )


def _dict(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _str(value: object) -> str:
    return value if isinstance(value, str) else ""


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
