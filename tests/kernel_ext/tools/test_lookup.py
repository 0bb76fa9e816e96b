"""The tools `search_names` and `source`: what they find, and what they say of the rest."""

import asyncio
import functools
import json
import linecache
import sys
import textwrap
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from inkernel.agent.tools.tool import ToolCall, ToolOutput
from inkernel.kernel_ext.tools.lookup import (
    MAX_DOC_TEXT_CHARS,
    MAX_LISTING_CHARS,
    MAX_SOURCE_LINES,
    MAX_SOURCE_TEXT_CHARS,
    looking_tools,
)

Names = dict[str, object]


def look(tool: str, live: Names, /, **arguments: Any) -> ToolOutput:
    found = next(each for each in looking_tools(lambda: live) if each.name == tool)
    return asyncio.run(found.run(ToolCall("call_1"), found.arguments.take(arguments)))


def source(path: str, /, **names: object) -> str:
    return look("source", names, object=path).text


def docs(path: str, /, **names: object) -> str:
    return look("source", names, object=path, docs=True).text


@pytest.fixture
def cell(shell: InteractiveShell) -> Callable[[str], Names]:
    """Runs code as a cell of a shell; what it defines."""

    def run(code: str) -> Names:
        assert shell.run_cell(textwrap.dedent(code)).success
        return {k: v for k, v in shell.user_ns.items() if k[:1] != "_"}

    return run


def test_the_tools_only_read_and_tell_their_arguments() -> None:
    tools = {tool.name: tool for tool in looking_tools(dict)}
    assert list(tools) == ["search_names", "source", "table"]
    assert all(tool.schema["parameters"]["properties"] for tool in tools.values())
    json.dumps([tool.schema for tool in tools.values()])


class TestSearch:
    def test_names_come_first_then_types_then_what_a_value_has(self) -> None:
        live: Names = {
            "table": pd.DataFrame({"unit price": [1]}),
            "settings": {"price_list": 1},
            "best_price": 3,
            "price": 2,
            "priced": 4,
        }
        assert look("search_names", live, query="PRICE").text == (
            "5 of 5 names match 'PRICE':\nprice: 2\npriced: 4\nbest_price: 3\n"
            "table (has 'unit price'): pandas DataFrame 1 × 1: 'unit price' int64\n"
            "settings (has 'price_list'): {'price_list': 1}"
        )

    def test_a_kind_keeps_to_a_type_and_what_inherits_from_it(self) -> None:
        class Mine(pd.DataFrame):
            pass

        live: Names = {"a": pd.DataFrame(), "b": Mine(), "c": np.zeros(2), "d": sys}
        assert look("search_names", live, query="", kind="dataframe").text.startswith("2 of 4")
        assert "d: module sys" in look("search_names", live, query="", kind="module").text

    def test_a_slip_of_the_pen_is_forgiven(self) -> None:
        assert (
            "customers (similar): 1"
            in look("search_names", {"customers": 1}, query="cutsomers").text
        )
        text = look("search_names", {"customers": 1}, query="zzz", kind="int").text
        assert text == "Of 1 names none matches 'zzz' of kind 'int'."

    def test_a_long_listing_is_bounded(self) -> None:
        text = look("search_names", {f"n{i}": "x" * 150 for i in range(5_000)}, query="n").text
        assert text.startswith("5,000 of 5,000 names match 'n':")
        assert len(text) < MAX_LISTING_CHARS + 100
        assert text.endswith("more")

    def test_what_is_called_a_secret_is_hidden_here_too(self) -> None:
        text = look(
            "search_names", {"api_key": "hunter2", "d": {"token": "hunter2"}}, query=""
        ).text
        assert "hunter2" not in text


class TestSource:
    def test_of_a_function_class_and_method_of_a_cell(self, cell: Any) -> None:
        live = cell(
            """
            import functools
            @functools.lru_cache
            def cached(n):
                return n

            class Held:
                kept = 1

                @property
                def computed(self):
                    return 2

            def decorate(f):
                @functools.wraps(f)
                def wrapper(*a):
                    return f(*a)
                return wrapper

            @decorate
            def plain(x):
                return x
            held, part = Held(), functools.partial(plain, 1)
            """
        )
        assert source("cached", **live) == (
            "`cached`: function cached in a notebook cell, lines 2–4\n"
            "@functools.lru_cache\ndef cached(n):\n    return n"
        )
        assert source("Held", **live).split("\n")[:2] == [
            "`Held`: class Held in a notebook cell, lines 6–11",
            "class Held:",
        ]
        assert "(it is an instance of this class)" in source("held", **live)
        assert "lines 9–11\n    @property" in source("held.computed", **live)
        for path in ("plain", "part"):
            text = source(path, **live)
            assert "(shown without the wrapper around it)" in text
            assert text.endswith("@decorate\ndef plain(x):\n    return x")

    def test_of_a_class_without_methods_it_is_the_latest_cell(self, cell: Any) -> None:
        cell("import enum\nclass Colour(enum.Enum):\n    RED = 1")
        live = cell("class Colour(enum.Enum):\n    BLUE = 1\n")
        assert source("Colour", **live).endswith("class Colour(enum.Enum):\n    BLUE = 1")

    def test_of_a_cell_that_is_forgotten_it_says_so(self, cell: Any) -> None:
        live = cell("def forgotten(): pass")
        linecache.clearcache()
        assert source("forgotten", **live) == (
            "`forgotten` was defined in a notebook cell whose source is not kept any more."
        )

    def test_of_a_file_with_lines_to_choose(self) -> None:
        text = source("textwrap.dedent")
        first, last = map(int, text.split("\n")[0].rpartition(" ")[2].split("–"))
        assert text.split("\n")[1].startswith("def dedent(text):")
        part = look("source", {}, object="textwrap.dedent", start=first + 1, end=first + 2).text
        assert f"lines {first + 1}–{first + 2} of {first}–{last}" in part
        assert part.split("\n")[1:] == text.split("\n")[2:4]
        none = look("source", {}, object="textwrap.dedent", start=last + 1)
        assert none.status == "error"

    def test_a_long_one_is_bounded_and_says_how_to_go_on(self) -> None:
        text = source("pd", pd=pd.DataFrame)
        lines = text.split("\n")
        assert len(lines) <= MAX_SOURCE_LINES + 1
        assert len(text) < MAX_SOURCE_TEXT_CHARS + 500
        start = int(lines[0].rpartition("start=")[2])
        onward = look("source", {"pd": pd.DataFrame}, object="pd", start=start).text
        assert f"lines {start}–" in onward

    @pytest.mark.parametrize("path", ["len", "sys", "text.upper", "int", "np.add", "point.x"])
    def test_what_is_written_in_c_says_so(self, path: str) -> None:
        output = look("source", {"np": np, "text": "x", "point": 1j}, object=path)
        assert output.status == "error"
        assert any(word in output.text for word in ("written in C", "no file", "not stored"))

    def test_a_file_that_changed_is_said_to_have_changed(self, tmp_path: Path) -> None:
        file = tmp_path / "changing.py"
        file.write_text("\n\ndef held():\n    return 1\n")
        names: Names = {}
        exec(compile(file.read_text(), str(file), "exec"), names)
        file.write_text("x = 1\ny = 2\nz = 3\n")
        assert "seems to have changed" in source("held", held=names["held"])
        file.write_text("x = 1\n")
        assert "has changed since" in source("held", held=names["held"])

    def test_no_loader_and_no_other_file_is_read(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret.txt"
        secret.write_text("hunter2")
        module = types.ModuleType("mine")
        module.__file__ = str(secret)
        assert "hunter2" not in source("mine", mine=module)
        calls: list[str] = []

        class Loader:
            def get_source(self, name: str) -> str:
                calls.append(name)
                return "x = 1"

        names: Names = {"__name__": "lazy", "__loader__": Loader()}
        exec(compile("def held(): pass", "lazy.py", "exec"), names)
        linecache.lazycache("lazy.py", names)
        source("held", held=names["held"])
        assert calls == []

    def test_a_path_runs_nothing(self) -> None:
        calls: list[str] = []

        class Held:
            @property
            def computed(self) -> object:
                calls.append("computed")
                return self

        assert "def computed" in source("held.computed", held=Held())
        assert "which code computes" in source("held.computed.x", held=Held())
        assert calls == []


class TestDocs:
    def test_of_a_function_a_class_and_what_is_written_in_c(self) -> None:
        def held(a: int, *, b: str = "x") -> None:
            """First line.

            More.
            """

        class Kept:
            """What it keeps."""

            def __init__(self, size: int = 3) -> None: ...

        assert (
            docs("held", held=held) == "`held`: held(a: int, *, b: str = 'x')\nFirst line.\n\nMore."
        )
        assert docs("Kept", Kept=Kept).endswith("(self, size: int = 3)\nWhat it keeps.")
        assert "an instance of" in docs("kept", kept=Kept())
        assert docs("len").startswith("`len`: len(obj, /)\nReturn the number")
        assert docs("text.upper", text="").startswith("`text.upper`: upper(/)\nReturn a copy")
        assert "Add arguments element-wise." in docs("np.add", np=np)
        assert docs("held", held=lambda: 0).endswith("<lambda>()\nIt has no docstring.")

    def test_of_a_library_by_any_path_to_it(self) -> None:
        for path in ("frame.merge", "pd.DataFrame.merge", "pandas.DataFrame.merge"):
            assert "merge(self, right" in docs(path, frame=pd.DataFrame(), pd=pd)

    def test_a_name_of_the_persons_hides_a_builtin(self) -> None:
        assert docs("len", len=functools.partial(abs)).startswith("`len`: abs(x, /)")

    def test_a_long_text_is_bounded_and_cannot_pass_for_ours(self) -> None:
        def held() -> None: ...

        held.__doc__ = "x\x1b[31m\n" * 10_000
        text = docs("held", held=held)
        assert len(text) < MAX_DOC_TEXT_CHARS + 200
        assert "\x1b" not in text
        assert text.endswith("… cut at 8,000 characters")

    def test_computed_documentation_is_not_computed(self) -> None:
        calls: list[str] = []

        class Held:
            @property
            def __doc__(self) -> str:
                calls.append("doc")
                return "x"

            @property
            def __signature__(self) -> object:
                calls.append("signature")
                return None

        docs("held", held=Held())
        docs("Held", Held=Held)
        assert calls == []


@pytest.mark.kernel
def test_in_a_kernel_the_source_of_a_cell_is_found(kernel: Any) -> None:
    live = kernel()
    live.run("x = 1\nclass Plain:\n    kept = 1\ndef held(a):\n    return a\n")
    ask = (
        "from inkernel.agent.tools.tool import ToolCall\n"
        "from inkernel.kernel_ext.tools.lookup import looking_tools\n"
        "tool = looking_tools(lambda: dict(held=held, Plain=Plain))[1]\n"
        "for path in ('held', 'Plain'):\n"
        "    print((await tool.run(ToolCall('c'), tool.arguments.take({'object': path}))).text)\n"
    )
    assert live.run(ask).text == (
        "`held`: function held in a notebook cell, lines 4–5\ndef held(a):\n    return a\n"
        "`Plain`: class Plain in a notebook cell, lines 2–3\nclass Plain:\n    kept = 1\n"
    )
