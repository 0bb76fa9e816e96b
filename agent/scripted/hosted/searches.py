"""Searches for tools that the client answers, as OpenAI's API makes and checks them.

Read in 2026-11: developers.openai.com/api/docs/guides/tools-tool-search. The words of errors are
those in Wei-Shaw/sub2api#1885, vercel/ai#15193, openai/codex#44378 and openclaw/openclaw#85819.
Knows no network.
"""

from collections.abc import Iterator
from typing import Any, NoReturn, cast

from ...protocol.verbatim_json import dumps
from ..request import AskedRequest, Position, RequestError, is_compacted
from ..script import ScriptedCall

_TOOL = "tool_search"
Loaded = set[tuple[str, str]]
"""Namespace and name of each function that searches have loaded."""


def check_searches(request: AskedRequest, ways: frozenset[str]) -> None:
    """Check the searches of a request, their outputs, and the calls of what they have loaded.

    `ways`: the deviations of the server. Raises RequestError.
    """
    if "refuses_tool_search" in ways and _offers_search(request):
        raise RequestError(f"Tool '{_TOOL}' is not supported with {request.model}.", "tools")
    open_calls, loaded = dict[str, None](), Loaded()
    for at, item in enumerate(request.input):
        match item:
            case {"type": "tool_search_call", "execution": "client", "call_id": str(call_id)}:
                if not isinstance(item.get("arguments"), dict):
                    _refuse(f"Missing required parameter: 'input[{at}].arguments'.")
                open_calls[call_id] = None
            case {"type": "tool_search_output", "execution": "client", "call_id": str(call_id)}:
                if call_id not in open_calls and not is_compacted(request.input):
                    _refuse(f"No tool call found for tool search output with call_id {call_id}.")
                open_calls.pop(call_id, None)
                _load(item, at, loaded, "refuses_formats" in ways)
            case {"type": "function_call"}:
                _check_call(item, loaded, request)
            case _:
                pass
    for call_id in open_calls:
        _refuse(f"No tool output found for tool search call {call_id}.")


def is_search(call: ScriptedCall, request: AskedRequest) -> bool:
    """True for a call of the search, if the request offers it."""
    return call.name == _TOOL and _offers_search(request)


def search_item(call: ScriptedCall, position: Position, index: int) -> dict[str, Any]:
    """The item of a search. Its arguments are no text."""
    return {
        "type": "tool_search_call",
        "id": position.item_id("tsc", index),
        "status": "completed",
        "call_id": position.item_id("call", index),
        "execution": "client",
        "arguments": call.arguments,
    }


def namespace_of(call: ScriptedCall, request: AskedRequest) -> dict[str, str]:
    """The member of a call that names its namespace. Raises RequestError if it is not loaded."""
    if call.namespace is None:
        return {}
    loaded = Loaded()
    for at, item in enumerate(request.input):
        if item.get("type") == "tool_search_output":
            _load(item, at, loaded, False)
    if (call.namespace, call.name) not in loaded:
        _refuse(f"the script calls {call.namespace}.{call.name}, which is not loaded")
    return {"namespace": call.namespace}


def _offers_search(request: AskedRequest) -> bool:
    return any(
        tool.get("type") == _TOOL and tool.get("execution") == "client" for tool in request.tools
    )


def _load(item: dict[str, Any], at: int, loaded: Loaded, no_formats: bool) -> None:
    """Take over the functions of an output. A function alone is its own namespace."""
    declared = {namespace for namespace, _ in loaded}
    for n, group in enumerate(_dicts(item.get("tools"))):
        name, place = str(group.get("name")), f"input[{at}].tools[{n}]"
        if name in declared:
            _refuse(
                f"Duplicate namespace name '{name}' in {place}. Namespace names must be unique."
            )
        declared.add(name)
        for function in _dicts(group.get("tools", [group])):
            if no_formats and b'"format":' in dumps(function):
                _refuse(f"Invalid schema for function '{function.get('name')}': it has a format.")
            loaded.add((name, str(function.get("name"))))


def _check_call(item: dict[str, Any], loaded: Loaded, request: AskedRequest) -> None:
    name, namespace = str(item.get("name")), item.get("namespace")
    if namespace is not None and (str(namespace), name) not in loaded:
        _refuse(f"The namespace '{namespace}' of function_call '{name}' is not declared.")
    known = {tool.get("name") for tool in request.tools}
    if namespace is None and name not in known and name in {it for _, it in loaded}:
        _refuse(
            f"Missing namespace for function_call '{name}'. It does not exist in the default"
            " namespace. Round-trip the model's function_call item with its namespace field"
            " included."
        )


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    for it in cast("list[object]", value) if isinstance(value, list) else ():
        if isinstance(it, dict):
            yield cast("dict[str, Any]", it)


def _refuse(message: str) -> NoReturn:
    raise RequestError(message, "input")
