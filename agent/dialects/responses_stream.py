"""From the events of a response stream to deltas, items and its end. Does no I/O.

It tolerates the faults of real servers: missing sequence numbers, indexes, part events and argument
deltas, items repeated, closed late or never, an output only in the last snapshot. Bytes that are no
UTF-8 are replaced, and a broken delta is left out. A done item overrides its deltas. A stream
without a terminal event is no answer.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from ..errors import ModelError, ProtocolError
from ..protocol.events import CallDelta, HostedProgress, ReasoningDelta, TextDelta, Usage
from ..protocol.failures import Hide, error_in_stream
from ..protocol.items import (
    HOSTED,
    TOOL_SEARCH,
    FunctionCall,
    Item,
    Message,
    OtherCall,
    ToolSearchCall,
    call_id_of,
    is_our_search,
    parse_item,
)
from ..protocol.verbatim_json import array_elements, dumps, loads, members
from .dialect import Delta, ResponseDone, SamplePart
from .partial_items import Unfinished
from .received import (
    as_count,
    as_dict,
    as_list,
    as_text,
    broken_event,
    cut_off,
    filtered,
    json_of,
    no_event,
    typed_event,
    usage_of,
)

_DELTAS = {
    "response.output_text.delta": "output_text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning.delta": "reasoning",
    "response.function_call_arguments.delta": "arguments",
    "response.code_interpreter_call_code.delta": "code_interpreter_call",
    "response.mcp_call_arguments.delta": "mcp_call",
    "response.custom_tool_call_input.delta": "custom_tool_call",
    "response.shell_call_command.delta": "shell_call",
    "response.apply_patch_call_operation_diff.delta": "apply_patch_call",
}
"""The text that grows, by the event of its delta. The last five are items of the same name."""

_SETTLED = {
    "response.output_text.done": ("output_text", "text"),
    "response.refusal.done": ("refusal", "refusal"),
    "response.function_call_arguments.done": ("arguments", "arguments"),
}
"""The text that is whole, and its key, by the event that says so."""

_KIND = re.compile(rb'"type"\s*:\s*"([\w.:-]+)"')
"""The kind of an event that is broken, which is near its start."""


class _Event(NamedTuple):
    kind: str
    fields: dict[str, Any]
    data: bytes

    @property
    def item_id(self) -> str:
        return as_text(self.fields.get("item_id"))


class _Run(NamedTuple):
    """The values that neighbouring deltas share. `part`: of a summary or a message."""

    kind: str
    item_id: object
    part: object


class ResponseReader:
    """Reads the events of one response and gives its parts.

    `finished`: the response is complete. `over`: it is finished, or the server said that no more
    comes. `whole`: the parts that were given are all that the server holds. `hide`: takes secrets
    out of a server's words. `usage`: the tokens that the server has counted.
    """

    def __init__(self, server: str, model: str, hide: Hide = str) -> None:
        self._server = server
        self._model = model
        self._hide = hide
        self.finished = False
        self.over = False
        self.whole = True
        self._begun = False
        self._torn = False
        self.usage: Usage | None = None
        self._given: dict[tuple[str, str], dict[str, Any]] = {}
        self._unfinished = Unfinished()
        self._readers: dict[str, Callable[[_Event], Iterator[SamplePart]]] = {
            "response.output_item.added": self._added,
            "response.output_item.done": self._item_done,
            "response.completed": self._ended,
            "response.incomplete": self._ended,
            "response.failed": self._failed,
            "error": self._failed,
            **dict.fromkeys(_SETTLED, self._settled),
        }

    @property
    def settled(self) -> bool:
        """False: the last event ends the answer, and has its counts."""
        return False

    def read_all(self, events: Iterable[bytes]) -> Iterator[SamplePart]:
        """The parts in events that came together. Neighbouring deltas of a kind become one.

        It reads nothing after the end. It raises the ModelError of a failed, incomplete or
        unreadable response, after it gave all earlier parts.
        """
        run, texts = _Run("", None, None), list[Any]()
        try:
            for data in filter(None, events):  # one without data only keeps the connection open
                if self.over or data == b"[DONE]":
                    self.over = True
                    break
                event, data = self._object(data)
                if (kind := event["type"]) in _DELTAS:
                    part = event.get("summary_index", event.get("content_index"))
                    if run != (own := (kind, event.get("item_id"), part)):
                        if texts:
                            yield self._delta(run, texts)
                        run, texts = _Run(*own), []
                    texts.append(event.get("delta"))
                else:
                    if texts:
                        yield self._delta(run, texts)
                        texts = []
                    yield from self._read(_Event(kind, event, data))
        except ModelError:
            if texts:
                yield self._delta(run, texts)
            raise
        if texts:
            yield self._delta(run, texts)

    def closed(self) -> Iterator[SamplePart]:
        """Nothing: only the last event completes a response."""
        return iter(())

    def _delta(self, run: _Run, texts: list[Any]) -> Delta:
        kind, item_id = _DELTAS[run.kind], as_text(run.item_id)
        text = "".join([text for text in texts if isinstance(text, str)])
        match kind:
            case "output_text" | "refusal":
                self._unfinished.texts(item_id, kind, as_count(run.part)).append(text)
                return TextDelta(text=text)
            case "reasoning":
                return ReasoningDelta(text=text, part=as_count(run.part))
            case "arguments":
                self._unfinished.texts(item_id, kind, 0).append(text)
                call_id, name = self._unfinished.call(item_id)
                return CallDelta(call_id=call_id, name=name, text=text)
            case _:
                return HostedProgress(item_id=item_id, kind=kind, text=text)

    def _read(self, event: _Event) -> Iterator[SamplePart]:
        if read := self._readers.get(event.kind):
            return read(event)
        about, _, status = event.kind.removeprefix("response.").rpartition(".")
        if about in HOSTED and status != "partial_image":
            return iter((HostedProgress(item_id=event.item_id, kind=about, status=status),))
        return iter(())

    def _settled(self, event: _Event) -> Iterator[SamplePart]:
        kind, key = _SETTLED[event.kind]
        index = 0 if kind == "arguments" else as_count(event.fields.get("content_index"))
        if isinstance(text := event.fields.get(key), str):
            self._unfinished.texts(event.item_id, kind, index)[:] = [text]
        return iter(())

    def _added(self, event: _Event) -> Iterator[SamplePart]:
        item = as_dict(event.fields.get("item"))
        kind, item_id = item.get("type"), as_text(item.get("id"))
        if kind in ("message", "function_call"):
            self._unfinished.begin(item_id, item)
        if kind == "function_call":
            call_id, name = self._unfinished.call(item_id)
            yield CallDelta(call_id=call_id, name=name, text="")
        elif is_our_search(item):
            yield CallDelta(call_id=call_id_of(item), name=TOOL_SEARCH, text="")
        elif isinstance(kind, str) and kind in HOSTED:
            status = as_text(item.get("status")) or "in_progress"
            yield HostedProgress(item_id=item_id, kind=kind, status=status)

    def _item(self, fields: dict[str, Any], text: Callable[[], str]) -> Iterator[Item]:
        """The item, once, because servers repeat items. `text` returns its JSON.

        A call that was cut off and an empty message are left out.
        """
        id_ = fields.get("call_id" if fields.get("type") == "function_call" else "id")
        key = (as_text(fields.get("type")), as_text(id_) or dumps(fields).decode())
        if not isinstance(fields.get("type"), str) or key in self._given:
            self.whole = self.whole and fields == self._given.get(key)
            return
        try:
            wire = text().encode()
        except ValueError:  # it holds a NaN
            raise self._unreadable(dumps(fields)) from None
        item = parse_item(fields, wire)
        if isinstance(item, FunctionCall | OtherCall) and item.call_id != fields.get("call_id"):
            self.whole = False  # the server knows the call by another id
        if isinstance(item, Message) and item.says_nothing:
            self.whole = False
            return  # transformers ends responses with one; sent back, it would be a turn
        self._unfinished.end(item)
        cut = fields.get("status") == "incomplete"
        if cut and isinstance(item, FunctionCall | ToolSearchCall):
            self.whole = False
            return
        self._given[key] = fields
        yield item

    def _item_done(self, event: _Event) -> Iterator[SamplePart]:
        item = as_dict(event.fields.get("item"))
        return self._item(item, lambda: members(event.data.decode())["item"])

    def _ended(self, event: _Event) -> Iterator[SamplePart]:
        response = as_dict(event.fields.get("response"))
        self.usage = _usage(response.get("usage"))
        status = response.get("status")
        if status in ("failed", "cancelled"):
            yield from self._failed(event)
        cut = event.kind == "response.incomplete" or status == "incomplete"

        @cache
        def texts() -> list[str]:
            return array_elements(members(members(event.data.decode())["response"])["output"])

        for at, item in enumerate(as_list(response.get("output"))):
            yield from self._item(as_dict(item), lambda at=at: texts()[at])
        for item in self._unfinished.rest(cut=cut):
            if self._torn:
                raise broken_event(self._server)
            self.whole = False
            made = dumps({"item": item}).decode()  # cut out of JSON like the others: no NaN passes
            yield from self._item(item, lambda made=made: members(made)["item"])
        if cut:
            raise _incomplete(response, self._server)
        self.finished = self.over = True
        yield ResponseDone(self.usage, as_text(response.get("id")) or None)

    def _failed(self, event: _Event) -> Iterator[SamplePart]:
        """Raises. An `error` event is passed on whole, because over WebSocket it has a status."""
        response = as_dict(event.fields.get("response"))
        self.usage = _usage(response.get("usage"))
        error = response.get("error") or event.fields.get("error")
        if event.kind == "error" and not isinstance(error, str):
            error = event.fields
        raise error_in_stream(error, self._server, self._model, self._hide)

    def _object(self, data: bytes) -> tuple[dict[str, Any], bytes]:
        """The event as a dict whose type is a string, and its JSON text.

        An event that is broken and not needed is one without a meaning.
        """
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
        if kind.startswith("response.") and (kind in _SETTLED or kind not in self._readers):
            self._torn = self._torn or kind in _DELTAS or kind in _SETTLED
            return {"type": ""}
        if self._begun or kind.startswith("response."):
            raise broken_event(self._server)
        raise self._unreadable(data)

    def _unreadable(self, data: bytes) -> ProtocolError:
        return no_event(self._server, data, "Responses", self._hide)


def whole_response(body: bytes) -> bytes | None:
    """The event that ends a stream, made of a response that came whole. None if it is none."""
    try:
        response = loads(body)
    except ValueError:
        return None
    if not isinstance(as_dict(response).get("output"), list):
        return None
    return b'{"type":"response.completed","response":' + body + b"}"


def _incomplete(response: dict[str, Any], server: str) -> ModelError:
    reason = as_text(as_dict(response.get("incomplete_details")).get("reason")) or "no reason given"
    if reason == "content_filter":
        return filtered(server, reason)
    return cut_off(server, reason)


def _usage(value: object) -> Usage | None:
    usage = as_dict(value)
    if not usage:
        return None
    read = as_dict(usage.get("input_tokens_details"))
    told = as_dict(usage.get("output_tokens_details"))
    return usage_of(
        {
            "input": usage.get("input_tokens"),
            "cached": read.get("cached_tokens"),
            "written": read.get("cache_write_tokens"),
            "output": usage.get("output_tokens"),
            "reasoning": told.get("reasoning_tokens"),
        }
    )
