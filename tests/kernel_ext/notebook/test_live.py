"""The bridge in a real ipykernel: without a page, and with pages that are played over the comm."""

import json
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.kernel

SETUP = """
import asyncio
from inkernel.kernel_ext.notebook import live, page
from inkernel.kernel_ext.notebook.document import DocumentError, Edge, NewCell
shell = get_ipython()

async def cause(call):
    try:
        return await call
    except DocumentError as error:
        return error.cause, str(error), error.present
"""
CONNECT = "d = await live.connect(shell, timeout=30)\n"
END = "d.close()\n"


class Cell:
    """A cell that runs in a kernel, and what pages would see of its widget."""

    def __init__(self, kernel: Any, code: str) -> None:
        self._kernel = kernel
        self._header = subshell(kernel)
        self._id = kernel.start(SETUP + code, allow_stdin=True, cell_id="running")
        self.owner = kernel.client.session.session
        self.hear_widget()

    def hear_widget(self) -> None:
        """Wait until a widget is made and says which cell runs."""
        self.hear_state("cell")

    def hear_state(self, name: str) -> None:
        """Wait until a widget tells some state."""
        state: dict[str, Any] = {}
        while name not in state:
            told = self._kernel.wait_for(self._id, "comm_msg")
            state = told["data"].get("state", {})
        self.comm, self.state = told["comm_id"], state

    def say(self, content: Any) -> None:
        """Send what a page's script would."""
        data = {"method": "custom", "content": content}
        message = self._kernel.client.session.msg("comm_msg", {"comm_id": self.comm, "data": data})
        message["header"] |= self._header
        self._kernel.client.shell_channel.send(message)

    def greet(self, client: str, holds: bool = True) -> None:
        self.say({"hello": {"client": client, "holds": holds}})

    def hear(self) -> dict[str, Any]:
        """The next call."""
        while True:
            message = self._kernel.wait_for(self._id, "comm_msg")
            if message["data"].get("method") == "custom":
                return message["data"]["content"]

    def answer(self, **answer: Any) -> dict[str, Any]:
        """Hear a call and answer it as the page it is meant for; the call."""
        call = self.hear()
        self.say({"client": call["to"], "call": call["call"], **answer})
        return call

    def end(self) -> str:
        """What the cell printed."""
        ran = self._kernel.finish(self._id)
        assert ran.status == "ok", ran.traceback
        return ran.text.strip()


def subshell(kernel: Any) -> dict[str, str]:
    """What JupyterLab adds to a comm message's header where the kernel has subshells."""
    client = kernel.client
    told = client.kernel_info(reply=True, timeout=60)["content"]
    if "kernel subshells" not in told.get("supported_features", ()):
        return {}
    client.control_channel.send(client.session.msg("create_subshell_request", {}))
    return {"subshell_id": client.get_control_msg(timeout=60)["content"]["subshell_id"]}


@pytest.fixture
def run(kernel: Callable[..., Any]) -> Callable[[str], Cell]:
    """Starts a cell in a kernel of its own."""
    return lambda code: Cell(kernel(), code)


def test_without_a_page_there_is_no_document_and_no_widget_is_left(kernel):
    running = kernel()
    ran = running.run(
        SETUP + "print(await live.connect(shell, timeout=0.2))", allow_stdin=True, cell_id="a"
    )
    assert ran.text.strip() == "None" and ran.seconds < 30
    opened, closed = (
        [comm["comm_id"] for comm in ran.comms if comm["type"] == kind]
        for kind in ("comm_open", "comm_close")
    )
    assert len(opened) == 2 and set(opened) == set(closed)


@pytest.mark.parametrize(
    "how", [{"allow_stdin": False, "cell_id": "a"}, {"allow_stdin": True}], ids=["alone", "console"]
)
def test_where_there_can_be_no_page_no_widget_is_made(kernel, how):
    ran = kernel().run(SETUP + "print(await live.connect(shell, timeout=60))", **how)
    assert ran.text.strip() == "None"
    assert ran.comms == []


def test_a_page_is_asked_and_its_answers_are_values(run):
    cell = run(
        CONNECT
        + "told = [await d.describe(), await d.cells(), await d.outputs('x')]\n"
        + "print(*told, await d.replace('x', 'new', 'old'))\n"
        + END
    )
    assert cell.state["cell"] == "running"
    cell.greet(cell.owner)
    about = {"path": "a.ipynb", "dirty": True, "cells": 1}
    told = cell.answer(ok={**about, "collaborative": False, "read_only": False})
    assert (told["to"], told["op"]) == (cell.owner, "describe")
    live = {"id": "x", "kind": "code", "source": "1", "metadata": {}, "running": False}
    cell.answer(ok=[{**live, "execution_count": None}])
    assert cell.answer(ok=[{"output_type": "stream"}])["args"] == {"id": "x"}
    call = cell.answer(ok=None)
    assert call["op"] == "replace"
    assert call["args"] == {"id": "x", "source": "new", "expect": "old"}
    shown = cell.end()
    assert "About(path='a.ipynb', dirty=True, cells=1" in shown
    assert "(LiveCell(id='x', kind='code', source='1', execution_count=None" in shown
    assert "[{'output_type': 'stream'}] None" in shown


def test_cells_are_sent_as_nbformat_has_them_under_ids_that_are_told(run):
    cell = run(
        CONNECT
        + "stream = {'output_type': 'stream', 'name': 'stdout', 'text': ['a\\n', 'b']}\n"
        + "code = NewCell('code', '1', [stream], 7)\n"
        + "print(*await d.insert(Edge.END, [NewCell('markdown', '# a'), code]))\n"
        + "await d.insert('x', [code])\n"
        + END
    )
    cell.greet(cell.owner)
    args = cell.answer(ok=None)["args"]
    text, code = args["cells"]
    assert args["edge"] == "end" and "after" not in args
    assert text == {"id": text["id"], "cell_type": "markdown", "source": "# a", "metadata": {}}
    assert code["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "a\nb"}]
    assert code["execution_count"] == 7 and code["metadata"] == {"trusted": True}
    assert cell.answer(ok=None)["args"]["after"] == "x"
    assert cell.end() == f"{text['id']} {code['id']}"


def test_a_refusal_says_its_cause_and_the_present_source(run):
    cell = run(
        CONNECT
        + "told = await cause(d.replace('x', 'new', 'old'))\n"
        + "print(told, await cause(d.save()))\n"
        + END
    )
    cell.greet(cell.owner)
    cell.answer(error={"cause": "conflict", "message": "It is another.", "present": "theirs"})
    cell.answer(surprise=1)
    shown = cell.end()
    assert "('conflict', 'It is another.', 'theirs')" in shown
    assert "('failed', \"The page's answer makes no sense.\", None)" in shown


def test_a_page_that_does_not_answer_is_an_error_in_time(run):
    cell = run("live.ANSWER_SECONDS = 0.2\n" + CONNECT + "print(await cause(d.describe()))\n" + END)
    cell.greet(cell.owner)
    assert cell.hear()["op"] == "describe"
    cell.hear_widget()  # looks for another
    assert "'no answer'" in cell.end()


def test_a_page_loaded_anew_is_asked_in_the_place_of_the_one_that_is_gone(run):
    cell = run(
        "live.ANSWER_SECONDS = 1\n"
        + CONNECT
        + "print(await d.outputs('x'), await d.outputs('x'))\n"
        + END
    )
    cell.greet(cell.owner)
    asked = cell.hear()
    cell.hear_widget()
    cell.greet("anew")
    again = cell.answer(ok=[])
    assert (again["to"], again["op"], again["args"]) == ("anew", asked["op"], asked["args"])
    assert cell.answer(ok=[])["to"] == "anew"
    assert cell.end() == "[] []"


def test_a_page_that_was_only_slow_is_asked_again_for_the_same(run):
    cell = run(
        "live.ANSWER_SECONDS = 1\n"
        + CONNECT
        + "print(*await d.insert(Edge.END, [NewCell('raw', '')]))\n"
        + END
    )
    cell.greet(cell.owner)
    asked = cell.hear()
    cell.hear_widget()
    cell.greet(cell.owner)
    again = cell.answer(ok=None)
    assert again["args"] == asked["args"] and again["call"] != asked["call"]
    assert cell.end() == again["args"]["cells"][0]["id"]


def test_a_page_that_may_be_asking_the_person_is_not_asked_to_save_twice(run):
    cell = run("live.SAVE_SECONDS = 0.5\n" + CONNECT + "print(await cause(d.save()))\n" + END)
    cell.greet(cell.owner)
    assert cell.hear()["op"] == "save"
    cell.hear_widget()
    cell.greet(cell.owner)
    assert "'no answer'" in cell.end()


def test_after_all_widgets_were_closed_the_page_is_found_again(run):
    cell = run(
        CONNECT
        + "import ipywidgets\nipywidgets.Widget.close_all()\n"
        + "print(await d.outputs('x'))\n"
        + END
    )
    cell.greet(cell.owner)
    cell.hear_widget()
    cell.greet(cell.owner)
    cell.answer(ok=[])
    assert cell.end() == "[]"


def test_a_closed_document_asks_nobody(run):
    cell = run(CONNECT + END + "print(await cause(d.describe()))")
    cell.greet(cell.owner)
    assert "'no answer'" in cell.end()


def test_calls_made_at_once_are_asked_one_after_the_other(run):
    cell = run(CONNECT + "print(await asyncio.gather(d.outputs('a'), d.outputs('b')))\n" + END)
    cell.greet(cell.owner)
    for letter in "ab":
        assert cell.answer(ok=[letter])["args"] == {"id": letter}
    assert cell.end() == "[['a'], ['b']]"


def test_of_two_pages_the_one_that_ran_the_cell_is_asked(run):
    cell = run(CONNECT + "print(await d.outputs('x'))\n" + END)
    cell.greet("other tab")
    cell.greet(cell.owner, holds=False)
    assert cell.answer(ok=[])["to"] == cell.owner
    assert cell.end() == "[]"


def test_pages_are_asked_again_while_no_greeting_comes(run):
    cell = run(CONNECT + "print(await d.outputs('x'))\n" + END)
    cell.hear_state("asked")
    cell.greet(cell.owner)
    cell.answer(ok=[])
    assert cell.end() == "[]"


def test_an_answer_of_another_page_and_other_words_are_no_answer(run):
    cell = run(CONNECT + "print(await d.outputs('x'))\n" + END)
    for word in (None, 1, "hello", {"hello": {}}, {"hello": {"client": 1}}, {"call": 1}):
        cell.say(word)
    cell.greet(cell.owner)
    call = cell.hear()
    cell.say({"client": "other tab", "call": call["call"], "ok": ["theirs"]})
    cell.say({"client": cell.owner, "call": call["call"] + 1, "ok": ["late"]})
    cell.say({"client": cell.owner, "call": call["call"], "ok": ["ours"]})
    cell.say({"client": cell.owner, "call": call["call"], "ok": ["twice"]})
    assert cell.end() == "['ours']"


def test_a_page_of_another_notebook_on_the_same_kernel_is_not_asked(run):
    cell = run("print(await live.connect(shell, timeout=0.5))")
    cell.greet("other notebook", holds=False)
    assert cell.end() == "None"


def test_what_is_too_large_is_not_sent(run):
    cell = run(
        "live.MOST_BYTES = 100\n"
        + CONNECT
        + "told = await cause(d.replace('x', 'n' * 100, 'old'))\n"
        + "print(told, await d.outputs('x'))\n"
        + END
    )
    cell.greet(cell.owner)
    assert cell.answer(ok=[])["op"] == "outputs"
    assert "'too large'" in cell.end()


def test_requests_that_wait_meanwhile_keep_their_order(run, kernel):
    running = kernel()
    cell = Cell(running, CONNECT + "seen = await d.outputs('x')\n" + END)
    later = [running.start(f"seen.append({at}); print(seen)") for at in range(3)]
    cell.greet(cell.owner)
    running.start("seen.append('last')")
    cell.answer(ok=["first"])
    cell.end()
    ran = [running.finish(message).text.strip() for message in later]
    assert [json.loads(each.replace("'", '"')) for each in ran] == [
        ["first", 0],
        ["first", 0, 1],
        ["first", 0, 1, 2],
    ]


def test_an_interrupted_wait_for_a_page_leaves_no_widget(kernel):
    running = kernel()
    cell = Cell(
        running,
        "from inkernel.kernel_ext.execution.interrupts import cancelled_by_sigint\n"
        "with cancelled_by_sigint(KeyboardInterrupt()):\n    await live.connect(shell, timeout=60)",
    )
    running.interrupt()
    closed = running.wait_for(cell._id, "comm_close")
    assert closed["comm_id"] == cell.comm


def test_importing_the_bridge_loads_no_widgets(kernel):
    ran = kernel().run(
        "import sys\nbefore = set(sys.modules)\nfrom inkernel.kernel_ext.notebook import live\n"
        "new = set(sys.modules) - before\n"
        "print(new & {'anywidget', 'ipywidgets', 'traitlets', 'nbformat'})"
    )
    assert ran.text.strip() == "set()"
