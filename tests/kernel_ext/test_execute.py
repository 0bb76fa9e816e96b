"""Code run in a real IPython shell: what is captured, and what stays the user's."""

import asyncio
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.testing.globalipapp import start_ipython

from inkernel.agent.cells import CellRun, DisplayOutput, ErrorOutput, Output, StreamOutput
from inkernel.kernel_ext.execute import run_code
from inkernel.kernel_ext.interrupt import Interruption


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    shell = start_ipython() or InteractiveShell.instance()
    shell.reset(new_session=False)
    yield shell
    shell.reset(new_session=False)


@pytest.fixture
def run(shell: InteractiveShell):
    """Runs code, everything taken; the run and what was given in the moment."""
    given: list[Output] = []

    def take(output: Output) -> bool:
        given.append(output)
        return True

    def run(code: str) -> CellRun:
        given.clear()
        return asyncio.run(run_code(shell, code, take, Interruption()))

    run.given = given
    return run


def test_text_values_and_errors_come_back_as_a_cell_puts_them_out(run):
    ran = run("import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7")
    assert ran.status == "ok"
    assert ran.outputs == (
        StreamOutput(name="stdout", text="out\n"),
        StreamOutput(name="stderr", text="err\n"),
        DisplayOutput(data={"text/plain": "42"}, result=True),
    )


def test_a_failing_cell_gives_its_traceback_and_keeps_what_came_before(run, shell):
    ran = run("kept = 1\nprint('before')\n1 / 0")
    assert ran.status == "error"
    stream, error = ran.outputs
    assert isinstance(stream, StreamOutput) and isinstance(error, ErrorOutput)
    assert error.ename == "ZeroDivisionError" and "1 / 0" in "".join(error.traceback)
    assert shell.user_ns["kept"] == 1


def test_a_syntax_error_is_an_output_too(run):
    ran = run("x = = 1")
    assert ran.status == "error"
    assert ran.outputs[0].ename == "SyntaxError"


def test_top_level_await_magics_and_shell_commands_work(run):
    assert run("import asyncio\nawait asyncio.sleep(0)\n'awaited'").outputs[0].data == {
        "text/plain": "'awaited'"
    }
    assert "hello" in run("!echo hello").outputs[0].text
    assert "Wall time" in run("%time None").outputs[0].text


def test_names_it_bound_rebound_and_deleted_are_told(run):
    run("a = object(); b = object()")
    ran = run("a = object(); c = object(); _private = 1\ndel b")
    assert (ran.bound, ran.deleted) == (("a", "c"), ("b",))


def test_the_users_last_result_and_counters_stay_theirs(run, shell):
    shell.run_cell("'mine'", store_history=True)
    count, out = shell.execution_count, dict(shell.user_ns["Out"])
    run("'the agent’s'")
    assert shell.user_ns["_"] == "mine"
    assert shell.execution_count == count
    assert shell.user_ns["Out"] == out


def test_an_image_comes_as_base64_as_it_does_in_a_notebook(run):
    (shown,) = run("display({'image/png': b'\\x89PNG'}, raw=True)").outputs
    assert shown.data == {"image/png": "iVBORw=="}


def test_what_is_declined_reaches_the_cell_itself(shell):
    def decline(output: Output) -> bool:
        return not isinstance(output, DisplayOutput)

    seen = io.StringIO()
    stdout, sys.stdout = sys.stdout, seen
    try:
        asyncio.run(run_code(shell, "print('taken')\n'declined'", decline, Interruption()))
    finally:
        sys.stdout = stdout
    assert "declined" in seen.getvalue() and "taken" not in seen.getvalue()


def test_printed_text_is_given_while_the_code_still_computes(shell):
    given = threading.Event()

    def take(output: Output) -> bool:
        given.set()
        return True

    shell.user_ns["given"] = given
    ran = asyncio.run(run_code(shell, "print('now')\nassert given.wait(30)", take, Interruption()))
    assert ran.status == "ok"


def test_what_a_view_prints_while_it_shows_is_not_taken_for_output(shell):
    def take(output: Output) -> bool:
        print("the view itself")
        return True

    ran = asyncio.run(run_code(shell, "print('the code')", take, Interruption()))
    assert ran.outputs == (StreamOutput(name="stdout", text="the code\n"),)


def test_many_prints_are_one_stream_output(run):
    ran = run("for n in range(5000): print(n)")
    (stream,) = ran.outputs
    assert stream.text.count("\n") == 5000
    assert len(run.given) < 5000


def test_sigint_stops_synchronous_code_and_says_interrupted(run):
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    ran = run("import time\nstarted = True\ntime.sleep(60)")
    assert ran.status == "interrupted"


def test_an_interrupt_that_came_before_the_code_began_stops_it(shell):
    came = Interruption(came=True)
    ran = asyncio.run(run_code(shell, "began = True", lambda _output: True, came))
    assert ran.status == "interrupted" and "began" not in shell.user_ns


def test_nothing_of_the_taps_stays_behind(run, shell):
    before = (vars(sys.stdout).get("write"), dict(vars(shell.display_pub)), dict(vars(shell)))
    run("print(1)\n1/0")
    after = (vars(sys.stdout).get("write"), dict(vars(shell.display_pub)), dict(vars(shell)))
    assert before[:2] == after[:2]
    assert before[2].get("_showtraceback") is after[2].get("_showtraceback")
