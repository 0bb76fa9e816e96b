"""The tools of MCP servers as tools like any other, and the tools that find and read the rest.

Knows no turn: who calls, and whether it is allowed, is decided elsewhere.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import BaseModel, Field

from ...frozen import frozen
from ...printable import printable
from ...protocol.actions import Touches
from ...protocol.cells import StreamOutput
from ...protocol.events import OutputShown
from ...protocol.items import text_part
from ...protocol.verbatim_json import dumps
from ...text.tokens import estimate
from ..repaired_schema import MAX_DESCRIPTION
from ..schema import FieldsOf, JsonArguments, JsonSchema
from ..tool import Tool, ToolCall, ToolOutput, always, text_output
from .calls import Answered, Caller, ServerQuestion, refuse
from .connection import ServerCallError
from .find import MAX_TOOLS_FOUND, ToolRow, listing
from .listed import ListedTool
from .names import tool_names
from .results import read_result
from .servers import McpServers

MAX_DIRECT_TOKENS, MAX_DIRECT_SHARE = 4_000, 0.05
"""Most tokens of schemas in the request, and most of the model's window."""
_FIND = (
    "Find tools of the person's servers, which your code calls with await, such as"
    " `await agent_tools.git.log(...)`. Returns how each is called. Without a query: all names."
)
_LIST = "List the resources of one of the person's servers, each with its uri."
_READ = "Read a resource of one of the person's servers."


AnswerServer = Callable[[ToolCall, ServerQuestion], Awaitable[Answered]]
"""Answers what a server asks during a call, in the task of that call."""


async def refuse_server(_call: ToolCall, question: ServerQuestion) -> Answered:
    """An `AnswerServer` where nobody is asked."""
    return await refuse(question)


class FindTools(BaseModel):
    """The tools that are sought."""

    query: str = Field("", max_length=1_000, description="what it is for, in other words too")
    server: str = Field("", description="only tools of this server")
    limit: int = Field(MAX_TOOLS_FOUND, ge=1, le=50)


class ListResources(BaseModel):
    """The resources that are listed."""

    server: str
    query: str = Field("", description="text in uri, name or description, any case")


class ReadResource(BaseModel):
    """The resource that is read."""

    server: str
    uri: str


@frozen
class DirectTool:
    """A tool as the requests of a session list it, from its first one on: it never changes."""

    server: str
    tool: str
    name: str
    description: str
    parameters: Mapping[str, Any]


def direct_tools(tools: Iterable[ListedTool]) -> tuple[DirectTool, ...]:
    """The tools as a request lists them, by server and name."""
    by_key = {(it.server, it.name): it for it in tools}
    names = tool_names(by_key)
    return tuple(
        DirectTool(*key, name, _described(by_key[key]), by_key[key].arguments.parameters())
        for key, name in names.items()
    )


def fits_request(tools: Iterable[DirectTool], window: int | None) -> bool:
    """Whether so many schemas may be in each request."""
    most = min(MAX_DIRECT_TOKENS, int((window or 1 << 20) * MAX_DIRECT_SHARE))
    return sum(estimate(dumps([it.description, it.parameters]).decode()) for it in tools) <= most


def listed_tool(
    servers: McpServers, row: DirectTool, answer: AnswerServer = refuse_server
) -> Tool[JsonArguments]:
    """A tool that requests list. If its server has it no more, a call says so."""
    live = next(
        (it for it in servers.tools if (it.server, it.name) == (row.server, row.tool)), None
    )
    given = live.arguments.given if live else row.parameters
    found = replace(live or _gone(row), arguments=JsonSchema(given, row.parameters))
    return _tool(servers, found, row.name, row.description, answer)


def code_tools(servers: McpServers, answer: AnswerServer = refuse_server) -> tuple[Tool[Any], ...]:
    """All tools of the servers that run, for code."""
    by_key = {(it.server, it.name): it for it in servers.tools}
    names = tool_names(by_key)
    return tuple(
        _tool(servers, by_key[key], name, _described(by_key[key]), answer)
        for key, name in names.items()
    )


def finding_tools(servers: McpServers) -> tuple[Tool[Any], ...]:
    """The tools that find tools, list resources and read one."""

    async def find(_call: ToolCall, asked: FindTools) -> ToolOutput:
        rows = map(tool_row, code_tools(servers))
        return text_output(listing(rows, asked.query, asked.server, asked.limit))

    async def list_all(_call: ToolCall, asked: ListResources) -> ToolOutput:
        try:
            found = await servers.resources(asked.server)
        except ServerCallError as error:
            return text_output(str(error), "error")
        words = asked.query.casefold()
        told = [it for it in found if words in dumps(it).decode().casefold()]
        lines = [printable(_resource_line(it)) for it in told]
        return ToolOutput((text_part("\n".join(lines) or "There are none."),), value=told)

    async def read(_call: ToolCall, asked: ReadResource) -> ToolOutput:
        try:
            found = await servers.read_resource(asked.server, asked.uri)
        except ServerCallError as error:
            return text_output(str(error), "error")
        content = [{"type": "resource", "resource": it} for it in found]
        result = read_result({"content": content}, asked.server)
        return ToolOutput(result.parts, value=result.value)

    def touches(asked: ListResources | ReadResource) -> Touches:
        return _touches(servers, asked.server, reads_only=True)

    return (
        Tool("find_tools", _FIND, FieldsOf(FindTools), find, always("look")),
        Tool("list_resources", _LIST, FieldsOf(ListResources), list_all, touches, returns="list"),
        Tool("read_resource", _READ, FieldsOf(ReadResource), read, touches, returns="Any"),
    )


def _tool(
    servers: McpServers, listed: ListedTool, name: str, description: str, answer: AnswerServer
) -> Tool[JsonArguments]:
    async def run(call: ToolCall, given: JsonArguments) -> ToolOutput:
        told = False

        def show(text: str) -> None:
            output = StreamOutput(name="stdout", text=text)
            call.show(OutputShown(call_id=call.block or call.id, output=output))

        def hear(text: str) -> None:
            nonlocal told
            told = True
            show(f"\r{text}")

        caller = Caller(partial(answer, call), hear)
        try:
            result = await servers.call(listed.server, listed.name, given.root, caller)
        except ServerCallError as error:
            return text_output(printable(str(error)), "error")
        finally:
            if told:
                show("\n")
        read = read_result(result, listed.server)
        return ToolOutput(read.parts, "error" if read.is_error else "ok", value=read.value)

    def touches(_given: JsonArguments) -> Touches:
        return _touches(servers, listed.server, reads_only=listed.reads_only)

    return Tool(
        name=name,
        description=description,
        arguments=listed.arguments,
        run=run,
        touches=touches,
        server=listed.server,
        local=listed.name,
        returns=listed.returns,
    )


def _touches(servers: McpServers, server: str, *, reads_only: bool) -> Touches:
    """A server may say that a tool changes nothing. It counts if the person trusts the server."""
    trusted = any(it.server.name == server and it.server.trusted for it in servers)
    looks = reads_only and trusted
    return Touches(effects=frozenset(("look",) if looks else ("server",)), server=server)


def _gone(row: DirectTool) -> ListedTool:
    return ListedTool(row.server, row.tool, row.description, JsonSchema(row.parameters))


def _described(tool: ListedTool) -> str:
    text = printable(tool.description).strip() or tool.name
    return text if len(text) <= MAX_DESCRIPTION else f"{text[: MAX_DESCRIPTION - 1]}…"


def tool_row(tool: Tool[Any]) -> ToolRow:
    """A tool of a server as it is found."""
    names = tuple(tool.arguments.parameters().get("properties", {}))
    signature = tool.arguments.signature
    return ToolRow(tool.server, tool.local, tool.code_path, signature, tool.description, names)


def _resource_line(resource: Mapping[str, Any]) -> str:
    words = [resource.get(it) for it in ("uri", "name", "description", "mimeType")]
    return " · ".join(str(it) for it in words if it)
