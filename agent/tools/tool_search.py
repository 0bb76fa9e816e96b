"""The tool by which a model searches for others, and then calls those. Knows no server.

It is OpenAI's `tool_search` with `execution: client`: the model asks, the answer has namespaces of
functions, and from there on the model calls them. Read in 2026-11: developers.openai.com/api/docs
/guides/tools-tool-search, and the types of the SDK openai 3.57.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any

from ..frozen import frozen
from ..protocol.items import FunctionCall
from .tool import Tool


def _none_loaded(_call: FunctionCall) -> None:
    """A search that has loaded nothing."""


@frozen
class SearchTool(Tool[Any]):
    """A search as requests list it. `parameters`: they never change in a session.

    `loaded`: the tool that a call means, if the search has loaded it. `replaces`: the names of
    tools that requests list only without this one.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    loaded: Callable[[FunctionCall], Tool[Any] | None] = _none_loaded
    replaces: frozenset[str] = frozenset()

    @property
    def schema(self) -> dict[str, Any]:
        """The tool as a request lists it. It has the same bytes every time."""
        return {
            "type": "tool_search",
            "execution": "client",
            "description": self.description,
            "parameters": dict(self.parameters),
        }


def search_among(tools: Iterable[Tool[Any]]) -> SearchTool | None:
    """The search among some tools, if there is one."""
    return next((it for it in tools if isinstance(it, SearchTool)), None)
