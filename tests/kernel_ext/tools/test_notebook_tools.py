"""The agent reads, edits and runs cells of its notebook: in a real kernel, over the file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import v4

pytestmark = pytest.mark.kernel

Call = tuple[str, dict[str, Any]]


def toml(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(it)}" for name, it in value.items()) + " }"
    return f"[{', '.join(map(toml, value))}]" if isinstance(value, list) else json.dumps(value)


def script(*calls: Call) -> str:
    """A script of one turn: one call after the other, then an answer."""
    parts = ['model = "scripted/test"\n[[turn]]\n']
    for name, arguments in calls:
        lines = "".join(f"{key} = {toml(value)}\n" for key, value in arguments.items())
        parts.append(
            f'[[turn.response]]\n[[turn.response.call]]\nname = "{name}"\n'
            f"[turn.response.call.arguments]\n{lines}"
        )
    return "".join([*parts, '[[turn.response]]\nsay = "Done."\n'])


def edits(*edits: dict[str, Any]) -> Call:
    return "notebook_edit", {"edits": list(edits)}


def told(body: bytes) -> str:
    output = json.loads(body)["input"][-1]["output"]
    return output if isinstance(output, str) else "\n".join(it.get("text", "") for it in output)


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A notebook of four cells: `title`, `load`, `broken`, `agents`."""
    cells = [
        v4.new_markdown_cell("# Rain", id="title-cell"),
        v4.new_code_cell("rain = [3, 1, 2]\nrain", id="load-cell", execution_count=4),
        v4.new_code_cell("total = sum(rian)", id="broken-cell"),
        v4.new_code_cell("%%agent\nGo.", id="agents-cell"),
    ]
    cells[1].outputs = [
        v4.new_output("execute_result", {"text/plain": "[3, 1, 2]"}, execution_count=4)
    ]
    path = tmp_path / "rain.ipynb"
    nbformat.write(v4.new_notebook(cells=cells), path)
    return path


@pytest.fixture
def turn(agent: Callable[..., Any], notebook: Path) -> Callable[..., tuple[list[str], Any]]:
    """A turn in that notebook: what the model was told by each call, and the kernel."""

    def run(*calls: Call, **environ: str) -> tuple[list[str], Any]:
        kernel, server = agent(script(*calls), JPY_SESSION_NAME=str(notebook), **environ)
        ran = kernel.run("%%agent\nGo.", cell_id="agents-cell")
        assert ran.status == "ok", ran.evalue
        return [told(body) for body in server.requests[1:]], kernel

    return run


def sources(path: Path) -> dict[str, str]:
    read = nbformat.read(path, as_version=4)
    nbformat.validate(read)
    return {cell.id: cell.source for cell in read.cells}


def test_a_listing_has_a_line_a_cell_and_says_where_the_agent_is(turn: Any, notebook: Path):
    (listing,), _ = turn(("notebook_read", {}))
    head, *lines = listing.splitlines()
    assert head.startswith("4 cells of") and "saved" in head and str(notebook) in head
    assert lines == [
        "#1 title-ce markdown: # Rain",
        "#2 load-cel code In [4]: rain = [3, 1, 2] (+1 lines)",
        "#3 broken-c code: total = sum(rian)",
        "#4 agents-c code: %%agent (+1 lines) ← you are here",
    ]


@pytest.mark.parametrize("words", ["load-cell", "load", "In [4]", "#2"])
def test_a_cell_is_named_by_id_count_or_place(turn: Any, words: str):
    (text,), _ = turn(("notebook_read", {"cells": [words]}))
    assert "rain = [3, 1, 2]" in text and "result:\n[3, 1, 2]" in text
    assert "sum(rian)" not in text


def test_a_query_finds_cells_and_a_name_of_none_says_so(turn: Any):
    (found, nothing, wrong), _ = turn(
        ("notebook_read", {"query": "RIAN"}),
        ("notebook_read", {"query": "snow"}),
        ("notebook_read", {"cells": ["nowhere"]}),
    )
    assert "total = sum(rian)" in found and "# Rain" not in found
    assert "None contains 'snow'." in nothing
    assert "There is no cell 'nowhere'" in wrong


def test_edits_land_in_order_and_the_other_cells_are_as_they_were(turn: Any, notebook: Path):
    before = sources(notebook)
    (text,), _ = turn(
        edits(
            {"op": "insert", "kind": "markdown", "source": "## Total"},
            {"op": "insert", "source": "total"},
            {"op": "replace", "cell": "broken", "old": "rian", "source": "rain"},
            {"op": "move", "cell": "broken", "after": "load"},
            {"op": "insert", "after": "start", "source": "first = 1"},
            {"op": "insert", "after": "#1", "source": "# below the title, that was #1"},
        )
    )
    assert [line[:2] for line in text.splitlines()] == ["1.", "2.", "3.", "4.", "5.", "6."]
    after = sources(notebook)
    assert list(after.values()) == [
        "first = 1",
        "# Rain",
        "# below the title, that was #1",
        "rain = [3, 1, 2]\nrain",
        "total = sum(rain)",
        "%%agent\nGo.",
        "## Total",
        "total",
    ]
    assert {name: after[name] for name in before if name != "broken-cell"} == {
        name: text for name, text in before.items() if name != "broken-cell"
    }


def test_a_whole_source_is_not_replaced_unread_and_what_is_refused_is_as_it_was(
    turn: Any, notebook: Path
):
    whole = {"op": "replace", "cell": "load", "source": "rain = []"}
    last = {"op": "delete", "cell": "title"}
    (refused, done), _ = turn(edits(whole, last), edits(whole))
    assert "Refused: You have not read this cell" in refused and "rain = [3, 1, 2]" in refused
    assert "1 further edit(s) were not tried." in refused
    assert done.startswith("1. Replaced the source of cell load-cel")
    assert sources(notebook)["load-cell"] == "rain = []"
    assert "title-cell" in sources(notebook)


def test_a_cell_that_was_edited_meanwhile_is_not_overwritten(turn: Any, notebook: Path):
    edit = (
        "import nbformat\nbook = nbformat.read('rain.ipynb', 4)\n"
        "book.cells[1].source = 'theirs'\nnbformat.write(book, 'rain.ipynb')"
    )
    texts, _ = turn(
        ("notebook_read", {"cells": ["load"]}),
        ("run_cell", {"title": "the person", "code": edit}),
        edits({"op": "replace", "cell": "load", "source": "mine"}),
        edits({"op": "delete", "cell": "title"}),
    )
    assert "another by now" in texts[2] and "theirs" in texts[2]
    assert sources(notebook)["load-cell"] == "theirs"
    assert "not read" in texts[3] and "title-cell" in sources(notebook)


@pytest.mark.parametrize(("old", "words"), [("snow", "is not in it"), ("ra", "is in it 2 times")])
def test_a_part_must_be_there_exactly_once(turn: Any, notebook: Path, old: str, words: str):
    before = notebook.read_bytes()
    (text,), _ = turn(edits({"op": "replace", "cell": "load", "old": old, "source": "x"}))
    assert words in text and notebook.read_bytes() == before


def test_cells_run_in_the_live_namespace_with_their_outputs_where_they_belong(
    turn: Any, notebook: Path
):
    texts, kernel = turn(
        edits({"op": "replace", "cell": "broken", "old": "rian", "source": "rain"}),
        ("notebook_run", {"cells": ["load", "broken"]}),
        ("run_cell", {"title": "look", "code": "total"}),
    )
    assert "## cell load-cel · out-1" in texts[1] and "result:\n[3, 1, 2]" in texts[1]
    assert "## cell broken-c · out-2" in texts[1]
    assert "result:\n6" in texts[2]
    assert kernel.run("total").text == "6"
    read = nbformat.read(notebook, as_version=4)
    nbformat.validate(read)
    load, broken = read.cells[1:3]
    assert load.outputs[0].data["text/plain"] == "[3, 1, 2]"
    assert load.outputs[0].execution_count == load.execution_count
    assert broken.execution_count == load.execution_count + 1
    history = kernel.run("%history").text
    assert "turn 1: cell load-cel\nrain = [3, 1, 2]" in history


def test_a_run_stops_at_the_first_cell_that_fails(turn: Any, notebook: Path):
    (text,), kernel = turn(("notebook_run", {"cells": ["load", "broken", "#1"]}))
    assert "NameError" in text
    read = nbformat.read(notebook, as_version=4)
    assert read.cells[2].outputs[0].ename == "NameError"
    assert kernel.run("rain").text == "[3, 1, 2]"


def test_the_agents_own_cell_is_not_run(turn: Any):
    (text,), _ = turn(("notebook_run", {"cells": ["agents"]}))
    assert "Your own cell is among them" in text


def test_without_a_notebook_nothing_is_claimed(agent: Any):
    kernel, server = agent(
        script(("notebook_read", {}), edits({"op": "insert", "source": "x = 1"}))
    )
    ran = kernel.run("%%agent\nGo.")
    assert ran.status == "ok"
    read, edited = map(told, server.requests[1:])
    assert "no notebook" in read and "nothing was changed" in edited


def test_a_broken_file_is_told_and_stays(turn: Any, notebook: Path):
    notebook.write_text("{ not a notebook", encoding="utf-8")
    texts, _ = turn(("notebook_read", {}), edits({"op": "insert", "source": "x"}))
    assert all("cannot be read as a notebook" in text for text in texts)
    assert notebook.read_text(encoding="utf-8") == "{ not a notebook"


def test_a_policy_that_denies_denies_edits_and_allows_reading(turn: Any, notebook: Path):
    before = notebook.read_bytes()
    texts, _ = turn(
        ("notebook_read", {}),
        edits({"op": "insert", "source": "x"}),
        ("notebook_run", {"cells": ["load"]}),
        INKERNEL_POLICY="deny",
    )
    assert "4 cells" in texts[0]
    assert "Not run: policy deny" in texts[1]
    assert "trial" in texts[2]  # in a copy of the kernel alone
    assert notebook.read_bytes() == before


def test_code_of_a_step_edits_the_notebook_through_the_same_verdicts(turn: Any, notebook: Path):
    code = "print(await agent_tools.notebook_edit(edits=[{'op': 'insert', 'source': 'x = 1'}]))"
    (text,), _ = turn(("run_cell", {"title": "edit", "code": code}))
    assert "Inserted code cell" in text
    assert list(sources(notebook).values())[-1] == "x = 1"


def test_a_notebook_that_nbclient_executes_is_edited_in_its_file(
    notebook: Path, scripted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
):
    nbclient = pytest.importorskip("nbclient")
    server = scripted(script(edits({"op": "insert", "kind": "markdown", "source": "## Added"})))
    monkeypatch.setenv("INKERNEL_BASE_URL", server.base_url)
    monkeypatch.setenv("INKERNEL_MODEL", "scripted/test")
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    cells = [v4.new_code_cell("%load_ext inkernel"), v4.new_code_cell("%%agent\nGo.")]
    executed = v4.new_notebook(cells=cells)
    nbclient.NotebookClient(executed, kernel_name="python3").execute()
    assert "Inserted markdown cell" in told(server.requests[-1])
    assert list(sources(notebook).values())[-1] == "## Added"


def test_where_no_page_answers_code_is_put_into_one_new_cell_and_nothing_else_is_claimed(
    agent: Any, notebook: Path
):
    before = notebook.read_bytes()
    calls = (
        ("notebook_read", {}),
        edits({"op": "insert", "source": "x = 1"}, {"op": "insert", "source": "y = 2"}),
        edits({"op": "replace", "cell": "load", "old": "3", "source": "4"}),
    )
    kernel, server = agent(script(*calls), JPY_SESSION_NAME=str(notebook))
    running = kernel.start("%%agent\nGo.", allow_stdin=True, cell_id="agents-cell")
    ran = kernel.finish(running)
    read, inserted, replaced = map(told, server.requests[1:])
    assert "edits since then are not in it" in read
    assert "in one new cell below when this turn has ended; it was not run" in inserted
    assert "nothing was changed" in replaced
    (payload,) = [it for it in ran.payload if it["source"] == "set_next_input"]
    assert payload["text"] == "x = 1\n\ny = 2"
    assert notebook.read_bytes() == before


@pytest.mark.parametrize("after", ["start", "load-cell", "#2", "end", ""])
def test_cells_put_after_one_cell_in_one_call_keep_their_order(
    turn: Any, notebook: Path, after: str
):
    new = [{"op": "insert", "after": after, "source": text} for text in ("a", "b", "c")]
    turn(edits(*new))
    found = list(sources(notebook).values())
    assert found[found.index("a") :][:3] == ["a", "b", "c"]


def test_moves_and_inserts_after_one_cell_keep_their_order_and_one_that_left_does_not_count(
    turn: Any, notebook: Path
):
    turn(
        edits(
            {"op": "insert", "after": "#1", "source": "a"},
            {"op": "move", "cell": "broken-cell", "after": "#1"},
            {"op": "move", "cell": "load-cell", "after": "#1"},
            {"op": "move", "cell": "load-cell", "after": "end"},
            {"op": "insert", "after": "#1", "source": "b"},
        )
    )
    found = list(sources(notebook).values())
    assert found[:4] == ["# Rain", "a", "total = sum(rian)", "b"]


def test_cells_put_below_ones_own_come_after_those_put_below_another(turn: Any, notebook: Path):
    first = {"op": "insert", "after": "#2", "source": "a"}
    below_it = {"op": "insert", "source": "b"}
    turn(edits(first, below_it, {**first, "source": "c"}))
    assert list(sources(notebook).values())[2:5] == ["a", "b", "c"]


@pytest.fixture
def twins(notebook: Path) -> Path:
    """The notebook, in which three cells have the same id, and two of them the same source."""
    book = nbformat.read(notebook, as_version=4)
    for cell in book.cells[:3]:
        cell.id = "same"
    book.cells[2].source = book.cells[1].source
    notebook.write_text(json.dumps(book, indent=1), "utf-8")
    return notebook


def test_cells_with_the_same_id_are_named_by_number(turn: Any, twins: Path):
    listing, cell, wrong = turn(
        ("notebook_read", {}),
        ("notebook_read", {"cells": ["#3"]}),
        ("notebook_read", {"cells": ["same"]}),
    )[0]
    assert "#1, #2, #3 do not have an id of their own: name these by number." in listing
    assert "rain = [3, 1, 2]" in cell and "# Rain" not in cell
    assert "The id 'same' is not one cell's own. Name it by number: #1, #2, #3." in wrong


BY_NUMBER = {
    "both twins": (["#2", "#3"], ["# Rain", "%%agent\nGo."]),
    "the last twin": (["#3"], ["# Rain", "rain = [3, 1, 2]\nrain", "%%agent\nGo."]),
    "all that share it": (["#1", "#2", "#3"], ["%%agent\nGo."]),
}


@pytest.mark.parametrize(("numbers", "left"), BY_NUMBER.values(), ids=BY_NUMBER)
def test_of_cells_with_the_same_id_those_named_are_deleted(
    turn: Any, twins: Path, numbers: list[str], left: list[str]
):
    read = ("notebook_read", {"cells": ["#1-#3"]})
    (_, done), _ = turn(read, edits(*[{"op": "delete", "cell": number} for number in numbers]))
    assert "Refused" not in done
    assert [cell["source"] for cell in cells_of(twins)] == left


def test_of_cells_with_the_same_id_each_is_edited_moved_and_run_as_often_as_one_likes(
    turn: Any, twins: Path
):
    part = {"op": "replace", "cell": "#2", "old": "2]", "source": "2, 4]"}
    texts, kernel = turn(
        edits(part, {**part, "old": "1", "source": "7"}, {"op": "move", "cell": "#3", "after": ""}),
        edits({"op": "replace", "cell": "#1", "old": "Rain", "source": "Snow"}),
        ("notebook_run", {"cells": ["#2"]}),
    )
    assert "Refused" not in "".join(texts)
    assert [cell["source"] for cell in cells_of(twins)] == [
        "# Snow",
        "rain = [3, 7, 2, 4]\nrain",
        "%%agent\nGo.",
        "rain = [3, 1, 2]\nrain",
    ]
    assert kernel.run("rain").text == "[3, 7, 2, 4]"


def cells_of(path: Path) -> list[Any]:
    """The cells as the file has them. nbformat would give them other ids."""
    return [
        {**cell, "source": "".join(cell["source"])}
        for cell in json.loads(path.read_text("utf-8"))["cells"]
    ]


@pytest.mark.parametrize("kind", ["heading", "sql", ""])
def test_a_cell_of_an_unknown_kind_hides_no_other(turn: Any, notebook: Path, kind: str):
    text = notebook.read_text("utf-8").replace('"cell_type": "markdown"', f'"cell_type": "{kind}"')
    notebook.write_text(text, "utf-8")
    (listing, done), _ = turn(
        ("notebook_read", {}), edits({"op": "replace", "cell": "#3", "old": "rian", "source": "1"})
    )
    assert f"#1 title-ce {kind}" in listing and "Replaced" in done
    assert [cell["cell_type"] for cell in cells_of(notebook)] == [kind, "code", "code", "code"]
