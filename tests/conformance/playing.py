"""A client's part in a script: what to say, what to answer calls. Knows no transport."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from inkernel.agent.scripted.script import Response, Script

TOOL = {"type": "function", "description": "It.", "parameters": {"type": "object"}, "strict": False}

Item = dict[str, Any]


@dataclass(frozen=True)
class Ask:
    """One request. `items`: the whole input; `new`: what follows the response `previous`."""

    fields: Item
    items: list[Item]
    new: list[Item]
    previous: str | None


def play(script: Script, ask: Callable[[Ask], Item]) -> None:
    """Go through every turn; `ask` gives the response. After one that is cut, begin anew."""
    names = sorted({c.name for turn in script.turn for r in turn.response for c in r.call})
    fields = {"model": script.model, "tools": [TOOL | {"name": name} for name in names]}
    items: list[Item] = []
    previous: str | None = None
    for turn in script.turn:
        new: list[Item] = [{"type": "message", "role": "user", "content": turn.on or "Go on."}]
        for scripted, following in pairwise([*turn.response, None]):
            assert scripted is not None
            given = ask(Ask(fields, [*items, *new], new, previous))
            check(scripted, given)
            if given["status"] != "completed":
                items, previous = [], None
                break
            items, previous = [*items, *new, *given["output"]], given["id"]
            new = outputs(given, (following and following.expect) or "ok")
            assert bool(new) == bool(following)


def outputs(given: Item, text: str) -> list[Item]:
    """The outputs of a response's calls."""
    return [
        {"type": "function_call_output", "call_id": item["call_id"], "output": text}
        for item in given["output"]
        if item["type"] == "function_call"
    ]


def check(scripted: Response, given: Item) -> None:
    """Check that a response is the scripted one."""
    ends = {None: "completed", "error": "failed"}
    assert given["status"] == ends.get(scripted.fault.event, scripted.fault.event)
    if given["status"] == "completed":
        kinds = [item["type"] for item in given["output"]]
        reasons, says = scripted.reasoning is not None, scripted.say is not None
        calls = ["function_call"] * len(scripted.call)
        assert kinds == ["reasoning"] * reasons + ["message"] * says + calls
        names = [item["name"] for item in given["output"] if "name" in item]
        assert names == [call.name for call in scripted.call]
