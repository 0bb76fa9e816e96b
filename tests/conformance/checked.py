"""Requests to a server, and the check that what it answers is strict Open Responses and in order.

The types are those of `openresponses-types`, made from the specification of 2026-04-24.
"""

import json
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect as connect_websocket

from .order import Event, read_frames, violations

types = pytest.importorskip("openresponses_types.types")

EVENTS = {
    next(iter(model.model_fields["type"].annotation)).value: model
    for name, model in vars(types).items()
    if name.endswith("StreamingEvent")
}
RESOURCES = {
    "/responses": types.ResponseResource,
    "/responses/compact": types.CompactResource,
}
BEYOND = {"cache_write_tokens"}
"""What OpenAI's own types ask for and Open Responses does not have."""
ENDS = ("response.completed", "response.failed", "response.incomplete")


def strict(model: Any, data: object) -> None:
    """Check that `data` is a `model`, and has nothing beyond it but what `BEYOND` names."""
    text = json.dumps(data)
    known = model.model_validate_json(text, strict=True).model_dump(mode="json", exclude_unset=True)
    assert known == json.loads(text, object_hook=_within)


def _within(fields: Event) -> Event:
    return {name: value for name, value in fields.items() if name not in BEYOND}


def echoes(body: Event, resource: Event) -> None:
    """Check that a resource says again what was asked, besides what the server adds."""
    for name in body.keys() & resource.keys() - {"model", "tools"}:
        assert resource[name] == body[name], name
    given, echoed = body.get("tools", []), resource.get("tools", [])
    assert len(echoed) == len(given)
    assert [said | asked for said, asked in zip(echoed, given, strict=True)] == echoed


def posted(client: httpx.Client, body: Event, path: str = "/responses", status: int = 200) -> Event:
    """What `body` is answered, not streamed: a resource or an error."""
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    given = answer.json()
    if status == 200:
        strict(RESOURCES[path], given)
        echoes(body, given)
    else:
        strict(types.ErrorPayload, given["error"])
    return given


def streamed(client: httpx.Client, body: Event) -> list[Event]:
    """The events that answer `body` over SSE."""
    answer = client.post("/responses", json={**body, "stream": True})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    events, misframed = read_frames(answer.content)
    for event in events:
        strict(EVENTS[event["type"]], event)
    assert misframed + violations(events) == []
    echoes(body, events[-1]["response"])
    return events


def exchanged(socket: Any, body: Event) -> list[Event]:
    """The events that answer `body` over a WebSocket: a response's, or one error."""
    socket.send(json.dumps({"type": "response.create", **body}))
    events: list[Event] = []
    while not events or events[-1]["type"] not in ENDS:
        events.append(json.loads(socket.recv(timeout=20)))
        if "status" in events[-1]:
            strict(types.WebSocketErrorEvent, events[-1])
            assert len(events) == 1, "a response that has begun ends with response.failed"
            return events
        strict(EVENTS[events[-1]["type"]], events[-1])
    assert violations(events) == []
    echoes(body, events[-1]["response"])
    return events


def connect(base_url: str, key: str | None = None) -> Any:
    """A WebSocket to a server, to be used in a `with`."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = base_url.replace("http", "ws", 1) + "/responses"
    return connect_websocket(url, additional_headers=headers, proxy=None)
