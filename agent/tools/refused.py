"""Which tools a server refuses, from the words of its error. Pure; knows no server."""

import re
from collections.abc import Collection, Mapping, Sequence

from ..protocol.items import TOOL_SEARCH

_PLACE = re.compile(r"\b(?:tools|function_declarations)(?:\[(\d+)\]|\.(\d+))")
_ABOUT_TOOLS = re.compile(r"\b(?:tools?|functions?|schemas?|grammar|parameters)\b", re.IGNORECASE)


_LOADED = re.compile(r"\binput\[\d+\]\.tools\b")


def refused_tools(
    said: str,
    sent: Sequence[str],
    foreign: Collection[str],
    loaded: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """The tools that a request can do without, and that the error is about.

    `said`: the server's words. `sent`: the names of all tools as the request lists them. `foreign`:
    those that are not our own. The error names one by its name or its place, as OpenAI's
    `tools[3].function.parameters`, Anthropic's `tools.3.custom` and Gemini's
    `function_declarations[3]` do. If it is about tools and names none, it may be any.
    `loaded`: by the names that functions have in a search's answers, those that are returned. An
    error about such an answer that names none of them is about the search.
    """
    known = (loaded or {}).items()
    bad = tuple(it for name, it in known if f"'{name}'" in said and name not in sent)
    if bad or _LOADED.search(said):
        return bad or tuple(it for it in sent if it == TOOL_SEARCH)
    named = [it for it in sent if re.search(rf"(?<![\w-]){re.escape(it)}(?![\w-])", said)]
    # Gemini has all functions in one tool, so the last place counts.
    places = [int(at or after) for at, after in _PLACE.findall(said)][-1:]
    named = named or [sent[at] for at in places if at < len(sent)]
    if named or not _ABOUT_TOOLS.search(said):
        return tuple(it for it in named if it in foreign)
    return tuple(it for it in sent if it in foreign)
