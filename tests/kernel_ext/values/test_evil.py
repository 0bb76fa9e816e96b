"""Objects that raise, hang, lie or change when they are looked at: every way of looking survives.

Each goes through `inspect`, a reference, the names block, evidence, `search_names`, `source`,
`docs` and `table`. None of its code may run, what is said is bounded and plain, and it comes soon.
"""

import asyncio
import io
import itertools
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from inkernel.agent.protocol.observed import Variable
from inkernel.agent.tools.tool import ToolCall
from inkernel.kernel_ext.tools.inspect import inspect_tool
from inkernel.kernel_ext.tools.lookup import looking_tools
from inkernel.kernel_ext.user_names import user_names
from inkernel.kernel_ext.values.fingerprint import fingerprint
from inkernel.kernel_ext.values.paths import reference
from inkernel.kernel_ext.values.snapshot import snapshot

from .evil_objects import EVIL
from .traps import Calls

SOON = 60.0
"""Seconds that one way of looking may take on a busy machine."""
MOST = 25_000
"""Characters of one answer."""


def answers(held: object) -> Iterator[tuple[str, Callable[[], str]]]:
    """Every way of looking, each with what it is called."""
    names: dict[str, object] = {"held": held}
    told: list[dict[str, Variable]] = []
    tools = {
        tool.name: tool for tool in (inspect_tool(lambda: names), *looking_tools(lambda: names))
    }

    def ask(name: str, /, **arguments: Any) -> Callable[[], str]:
        tool = tools[name]
        return lambda: (
            asyncio.run(tool.run(ToolCall("call_1"), tool.arguments.take(arguments))).text
        )

    def snap() -> str:
        told.append(snapshot(names, told[-1] if told else {}))
        return told[-1]["held"].line

    yield "inspect, all", ask("inspect")
    yield "inspect", ask("inspect", names=["held"], depth=3)
    for path in ("held", "held.a", "held['a']", "held[0]", "held.value", "held.columns", "held.T"):
        yield f"inspect {path}", ask("inspect", expression=path)
        yield f"source {path}", ask("source", object=path)
        yield f"docs {path}", ask("source", object=path, docs=True)
    yield "a reference", lambda: reference("held", names)
    yield "the names", snap
    yield "the names again", snap
    yield "evidence", lambda: fingerprint(held)
    yield "search by name", ask("search_names", query="held")
    yield "search by key", ask("search_names", query="zzz")
    yield "search by kind", ask("search_names", query="", kind="evil")
    yield "table", ask("table", name="held")
    yield "table by column", ask("table", name="held", columns=["a"])
    for where in ("a == 1", "a is None", "'x' in a or a > 2", "`0` in [1, 'x']", "o == 1"):
        yield f"table where {where}", ask("table", name="held", where=where)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("kind", EVIL)
def test_every_way_of_looking_survives_it_and_runs_none_of_it(kind: str) -> None:
    calls: Calls = []
    held = EVIL[kind](calls)
    calls.clear()
    for way, answer in answers(held):
        began = time.monotonic()
        text = answer()
        assert time.monotonic() - began < SOON, way
        assert calls == [], way
        assert type(text) is str, way
        assert len(text) < MOST, way
        bad = {c for c in text if not (c.isprintable() or c == "\n")}
        assert not bad, way
    if kind == "a coroutine":
        held.close()


def test_iterators_are_left_where_they_were() -> None:
    held = {
        "generator": (i for i in range(3)),
        "map": map(str, range(3)),
        "zip": zip(range(3), range(3), strict=True),
        "filter": filter(None, range(3)),
        "count": itertools.count(),
        "file": io.StringIO("abc"),
    }
    for each in held.values():
        for _, answer in answers(each):
            answer()
    assert list(held["generator"]) == [0, 1, 2]
    assert list(held["map"]) == ["0", "1", "2"]
    assert len(list(held["zip"])) == 3
    assert list(held["filter"]) == [1, 2]
    assert next(held["count"]) == 0
    assert held["file"].read() == "abc"


@pytest.mark.parametrize(
    "name", ["not a name", "a-b", "\x1b[31m", "\ud800", "\u202e", "", "x\ny", "if"]
)
def test_names_that_are_no_identifiers_are_told_as_plain_text(name: str) -> None:
    names: dict[str, object] = {name: {"a": 1}, "x": 2}
    texts = [seen.line for seen in snapshot(names, {}).values()]
    texts.append(reference(name, names))
    for tool in (inspect_tool(lambda: names), *looking_tools(lambda: names)):
        for arguments in (
            *({"names": [name]}, {"expression": name, "names": []}, {"query": name, "kind": None}),
            *({"object": name}, {"name": name}),
        ):
            if set(arguments) <= set(tool.schema["parameters"]["properties"]):
                try:
                    asked = tool.arguments.take(arguments)
                except ValueError:  # a lone surrogate does not come in JSON
                    continue
                texts.append(asyncio.run(tool.run(ToolCall("call_1"), asked)).text)
    for text in texts:
        assert not {c for c in text if not (c.isprintable() or c == "\n")}, text
    assert all("\n" not in seen.line for seen in snapshot(names, {}).values())


def test_names_that_are_no_texts_are_left_out() -> None:
    names: Any = {1: 2, ("a",): 3, type("Text", (str,), {})("held"): 4, None: 5, "x": 6}
    shell: Any = types.SimpleNamespace(user_ns=names, user_ns_hidden={})
    theirs = user_names(shell)
    assert theirs == {"x": 6} and list(snapshot(theirs, {})) == ["x"]
    for tool in (inspect_tool(lambda: theirs), *looking_tools(lambda: theirs)):
        for arguments in ({}, {"names": ["y"]}, {"object": "y"}, {"name": "y"}, {"query": "x"}):
            try:
                asked = tool.arguments.take(arguments)
            except ValueError:
                continue
            assert asyncio.run(tool.run(ToolCall("call_1"), asked)).text
