"""The request: a head of fixed bytes, then the items. Same session, same head. Does no I/O but read
the prompt files that come with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from .items import dumps
from .providers import Target
from .settings import Settings
from .tools import Tool

END = b"]}"


@dataclass(frozen=True, slots=True)
class Head:
    """All of a request before its first item; `input` comes last, so that requests only grow."""

    wire: bytes

    def with_items(self, items: bytes | bytearray) -> bytes:
        """The whole body, from items already serialised and joined by commas."""
        return b"".join((self.wire, items, END))


def instructions() -> str:
    """What the agent is and how it works: `prompts/agent.md`."""
    return (files("inkernel.agent") / "prompts" / "agent.md").read_text(encoding="utf-8")


def make_head(
    target: Target, settings: Settings, tools: Sequence[Tool[Any]], cache_key: str
) -> Head:
    """The head for this model, these settings and tools, in the order they are given."""
    fields: dict[str, Any] = {
        "model": target.model,
        "instructions": instructions(),
        "tools": [tool.schema for tool in tools],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "store": False,
        "stream": True,
        "prompt_cache_key": cache_key,
    }
    reasoning = _reasoning(target, settings)
    if reasoning:
        fields |= {"reasoning": reasoning, "include": ["reasoning.encrypted_content"]}
    return Head(dumps(fields)[:-1] + b',"input":[')


def _reasoning(target: Target, settings: Settings) -> dict[str, str]:
    if not target.reasons:
        return {}
    summary = {} if settings.summary == "none" else {"summary": settings.summary}
    return {"effort": settings.effort, **summary} if settings.effort else summary
