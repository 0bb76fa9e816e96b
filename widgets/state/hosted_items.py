"""Reads calls that ran at the model's server, and the sources of answers, from items.

Servers differ in their fields. Missing or odd ones are left out. Knows no markup.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from ...agent.protocol.cells import DisplayOutput, ErrorOutput, Output, StreamOutput
from ...agent.protocol.items import HostedCall, Message
from .blocks import AnswerSource, HostedBlock
from .outputs import Shown, with_output

MAX_IMAGE_CHARS = 8_000_000
"""Base64 characters of an image. A larger one is not shown."""

MAX_TEXT_CHARS = 200_000
"""Characters of a call's code or text that are shown, at most."""

MAX_SOURCES = 50
"""Sources shown below one answer or call, at most."""

_LINE = 300
"""Characters of a source's title, at most."""

_TITLES = {
    "web_search_call": "Web search",
    "file_search_call": "File search",
    "code_interpreter_call": "Code run at the server",
    "image_generation_call": "Image generation",
    "computer_call": "Computer use",
    "mcp_list_tools": "Remote tools listed",
    "mcp_call": "Remote tool",
    "mcp_approval_request": "A remote tool asks to be allowed",
    "shell_call": "Shell commands",
    "local_shell_call": "Shell command",
    "apply_patch_call": "Patch",
    "tool_search_call": "Tool search",
    "compaction": "Compaction of the conversation",
}

Fields = Mapping[str, Any]


def call_title(kind: str) -> str:
    """The title of a call of this kind."""
    return _TITLES.get(kind) or kind.replace("_", " ").capitalize()


def hosted_of(item: HostedCall) -> HostedBlock:
    """The block of a finished call, or of its result."""
    fields = item.model_extra or {}
    failed = item.status in ("failed", "incomplete") or bool(fields.get("error"))
    block = HostedBlock(
        item.id or "",
        item.type,
        call_title(item.type),
        status="error" if failed else "ok",
        at=item.status if failed and item.status else "",
    )
    return _READERS.get(item.type, _other)(block, fields)


def refuses(message: Message) -> bool:
    """Whether a part of the message is a refusal."""
    return not isinstance(message.content, str) and any(part.refusal for part in message.content)


def sources_of(message: Message) -> tuple[AnswerSource, ...]:
    """The sources that the message's annotations cite, each once."""
    parts = () if isinstance(message.content, str) else message.content
    return _once(_cited(_dict(each)) for part in parts for each in _list(part.annotations))


def _cited(annotation: Fields) -> AnswerSource:
    """Reads an annotation: flat, as in the Responses API, or with its fields under its type."""
    fields = _dict(annotation.get(_str(annotation.get("type")))) or annotation
    url = _str(fields.get("url"))
    return AnswerSource(_str(fields.get("title")) or _file(fields) or url, url)


def _web_search(block: HostedBlock, fields: Fields) -> HostedBlock:
    action = _dict(fields.get("action"))
    queries = _texts(action.get("queries")) or [_str(action.get("query"))]
    words = [*queries, _str(action.get("pattern")), _str(action.get("url"))]
    urls = [_str(_dict(source).get("url")) for source in _list(action.get("sources"))]
    return replace(
        block,
        detail=", ".join(filter(None, words)),
        sources=_once(AnswerSource(url, url) for url in urls),
    )


def _file_search(block: HostedBlock, fields: Fields) -> HostedBlock:
    results = map(_dict, _list(fields.get("results")))
    return replace(
        block,
        detail=", ".join(_texts(fields.get("queries"))),
        sources=_once(AnswerSource(_file(result)) for result in results),
    )


def _interpreter(block: HostedBlock, fields: Fields) -> HostedBlock:
    outputs = [_dict(output) for output in _list(fields.get("outputs"))]
    urls = [_str(output.get("url")) for output in outputs]
    images = [DisplayOutput(data=image) for url in urls if (image := _inline_image(url))]
    logs = [StreamOutput(name="stdout", text=_str(output.get("logs"))) for output in outputs]
    return replace(
        block,
        code=_str(fields.get("code"))[:MAX_TEXT_CHARS],
        outputs=_shown([*(log for log in logs if log.text), *images]),
        sources=_once(AnswerSource(url, url) for url in urls if not url.startswith("data:")),
    )


def _image(block: HostedBlock, fields: Fields) -> HostedBlock:
    payload = _str(fields.get("result"))
    form = _str(fields.get("output_format")) or "png"
    image = _inline_image(payload) or _inline_image(f"data:image/{form};base64,{payload}")
    return replace(
        block,
        detail=_str(fields.get("revised_prompt")),
        told="" if image or not payload else "The image is too large to be shown here.",
        outputs=_shown([DisplayOutput(data=image)] if image and payload else []),
    )


def _remote_tool(block: HostedBlock, fields: Fields) -> HostedBlock:
    name, server = _str(fields.get("name")), _str(fields.get("server_label"))
    error = fields.get("error")
    failure = _str(error) or _str(_dict(error).get("message")) or _str(_dict(error).get("type"))
    error_output = ErrorOutput(ename="Error", evalue=failure, traceback=())
    who = " of ".join(filter(None, (name, server)))
    return replace(
        block,
        title=f"{block.title}: {who}" if who else block.title,
        detail=_str(fields.get("arguments")).removesuffix("{}"),
        told=_str(fields.get("output"))[:MAX_TEXT_CHARS],
        outputs=(error_output,) if failure else (),
    )


def _asked(block: HostedBlock, fields: Fields) -> HostedBlock:
    """Nobody can allow it: the seam `approve` is only for calls that run here."""
    return replace(_remote_tool(block, fields), status="denied", at="not answered")


def _tool_list(block: HostedBlock, fields: Fields) -> HostedBlock:
    names = [_str(_dict(tool).get("name")) for tool in _list(fields.get("tools"))]
    server = _str(fields.get("server_label"))
    return replace(
        _remote_tool(block, {"server_label": server}), told=", ".join(filter(None, names))
    )


def _commands(block: HostedBlock, fields: Fields) -> HostedBlock:
    action = _dict(fields.get("action"))
    lines = _texts(action.get("commands")) or [" ".join(_texts(action.get("command")))]
    return replace(block, told="\n".join(lines)[:MAX_TEXT_CHARS])


def _command_output(block: HostedBlock, fields: Fields) -> HostedBlock:
    outputs: list[Output] = []
    for output in map(_dict, _list(fields.get("output"))):
        for name in ("stdout", "stderr"):
            if text := _str(output.get(name)):
                outputs.append(StreamOutput(name=name, text=text))
    return replace(block, told=_str(fields.get("output"))[:MAX_TEXT_CHARS], outputs=_shown(outputs))


def _patch(block: HostedBlock, fields: Fields) -> HostedBlock:
    operation = _dict(fields.get("operation"))
    words = (_str(operation.get("type")).replace("_", " "), _str(operation.get("path")))
    return replace(
        block,
        detail=" ".join(filter(None, words)),
        told=_str(operation.get("diff"))[:MAX_TEXT_CHARS],
    )


def _other(block: HostedBlock, fields: Fields) -> HostedBlock:
    told = _str(fields.get("input")) or _str(fields.get("output"))
    return replace(block, detail=_str(fields.get("name")), told=told[:MAX_TEXT_CHARS])


_READERS: dict[str, Callable[[HostedBlock, Fields], HostedBlock]] = {
    "web_search_call": _web_search,
    "file_search_call": _file_search,
    "code_interpreter_call": _interpreter,
    "image_generation_call": _image,
    "mcp_call": _remote_tool,
    "mcp_approval_request": _asked,
    "mcp_list_tools": _tool_list,
    "shell_call": _commands,
    "local_shell_call": _commands,
    "shell_call_output": _command_output,
    "local_shell_call_output": _command_output,
    "apply_patch_call": _patch,
}


def _inline_image(url: str) -> dict[str, str]:
    """The image of a `data:` URL, as a MIME bundle. Empty when it is none, or too large."""
    head, _, payload = url.partition(";base64,")
    kind = head.removeprefix("data:")
    known = kind in ("image/png", "image/jpeg", "image/webp", "image/gif")
    return {kind: payload} if known and payload and len(payload) <= MAX_IMAGE_CHARS else {}


def _shown(outputs: Iterable[Output]) -> tuple[Shown, ...]:
    shown: tuple[Shown, ...] = ()
    for output in outputs:
        shown, _ = with_output(shown, output)
    return shown


def _once(sources: Iterable[AnswerSource]) -> tuple[AnswerSource, ...]:
    """The sources that have a title, each once, up to `MAX_SOURCES`."""
    short = (AnswerSource(each.title[:_LINE], each.url) for each in sources if each.title)
    return tuple(dict.fromkeys(short))[:MAX_SOURCES]


def _file(fields: Fields) -> str:
    return _str(fields.get("filename")) or _str(fields.get("file_id"))


def _texts(value: object) -> list[str]:
    return [text for text in _list(value) if isinstance(text, str) and text]


def _dict(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _str(value: object) -> str:
    return value if isinstance(value, str) else ""
