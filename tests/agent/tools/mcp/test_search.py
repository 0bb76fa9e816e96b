"""A search loads tools of servers: each namespace once, no more than fit, and calls find them."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.config.mcp_servers import McpServer
from inkernel.agent.conversation.history import History, loaded_by
from inkernel.agent.protocol.items import FunctionCall, output_of, parse_item
from inkernel.agent.services import ServiceLoop
from inkernel.agent.tools.mcp.connection import ServerHooks
from inkernel.agent.tools.mcp.listed import ListedTool, Listing
from inkernel.agent.tools.mcp.search import SearchScope, SearchTools, search_row, search_tool
from inkernel.agent.tools.mcp.servers import McpServers
from inkernel.agent.tools.schema import JsonSchema
from inkernel.agent.tools.tool import Tool, ToolCall
from inkernel.agent.tools.tool_search import SearchTool

SCHEMA = {"type": "object", "properties": {"day": {"type": "string", "description": "a day"}}}
SEARCH = {"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {}}
Offers = Callable[[Tool[Any], str], bool]


class Searching:
    """A search over servers that are known by what they listed the last time. None of them runs.

    `history`: has the answers so far.
    """

    def __init__(self, logs: Path, *tools: tuple[str, str], tokens: int = 10_000) -> None:
        self.history = History()
        self.servers = McpServers(ServiceLoop(), lambda: logs, ServerHooks(kept=self._listing))
        self._tools = tools
        names = sorted({server for server, _ in tools})
        asyncio.run(self.servers.use([McpServer(name=it, command="none") for it in names]))
        self.row, self.tokens = search_row(names), tokens

    def tool(self, offers: Offers = lambda _tool, _name: True) -> SearchTool:
        """The search of a turn."""
        scope = SearchScope(offers, lambda: self.history.loaded, self.tokens)
        return search_tool(self.servers, self.row, scope)

    def loads(self, *asked: SearchTools, offers: Offers = lambda _tool, _name: True) -> Any:
        """The functions that searches of one response load, with their namespaces."""
        tool = self.tool(offers)

        async def answers() -> Any:
            return await asyncio.gather(*(tool.run(ToolCall("c"), it) for it in asked))

        items = [output_of(parse_item(SEARCH), [], it.loads) for it in asyncio.run(answers())]
        for item in items:
            self.history.loaded.update(loaded_by(item))
        return [list(loaded_by(it)) for it in items]

    def _listing(self, server: McpServer) -> Listing:
        mine = (name for it, name in self._tools if it == server.name)
        listed = (ListedTool(server.name, it, f"About {it}.", JsonSchema(SCHEMA)) for it in mine)
        return Listing(tuple(listed), "Weather of towns.")


def call_of(name: str, namespace: str | None = None) -> FunctionCall:
    fields = {"type": "function_call", "call_id": "d", "name": name, "arguments": "{}"}
    item = parse_item({**fields, "namespace": namespace})
    assert isinstance(item, FunctionCall)
    return item


def test_searches_of_one_response_declare_each_namespace_once(tmp_path: Path):
    found = Searching(tmp_path, ("met", "rain"), ("met", "snow"), ("dwd", "rain"))
    rain, snow = SearchTools(query="rain"), SearchTools(query="snow")
    first, second, third = found.loads(rain, snow, rain)
    assert {namespace for namespace, _ in first} == {"mcp__met", "mcp__dwd"}
    assert second == [("mcp__met__2", "snow")]
    assert {namespace for namespace, _ in third} == {"mcp__met__3", "mcp__dwd__2"}


def test_loaded_tools_are_loaded_again_only_if_nothing_else_fits(tmp_path: Path):
    found = Searching(tmp_path, ("met", "rain"), ("met", "rain_day"))
    assert found.loads(SearchTools(query="rain", limit=1)) == [[("mcp__met", "rain")]]
    assert found.loads(SearchTools(query="rain")) == [[("mcp__met__2", "rain_day")]]
    again = found.loads(SearchTools(query="rain"))
    assert again == [[("mcp__met__3", "rain"), ("mcp__met__3", "rain_day")]]


def test_an_answer_has_no_more_tools_than_fit_and_at_least_one(tmp_path: Path):
    tools = [("met", f"rain_{n}") for n in range(60)]
    for tokens, most in ((100_000, 20), (200, 10), (1, 1)):
        found = Searching(tmp_path, *tools, tokens=tokens)
        (loaded,) = found.loads(SearchTools(query="rain", limit=50))
        assert 0 < len(loaded) <= most


def test_what_is_not_offered_is_not_found(tmp_path: Path):
    found = Searching(tmp_path, ("met", "rain"), ("met", "snow"))
    refused = "mcp__met__rain"
    loaded = found.loads(SearchTools(query=""), offers=lambda _tool, name: name != refused)
    assert loaded == [[("mcp__met", "snow")]]


@pytest.mark.parametrize(
    ("name", "namespace", "meant"),
    [
        ("rain", "mcp__a", ("a", "rain")),
        ("mcp__a__rain", None, ("a", "rain")),
        ("rain", None, None),
        ("rain", "mcp__b", None),
        ("mcp__a__b__c", None, None),
        ("b__c", "mcp__a", ("a", "b__c")),
        ("c", "mcp__a__b", ("a__b", "c")),
    ],
)
def test_a_call_means_one_loaded_tool_or_none(
    tmp_path: Path, name: str, namespace: str | None, meant: tuple[str, str] | None
):
    tools = ("a", "rain"), ("b c", "look up"), ("a", "b__c"), ("a__b", "c")
    found = Searching(tmp_path, *tools)
    found.loads(SearchTools(query="", limit=20))
    tool = found.tool().loaded(call_of(name, namespace))
    assert (tool and (tool.server, tool.local)) == meant


def test_odd_names_have_names_of_their_own_and_are_found_again(tmp_path: Path):
    found = Searching(tmp_path, ("my server", "look up"), ("my_server", "look_up"))
    ((first, second),) = found.loads(SearchTools(query="look up"))
    for namespace, name in (first, second):
        tool = found.tool().loaded(call_of(name, namespace))
        odd = name != "look_up"
        assert tool is not None
        assert tool.local == ("look up" if odd else "look_up")
        assert tool.server == ("my server" if odd else "my_server")
