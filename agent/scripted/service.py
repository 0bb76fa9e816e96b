"""The answer of a scripted server to each request, over any transport. Knows no sockets.

Only the model's words come from a script. State, errors and counting are a server's own.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from .answers import (
    RESPONSES_API,
    Api,
    Asked,
    HttpAnswer,
    PlayedResponse,
    Refusal,
    error_object,
    failure_of,
    json_answer,
    refusal_of,
    refused,
    streamed,
)
from .chat import CHAT_API, FIELDS, asked_of_chat, chat_chunks, check_kept, read_chat, sent_chat
from .deviations import Frame, deviate
from .dialect_deviations import USAGE, deviate_chat, deviate_messages, deviate_whole_chat
from .hosted.searches import check_searches
from .messages import (
    MESSAGES_API,
    asked_of,
    check_thoughts,
    message_events,
    model_info,
    prompt_blocks,
    sent_message,
)
from .messages_rules import MessagesBody, read_body
from .model import compacted, count_tokens, frames, listed, warmed_up
from .profiles import expand
from .request import (
    AskedRequest,
    Items,
    Position,
    RequestError,
    check_schemas,
    find_position,
    located,
    read_fields,
    read_request,
)
from .script import NO_FAULT, Fault, Script
from .state import KeptResponse, Lane, MarkedCache, PromptCache, Recent, page

ROOT = "/v1/"
NOT_FOUND = "previous_response_not_found"
MANY = 1_000_000
"""The `max_tokens` of a request that only counts."""
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
    marked: MarkedCache = field(default_factory=MarkedCache)
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
            return self._refused(refusal_of(error), _api_of(asked))

    def locked_out(self, asked: Asked) -> HttpAnswer | None:
        """The answer to a request without the right key. None for one with it."""
        api, sent = _api_of(asked), asked.headers.get("authorization", "")
        own = asked.headers.get("x-api-key") if api is MESSAGES_API else None
        if self.key is None or self.key == own or sent == f"Bearer {self.key}":
            return None
        what = "Incorrect API key provided." if sent or own else "You didn't provide an API key."
        if api is MESSAGES_API:
            what = "invalid x-api-key" if sent or own else "x-api-key header is required"
        return self._refused(Refusal(401, error_object(401, what, "invalid_api_key")), api)

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
        fields = self._of_model(fields, _FIELDS)
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
        if request.generate:
            played = self._perform(request, over, request.prompt_cache_key)
            if isinstance(played, Refusal):
                return played
        else:
            cached = self._cached(request.prompt_cache_key, request)
            events = list(warmed_up(self.script, request, int(time.time()), cached))
            played = PlayedResponse(request, events, NO_FAULT, "warmed up")
        response = played.events[-1][1]["response"]
        events = deviate(played.events, self.ways) if self.ways else played.events
        response = response | {"id": _sent_id(events) or response["id"]}
        kept = KeptResponse(response, own, previous)
        if request.store and played.fault.cut is None:
            self.responses[response["id"]] = kept
        return replace(played, events=events, kept=kept)

    def _perform(
        self, request: AskedRequest, over: str, cache_key: str | None
    ) -> PlayedResponse | Refusal:
        """The script's answer to a request, in Responses' events without deviations."""
        check_searches(request, self.ways)
        position = find_position(self.script, request)
        fault = self._fault(position, over)
        about = f"turn {position.turn} response {position.response}"
        if fault.status is not None or fault.body is not None:
            status = fault.status or 200
            error = error_object(status, fault.message, fault.code)
            return Refusal(status, error, fault, f"{about}, fault")
        cached, now = self._cached(cache_key, request), int(time.time())
        events = list(frames(self.script, position, request, now, cached, fault))
        return PlayedResponse(request, events, fault, about)

    def _of_model(self, fields: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
        """The fields, unless a deviation of this server refuses or changes them."""
        if "streams_by_default" in self.ways:
            fields = {"stream": True, **fields}
        unknown = sorted(fields.keys() - known)
        if unknown and "refuses_unknown_fields" in self.ways:
            raise RequestError(f"Unexpected field: {unknown[0]}.", unknown[0], status=422)
        if "refuses_formats" in self.ways:
            check_schemas(fields.get("tools"))
        if "refuses_other_models" in self.ways and fields.get("model") != self.script.model:
            what = f"The model `{fields.get('model')}` does not exist."
            raise RequestError(what, "model", "model_not_found", 404)
        return fields

    def _located(self, request: AskedRequest, cache_key: str | None) -> PlayedResponse | Refusal:
        """The script's answer to a request of an API whose items have no ids."""
        request = request.model_copy(update={"input": located(self.script, request.input)})
        played = self._perform(request, "http", cache_key)
        if isinstance(played, Refusal) or request.stream:
            return played
        return failure_of(played.events, played.fault, played.about) or played

    def _message(self, asked: Asked) -> HttpAnswer:
        body = self._messages_body(read_fields(asked.body))
        played = self._located(asked_of(body), None)
        if isinstance(played, Refusal):
            return self._refused(played, MESSAGES_API)
        use, paused = self.marked.read(prompt_blocks(body)), played.fault.event == "pause"
        if body.stream:
            events = deviate_messages(message_events(played.events, body, use, paused), self.ways)
            played = replace(played, events=events, api=MESSAGES_API)
            return streamed(played, self.script.pace, self.ways)
        whole = [("message", sent_message(played.events, body, use, paused))]
        ((_, message),) = deviate_messages(whole, self.ways)
        return json_answer(message, played.fault, played.about)

    def _messages_body(self, fields: dict[str, Any]) -> MessagesBody:
        body = read_body(self._of_model(fields, frozenset(fields)))
        if "unsigned_thinking" not in self.ways:
            check_thoughts(body, self.script)
        if "refuses_prefill" in self.ways and body.messages[-1].role == "assistant":
            what = "This model does not support assistant message prefill."
            raise RequestError(f"{what} The conversation must end with a user message.")
        return body

    def _chat(self, asked: Asked) -> HttpAnswer:
        body = read_chat(self._of_model(read_fields(asked.body), FIELDS))
        check_kept(body, self.ways)
        request = asked_of_chat(body)
        played = self._located(request, request.prompt_cache_key)
        if isinstance(played, Refusal):
            return self._refused(played, CHAT_API)
        if body.stream:
            chunks = deviate_chat(chat_chunks(played.events, body, self.ways), self.ways)
            if not body.stream_options.include_usage:
                chunks = [chunk for chunk in chunks if chunk[0] != USAGE]
            played = replace(played, events=chunks, api=CHAT_API)
            return streamed(played, self.script.pace, self.ways)
        whole = deviate_whole_chat(sent_chat(played.events, self.ways), self.ways)
        return json_answer(whole, played.fault, played.about)

    def _fault(self, position: Position, over: str) -> Fault:
        fault = self.script.turn[position.turn].response[position.response].fault
        if fault.over not in (None, over):
            return NO_FAULT
        self.attempts[position] += 1
        if fault.times is not None and self.attempts[position] > fault.times:
            return NO_FAULT
        return fault if over == "websocket" else fault.model_copy(update={"close": None})

    def _cached(self, key: str | None, request: AskedRequest) -> int:
        return 0 if key is None else self.cache.read(key, request.prompt)

    def _routed(self, asked: Asked) -> HttpAnswer:
        match asked.method, *asked.path.removeprefix(ROOT).split("/"):
            case "POST", "responses":
                return self._respond(asked.body)
            case "GET", "models", *name:
                return self._models(asked, unquote("/".join(name)))
            case method, *rest if "only_responses" not in self.ways:
                return self._on_others(asked, method, rest) or self._no_route(asked)
            case _:
                return self._no_route(asked)

    def _on_others(self, asked: Asked, method: str, rest: list[str]) -> HttpAnswer | None:
        match method, *rest:
            case method, "responses", *rest:
                return self._on_responses(asked, method, rest)
            case "POST", "chat", "completions":
                return self._chat(asked)
            case "POST", "messages":
                _check_version(asked)
                return self._message(asked)
            case "POST", "messages", "count_tokens":
                _check_version(asked)
                body = self._messages_body({"max_tokens": MANY, **read_fields(asked.body)})
                use = MarkedCache().read(prompt_blocks(body))
                return json_answer({"input_tokens": use.written.total() + use.rest})
            case _:
                return None

    def _models(self, asked: Asked, name: str) -> HttpAnswer:
        own = self.script.model
        if name not in ("", own):
            return self._no_route(asked)
        if _api_of(asked) is MESSAGES_API:
            model = model_info(own)
            whole = {"data": [model], "has_more": False, "first_id": own, "last_id": own}
        else:
            model = {"id": own, "object": "model", "created": 0, "owned_by": "script"}
            whole = {"object": "list", "data": [model]}
        return json_answer(model if name else whole)

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

    def _respond(self, body: bytes) -> HttpAnswer:
        played = self._play(*self._read(read_fields(body)), "http")
        if isinstance(played, Refusal):
            return self._refused(played)
        if played.request.stream:
            return streamed(played, self.script.pace, self.ways)
        return json_answer(played.response, played.fault, played.about)

    def _no_route(self, asked: Asked) -> HttpAnswer:
        what = f"Invalid URL ({asked.method} {asked.path})"
        return self._refused(Refusal(404, error_object(404, what)), _api_of(asked))

    def _refused(self, refusal: Refusal, api: Api = RESPONSES_API) -> HttpAnswer:
        return refused(refusal, self.ways, api)


def _api_of(asked: Asked) -> Api:
    """The API of a request: of its path, or for a list of models of its headers."""
    first = asked.path.removeprefix(ROOT).partition("/")[0]
    if first == "messages" or (first == "models" and "anthropic-version" in asked.headers):
        return MESSAGES_API
    return CHAT_API if first == "chat" else RESPONSES_API


def _check_version(asked: Asked) -> None:
    if "anthropic-version" not in asked.headers:
        raise RequestError("anthropic-version: header is required")


def _check_kinds(items: list[object]) -> None:
    for item in items:
        kind = cast("Mapping[str, object]", item).get("type") if isinstance(item, dict) else None
        if kind not in _ITEMS:
            raise RequestError(f"Unknown item type: {kind}.", "input")


def _sent_id(events: list[Frame]) -> str | None:
    """The id of the response after the deviations."""
    sent = (data["response"] for _, data in events if "response" in data)
    return next((response["id"] for response in sent if "id" in response), None)
