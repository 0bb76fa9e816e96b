"""Chat Completions as a server speaks it: requests to items, Responses' events to chunks.

Knows no script and no network. The shapes are those of the `openai` package, 3.57. The words for
broken rules were read in 2026-11 in reports of OpenAI's answers.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic import ValidationError as Invalid

from ..protocol.verbatim_json import dumps
from .answers import Api
from .deviations import Frame
from .dialect_deviations import CHUNK, USAGE, WORDS
from .model import opened_thought, seal_thought, sent_items
from .request import AskedRequest, Items, RequestError, is_context, text_of

_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
_PARTS = {
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
}
"""The types of a message's parts by its role. Other roles have texts only."""
_ENDS = {"max_output_tokens": "length"}
_UNASKED = "skip_thought_signature_validator"
"""A signature that Gemini takes for a call that another model made."""
_UNSIGNED = (
    "Function call is missing a thought_signature in functionCall parts. This is required for tools"
    " to work correctly, and missing thought_signature may lead to degraded model performance."
    " Additional data, function call `default_api:{name}` , position {at}. Please refer to"
    " https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
)
"""Read in 2026-11: https://github.com/lbjlaq/Antigravity-Manager/issues/139."""
_UNREASONED = (
    "Missing `reasoning_content` field in the assistant message at message index {at}. For more"
    " information, please refer to https://api-docs.deepseek.com/guides/thinking_mode#tool-calls"
)


def _as_text(arguments: Any) -> Any:
    """The arguments as JSON text. A server that sends an object takes it back, too."""
    return dumps(cast("object", arguments)).decode() if isinstance(arguments, dict) else arguments


class _Loose(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)


class _Function(_Loose):
    name: str
    arguments: Annotated[str, BeforeValidator(_as_text)]


class _Call(_Loose):
    id: str
    type: str = "function"
    function: _Function
    extra_content: Any = None


class ChatMessage(_Loose):
    """A message of the conversation."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _StreamOptions(_Loose):
    include_usage: bool = False


class ChatBody(_Loose):
    """The fields of a request that this server reads."""

    model: str
    messages: list[ChatMessage]
    stream: bool = False
    stream_options: _StreamOptions = _StreamOptions()
    tools: list[dict[str, Any]] = []
    parallel_tool_calls: bool = True
    prompt_cache_key: str | None = None


FIELDS = frozenset(ChatBody.model_fields) | {
    *("audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs"),
    *("max_completion_tokens", "max_tokens", "metadata", "modalities", "moderation", "n"),
    *("prediction", "presence_penalty", "prompt_cache_options", "prompt_cache_retention"),
    *("reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier"),
    *("stop", "store", "temperature", "tool_choice", "top_logprobs", "top_p", "user"),
    *("verbosity", "web_search_options"),
}
"""The fields that the API has."""


def read_chat(fields: dict[str, Any]) -> ChatBody:
    """The request with these fields. Raises RequestError in OpenAI's words for a broken rule."""
    try:
        body = ChatBody.model_validate(fields)
    except Invalid as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _misshapen(first["loc"], first["type"], first["msg"]) from None
    if not body.messages:
        what = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got"
        raise RequestError(f"{what} an empty array instead.", "messages", "empty_array")
    for at, message in enumerate(body.messages):
        _check_message(f"messages[{at}]", message)
    _check_order(body.messages)
    return body


def _misshapen(loc: Sequence[str | int], kind: str, told: str) -> RequestError:
    names = [it for it in loc if it != "str"]  # names one of a content's types
    where = "".join(f"[{it}]" if isinstance(it, int) else f".{it}" for it in names)[1:]
    if kind == "missing":
        what, code = f"Missing required parameter: '{where}'.", "missing_required_parameter"
    else:
        what, code = f"Invalid type for '{where}': {told}.", "invalid_type"
    return RequestError(what, where, code)


def _check_message(where: str, message: ChatMessage) -> None:
    role, content = message.role, message.content
    if role not in _ROLES:
        raise _unsupported(role, _ROLES, f"{where}.role")
    if message.tool_calls == []:
        what = f"Invalid '{where}.tool_calls': empty array. Expected an array with minimum length 1"
        code = "empty_array"
        raise RequestError(f"{what}, but got an empty array instead.", f"{where}.tool_calls", code)
    if content is None and not message.tool_calls:
        what = "Invalid value for 'content': expected a string, got null."
        raise RequestError(what, f"{where}.content")
    for at, part in enumerate(content if isinstance(content, list) else []):
        kind, known = part.get("type"), _PARTS.get(role, ("text",))
        if kind == "image_url" and role != "user":
            raise RequestError(
                f"Invalid '{where}'. Image URLs are only allowed for messages with role 'user', but"
                f" this message with role '{role}' contains an image URL.",
                where,
                "invalid_value",
            )
        if kind not in known:
            raise _unsupported(kind, known, f"{where}.content[{at}].type")


def _unsupported(value: object, known: Sequence[str], where: str) -> RequestError:
    *most, last = (f"'{name}'" for name in known)
    listed = f"{', '.join(most)}, and {last}" if most else last
    what = f"Invalid value: '{value}'. Supported values are: {listed}."
    return RequestError(what, where, "invalid_value")


def _check_order(messages: Sequence[ChatMessage]) -> None:
    """Check that each call has its answer right after it, and each answer its call."""
    calls: list[str] = []
    for at, message in enumerate([*messages, ChatMessage(role="user", content="")]):
        if message.role != "tool":
            if calls:
                raise RequestError(
                    "An assistant message with 'tool_calls' must be followed by tool messages"
                    " responding to each 'tool_call_id'. The following tool_call_ids did not have"
                    f" response messages: {', '.join(calls)}",
                    "messages",
                )
            calls = [call.id for call in message.tool_calls or ()]
        elif message.tool_call_id is None:
            what = "Missing parameter 'tool_call_id': messages with role 'tool' must have a"
            raise RequestError(f"{what} 'tool_call_id'.", f"messages.[{at}].tool_call_id")
        elif message.tool_call_id not in calls:
            what = "Invalid parameter: messages with role 'tool' must be a response to a preceeding"
            raise RequestError(f"{what} message with 'tool_calls'.", f"messages.[{at}].role")
        else:
            calls.remove(message.tool_call_id)


def check_kept(body: ChatBody, ways: frozenset[str]) -> None:
    """Check that what a server with these deviations wants back came back. Raises RequestError."""
    since = max((at for at, it in enumerate(body.messages) if _begins(it)), default=0)
    count = 0
    for at, message in enumerate(body.messages):
        calls = message.tool_calls or []
        if "demands_reasoning" in ways and calls and message.reasoning_content is None:
            raise RequestError(_UNREASONED.format(at=at), "messages", "invalid_request_error")
        if "thought_signatures" in ways and calls and at > since:
            _check_signature(calls[0], count + 1)
        count += len(calls)


def _begins(message: ChatMessage) -> bool:
    """True for a user's message that begins a turn."""
    said = message.role == "user" and not is_context(text_of(message.content))
    return said and not _are_images(message)


def _check_signature(call: _Call, at: int) -> None:
    """Check the first of parallel calls, which alone has a signature."""
    sealed = _dict(_dict(call.extra_content).get("google")).get("thought_signature")
    name = call.function.name
    if sealed is None:
        raise RequestError(_UNSIGNED.format(name=name, at=at))
    if sealed != _UNASKED and opened_thought(str(sealed), name) is None:
        raise RequestError("Corrupted thought signature.")


def asked_of_chat(body: ChatBody) -> AskedRequest:
    """The request in Responses' words. The assistant's items have no ids yet."""
    items: Items = []
    for message in body.messages:
        added = list(_items_of(message))
        if _are_images(message) and items and items[-1]["type"] == "function_call_output":
            items[-1]["output"] += added[0]["content"]
        else:
            items += added
    tools = [{**tool, **_dict(tool.get("function"))} for tool in body.tools]
    return AskedRequest(
        model=body.model,
        input=items,
        stream=body.stream,
        tools=[{name: it for name, it in tool.items() if name != "function"} for tool in tools],
        parallel_tool_calls=body.parallel_tool_calls,
        prompt_cache_key=body.prompt_cache_key or "chat",
    )


def _are_images(message: ChatMessage) -> bool:
    """True for a user's message with images. After outputs it brings theirs, and begins no turn."""
    parts = message.content if isinstance(message.content, list) else []
    return message.role == "user" and any(part.get("type") == "image_url" for part in parts)


def _items_of(message: ChatMessage) -> Iterator[dict[str, Any]]:
    content = _content(message.content)
    if message.role == "tool":
        output = {"call_id": message.tool_call_id, "output": content}
        yield {"type": "function_call_output", **output}
    elif message.role != "assistant":
        yield {"type": "message", "role": message.role, "content": content}
    else:
        if thought := message.reasoning_content or message.reasoning:
            yield {"type": "reasoning", "summary": [{"type": "summary_text", "text": thought}]}
        if content:
            yield {"type": "message", "role": "assistant", "content": content}
        for call in message.tool_calls or ():
            made = {"call_id": call.id, "name": call.function.name}
            yield {"type": "function_call", **made, "arguments": call.function.arguments}


def _content(content: str | list[dict[str, Any]] | None) -> Items:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return list(content or ())


def _dict(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _error_body(status: int, error: dict[str, Any]) -> dict[str, Any]:
    kinds = {404: "invalid_request_error", 429: error["code"] or "requests"}
    return {"error": {**error, "type": kinds.get(status, error["type"])}}


CHAT_API = Api(
    _error_body,
    (WORDS, b'{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"cut '),
    named=False,
)


def chat_chunks(events: list[Frame], body: ChatBody, ways: frozenset[str]) -> list[Frame]:
    """The chunks of a stream, from the events of `frames`. The last one counts in any case."""
    response = events[-1][1]["response"]
    head = _head(response, "chat.completion.chunk")
    if body.stream_options.include_usage:
        head["usage"] = None
    told: list[Frame] = []
    if response["error"] is None or events[0][0] == "response.created":
        first = {"role": "assistant", "content": "", "refusal": None}
        told.append((CHUNK, head | _choice(first)))
    deltas = _deltas(events, "thought_signatures" in ways)
    told += [(WORDS, head | _choice(delta)) for delta in deltas]
    if response["error"] is not None:
        error = {"type": "server_error", "param": None, **response["error"]}
        return [*told, ("error", _error_body(500, error))]
    told.append((CHUNK, head | _choice({}, _finish(response))))
    return [*told, (USAGE, {**head, "choices": [], "usage": _usage(response)})]


def sent_chat(events: list[Frame], ways: frozenset[str]) -> dict[str, Any]:
    """The answer that is sent without streaming, its message as a delta."""
    response = events[-1][1]["response"]
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    for delta in _deltas(events, "thought_signatures" in ways):
        for piece in delta.get("tool_calls", []):
            _add_piece(message.setdefault("tool_calls", []), piece)
        for name in delta.keys() - {"tool_calls"}:
            message[name] = (message.get(name) or "") + delta[name]
    choice = _choice(message, _finish(response))
    return _head(response, "chat.completion") | choice | {"usage": _usage(response)}


def _add_piece(calls: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    if piece["index"] == len(calls):
        calls.append({name: it for name, it in piece.items() if name != "index"})
    else:
        function = calls[-1]["function"]
        arguments = function["arguments"] + piece["function"]["arguments"]
        calls[-1]["function"] = {**function, "arguments": arguments}


def _head(response: dict[str, Any], kind: str) -> dict[str, Any]:
    return {
        "id": response["id"].replace("resp_", "chatcmpl-", 1),
        "object": kind,
        "created": response["created_at"],
        "model": response["model"],
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {"choices": [choice]}


def _deltas(events: list[Frame], signed: bool) -> Iterator[dict[str, Any]]:
    index = 0
    for item, words, _ in sent_items(events):
        match item["type"]:
            case "message":
                yield from ({"content": word} for word in words)
            case "reasoning":
                yield from ({"reasoning_content": word} for word in words)
            case "function_call":
                function = {"name": item["name"], "arguments": ""}
                call = {"id": item["call_id"], "type": "function", "function": function}
                if signed and index == 0:
                    sealed = seal_thought(item["id"], item["name"])
                    call["extra_content"] = {"google": {"thought_signature": sealed}}
                yield {"tool_calls": [{"index": index, **call}]}
                for word in words:
                    yield {"tool_calls": [{"index": index, "function": {"arguments": word}}]}
                index += 1
            case _:
                pass


def _finish(response: dict[str, Any]) -> str:
    if (details := response["incomplete_details"]) is not None:
        reason = str(details["reason"])
        return _ENDS.get(reason, reason)
    calls = any(item["type"] == "function_call" for item in response["output"])
    return "tool_calls" if calls else "stop"


def _usage(response: dict[str, Any]) -> dict[str, Any]:
    usage = response["usage"]
    cached = usage["input_tokens_details"]["cached_tokens"]
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": usage["output_tokens_details"],
    }
