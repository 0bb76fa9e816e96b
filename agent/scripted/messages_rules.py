"""A request of Anthropic's Messages API: its shape, and the API's words for each broken rule.

Knows no script. The shape is that of the `anthropic` package, 2.14. The words were read in 2026-11
in reports of the API's answers, and in
https://platform.claude.com/docs/en/api/errors and
https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise, takewhile
from typing import Annotated, Any, Literal, NamedTuple, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic import ValidationError as Invalid

from .request import RequestError

_MOST_MARKS = 4
_ROLES = {
    **dict.fromkeys(("image", "document", "tool_result"), "user"),
    **dict.fromkeys(("tool_use", "thinking", "redacted_thinking"), "assistant"),
}
"""The role of a message that may have a block of this type. A text may be in both."""
_TTL = (
    "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that"
    " blocks are processed in the following order: `tools`, `system`, `messages`."
)


def _as_blocks(content: object) -> object:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _CacheControl(_Strict):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] = "5m"


class Markable(_Strict):
    """A part of a prompt that may have a cache mark."""

    cache_control: _CacheControl | None = None


_Id = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$")]


class TextBlock(Markable):
    """A text."""

    type: Literal["text"]
    text: str
    citations: Any = None


class MediaBlock(Markable):
    """An image or a document."""

    type: Literal["image", "document"]
    source: dict[str, Any]
    title: str | None = None
    context: str | None = None
    citations: Any = None
    transformations: Any = None


class ToolUse(Markable):
    """A call that the model made."""

    type: Literal["tool_use"]
    id: _Id
    name: str
    input: dict[str, Any]
    caller: Any = None
    toolset_name: str | None = None


class ToolResult(Markable):
    """The result of a call."""

    type: Literal["tool_result"]
    tool_use_id: _Id
    content: Annotated[
        list[Annotated[TextBlock | MediaBlock, Field(discriminator="type")]],
        BeforeValidator(_as_blocks),
    ] = []
    is_error: bool = False
    toolset_name: str | None = None


class Thinking(_Strict):
    """A thought that was shown."""

    type: Literal["thinking"]
    thinking: str
    signature: str | None = None


class RedactedThinking(_Strict):
    """A thought that was sent encrypted only."""

    type: Literal["redacted_thinking"]
    data: str


ContentBlock = TextBlock | MediaBlock | ToolUse | ToolResult | Thinking | RedactedThinking


class SentMessage(_Strict):
    """A message of the conversation."""

    role: str
    content: Annotated[
        list[Annotated[ContentBlock, Field(discriminator="type")]], BeforeValidator(_as_blocks)
    ]


class _Schema(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    type: Literal["object"]


class CustomTool(Markable):
    """A tool of the client's own."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    input_schema: _Schema
    description: str | None = None
    type: Literal["custom"] | None = None
    strict: bool | None = None
    eager_input_streaming: bool | None = None
    defer_loading: bool | None = None
    allowed_callers: Any = None
    input_examples: Any = None


class _HostedTool(Markable):
    model_config = ConfigDict(extra="allow")
    name: str
    type: str


def _tool_kind(tool: Any) -> str:
    fields = cast("dict[str, Any]", tool) if isinstance(tool, dict) else {}
    return "custom" if fields.get("type") in (None, "custom") else "hosted"


_Tool = Annotated[
    Annotated[CustomTool, Tag("custom")] | Annotated[_HostedTool, Tag("hosted")],
    Discriminator(_tool_kind),
]


class _ThinkingChoice(_Strict):
    type: Literal["enabled", "adaptive", "disabled", "between_tools"]
    budget_tokens: Annotated[int, Field(ge=1024)] | None = None
    display: Literal["summarized", "omitted"] | None = None


class _ToolChoice(_Strict):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False


class _OutputConfig(_Strict):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: Any = None


class MessagesBody(_Strict):
    """The fields of a request."""

    model: str
    messages: list[SentMessage]
    max_tokens: Annotated[int, Field(ge=1)]
    system: Annotated[list[TextBlock], BeforeValidator(_as_blocks)] = []
    tools: list[_Tool] = []
    tool_choice: _ToolChoice | None = None
    thinking: _ThinkingChoice = _ThinkingChoice(type="disabled")
    output_config: _OutputConfig | None = None
    stream: bool = False
    stop_sequences: list[str] = []
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: dict[str, Any] = {}
    service_tier: str | None = None
    cache_control: _CacheControl | None = None
    container: Any = None
    inference_geo: str | None = None
    speed: str | None = None
    diagnostics: Any = None

    @property
    def thinks(self) -> bool:
        """True if the model is to think. It does so only when it is asked."""
        return self.thinking.type in ("enabled", "adaptive")


def read_body(fields: dict[str, Any]) -> MessagesBody:
    """The request with these fields. Raises RequestError in the API's words for a broken rule."""
    try:
        body = MessagesBody.model_validate(fields)
    except Invalid as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise RequestError(f"{where}: {first['msg']}", str(first["loc"][0])) from None
    _check_settings(body)
    _check_roles(body.messages)
    _check_texts(body)
    _check_marks(body)
    turns = turns_of(body)
    _check_calls(turns)
    _check_end(turns)
    return body


class Placed(NamedTuple):
    """A block, and its path in the request."""

    path: str
    block: ContentBlock


RoleTurn = tuple[str, list[Placed]]
"""A role, and the blocks of its neighbouring messages."""


def turns_of(body: MessagesBody) -> list[RoleTurn]:
    """The messages, where neighbours of one role are one."""
    blocks = [
        (message.role, Placed(f"messages.{i}.content.{j}", block))
        for i, message in enumerate(body.messages)
        for j, block in enumerate(message.content)
    ]
    grouped = groupby(blocks, lambda it: it[0])
    return [(role, [placed for _, placed in group]) for role, group in grouped]


def _check_settings(body: MessagesBody) -> None:
    thinking = body.thinking
    if thinking.type == "enabled":
        if thinking.budget_tokens is None:
            raise RequestError("thinking.enabled.budget_tokens: Field required", "thinking")
        if body.max_tokens <= thinking.budget_tokens:
            raise RequestError("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if body.thinks and body.tool_choice and body.tool_choice.type in ("any", "tool"):
        raise RequestError("Thinking may not be enabled when tool_choice forces tool use.")


def _check_roles(messages: Sequence[SentMessage]) -> None:
    if not messages:
        raise RequestError("messages: at least one message is required")
    for i, message in enumerate(messages):
        if message.role == "system":
            raise RequestError(
                'messages: Unexpected role "system". The Messages API accepts a top-level `system`'
                ' parameter, not "system" as an input message role.'
            )
        if message.role not in ("user", "assistant"):
            raise RequestError(f"messages.{i}.role: Input should be 'user' or 'assistant'")
        for kind in (block.type for block in message.content):
            if (role := _ROLES.get(kind, message.role)) != message.role:
                what = f"`{kind}` blocks can only be in `{role}` messages"
                raise RequestError(f"messages.{i}: {what}")
    if messages[0].role != "user":
        raise RequestError('messages: first message must use the "user" role')


def _check_texts(body: MessagesBody) -> None:
    _check_filled("system", "system", body.system)
    for i, message in enumerate(body.messages):
        final = i == len(body.messages) - 1 and message.role == "assistant"
        if not message.content and not final:
            raise RequestError(
                f"messages.{i}: all messages must have non-empty content except for the optional"
                " final assistant message"
            )
        for j, block in enumerate(message.content):
            where = f"messages.{i}.content.{j}"
            if isinstance(block, ToolResult):
                where = f"{where}.tool_result"
                _check_filled("messages", f"{where}.content", block.content)
                if block.is_error and any(part.type != "text" for part in block.content):
                    what = "all content must be type `text` if `is_error` is true"
                    raise RequestError(f"{where}: {what}")
            else:
                _check_filled("messages", where, [block])


def _check_filled(field: str, where: str, blocks: Sequence[ContentBlock]) -> None:
    for block in blocks:
        if not isinstance(block, TextBlock) or block.text.strip():
            continue
        if block.cache_control:
            raise RequestError(f"{where}.text: cache_control cannot be set for empty text blocks")
        what = "contain non-whitespace text" if block.text else "be non-empty"
        raise RequestError(f"{field}: text content blocks must {what}")


def _check_marks(body: MessagesBody) -> None:
    marks = list(_marks(body))
    count = len(marks) + (body.cache_control is not None)
    if count > _MOST_MARKS:
        what = f"A maximum of {_MOST_MARKS} blocks with cache_control may be provided."
        raise RequestError(f"{what} Found {count}.")
    for (_, before), (where, ttl) in pairwise(marks):
        if before == "5m" and ttl == "1h":
            raise RequestError(f"{where}.cache_control.ttl: {_TTL}")


def _marks(body: MessagesBody) -> Iterator[tuple[str, str]]:
    """Path and time to live of each cache mark, in the order in which a prompt is read."""
    parts: list[tuple[str, object]] = [(f"tools.{i}", it) for i, it in enumerate(body.tools)]
    parts += [(f"system.{i}", text) for i, text in enumerate(body.system)]
    for placed in (it for _, turn in turns_of(body) for it in turn):
        inner = placed.block.content if isinstance(placed.block, ToolResult) else []
        parts += [(placed.path, part) for part in [*inner, placed.block]]
    for path, part in parts:
        if isinstance(part, Markable) and part.cache_control:
            yield path, part.cache_control.ttl


def _check_calls(turns: list[RoleTurn]) -> None:
    """Check that each call has its result first in the next message, and each result its call."""
    known: set[str] = set()
    calls: list[str] = []
    before = ""
    for role, turn in [*turns, ("user", list[Placed]())]:
        if role == "user":
            _check_answered(turn, calls, before)
            _check_results(turn, calls)
        calls = []
        for path, block in turn:
            if isinstance(block, ToolUse):
                if block.id in known:
                    raise RequestError(f"{path}: `tool_use` ids must be unique")
                known.add(block.id)
                calls.append(block.id)
            before = path.partition(".content")[0]


def _check_answered(turn: list[Placed], calls: list[str], before: str) -> None:
    first = takewhile(lambda it: isinstance(it.block, ToolResult), turn)
    answered = {it.block.tool_use_id for it in first if isinstance(it.block, ToolResult)}
    if missing := [one for one in calls if one not in answered]:
        raise RequestError(
            f"{before}: `tool_use` ids were found without `tool_result` blocks immediately after:"
            f" {', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result`"
            " block in the next message."
        )


def _check_results(turn: list[Placed], calls: list[str]) -> None:
    seen: set[str] = set()
    for path, block in turn:
        if not isinstance(block, ToolResult):
            continue
        if block.tool_use_id not in calls:
            raise RequestError(
                f"{path}: unexpected `tool_use_id` found in `tool_result` blocks:"
                f" {block.tool_use_id}. Each `tool_result` block must have a corresponding"
                " `tool_use` block in the previous message."
            )
        if block.tool_use_id in seen:
            raise RequestError(
                f"{path}: each tool_use must have a single result. Found multiple `tool_result`"
                f" blocks with id: {block.tool_use_id}"
            )
        seen.add(block.tool_use_id)


def _check_end(turns: list[RoleTurn]) -> None:
    for role, turn in turns:
        path, block = turn[-1]
        if role == "assistant" and isinstance(block, Thinking | RedactedThinking):
            what = f"The final block in an assistant message cannot be `{block.type}`."
            raise RequestError(f"{path.partition('.content')[0]}: {what}")
    role, turn = turns[-1]
    block = turn[-1].block
    if role == "assistant" and isinstance(block, TextBlock) and block.text[-1].isspace():
        raise RequestError("messages: final assistant content cannot end with trailing whitespace")
