"""`%agent` lines where nobody awaits them, and where the cell waits for them."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from inkernel.kernel_ext.commands.dispatch import COMMANDS

pytestmark = pytest.mark.kernel

SCRIPT = '[[turn]]\n[[turn.response]]\nsay = "Hello."\n'


def test_what_needs_no_wait_works_where_nobody_awaits_it(agent):
    kernel, _ = agent(SCRIPT)
    assert "scripted/test" in kernel.run("%agent").text  # which asks the keyring, once
    assert "A new session" in kernel.run("for _ in range(1):\n    %agent new").text
    assert "scripted/test" in kernel.run("if True:\n    %agent status").text
    assert "no turns yet" in kernel.run("shown = %agent history").text
    assert "no turns yet" in kernel.run("%%time\n%agent history").text
    assert kernel.run("%%capture out\n%agent model other").status == "ok"
    assert "other" in kernel.run("out.show()").text
    assert "no turns yet" in kernel.run("get_ipython().run_line_magic('agent', 'history')").text


def test_a_line_may_end_in_a_comment(agent):
    kernel, server = agent(SCRIPT)
    for line, shown in (
        ("%agent                     # status: model, session", "scripted/test"),
        ("%agent config effort high  # for this session; `%agent config` lists all", "high"),
        ("for _ in range(1):\n    %agent history  # none", "no turns yet"),
        ("%agent models # of the server", "lists 1"),
        ("%agent help # all of them", "%agent rewind"),
        ("%%agent --effort low  # quickly\nHi.", "Hello."),
    ):
        ran = kernel.run(line)
        assert ran.status == "ok" and shown in ran.text, line
    assert b"quickly" not in server.requests[-1]


def test_a_line_is_waited_for_where_the_cell_can_wait(agent):
    kernel, _ = agent(SCRIPT)
    for cell in (
        "x = 1\n%agent models",
        "if True:\n    %agent models",
        "for _ in range(1):\n    try:\n        %agent models\n    finally:\n        pass",
        "async def ask():\n    %agent models\nawait ask()",
        "agent models",
        "await get_ipython().run_cell_magic('agent', 'models', None)",
    ):
        assert "lists 1" in kernel.run(cell).text, cell
    said = kernel.run("await get_ipython().run_cell_magic('agent', '', 'Hi.')")
    assert "Hello." in said.text


def test_a_turn_runs_in_a_block_and_its_output_is_captured(agent):
    kernel, _ = agent(SCRIPT)
    kernel.run("1 / 0")
    ran = kernel.run(
        "from IPython.utils.capture import capture_output\n"
        "with capture_output() as out:\n    %agent fix"
    )
    assert ran.status == "ok" and not ran.text
    assert "Hello." in kernel.run("out.show()").text


def test_what_must_wait_says_why_it_cannot_and_loses_nothing(agent, tmp_path):
    cells = [new_code_cell(source) for source in ("ran = 1", "%agent history", "%%agent\nHi.")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "cells.ipynb")
    (tmp_path / "lines.ipy").write_text("%agent history\n%agent models\n")
    kernel, server = agent(SCRIPT)
    for cell, why in (
        ("def f():\n    %agent models\nf()", "nothing awaits this code"),
        ("x = %agent models", "nothing awaits this code"),
        ("get_ipython().run_line_magic('agent', 'models')", "nothing awaits this code"),
        ("%%time\n%agent models", "nothing can wait within %%time"),
        ("%%time\n%%agent\nHi.", "nothing can wait within %%time"),
        ("%%capture out\n%agent models", "nothing can wait within %%capture"),
        ("%%capture out\n%%agent\nHi.", "nothing can wait within %%capture"),
        ("%prun %agent models", "nothing can wait within %prun"),
        ("%run lines.ipy", "nothing can wait within %run"),
        ("%run cells.ipynb", "nothing can wait within %run"),
    ):
        ran = kernel.run(cell)
        *_, shown = (output for output in ran.outputs if output["output_type"] == "error")
        assert shown["ename"] == "UsageError" and why in shown["evalue"], cell
        assert "lists 1" not in ran.text
        assert ("no turns yet" in ran.text) == cell.startswith("%run"), cell
    assert not server.requests
    assert "lists 1" in kernel.run("%agent models").text


def test_a_cell_that_loads_the_extension_is_served_or_advised(kernel, scripted):
    server = scripted(SCRIPT)
    running = kernel(INKERNEL_BASE_URL=server.base_url, INKERNEL_API_KEY_ENV="A", A="sk-of-a-test")
    ran = running.run("%load_ext inkernel\n%agent model scripted/test\n%agent history")
    assert ran.status == "ok" and "scripted/test" in ran.text and "no turns yet" in ran.text
    assert running.run("%unload_ext inkernel").status == "ok"
    cell = "%load_ext inkernel\n%agent models"
    ran = running.run(cell)
    assert ran.ename == "UsageError" and "run the cell again" in ran.traceback
    assert "lists 1" in running.run(cell).text
    assert running.run("%unload_ext inkernel").status == "ok"
    for _ in range(2):
        ran = running.run("%load_ext inkernel\n%agent new\n%%agent\nHi")
        assert ran.ename == "UsageError" and "the first line of a cell" in ran.traceback
    assert "Hello." in running.run("%%agent\nHi").text
    assert "%%agent" not in running.run("print(get_ipython().magics_manager.magics['line'])").text
    assert not running.run("%unload_ext inkernel").traceback


def test_help_of_a_subcommand_has_a_line_for_each_of_its_words():
    for command in COMMANDS:
        words, said = command.usage.partition("—")[0], [it for it, _ in command.ways]
        for word in re.findall(r"(?<![\w-])-{0,2}[a-z]+(?!\w)", words):
            assert any(it.split()[:1] == [word] for it in said), (command.name, word)


def test_help_shows_one_subcommand(agent):
    kernel, _ = agent(SCRIPT)
    shown = kernel.run("%agent help undo").text
    assert shown.startswith("%agent undo [--all] — ") and "rewind" not in shown
    assert "Did you mean undo?" in kernel.run("%agent help undoo").evalue


@pytest.mark.parametrize("setting", ["off", "sync", "trio"])
def test_without_autoawait_what_needs_no_wait_works(agent, setting):
    kernel, server = agent(SCRIPT)
    kernel.run(f"%autoawait {setting}")
    assert "no turns yet" in kernel.run("if True:\n    %agent history").text
    for cell in ("%agent models", "%%agent\nHi."):
        ran = kernel.run(cell)
        assert ran.ename == "UsageError" and "Run `%autoawait asyncio` first" in ran.traceback
    assert not server.requests
    kernel.run("%autoawait asyncio")
    assert "Hello." in kernel.run("%%agent\nHi.").text
