"""Requests of the Chat Completions API, made of a conversation's items. Does no I/O.

Many servers speak it, each a little differently. A request has only fields that all of them take.
A member of an answer goes back under its own name. Groq and Cerebras refuse `reasoning_content`,
and DeepSeek refuses a call that lacks it.

Read in 2026-11: vercel/ai#15042, api-docs.deepseek.com/guides/thinking_mode.
"""

import json
from typing import Any, cast

from ..config.settings import Settings
from ..protocol.items import arguments_of
from ..protocol.verbatim_json import dumps, in_whole_pairs, loads
from ..providers.resolve import Target
from .chat_answer import CHAT
from .chat_messages import ChatMessages, ChatPart, text_of_part
from .chat_stream import ChatReader, events_of_completion
from .dialect import Translation
from .native import native_of
from .request import HeldPrefix, Request

UNNAMED = "unnamed"
UNSEEN = "[An image is left out here: this model reads text alone.]"


class Chat(Translation):
    """Requests as `POST /chat/completions` wants them, and the answers to them."""

    path = "/chat/completions"

    def __init__(self, target: Target, settings: Settings) -> None:
        super().__init__()
        self._target = target
        self._omitted = {*target.traits.omits, *settings.omit}
        self._unsigned: dict[str, Any] = loads(target.traits.unsigned_call.encode())
        self.clear()

    def clear(self) -> None:
        """Forget all items, because the window was rewritten."""
        self._messages = ChatMessages(loads(self._target.traits.answer_lacks.encode()))

    def body(self, request: Request, held: HeldPrefix | None = None) -> bytes:
        """The JSON object to send for a stream. A server of this API holds no items."""
        head = self.head(request)
        self.grow(request)
        messages = self._messages
        messages.settle()
        start = 1 if head.endswith(b"[") else 0  # a comma is before each message
        with memoryview(messages.wire) as wire, wire[start:] as written:
            return b"".join((b"{", head, written, messages.end, b"]}"))

    def reader(self) -> ChatReader:
        """A reader for one response."""
        return ChatReader(self._target.server, self._target.model, self._target.hide)

    def events_of(self, body: bytes) -> list[bytes] | None:
        """The events of a completion that came whole. None if it is none."""
        return events_of_completion(body)

    def translated(self, fields: dict[str, Any]) -> bytes:
        """The fixed fields as JSON members, the last of which is `messages`, not closed.

        A default is left out. So is the cache's key, which Gemini refuses.
        """
        tools = [_tool(tool) for tool in fields.get("tools", ()) if tool.get("type") == "function"]
        choice = fields.get("tool_choice", "auto")
        if isinstance(choice, dict):
            named = cast("dict[str, Any]", choice)
            choice = {"type": "function", "function": {"name": named.get("name")}}
        parallel = fields.get("parallel_tool_calls", True)
        reasoning: dict[str, Any] = fields.get("reasoning") or {}
        made: dict[str, Any] = {
            "model": fields["model"],
            "stream": True,
            "stream_options": {"include_usage": True},
            "tools": tools or None,
            "tool_choice": choice if tools and choice != "auto" else None,
            "parallel_tool_calls": None if not tools or parallel else False,
            "reasoning_effort": reasoning.get("effort"),
            "max_completion_tokens": fields.get("max_output_tokens"),
        }
        sent = {it: made[it] for it in made if made[it] is not None and it not in self._omitted}
        system = fields.get("instructions")
        first = [{"role": "system", "content": system}] if system else []
        return dumps({**sent, "messages": first})[1:-2]

    def add(self, item: dict[str, Any], text: str) -> None:
        """Translate the next item. Kinds that this API has no place for are left out."""
        raw = native_of(item, text, CHAT)
        native = cast("dict[str, Any]", loads(raw.encode())) if raw else {}
        match item:
            case {"type": "reasoning"}:
                self._messages.answered(self._taken(native))
            case {"type": "message", "role": "assistant"}:
                content = "".join(part.get("text", "") for part in self._parts(item.get("content")))
                self._messages.answered({"content": content, **self._taken(native)})
            case {"type": "message"}:
                self._messages.said(self._parts(item.get("content")))
            case {"type": "function_call", "call_id": str(call_id), "name": str(name)}:
                more = self._taken(self._unsigned if raw is None else native)
                function = {"name": name or UNNAMED, "arguments": _arguments(item.get("arguments"))}
                function = {**more.get("function", {}), **function}
                call = {**more, "id": call_id, "type": "function", "function": function}
                self._messages.answered({"tool_calls": [call]})
            case {"type": "function_call_output", "call_id": str(call_id)}:
                self._messages.result(call_id, self._parts(item.get("output")))
            case _:
                pass

    def _taken(self, native: dict[str, Any]) -> dict[str, Any]:
        """The members of a message that the server takes back."""
        return {name: native[name] for name in native if name not in self._omitted}

    def _parts(self, content: object) -> list[ChatPart]:
        """The text and the images of a content."""
        if isinstance(content, str):
            return [text_of_part(content)]
        parts = cast("list[object]", content if isinstance(content, list) else [])
        return [self._part(cast("dict[str, Any]", it)) for it in parts if isinstance(it, dict)]

    def _part(self, part: dict[str, Any]) -> ChatPart:
        if isinstance(url := part.get("image_url"), str):
            image = {"type": "image_url", "image_url": {"url": url}}
            return image if self._target.traits.images else text_of_part(UNSEEN)
        return text_of_part(str(part.get("text") or part.get("refusal") or ""))


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    """The tool in the words of this API, where `strict` is false by default."""
    names = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {name: tool[name] for name in names if tool.get(name)}}


def _arguments(text: object) -> str:
    """The arguments of a call as a JSON object. Some servers read them, and fail with them.

    A NaN, which is no JSON, becomes null.
    """
    whole = in_whole_pairs(text.encode()).decode() if isinstance(text, str) else "{}"
    try:
        if isinstance(json.loads(whole, parse_constant=_refuse), dict):
            return whole
    except (ValueError, RecursionError):
        pass
    values = json.dumps(arguments_of(whole) or {})
    return dumps(json.loads(values, parse_constant=lambda _: None)).decode()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
