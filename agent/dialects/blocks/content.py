"""Values of the Responses API as blocks and tools of the Messages API. Pure, knows no conversation.

Read in 2026-11: platform.claude.com/docs/en/api/messages, and the types of the SDK anthropic 2.14.
Text that is empty or blank is left out everywhere, because the API refuses it (github.com
/LibreChat-AI/agents/pull/124 has what it answers to each form).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from ...protocol.items import arguments_of
from ...protocol.verbatim_json import dumps, loads, members

_DATA_URL = re.compile(r"data:(image/(?:jpeg|png|gif|webp));base64,([A-Za-z0-9+/=]+)")
_UNSEEN = "[An image is left out here, because this model sees none]"
_NO_ID = re.compile(r"[^a-zA-Z0-9_-]")
_MOST_NAME = 128
"""Most characters of a tool's name, and of an id that is made here."""

_Block = dict[str, Any]


def text_block(text: str) -> _Block:
    """A block of text, which must not be blank."""
    return {"type": "text", "text": text}


def answer_text(content: object) -> str:
    """The text of an assistant's message, refusals included."""
    return "".join(_part_text(part) for part in _parts(content))


def blocks_of(content: object, images: bool = True) -> Iterator[_Block]:
    """The content parts of a person's message, or of an output, as blocks.

    `images`: the model sees them. Else a line of text is in the place of each.
    """
    for part in _parts(content):
        if isinstance(url := part.get("image_url"), str) and url:
            yield _image(url) if images else text_block(_UNSEEN)
        elif (text := _part_text(part)).strip():
            yield text_block(text)


def result_block(tool_use_id: str, content: str | list[_Block]) -> _Block:
    """A tool's output. An empty one has no content."""
    made: _Block = {"type": "tool_result", "tool_use_id": tool_use_id}
    empty = not content or (isinstance(content, str) and not content.strip())
    return made if empty else {**made, "content": content}


def call_block(tool_use_id: str, name: object, arguments: object) -> bytes:
    """A call. Arguments that are a JSON object stay as they are, byte for byte."""
    text = arguments if isinstance(arguments, str) else ""
    given = object_text(text) or object_text(dumps(arguments_of(text)).decode()) or "{}"
    made = {"type": "tool_use", "id": tool_use_id, "name": _name(name)}
    return b'%b,"input":%b}' % (dumps(made)[:-1], given.encode())


def object_text(text: str) -> str | None:
    """The text without white space around it if it is a JSON object, or else None."""
    try:
        if isinstance(loads(text.encode()), dict):
            members(text)  # refuses a NaN
            return text.strip()
    except ValueError:
        pass
    return None


def wire_id(call_id: str) -> str:
    """A call's id in the letters that the API takes."""
    return _NO_ID.sub("_", call_id)[:_MOST_NAME] or "call"


def is_wire_id(value: object) -> bool:
    """True if the API takes this as the id of a call."""
    return isinstance(value, str) and bool(value) and not _NO_ID.search(value)


def tools_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The members `tools` and `tool_choice`. Tools that are no functions are left out."""
    tools = [_tool(tool) for tool in fields.get("tools", ()) if tool.get("type") == "function"]
    if not tools:
        return {}
    choice = _choice(fields.get("tool_choice"))
    if choice["type"] != "none" and fields.get("parallel_tool_calls") is False:
        choice["disable_parallel_tool_use"] = True
    return {"tools": tools, **({} if choice == {"type": "auto"} else {"tool_choice": choice})}


def _tool(tool: Mapping[str, Any]) -> _Block:
    made: _Block = {"name": tool["name"]}
    if tool.get("description"):
        made["description"] = tool["description"]
    made["input_schema"] = tool.get("parameters") or {"type": "object", "properties": {}}
    return {**made, "strict": True} if tool.get("strict") else made


def _choice(choice: object) -> _Block:
    if isinstance(choice, dict):
        return {"type": "tool", "name": cast("_Block", choice).get("name")}
    return {"type": {"none": "none", "required": "any"}.get(str(choice), "auto")}


def _name(name: object) -> str:
    """A tool's name, as a call must have it. Some models invent names."""
    return _NO_ID.sub("_", name if isinstance(name, str) else "")[:_MOST_NAME] or "unknown"


def _image(url: str) -> _Block:
    if found := _DATA_URL.fullmatch(url):
        source = {"type": "base64", "media_type": found[1], "data": found[2]}
    elif url.startswith("https://"):
        source = {"type": "url", "url": url}
    else:
        kind = url.partition(";")[0].removeprefix("data:")[:40]
        return text_block(f"[An image of a kind that cannot be sent is left out here: {kind}]")
    return {"type": "image", "source": source}


def _parts(content: object) -> list[_Block]:
    if isinstance(content, str):
        return [{"text": content}]
    parts = cast("list[object]", content) if isinstance(content, list) else []
    return [cast("_Block", part) for part in parts if isinstance(part, dict)]


def _part_text(part: _Block) -> str:
    text = part.get("text") or part.get("refusal")
    return text if isinstance(text, str) else ""
