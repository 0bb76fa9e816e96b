"""The items of a conversation, of the Responses API, kept verbatim. Knows no transport.

An item is parsed tolerantly. Unknown kinds, fields and values are kept, and the item is sent back
as it came, byte for byte (`Item.wire`). The fields named here are those that something reads.
Vocabulary: Open Responses 2026-04-24, and the OpenAI superset.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, ValidationError, model_serializer
from pydantic_core import from_json

from .verbatim_json import dumps, in_whole_pairs, loads, whole_text

NATIVE = "inkernel:native"
"""The member of an item that holds what a server of another API said, verbatim, by dialect."""
TOOL_SEARCH = "tool_search"
"""The tool by which a model searches for others, where its API has such a tool."""
_TEXTS = ("output_text", "text", "refusal", "input_text")
_REPLACED = "\ufffd".encode()
_FENCED = re.compile(r"\s*```[\w+-]*[ \t]*\n(.*?)\s*```\s*", re.DOTALL).fullmatch


class Part(BaseModel):
    """One content part of a message or of a tool's output. `annotations`: as the server sent it."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    annotations: Any = None


class Item(BaseModel):
    """One entry of the conversation. It serialises to exactly the JSON it was made from."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    type: str
    id: str | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any], wire: bytes | None = None) -> Self:
        """Parse `data`, whose JSON text is `wire` if it has one. Raises pydantic's ValidationError.

        A line end in `wire` is white space between values. It becomes a space, so that the wire
        form is one line. A lone surrogate becomes U+FFFD.
        """
        if wire is None:
            wire = dumps(data)
            if _REPLACED in wire:  # perhaps a lone surrogate: the fields must say the same
                data = loads(wire)
        item = cls.model_validate(data)
        object.__setattr__(item, "wire", _one_line(wire))
        return item

    @cached_property
    def wire(self) -> bytes:
        """The item as JSON, as it is sent and recorded."""
        raise TypeError("an item is made by Item.of, which keeps its wire form")

    @model_serializer
    def _verbatim(self) -> dict[str, Any]:
        return loads(self.wire)

    @property
    def native(self) -> Mapping[str, Any]:
        """The words of a server of another API, by the name of the dialect."""
        kept = (self.model_extra or {}).get(NATIVE)
        return cast("dict[str, Any]", kept) if isinstance(kept, dict) else {}

    @property
    def neutral(self) -> bytes:
        """The item as JSON without that."""
        if not self.native:
            return self.wire
        return dumps({key: value for key, value in loads(self.wire).items() if key != NATIVE})


class Message(Item):
    """A message by `user`, `assistant`, `developer` or `system`.

    `phase`: `commentary`, `final_answer`, or None where a server does not tell them apart.
    """

    role: str
    content: str | tuple[Part, ...]
    phase: str | None = None

    @property
    def text(self) -> str:
        """All of its text, refusals included."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text or part.refusal or "" for part in self.content)

    @property
    def may_be_the_answer(self) -> bool:
        """True if the model says something in it, not as a remark before its next call."""
        return self.role == "assistant" and self.phase != "commentary" and not self.is_blank

    @property
    def is_blank(self) -> bool:
        """True if it has no text but white space, and no part of another kind."""
        others = isinstance(self.content, tuple) and any(
            part.type not in _TEXTS for part in self.content
        )
        return not self.text.strip() and not others

    @property
    def says_nothing(self) -> bool:
        """True if it is empty: no text, and no part of another kind."""
        return not self.text and self.is_blank


class Reasoning(Item):
    """The model's reasoning: a summary to show, and an opaque form to send back.

    `content`: the reasoning itself, if the server sends it, in any shape.
    """

    summary: tuple[Part, ...] = ()
    content: Any = None
    encrypted_content: str | None = None

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """The paragraphs of the summary, or else of the reasoning itself."""
        told = tuple(part.text for part in self.summary if part.text)
        if told or not isinstance(self.content, list):
            return told
        texts = [
            cast("dict[str, Any]", part).get("text")
            for part in cast("list[object]", self.content)
            if isinstance(part, dict)
        ]
        return tuple(text for text in texts if isinstance(text, str) and text)


class FunctionCall(Item):
    """The model asks for a tool. `arguments` is JSON text, not yet trusted.

    `namespace`: of a loaded tool. OpenAI refuses such a call that comes back without it.
    """

    call_id: str
    name: str
    arguments: str = ""
    namespace: str | None = None


class FunctionCallOutput(Item):
    """A tool's output for the call of the same `call_id`."""

    call_id: str
    output: str | tuple[Part, ...]


class HostedCall(Item):
    """A call that ran at the server, or its result. A view reads the other fields of its kind."""

    status: str | None = None


class OtherCall(HostedCall):
    """A call for which we offer no tool of its kind. It still waits for our answer."""

    call_id: str

    @property
    def name(self) -> str:
        """The name of its tool, if it has one."""
        return str((self.model_extra or {}).get("name") or "")

    @property
    def arguments(self) -> str:
        """Its free text."""
        return str((self.model_extra or {}).get("input") or "")


class ToolSearchCall(OtherCall):
    """The model searches for tools, and we answer. The server answers a search of its own."""

    @property
    def name(self) -> str:
        """The name of the tool that searches."""
        return TOOL_SEARCH

    @property
    def arguments(self) -> str:
        """Its arguments as JSON text. In the item they are an object."""
        return dumps((self.model_extra or {}).get("arguments")).decode()


class OtherItem(Item):
    """An item of an unknown kind, or of a known kind in an unknown shape."""


HOSTED = frozenset(
    (
        *("web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call"),
        *("computer_call", "computer_call_output", "shell_call", "shell_call_output"),
        *("local_shell_call", "local_shell_call_output"),
        *("apply_patch_call", "apply_patch_call_output"),
        *("mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response"),
        *("custom_tool_call", "custom_tool_call_output"),
        *("tool_search_call", "tool_search_output", "compaction"),
    )
)
"""The kinds of `HostedCall`."""

OTHER_CALLS = ("custom_tool_call", "local_shell_call", "shell_call", "apply_patch_call")
"""The kinds of `OtherCall`. The output of each has `_output` behind its kind."""

_KINDS: dict[str, type[Item]] = {
    "message": Message,
    "reasoning": Reasoning,
    "function_call": FunctionCall,
    "function_call_output": FunctionCallOutput,
    **dict.fromkeys(HOSTED, HostedCall),
    **dict.fromkeys(OTHER_CALLS, OtherCall),
}


def parse_item(data: Mapping[str, Any], wire: bytes | None = None) -> Item:
    """The item in `data`, whose JSON text is `wire` when it came as one.

    A server may add or leave out anything but the `type`. A call is read in any shape, because it
    needs an answer. Raises ValueError when `data` has no type that is text.
    """
    kind = data.get("type")
    if not isinstance(kind, str):
        raise ValueError("an item without a type")
    made = ToolSearchCall if is_our_search(data) else _KINDS.get(kind, OtherItem)
    if issubclass(made, FunctionCall | OtherCall) and (wrong := _wrong_of_call(data)):
        data, wire = {**data, **wrong}, None
    try:
        return made.of(data, wire)
    except ValidationError:
        known = {key: data[key] for key in ("type", "id") if isinstance(data.get(key), str)}
        return OtherItem.of(known, dumps(data) if wire is None else wire)


def is_our_search(item: Mapping[str, Any]) -> bool:
    """True for a search for tools that waits for our answer. One at the server has no `call_id`."""
    if item.get("type") != "tool_search_call":
        return False
    return (item.get("execution") or ("client" if item.get("call_id") else "")) == "client"


def call_id_of(call: Mapping[str, Any]) -> str:
    """The id of a call: its own, or else that of the item. Empty if it has none."""
    found = call.get("call_id")
    if isinstance(found, int):
        return str(found)
    return next((it for it in (found, call.get("id")) if isinstance(it, str) and it), "")


def _wrong_of_call(call: Mapping[str, Any]) -> dict[str, Any]:
    """Proper values for the fields of a call that have a wrong type or are missing."""
    call_id = call_id_of(call) or f"call_{hashlib.sha256(dumps(call)).hexdigest()[:16]}"
    found: dict[str, Any] = {"call_id": call_id} if call.get("call_id") != call_id else {}
    if not isinstance(call.get("id"), str | None):
        found["id"] = call_id
    given: object = call.get("arguments", "")
    if call["type"] == "tool_search_call" and not isinstance(given, dict):
        found["arguments"] = arguments_of(given if isinstance(given, str) else "") or {}
    if call["type"] != "function_call":
        return found if isinstance(call.get("status"), str | None) else {**found, "status": None}
    if not isinstance(call.get("name"), str):
        found["name"] = ""
    if not isinstance(call.get("namespace"), str | None):
        found["namespace"] = None
    if not isinstance(given, str):
        found["arguments"] = dumps(cast("object", given)).decode()
    return found


def text_part(text: str) -> dict[str, str]:
    """An `input_text` content part."""
    return {"type": "input_text", "text": whole_text(text)}


def image_part(data_url: str) -> dict[str, str]:
    """An `input_image` content part from a `data:` URL."""
    return {"type": "input_image", "image_url": data_url, "detail": "auto"}


def message(role: str, *parts: Mapping[str, str]) -> Message:
    """A message from our side, with content parts."""
    return Message.of({"type": "message", "role": role, "content": list(parts)})


def call_output(call_id: str, parts: Sequence[Mapping[str, str]]) -> FunctionCallOutput:
    """The output of a call. Text alone becomes a plain string, which every server accepts."""
    plain = len(parts) == 1 and parts[0].get("type") == "input_text"
    output = parts[0]["text"] if plain else cast("object", list(parts))
    return FunctionCallOutput.of(
        {"type": "function_call_output", "call_id": call_id, "output": output}
    )


def output_of(
    call: FunctionCall | OtherCall,
    parts: Sequence[Mapping[str, str]],
    loads: Sequence[Mapping[str, Any]] = (),
) -> Item:
    """The output of any call. Calls that are no functions get the text alone.

    `loads`: the tools that a search gives, in place of a text.
    """
    call_id, text = call.call_id, "\n".join(part.get("text", "") for part in parts)
    fields: dict[str, Any] = {"call_id": call_id, "output": text}
    match call.type:
        case "local_shell_call":
            fields = {"id": call_id, "output": text}
        case "shell_call":
            exit_ = {"type": "exit", "exit_code": 127}
            fields["output"] = [{"stdout": "", "stderr": text, "outcome": exit_}]
        case "apply_patch_call":
            fields["status"] = "failed"
        case "tool_search_call":
            fields = {"call_id": call_id, "execution": "client", "status": "completed"}
            return HostedCall.of({"type": "tool_search_output", **fields, "tools": list(loads)})
        case "custom_tool_call":
            pass
        case _:
            return call_output(call_id, parts)
    return HostedCall.of({"type": f"{call.type}_output", **fields})


def answered_call(item: Item) -> str | None:
    """The id of the call whose output the item is, or None."""
    if isinstance(item, FunctionCallOutput):
        return item.call_id
    if item.type.removesuffix("_output") in (*OTHER_CALLS, TOOL_SEARCH):
        return str((item.model_extra or {}).get("call_id") or item.id)
    return None


def sendable(item: Item) -> Item:
    """The item in a form that is safe to send: arguments that are no JSON object become one.

    Some servers parse the arguments to put calls into a template. A call that they cannot parse
    fails every later request (transformers 5.23: HTTP 500).
    """
    if not isinstance(item, FunctionCall) or _is_object(item.arguments):
        return item
    arguments = dumps(arguments_of(item.arguments) or {}).decode()
    return FunctionCall.of({**loads(item.neutral), "arguments": arguments})


def arguments_of(text: str) -> dict[str, Any] | None:
    """The arguments of a call, in any form that models write. None if there is no object.

    They may be encoded twice, in a Markdown fence, or have line ends inside of strings.
    """
    for _ in range(3):
        text = without_fence(text).strip()
        try:
            value = json.loads(text or "{}", strict=False)
        except (ValueError, RecursionError):
            return None
        if isinstance(value, dict) or value is None:
            return cast("dict[str, Any]", value or {})
        if not isinstance(value, str):
            return None
        text = value
    return None


def without_fence(text: str) -> str:
    """The content of a Markdown fence around the whole text, or else the text."""
    found = _FENCED(text)
    return found[1] if found and "\n```" not in found[1] else text


def _is_object(text: str) -> bool:
    try:
        return isinstance(from_json(text.encode()), dict)
    except ValueError:
        return False


def _one_line(wire: bytes) -> bytes:
    return in_whole_pairs(wire).replace(b"\n", b" ").replace(b"\r", b" ")
