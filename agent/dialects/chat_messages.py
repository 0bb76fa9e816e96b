"""Messages of Chat Completions as bytes that only grow, in an order that each server takes.

Knows no item and no server. The strictest servers want a person's message first and last, person
and model by turns, and the results of calls right after them. Gemini, and vLLM with the templates
of Mistral and Gemma, refuse the rest with HTTP 400.

Read in 2026-11: vllm-project/vllm#6862, vllm-project/vllm#16774.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, cast

from ..protocol.verbatim_json import dumps

ChatPart = dict[str, Any]
"""A part of a content: `{"type": "text", "text": …}`, or an `image_url`."""

LEFT_OUT = "[The conversation before this is left out.]"
GO_ON = "[Go on.]"
GONE = "[The output of this call is gone.]"
SEEN_BELOW = "[The images follow.]"
EMPTY = "[No output.]"

_STRING, _LIST = b'"}', b"]}"
"""The ends of a person's message, whose content is a string or a list."""


def text_of_part(text: str) -> ChatPart:
    """A part with text."""
    return {"type": "text", "text": text}


class ChatMessages:
    """Messages, the last of which may be open: `wire` lacks its `end`.

    The model's answer is written when another side speaks, because it is one message of several
    items. Anything said between a call and its result waits for the result. `lacking`: members of
    an answer that came without them, or with empty ones.
    """

    def __init__(self, lacking: Mapping[str, Any] | None = None) -> None:
        self._lacking = dict(lacking or {})
        self.wire = bytearray()
        self.end = b""
        self._last = 0
        self._answer: dict[str, Any] = {}
        self._waiting: dict[str, None] = {}
        self._later: list[Callable[[], None]] = []

    def said(self, parts: Iterable[ChatPart]) -> None:
        """Add to the person's message. Its content is a string as long as it has no image."""
        parts = [part for part in parts if part.get("text") != ""]
        if self._waiting:
            self._later.append(partial(self.said, parts))
        elif parts:
            self._write_answer()
            self._answer = {}  # reasoning alone is no answer
            self._say(parts)

    def answered(self, members: Mapping[str, Any]) -> None:
        """Add to the model's message. `tool_calls` wait for their results from now on."""
        if self._later or (self._waiting and not self._answer):  # results have begun
            self._later.append(partial(self.answered, members))
            return
        calls = {call["id"]: None for call in members.get("tool_calls", ())}
        if self._waiting.keys() & calls:  # said twice
            return
        for name, value in members.items():
            self._answer[name] = _joined(self._answer.get(name), value)
        self._waiting |= calls

    def result(self, call_id: str, parts: Iterable[ChatPart]) -> None:
        """Add the result of a call. Its images follow as the person's, after all results.

        A result without a call becomes the person's words.
        """
        parts = list(parts)
        if call_id not in self._waiting:
            if self._waiting:
                self._later.append(partial(self.result, call_id, parts))
            else:
                self.said(
                    [text_of_part(f"[The output of a call that is gone, {call_id}:]"), *parts]
                )
            return
        images = [part for part in parts if part["type"] != "text"]
        text = "\n\n".join(part["text"] for part in parts if part["type"] == "text")
        self._write_result(call_id, text or (SEEN_BELOW if images else EMPTY))
        if images:
            about = text_of_part(f"[The images of {call_id}:]")
            self._later.append(partial(self.said, [about, *images]))
        if not self._waiting:
            self._catch_up()

    def settle(self) -> None:
        """Bring all into a form to send, for good: later items go behind it."""
        while self._waiting:
            for call_id in tuple(self._waiting):
                self._write_result(call_id, GONE)
            self._catch_up()
        self._write_answer()
        if not self.wire or self.wire.startswith(b',{"role":"assistant"', self._last):
            self._say([text_of_part(GO_ON)])

    def _catch_up(self) -> None:
        later, self._later = self._later, []
        for act in later:
            act()

    def _say(self, parts: list[ChatPart]) -> None:
        if self.end == _STRING and any(part["type"] != "text" for part in parts):
            self._close()
        fresh = not self.end
        if fresh:
            plain = all(part["type"] == "text" for part in parts)
            self._begin(b'{"role":"user","content":' + (b'"' if plain else b"["))
            self.end = _STRING if plain else _LIST
        for part in parts:
            if self.end == _STRING:
                self.wire += dumps(part["text"] if fresh else f"\n\n{part['text']}")[1:-1]
            else:
                self.wire += (b"" if fresh else b",") + dumps(part)
            fresh = False

    def _write_answer(self) -> None:
        """Write the model's message, unless it has neither words nor calls."""
        content, calls = self._answer.get("content"), self._answer.get("tool_calls")
        if isinstance(content, str) and not content.strip():
            content = None
        if content is None and not calls:
            return
        if not self.wire:
            self._say([text_of_part(LEFT_OUT)])
        self._close()
        said = {it: value for it, value in self._answer.items() if value or it not in self._lacking}
        said = {it: said[it] for it in said if it not in ("content", "tool_calls")}
        answer = {"role": "assistant", "content": content, **self._lacking, **said}
        self._begin(dumps({**answer, "tool_calls": calls} if calls else answer))
        self._answer = {}

    def _write_result(self, call_id: str, text: str) -> None:
        self._write_answer()
        del self._waiting[call_id]
        self._begin(dumps({"role": "tool", "tool_call_id": call_id, "content": text}))

    def _begin(self, message: bytes) -> None:
        self._last = len(self.wire)
        self.wire += b"," + message

    def _close(self) -> None:
        self.wire += self.end
        self.end = b""


def _joined(old: Any, new: Any) -> Any:
    """The values of a member in neighbouring items of one answer, as one value."""
    if old is None or new is None:
        return old if new is None else new
    if isinstance(old, str) and isinstance(new, str):
        return "\n\n".join(filter(None, (old, new)))
    lists = isinstance(old, list), isinstance(new, list)
    return [*_entries(old), *_entries(new)] if any(lists) else new


def _entries(value: object) -> list[Any]:
    if isinstance(value, str):
        return [text_of_part(value)] if value.strip() else []
    return cast("list[Any]", value) if isinstance(value, list) else [value]
