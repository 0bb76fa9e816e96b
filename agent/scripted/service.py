"""The answer of a scripted server to each request, over any transport. Knows no sockets.

Only the model's words come from a script. State, errors and counting are a server's own.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from .answers import (
    Asked,
    HttpAnswer,
    PlayedResponse,
    Refusal,
    error_object,
    json_answer,
    refusal_of,
    refused,
    streamed,
)
from .deviations import Frame, deviate
from .model import compacted, count_tokens, frames, listed, warmed_up
from .profiles import expand
from .request import (
    AskedRequest,
    Items,
    Position,
    RequestError,
    find_position,
    read_fields,
    read_request,
)
from .script import NO_FAULT, Fault, Script
from .state import KeptResponse, Lane, PromptCache, Recent, page

ROOT = "/v1/"
NOT_FOUND = "previous_response_not_found"
_FIELDS = frozenset(AskedRequest.model_fields) - {"generate"} | {
    "stream_options",
    "background",
    "service_tier",
}
_ITEMS = (
    None,
    "message",
    "function_call",
    "function_call_output",
    "reasoning",
    "compaction",
    "item_reference",
)


@dataclass(frozen=True)
class Service:
    """The state of a server, and its answers."""

    script: Script
    key: str | None = None
    responses: Recent[KeptResponse] = field(default_factory=Recent[KeptResponse])
    cache: PromptCache = field(default_factory=PromptCache)
    attempts: Counter[Position | str] = field(default_factory=Counter[Position | str])
    requests: list[bytes] = field(default_factory=list[bytes])

    @cached_property
    def ways(self) -> frozenset[str]:
        """The single deviations of this server."""
        return expand(self.script.deviations)

    def answer(self, asked: Asked) -> HttpAnswer:
        """The answer to one HTTP request."""
        if asked.method == "POST":
            self.requests.append(asked.body)
        try:
            return self.locked_out(asked) or self._routed(asked)
        except RequestError as error:
            return self._refused(refusal_of(error))

    def locked_out(self, asked: Asked) -> HttpAnswer | None:
        """The answer to a request without the right key. None for one with it."""
        sent = asked.headers.get("authorization", "")
        if self.key is None or sent == f"Bearer {self.key}":
            return None
        what = "Incorrect API key provided." if sent else "You didn't provide an API key."
        return self._refused(Refusal(401, error_object(401, what, "invalid_api_key")))

    def no_websocket(self, asked: Asked) -> HttpAnswer | None:
        """The answer to a handshake that is refused. None for one that is accepted."""
        self.attempts["websocket"] += 1
        rules = self.script.websocket
        spent = rules.times is not None and self.attempts["websocket"] > rules.times
        status = None if spent else rules.status
        if "no_websocket" in self.ways:
            status = 426
        if status is None:
            return self.locked_out(asked)
        return self._refused(Refusal(status, error_object(status, "There is no WebSocket here.")))

    def receive(self, message: bytes, lane: Lane) -> PlayedResponse | Refusal:
        """The response to a WebSocket's message."""
        self.requests.append(message)
        named = None
        try:
            fields = read_fields(message)
            named = fields.get("previous_response_id")
            if (kind := fields.pop("type", None)) != "response.create":
                raise RequestError(f"There is no client event of type {kind!r}.", "type")
            played = self._play(*self._read(fields, lane), "websocket")
        except RequestError as error:
            played = refusal_of(error)
        lane.settle(named, played.kept if isinstance(played, PlayedResponse) else None)
        return played

    def _read(
        self, fields: dict[str, Any], lane: Lane | None = None
    ) -> tuple[AskedRequest, Items, KeptResponse | None]:
        """The request with the whole conversation, its own input, and the response before it."""
        request = read_request(self._checked(fields))
        previous = self._previous(request.previous_response_id, lane)
        own = request.input
        if previous:
            request = request.model_copy(update={"input": previous.whole + own})
        return request, own, previous

    def _checked(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields, unless a deviation of this server refuses or changes them."""
        if "streams_by_default" in self.ways:
            fields = {"stream": True, **fields}
        unknown = sorted(fields.keys() - _FIELDS)
        if unknown and "refuses_unknown_fields" in self.ways:
            raise RequestError(f"Unexpected field: {unknown[0]}.", unknown[0], status=422)
        if "refuses_other_models" in self.ways and fields.get("model") != self.script.model:
            what = f"The model `{fields.get('model')}` does not exist."
            raise RequestError(what, "model", "model_not_found", 404)
        items = fields.get("input")
        if "refuses_unknown_items" in self.ways and isinstance(items, list):
            _check_kinds(cast("list[object]", items))
        return fields

    def _previous(self, name: str | None, lane: Lane | None) -> KeptResponse | None:
        if name is None or "ignores_previous_response" in self.ways:
            return None
        if lane and (kept := lane.find(name)):
            return kept
        if "refuses_previous_response" in self.ways:
            raise RequestError("previous_response_id is not supported.", "previous_response_id")
        if found := self.responses.get(name):
            return found
        if "ignores_unknown_previous_response" in self.ways:
            return None
        status = 404 if "unknown_previous_response_404" in self.ways else 400
        message = f"Previous response with id '{name}' not found."
        raise RequestError(message, "previous_response_id", NOT_FOUND, status)

    def _play(
        self, request: AskedRequest, own: Items, previous: KeptResponse | None, over: str
    ) -> PlayedResponse | Refusal:
        now = int(time.time())
        if request.generate:
            position = find_position(self.script, request)
            fault = self._fault(position, over)
            about = f"turn {position.turn} response {position.response}"
            if fault.status is not None or fault.body is not None:
                status = fault.status or 200
                error = error_object(status, fault.message, fault.code)
                return Refusal(status, error, fault, f"{about}, fault")
            cached = self._cached(request)
            events = list(frames(self.script, position, request, now, cached, fault))
        else:
            fault, about = NO_FAULT, "warmed up"
            events = list(warmed_up(self.script, request, now, self._cached(request)))
        response = events[-1][1]["response"]
        events = deviate(events, self.ways) if self.ways else events
        response = response | {"id": _sent_id(events) or response["id"]}
        kept = KeptResponse(response, own, previous)
        if request.store and fault.cut is None:
            self.responses[response["id"]] = kept
        return PlayedResponse(request, events, kept, fault, about)

    def _fault(self, position: Position, over: str) -> Fault:
        fault = self.script.turn[position.turn].response[position.response].fault
        if fault.over not in (None, over):
            return NO_FAULT
        self.attempts[position] += 1
        if fault.times is not None and self.attempts[position] > fault.times:
            return NO_FAULT
        return fault if over == "websocket" else fault.model_copy(update={"close": None})

    def _cached(self, request: AskedRequest) -> int:
        if (key := request.prompt_cache_key) is None:
            return 0
        return self.cache.read(key, request.prompt)

    def _routed(self, asked: Asked) -> HttpAnswer:
        match asked.method, *asked.path.removeprefix(ROOT).split("/"):
            case "POST", "responses":
                return self._respond(asked.body)
            case "GET", "models":
                return json_answer({"object": "list", "data": [self._model()]})
            case "GET", "models", *name if unquote("/".join(name)) == self.script.model:
                return json_answer(self._model())
            case method, "responses", *rest if rest and "only_responses" not in self.ways:
                return self._on_responses(asked, method, rest) or self._no_route(asked)
            case _:
                return self._no_route(asked)

    def _on_responses(self, asked: Asked, method: str, rest: list[str]) -> HttpAnswer | None:
        match method, *rest:
            case "POST", "compact":
                request, *_ = self._read(read_fields(asked.body))
                return json_answer(compacted(request, int(time.time())))
            case "POST", "input_tokens":
                fields = {"model": self.script.model, **read_fields(asked.body)}
                request, *_ = self._read(fields)
                count = count_tokens(request.prompt)
                return json_answer({"object": "response.input_tokens", "input_tokens": count})
            case "GET", name:
                return json_answer(self._kept(name).response)
            case "DELETE", name:
                self._kept(name)
                del self.responses[name]
                return json_answer({"id": name, "object": "response", "deleted": True})
            case "GET", name, "input_items":
                items = listed(self._kept(name).read, name.rpartition("_")[2])
                query = dict(parse_qsl(asked.target.partition("?")[2]))
                return json_answer(page(items, query))
            case "POST", name, "cancel":
                self._kept(name)
                raise RequestError("Cannot cancel a response that is not in the background.")
            case _:
                return None

    def _kept(self, name: str) -> KeptResponse:
        if found := self.responses.get(name):
            return found
        raise RequestError(f"Response with id '{name}' not found.", "response_id", status=404)

    def _model(self) -> dict[str, Any]:
        return {"id": self.script.model, "object": "model", "created": 0, "owned_by": "script"}

    def _respond(self, body: bytes) -> HttpAnswer:
        played = self._play(*self._read(read_fields(body)), "http")
        if isinstance(played, Refusal):
            return self._refused(played)
        if played.request.stream:
            return streamed(played, self.script.pace, self.ways)
        return json_answer(played.response, played.fault, played.about)

    def _no_route(self, asked: Asked) -> HttpAnswer:
        what = f"Invalid URL ({asked.method} {asked.path})"
        return self._refused(Refusal(404, error_object(404, what)))

    def _refused(self, refusal: Refusal) -> HttpAnswer:
        return refused(refusal, self.ways)


def _check_kinds(items: list[object]) -> None:
    for item in items:
        kind = cast("Mapping[str, object]", item).get("type") if isinstance(item, dict) else None
        if kind not in _ITEMS:
            raise RequestError(f"Unknown item type: {kind}.", "input")


def _sent_id(events: list[Frame]) -> str | None:
    """The id of the response after the deviations."""
    sent = (data["response"] for _, data in events if "response" in data)
    return next((response["id"] for response in sent if "id" in response), None)
