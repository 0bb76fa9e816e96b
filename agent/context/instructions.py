"""The fixed part of each request: instructions, tools and choices. Same session, same bytes.

Its only I/O is to read the prompt files that come with it.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from ..config.settings import Settings
from ..protocol.verbatim_json import dumps
from ..providers.resolve import Target
from ..tools.tool import Tool


def instructions() -> str:
    """The instructions of the agent: `prompts/agent.md`."""
    return (files("inkernel.agent.context") / "prompts" / "agent.md").read_text(encoding="utf-8")


def make_fields(
    target: Target, settings: Settings, tools: Sequence[Tool[Any]], cache_key: str
) -> bytes:
    """All fields but `input`, as JSON without its braces. The tools keep their order."""
    fields: dict[str, Any] = {
        "model": target.model,
        "instructions": instructions(),
        "tools": [tool.schema for tool in tools],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "store": target.stores(settings),
        "prompt_cache_key": cache_key,
    }
    reasoning = _reasoning(target, settings)
    if reasoning:
        fields["reasoning"] = reasoning
        if target.traits.encrypted:
            fields["include"] = ["reasoning.encrypted_content"]
    window = settings.window or target.window
    if settings.compaction == "server" and target.traits.compact and window:
        threshold = int(window * settings.compact_at)
        fields["context_management"] = [{"type": "compaction", "compact_threshold": threshold}]
    omitted = {*target.traits.omits, *settings.omit}
    return dumps({name: fields[name] for name in fields if name not in omitted})[1:-1]


def aside_fields(target: Target, settings: Settings, says: str, tokens: int) -> bytes:
    """The fields of a question beside the conversation: no tools, and own instructions.

    `tokens`: most of the answer.
    """
    fields: dict[str, Any] = {
        "model": target.model,
        "instructions": says,
        "store": False,
        "max_output_tokens": tokens,
        "reasoning": _reasoning(target, settings),
    }
    omitted = {*target.traits.omits, *settings.omit}
    kept = {name: it for name, it in fields.items() if name not in omitted and it not in ("", {})}
    return dumps(kept)[1:-1]


def _reasoning(target: Target, settings: Settings) -> dict[str, str]:
    if not target.reasons:
        return {}
    summary = {} if settings.summary == "none" else {"summary": settings.summary}
    return {"effort": settings.effort, **summary} if settings.effort else summary
