"""How real servers deviate from the protocol: from events to events. Knows no script, no network.

Each function takes the events of one whole response and returns them as some server sends them.
None changes its argument.
"""

from collections.abc import Callable, Iterable
from typing import Any, cast
from zlib import crc32

from ..protocol.items import arguments_of

Frame = tuple[str, dict[str, Any]]
"""An event's type, and its data."""

Frames = list[Frame]

_INDEXES = ("output_index", "content_index", "summary_index")
_TERMINAL = ("response.completed", "response.incomplete", "response.failed")
_OPENING = ("response.created", "response.in_progress")


def without(data: dict[str, Any], *names: str) -> dict[str, Any]:
    """The members but those of these names."""
    return {name: value for name, value in data.items() if name not in names}


def _leave_out(*kinds: str) -> Callable[[Frames], Frames]:
    return lambda frames: [frame for frame in frames if frame[0] not in kinds]


def _strip(*names: str) -> Callable[[Frames], Frames]:
    return lambda frames: [(kind, without(data, *names)) for kind, data in frames]


def _in_responses(
    change: Callable[[dict[str, Any]], dict[str, Any]], kinds: Iterable[str] = ()
) -> Callable[[Frames], Frames]:
    """Changes the snapshots of the response, in events of these kinds or in all."""
    chosen = frozenset(kinds)
    return lambda frames: [
        (kind, {**data, "response": change(data["response"])})
        if "response" in data and (not chosen or kind in chosen)
        else (kind, data)
        for kind, data in frames
    ]


def _in_items(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Frames], Frames]:
    """Changes the items in all events and snapshots."""
    snapshots = _in_responses(lambda it: {**it, "output": [change(item) for item in it["output"]]})
    return lambda frames: [
        (kind, {**data, "item": change(data["item"])} if "item" in data else data)
        for kind, data in snapshots(frames)
    ]


def _odd_sequence_numbers(frames: Frames) -> Frames:
    """Only some events have a number, and the numbers do not rise."""
    last = len(frames)
    return [
        (kind, {**data, "sequence_number": last - number})
        if kind.endswith("item.done")
        else (kind, without(data, "sequence_number"))
        for number, (kind, data) in enumerate(frames)
    ]


def _no_argument_deltas(frames: Frames) -> Frames:
    """A call is already whole when it is added."""
    done = {
        data["item"]["id"]: data["item"]
        for kind, data in frames
        if kind == "response.output_item.done" and data["item"]["type"] == "function_call"
    }
    return [
        (kind, {**data, "item": done.get(data["item"]["id"], data["item"])})
        if kind == "response.output_item.added"
        else (kind, data)
        for kind, data in frames
        if kind != "response.function_call_arguments.delta"
    ]


def _arguments_done_with_id(frames: Frames) -> Frames:
    return [
        (kind, {**without(data, "item_id"), "id": data["item_id"]})
        if kind == "response.function_call_arguments.done"
        else (kind, data)
        for kind, data in frames
    ]


def _index(change: Callable[[int], int]) -> Callable[[Frames], Frames]:
    return lambda frames: [
        (kind, {**data, "output_index": change(data["output_index"])})
        if "output_index" in data
        else (kind, data)
        for kind, data in frames
    ]


def _repeated_messages(frames: Frames) -> Frames:
    """A message is streamed twice, with one id."""
    changed: Frames = []
    began = 0
    for kind, data in frames:
        if kind == "response.output_item.added":
            began = len(changed)
        changed.append((kind, data))
        if kind == "response.output_item.done" and data["item"]["type"] == "message":
            changed += changed[began:]
    return changed


def _empty_message(frames: Frames) -> Frames:
    """An empty message is opened before the first item, and never closed."""
    first = next((n for n, (kind, _) in enumerate(frames) if kind.endswith("item.added")), None)
    if first is None:
        return frames
    item: dict[str, Any] = {
        "type": "message",
        "id": "msg_empty",
        "role": "assistant",
        "content": [],
    }
    added: dict[str, Any] = {"type": "response.output_item.added", "output_index": 0, "item": item}
    return [*frames[:first], ("response.output_item.added", added), *frames[first:]]


def _late_done(frames: Frames) -> Frames:
    """Items are closed only after all were streamed."""
    closing = [frame for frame in frames if frame[0] == "response.output_item.done"]
    rest = [frame for frame in frames if frame[0] != "response.output_item.done"]
    end = next((n for n, (kind, _) in enumerate(rest) if kind in (*_TERMINAL, "error")), len(rest))
    return rest[:end] + closing + rest[end:]


def _interleaved(frames: Frames) -> Frames:
    """Items are streamed side by side, as the protocol allows: one event of each in turn."""
    lanes: dict[int, Frames] = {}
    for frame in frames:
        if "output_index" in frame[1]:
            lanes.setdefault(frame[1]["output_index"], []).append(frame)
    longest = max(map(len, lanes.values()), default=0)
    mixed = [lane[n] for n in range(longest) for lane in lanes.values() if n < len(lane)]
    start = next((n for n, (_, data) in enumerate(frames) if "output_index" in data), 0)
    return frames[:start] + mixed + frames[start + len(mixed) :]


def no_nulls(frames: Frames) -> Frames:
    """Members that are null are left out."""
    return [(kind, cast("dict[str, Any]", _dropped(data))) for kind, data in frames]


def _dropped(value: object) -> object:
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {name: _dropped(given) for name, given in fields.items() if given is not None}
    if isinstance(value, list):
        return [_dropped(given) for given in cast("list[object]", value)]
    return value


def _usage_without_details(response: dict[str, Any]) -> dict[str, Any]:
    names = ("input_tokens_details", "output_tokens_details")
    return {**response, "usage": response["usage"] and without(response["usage"], *names)}


def _incomplete_as_completed(frames: Frames) -> Frames:
    """The event's type is completed. Only the status in it is incomplete."""
    return [
        ("response.completed", {**data, "type": "response.completed"})
        if kind == "response.incomplete"
        else (kind, data)
        for kind, data in frames
    ]


def _incomplete_hidden(frames: Frames) -> Frames:
    """A response that was cut off looks complete."""
    hide = {"status": "completed", "incomplete_details": None}
    hidden = _in_responses(lambda it: {**it, **hide}, ["response.incomplete"])
    return _incomplete_as_completed(hidden(frames))


def _in_calls(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Frames], Frames]:
    return _in_items(lambda item: change(item) if item["type"] == "function_call" else item)


def _call_ids(change: Callable[[str], str]) -> Callable[[Frames], Frames]:
    return _in_calls(lambda item: {**item, "call_id": change(item["call_id"])})


def _object_arguments(call: dict[str, Any]) -> dict[str, Any]:
    return {**call, "arguments": arguments_of(call["arguments"]) or call["arguments"]}


def _custom_calls(frames: Frames) -> Frames:
    """Calls are of the kind whose input is free text."""

    def renamed(data: dict[str, Any]) -> dict[str, Any]:
        return {"input" if key == "arguments" else key: value for key, value in data.items()}

    changed = _in_calls(lambda call: {**renamed(call), "type": "custom_tool_call"})(frames)
    return [
        (
            own := kind.replace("function_call_arguments", "custom_tool_call_input"),
            renamed(data) | {"type": own},
        )
        for kind, data in changed
    ]


def _ids_without_prefix(frames: Frames) -> Frames:
    """A call's id is its call_id, and it does not show the kind of item."""
    bare = _in_items(
        lambda item: (
            {**item, "id": (own := item["call_id"].partition("_")[2]), "call_id": own}
            if item["type"] == "function_call"
            else item
        )
    )
    return [
        (kind, {**data, "item_id": data["item_id"].partition("_")[2]})
        if kind.startswith("response.function_call")
        else (kind, data)
        for kind, data in bare(frames)
    ]


def _reasoning_as(name: str, parts: bool) -> Callable[[Frames], Frames]:
    """Reasoning comes as content instead of a summary, in events called `name`."""

    def change(frames: Frames) -> Frames:
        changed: Frames = []
        for kind, data in frames:
            if "summary_index" in data:
                if "part" in data and not parts:
                    continue
                kind = kind.replace("reasoning_summary_part", "content_part")
                kind = kind.replace("reasoning_summary_text", name)
                data = {**without(data, "summary_index"), "type": kind, "content_index": 0}
                if part := cast("dict[str, Any] | None", data.get("part")):
                    data["part"] = {**part, "type": "reasoning_text"}
            changed.append((kind, data))
        return _in_items(_thought_as_content)(changed)

    return change


def _thought_as_content(item: dict[str, Any]) -> dict[str, Any]:
    if item["type"] != "reasoning":
        return item
    parts = [{**part, "type": "reasoning_text"} for part in item["summary"]]
    return {**item, "summary": [], "content": parts}


def _reasoning_with_role(item: dict[str, Any]) -> dict[str, Any]:
    if item["type"] != "reasoning":
        return item
    more: dict[str, Any] = {"type": "output_text", "annotations": []}
    parts: list[dict[str, Any]] = [{**part, **more} for part in item["summary"]]
    return {**item, "role": "assistant", "content": parts}


def _extra_fields(frames: Frames) -> Frames:
    """Events, items and snapshots have unknown fields."""
    extra: dict[str, Any] = {"kv_transfer_params": None, "timings": {"predicted_ms": 1.5}}
    deep = _in_items(lambda item: {**item, "async": None, "x_server": {"k": [1]}})
    wide = _in_responses(lambda response: {**response, **extra})
    return [(kind, {**data, **extra}) for kind, data in wide(deep(frames))]


def _extension_events(frames: Frames) -> Frames:
    """An event of an unknown kind follows each event, and deltas have padding."""
    changed: Frames = []
    for kind, data in frames:
        changed.append((kind, {**data, "obfuscation": "x7Qa"} if "delta" in data else data))
        if kind not in _TERMINAL:
            trace = {
                "type": "acme:trace",
                "sequence_number": 0,
                "note": {"delta": "not text", "item": None},
            }
            changed.append(("acme:trace", trace))
    return changed


def _flat_errors(frames: Frames) -> Frames:
    """OpenAI's `error` event, with code and message beside the type."""
    return [
        (kind, {**without(data, "error"), **without(data["error"], "type")})
        if kind == "error"
        else (kind, data)
        for kind, data in frames
    ]


def _error_is_the_end(frames: Frames) -> Frames:
    """No `response.failed` follows an `error`."""
    told = any(kind == "error" for kind, _ in frames)
    return _leave_out("response.failed")(frames) if told else frames


_SHAPES: dict[str, Callable[[Frames], Frames]] = {
    "chatcmpl_call_ids": _call_ids(lambda own: own.replace("call_", "chatcmpl-tool-")),
    "ids_without_prefix": _ids_without_prefix,
    "no_call_ids": _in_calls(lambda item: without(item, "call_id")),
    "numeric_call_ids": _in_calls(lambda item: {**item, "call_id": crc32(item["id"].encode())}),
    "object_arguments": _in_calls(_object_arguments),
    "custom_calls": _custom_calls,
    "no_phase": _in_items(lambda item: without(item, "phase")),
    "status_ready": _in_items(lambda item: {**item, "status": "ready"}),
    "reasoning_text": _reasoning_as("reasoning_text", parts=True),
    "reasoning_text_without_parts": _reasoning_as("reasoning_text", parts=False),
    "reasoning_delta": _reasoning_as("reasoning", parts=True),
    "reasoning_with_role": _in_items(_reasoning_with_role),
    "empty_encrypted_content": _in_items(
        lambda item: {**item, "encrypted_content": ""} if item["type"] == "reasoning" else item
    ),
    "repeated_messages": _repeated_messages,
    "empty_message": _empty_message,
    "interleaved": _interleaved,
    "late_done": _late_done,
    "one_output_index": _index(lambda index: 0),
    "index_gaps": _index(lambda index: 2 * index + 1),
    "no_item_added": _leave_out("response.output_item.added"),
    "no_part_events": lambda frames: [it for it in frames if "_part." not in it[0]],
    "no_deltas": lambda frames: [it for it in frames if "delta" not in it[1]],
    "no_argument_deltas": _no_argument_deltas,
    "no_arguments_done": _leave_out("response.function_call_arguments.done"),
    "arguments_done_with_id": _arguments_done_with_id,
    "snapshot_only": lambda frames: [it for it in frames if "output_index" not in it[1]],
    "flat_errors": _flat_errors,
    "error_is_the_end": _error_is_the_end,
    "extra_fields": _extra_fields,
    "extension_events": _extension_events,
    "long_response_ids": _in_responses(lambda it: {**it, "id": f"{it['id']}_{'x' * 400}"}),
    "no_model": _in_responses(lambda it: {**it, "model": ""}),
    "fractional_created_at": _in_responses(lambda it: {**it, "created_at": it["created_at"] + 0.5}),
    "tools_not_echoed": _in_responses(lambda it: {**it, "tools": [], "tool_choice": "auto"}),
    "hosted_tools_dropped": _in_responses(
        lambda it: {**it, "tools": [x for x in it["tools"] if x.get("type") == "function"]}
    ),
    "queued_first": _in_responses(lambda it: {**it, "status": "queued"}, ["response.created"]),
    "incomplete_hidden": _incomplete_hidden,
    "incomplete_as_completed": _incomplete_as_completed,
    "reversed_output": _in_responses(lambda it: {**it, "output": it["output"][::-1]}),
    "empty_output": _in_responses(lambda it: {**it, "output": []}),
    "no_output": _in_responses(lambda it: without(it, "output"), _TERMINAL),
    "usage_without_details": _in_responses(lambda it: _usage_without_details(it), _TERMINAL),
    "null_usage": _in_responses(lambda it: {**it, "usage": None}),
    "no_usage": _in_responses(lambda it: without(it, "usage")),
    "bare_snapshots": _in_responses(
        lambda it: {"id": it["id"], "object": "response", "status": it["status"]}, _OPENING
    ),
    "no_created": _leave_out(*_OPENING),
}

_FIELDS: dict[str, Callable[[Frames], Frames]] = {
    "no_sequence_numbers": _strip("sequence_number"),
    "odd_sequence_numbers": _odd_sequence_numbers,
    "no_logprobs": _strip("logprobs"),
    "no_summary_index": _strip("summary_index"),
    "no_content_index": _strip("content_index"),
    "no_indexes": _strip(*_INDEXES),
    "no_nulls": no_nulls,
}

OF_EVENTS = _SHAPES | _FIELDS
"""Applied in this order."""


def deviate(frames: Frames, names: frozenset[str]) -> Frames:
    """The events as a server with these deviations sends them."""
    for name, change in _SHAPES.items():
        if name in names:
            frames = change(frames)
    frames = [
        (kind, {**data, "sequence_number": number}) for number, (kind, data) in enumerate(frames)
    ]
    for name, change in _FIELDS.items():
        if name in names:
            frames = change(frames)
    return frames
