"""The result of a call at an MCP server: content for the model, a value for code.

Knows no server. All of it is a stranger's text, which is shown without what acts on a screen.
Shapes: `CallToolResult` of MCP 2025-11-25, as a dict with the protocol's own names.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, cast

from ...printable import printable
from ...protocol.items import text_part
from ...protocol.verbatim_json import dumps, loads
from ...text.images import SVG, image_or_words
from ..values import ImageBytes, image_kind

MAX_WORD = 200
"""Most characters of a kind, a name or an address in a notice."""
SILENT, SILENT_ERROR = "[no content]", "[the tool failed and gave no reason]"


class CallResult(NamedTuple):
    """Content parts for the model, the value for code, and whether the tool says that it failed."""

    parts: tuple[dict[str, str], ...]
    value: Any
    is_error: bool


class _Block(NamedTuple):
    """One content block: its part for the model, and its value. `raw`: a text as it came."""

    part: dict[str, str]
    value: Any
    raw: bytes | None = None


def read_result(result: Mapping[str, Any], server: str) -> CallResult:
    """The parts, the value and the state of a result, whatever it is. Nothing is cut here.

    The value is the structured content, if there is only text beside it: without the wrapper of a
    value that is no object, if a text says that value again. One text is that text, or
    the object or array that it is as JSON. One image is its bytes. Several blocks are a list of
    such values, and no block is None. `server`: its name, with which the model reads a resource.
    """
    is_error = result.get("isError") is True
    structured: Any = result.get("structuredContent")
    content = result.get("content")
    blocks = [_block(it, server) for it in cast("list[Any]", content)] if _is_list(content) else []
    if structured is not None:
        inner = _unwrapped(structured)
        again = [structured, inner, *(cast("list[Any]", inner) if _is_list(inner) else ())]
        texts = {*map(dumps, again)}
        said = [it for it in blocks if it.raw is None or not (it.value in again or it.raw in texts)]
        structured = inner if len(said) < len(blocks) else structured
        told = structured if isinstance(structured, str) else dumps(structured).decode()
        first = _Block(text_part(printable(told)), structured)
        values = [first, *(it for it in said if it.raw is None)]
        blocks = [first, *said]
    else:
        values = blocks
    silent = text_part(SILENT_ERROR if is_error else SILENT)
    parts = tuple(it.part for it in blocks) or (silent,)
    value = [it.value for it in values] if len(values) != 1 else values[0].value
    return CallResult(parts, value if values else None, is_error)


def _block(given: Any, server: str) -> _Block:
    block = cast("Mapping[str, Any]", given if isinstance(given, Mapping) else {})
    kind = block.get("type")
    if isinstance(kind, str) and kind in _READERS and (found := _READERS[kind](block, server)):
        return found
    return _Block(text_part(f"[content of an unknown kind: {_word(kind)}]"), given)


def _text(block: Mapping[str, Any], _server: str) -> _Block | None:
    text = block.get("text")
    if not isinstance(text, str):
        return None
    return _Block(text_part(printable(text)), _json_in(text), text.encode(errors="replace"))


def _image(block: Mapping[str, Any], _server: str) -> _Block | None:
    data = _decoded(block.get("data"))
    said = _word(block.get("mimeType"))
    if said == SVG:
        return _Block(image_or_words(SVG, data.decode(errors="replace")), data)
    return _Block(
        image_or_words(image_kind(data) or said, b64encode(data).decode()), ImageBytes(data)
    )


def _audio(block: Mapping[str, Any], _server: str) -> _Block | None:
    data = _decoded(block.get("data"))
    told = f"[audio, {_word(block.get('mimeType'))}, {len(data):,} bytes, not sent to you]"
    return _Block(text_part(told), data)


def _resource(block: Mapping[str, Any], _server: str) -> _Block | None:
    if not isinstance(given := block.get("resource"), Mapping):
        return None
    resource = cast("Mapping[str, Any]", given)
    head = ", ".join(_words(resource, "uri", "mimeType"))
    if isinstance(text := resource.get("text"), str):
        return _Block(text_part(f"[resource {head}]\n{printable(text)}"), text)
    data = _decoded(resource.get("blob"))
    value = ImageBytes(data) if image_kind(data) else data
    return _Block(text_part(f"[resource {head}, {len(data):,} bytes, not sent to you]"), value)


def _link(block: Mapping[str, Any], server: str) -> _Block | None:
    words = ", ".join(_words(block, "name", "title", "description", "mimeType"))
    call = f"read_resource(server={server!r}, uri={_word(block.get('uri'))!r})"
    return _Block(text_part(f"[link to a resource: {words}. Read it with {call}]"), dict(block))


_READERS: Mapping[str, Callable[[Mapping[str, Any], str], _Block | None]] = {
    "text": _text,
    "image": _image,
    "audio": _audio,
    "resource": _resource,
    "resource_link": _link,
}


def _unwrapped(structured: Any) -> Any:
    """The value that a server wrapped in an object with the only key `result`, as it is no object.

    It is certain only if a text beside it says the value again, as MCP asks of servers.
    """
    if isinstance(structured, dict):
        wrapper = cast("dict[str, Any]", structured)
        return wrapper["result"] if list(wrapper) == ["result"] else wrapper
    return structured


def _json_in(text: str) -> Any:
    """The object or array that a text is as JSON, or else the text."""
    if text.lstrip()[:1] in ("{", "["):
        with suppress(ValueError):
            return loads(text.encode(errors="replace"))
    return text


def _decoded(data: object) -> bytes:
    """The bytes of base64, as far as it is that."""
    with suppress(ValueError):
        return b64decode(data) if isinstance(data, str) else b""
    return b""


def _words(block: Mapping[str, Any], *keys: str) -> list[str]:
    return [_word(block[key]) for key in keys if block.get(key)]


def _word(value: object) -> str:
    """A foreign text as one short line of a notice."""
    text = " ".join(printable(value if isinstance(value, str) else repr(value)).split())
    return text if len(text) <= MAX_WORD else f"{text[:MAX_WORD]}…"


def _is_list(value: object) -> bool:
    return isinstance(value, list)
