"""Code run in a real IPython shell: what is captured, and what stays the user's."""

import asyncio
import io
import json
import os
import signal
import sys
import threading
import time
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from inkernel.agent.errors import TurnInterrupted
from inkernel.agent.protocol.cells import CellRun, DisplayOutput, ErrorOutput, Output, StreamOutput
from inkernel.kernel_ext.execution.capture import OutputCapture
from inkernel.kernel_ext.execution.interrupts import Interruption, cancelled_by_sigint
from inkernel.kernel_ext.execution.run_code import CodeStep, Host, run_code
from inkernel.kernel_ext.execution.step_outputs import MAX_STEP_DISPLAYS, OutputSink
from inkernel.kernel_ext.output_hooks import Change, Clear, Update


def take_all(_change: Change) -> bool:
    return True


async def step(
    shell: InteractiveShell, code: str, take: OutputSink = take_all, came: bool = False, **how: Any
) -> CellRun:
    """One step, in a turn of its own."""
    with OutputCapture(shell) as taps:
        host = Host(shell, taps, Interruption(came=came))
        return await run_code(host, CodeStep(code, "agent", take, **how))


@pytest.fixture
def run(shell: InteractiveShell):
    """Runs code, everything taken; the run and what was given in the moment."""
    given: list[Output] = []

    def take(output: Output) -> bool:
        given.append(output)
        return True

    def run(code: str, **how: Any) -> CellRun:
        given.clear()
        return asyncio.run(step(shell, code, take, **how))

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


def test_the_users_last_result_and_input_stay_theirs(run, shell):
    shell.run_cell("'mine'", store_history=True)
    shell.run_cell("'and more'", store_history=True)
    names = {name: shell.user_ns[name] for name in ("_", "__", "___", "_i", "_ii", "_iii")}
    run("'the agent’s'")
    assert {name: shell.user_ns[name] for name in names} == names
    shell.run_cell("_", store_history=True)
    assert shell.user_ns["_"] == "and more"
    shell.run_cell("pass", store_history=True)
    assert shell.user_ns["_i"] == "_"


LAST = ("_", "__", "___", "_i", "_ii", "_iii")


@pytest.mark.parametrize(
    "code",
    [
        "'shown'",
        "'shown';",
        "for _ in range(9): pass",
        "_, __ = 1, 2\n'shown'",
        "del _",
        "_i = 'x'",
        "import asyncio\nawait asyncio.sleep(0)\n'shown'",
        "get_ipython().run_cell('11', store_history=True)",
        "1 / 0",
    ],
)
def test_the_users_last_ones_go_on_as_if_there_were_no_step(run, shell, code):
    def after(*cells: str, steps: bool) -> list[tuple[object, ...]]:
        shell.reset(new_session=False)
        seen: list[tuple[object, ...]] = []
        for cell in cells:
            if steps:
                run(code)
            shell.run_cell(cell, store_history=True)
            if steps:
                run(code)
            seen.append(tuple(shell.user_ns.get(name) for name in LAST))
        return seen

    # Once one of them was the user's, an IPython before 9 sets none of them until all are gone.
    cells = ("1", "2", "_ + __", "_ = 'mine'", "4", "del _", "5", "del __, ___", "6")
    expected = after(*cells, steps=False)
    assert expected[2][:3] == (3, 2, 1) and expected[4][0] == "mine" and expected[-1][0] == 6
    assert after(*cells, steps=True)[3:] == expected[3:]


def test_before_the_user_showed_a_result_there_is_no_last_one(run, shell):
    run("'the agent’s'")
    assert shell.user_ns.get("_", "") == ""
    shell.run_cell("'mine'", store_history=True)
    assert shell.user_ns["_"] == "mine"


def test_a_step_is_in_the_history_under_a_number_of_its_own_and_marked(run, shell):
    shell.run_cell("'first'", store_history=True)
    number = shell.execution_count
    ran = run("'step'")
    shell.run_cell("'second'", store_history=True)
    assert ran.count == number
    assert shell.user_ns["In"][-2:] == ["'step'", "'second'"]
    assert [shell.user_ns["Out"][n] for n in (number, number + 1)] == ["step", "second"]
    assert shell.user_ns[f"_{number}"] == "step"
    assert shell.history_manager.input_hist_raw[-2] == "# agent\n'step'"
    assert shell.execution_count == number + 2


def test_a_failing_step_names_its_own_cell(run, shell):
    ran = run("1 / 0")
    assert f"Cell In[{ran.count}]" in "".join(ran.outputs[0].traceback)


def test_a_step_in_a_cell_takes_the_number_after_it(shell):
    async def cell() -> None:
        shell.user_ns["ran"] = await step(shell, "'inner'")

    shell.user_ns["cell"] = cell
    number, outer = shell.execution_count, "await cell()\n'outer'"
    transformed = shell.transform_cell(outer)
    asyncio.run(shell.run_cell_async(outer, True, transformed_cell=transformed))
    shell.run_cell("'next'", store_history=True)
    assert shell.user_ns["ran"].count == number + 1
    assert shell.user_ns["In"][-3:] == [outer, "'inner'", "'next'"]
    assert shell.execution_count == number + 3


def test_an_image_comes_as_base64_as_it_does_in_a_notebook(run):
    (shown,) = run("display({'image/png': b'\\x89PNG'}, raw=True)").outputs
    assert shown.data == {"image/png": "iVBORw=="}


def test_what_is_declined_reaches_the_cell_itself(shell):
    def decline(output: Output) -> bool:
        return not isinstance(output, DisplayOutput)

    seen = io.StringIO()
    stdout, sys.stdout = sys.stdout, seen
    try:
        asyncio.run(step(shell, "print('taken')\n'declined'", decline))
    finally:
        sys.stdout = stdout
    assert "declined" in seen.getvalue() and "taken" not in seen.getvalue()


def test_printed_text_is_given_while_the_code_still_computes(shell):
    given = threading.Event()

    def take(output: Output) -> bool:
        given.set()
        return True

    shell.user_ns["given"] = given
    ran = asyncio.run(step(shell, "print('now')\nassert given.wait(30)", take))
    assert ran.status == "ok"


def test_what_a_view_prints_while_it_shows_is_not_taken_for_output(shell):
    def take(output: Output) -> bool:
        print("the view itself")
        return True

    ran = asyncio.run(step(shell, "print('the code')", take))
    assert ran.outputs == (StreamOutput(name="stdout", text="the code\n"),)


def test_many_prints_are_one_stream_output(run):
    ran = run("for n in range(5000): print(n)")
    (stream,) = ran.outputs
    assert stream.text.count("\n") == 5000
    assert len(run.given) < 5000


def test_sigint_stops_synchronous_code_and_says_interrupted(run):
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    heard: list[bool] = []
    ran = run("import time\nstarted = True\ntime.sleep(60)", heard=lambda: heard.append(True))
    assert (ran.status, heard) == ("interrupted", [])


def test_an_interrupt_that_came_before_the_code_began_stops_it(shell):
    ran = asyncio.run(step(shell, "began = True", came=True))
    assert ran.status == "interrupted" and "began" not in shell.user_ns


CANCELLED = "import asyncio\ntask = asyncio.ensure_future(asyncio.sleep(60))\ntask.cancel()\n"


@pytest.mark.parametrize(
    "code",
    [
        "raise KeyboardInterrupt",
        "import asyncio\nraise asyncio.CancelledError('mine')",
        f"{CANCELLED}await task",
        f"{CANCELLED}await asyncio.gather(task)",
        "import asyncio\nawait asyncio.sleep(0)\nraise KeyboardInterrupt",
        "import asyncio\nasyncio.current_task().cancel()\nawait asyncio.sleep(60)",
        "import asyncio\nfuture = asyncio.Future()\nfuture.cancel()\nawait future",
    ],
)
def test_an_interrupt_or_a_cancellation_by_the_code_itself_is_its_error(run, code):
    ran = run(code)
    assert ran.status == "error"
    assert ran.outputs[-1].ename in ("KeyboardInterrupt", "CancelledError")


@pytest.mark.parametrize(
    "before",
    [
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)",
        "import asyncio\nawait asyncio.sleep(0)",
        "import asyncio\nasyncio.ensure_future(asyncio.sleep(60)).cancel()",
    ],
)
def test_the_person_interrupts_code_whatever_it_did_before(run, before):
    ran = run(
        f"import os, signal, time\n{before}\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)"
    )
    assert ran.status == "interrupted"
    assert run("1").status == "ok"


NOW = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)"
CAUGHT = "try:\n    {}\nexcept BaseException: {}".format


@pytest.mark.parametrize(
    "code",
    [
        CAUGHT(NOW.replace("\n", "; "), "print('caught')"),
        CAUGHT(NOW.replace("\n", "; "), "raise RuntimeError('mine')"),
        "import asyncio\nawait asyncio.sleep(0)\n" + CAUGHT(NOW.replace("\n", "; "), "pass"),
        "import asyncio, os, signal\nasyncio.get_running_loop().call_later(0.1, lambda: "
        f"os.kill(os.getpid(), signal.SIGINT))\n{CAUGHT('await asyncio.sleep(60)', 'pass')}",
    ],
    ids=["to go on", "for another error", "between awaits", "in a callback"],
)
def test_the_person_interrupts_code_whatever_it_makes_of_it(run, code):
    assert run(code).status == "interrupted"
    assert run("1").status == "ok"


@pytest.mark.parametrize("event", ["pre_run_cell", "post_run_cell"])
def test_an_interrupt_that_the_shell_catches_in_a_callback_interrupts_the_step(run, shell, event):
    def callback(_it: object) -> None:
        shell.events.unregister(event, callback)
        signal.raise_signal(signal.SIGINT)

    shell.events.register(event, callback)
    assert run("1").status == "interrupted"
    assert run("1").status == "ok"


def test_code_that_handles_signals_itself_is_not_interrupted_by_that(run):
    assert run("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)").status == "ok"


def test_the_person_can_interrupt_code_that_was_stopped_at_its_limit(run):
    limited = f"import time\n{CAUGHT('time.sleep(60)', NOW.replace(chr(10), '; '))}"
    ran = run(limited, seconds=0.1)
    assert (ran.status, ran.limit) == ("interrupted", 0.1)


def test_a_step_that_was_stopped_at_its_limit_interrupts_no_other(shell):
    async def turn() -> list[str]:
        with OutputCapture(shell) as taps:
            host = Host(shell, taps, Interruption())
            limited = CodeStep("import time\ntime.sleep(60)", "", take_all, seconds=0.1)
            codes = (
                limited,
                CodeStep("1", "", take_all),
                CodeStep(CANCELLED + "await task", "", take_all),
            )
            return [(await run_code(host, code)).status for code in codes]

    assert asyncio.run(turn()) == ["error", "ok", "error"]


def test_nothing_of_the_taps_stays_behind(run, shell):
    before = (vars(sys.stdout).get("write"), dict(vars(shell.display_pub)), dict(vars(shell)))
    run("print(1)\n1/0")
    after = (vars(sys.stdout).get("write"), dict(vars(shell.display_pub)), dict(vars(shell)))
    assert before[:2] == after[:2]
    assert before[2].get("_showtraceback") is after[2].get("_showtraceback")


def test_the_capture_knows_what_else_the_cell_shows(shell):
    def leave(change: Change) -> bool:
        return not isinstance(change, DisplayOutput | Update)

    async def turn(before: str) -> list[Output] | None:
        with OutputCapture(shell) as taps:
            print(before, end="") if before else None
            shown = "h = display({'text/plain': '1'}, raw=True, display_id='mine')\nprint(0)\n7"
            update = "h.update({'text/plain': '2'}, raw=True)"
            for code in (shown, update):
                host = Host(shell, taps, Interruption())
                await run_code(host, CodeStep(code, "agent", leave))
            return taps.below

    below = asyncio.run(turn(before=""))
    assert [it.data["text/plain"] for it in below or () if isinstance(it, DisplayOutput)] == [
        *("2", "7")
    ]
    assert asyncio.run(turn(before="of no step")) is None


def clears(given: list[Change]) -> list[Change]:
    return [change for change in given if isinstance(change, Clear | Update)]


def test_what_was_cleared_is_not_told_and_the_view_hears_of_it(run):
    ran = run(
        "from IPython.display import clear_output\n"
        "for n in range(5):\n    clear_output(wait=True)\n    print(n)"
    )
    assert ran.outputs == (StreamOutput(name="stdout", text="4\n"),)
    assert len(clears(run.given)) == 5


def test_clearing_at_once_leaves_nothing(run):
    ran = run("from IPython.display import clear_output\nprint(1)\nclear_output()")
    assert ran.outputs == ()


def test_an_updated_display_is_told_as_it_is_at_last(run):
    ran = run(
        "handle = display('first', display_id='mine')\ndisplay('between')\n"
        "handle.update('second'); handle.update('third')"
    )
    assert [output.data["text/plain"] for output in ran.outputs] == ["'third'", "'between'"]
    assert [change.output.data["text/plain"] for change in clears(run.given)] == [
        "'second'",
        "'third'",
    ]


def test_an_update_under_no_id_replaces_nothing(run):
    ran = run("print('kept')\nget_ipython().display_pub.publish({'text/plain': ''}, update=True)")
    assert ran.outputs == (StreamOutput(name="stdout", text="kept\n"),)


def test_a_progress_bar_is_told_as_one_line(run):
    ran = run("for n in range(100): print(f'\\r{n} %', end='', flush=True)\nprint()")
    assert ran.outputs == (StreamOutput(name="stdout", text="99 %\n"),)


def test_a_display_nested_too_deeply_is_said_to_be(run):
    code = "data = []\nfor _ in range(500): data = [data]\ndisplay({'a/b+json': data}, raw=True)"
    (shown,) = run(code).outputs
    assert shown.data == {"a/b+json": "(nested too deeply)"}
    assert run("display({'a/b+json': [[1]]}, raw=True)").outputs[0].data == {"a/b+json": [[1]]}


def test_a_flood_of_displays_is_bounded_and_says_so(run):
    ran = run("for n in range(1100): display(n)")
    assert len(ran.outputs) == MAX_STEP_DISPLAYS
    assert "only the first 1,000 displays are kept" in ran.outputs[-1].text


def test_a_thread_of_a_step_is_heard_though_the_step_is_over(shell):
    heard: dict[int, list[str]] = {1: [], 2: []}

    def taker(number: int) -> OutputSink:
        def take(change: Change) -> bool:
            heard[number].append(getattr(change, "text", ""))
            return True

        return take

    go, done = threading.Event(), threading.Event()
    shell.user_ns.update(go=go, done=done, threading=threading)
    first = (
        "def later():\n    go.wait(30)\n    print('of the first')\n    done.set()\n"
        "threading.Thread(target=later).start()"
    )

    async def turn() -> list[CellRun]:
        with OutputCapture(shell) as taps:
            host = Host(shell, taps, Interruption())
            one = await run_code(host, CodeStep(first, "", taker(1)))
            two = await run_code(
                host, CodeStep("go.set(); done.wait(30); print('two')", "", taker(2))
            )
            return [one, two]

    one, two = asyncio.run(turn())
    assert "".join(heard[1]) == "of the first\n"
    assert "".join(heard[2]) == "two\n"
    assert one.outputs == ()
    assert two.outputs == (StreamOutput(name="stdout", text="two\n"),)


def test_a_task_of_a_step_is_heard_though_the_step_is_over(shell):
    heard: list[str] = []

    def take(change: Change) -> bool:
        heard.append(getattr(change, "text", ""))
        return True

    code = (
        "import asyncio\nasync def later():\n    await asyncio.sleep(0)\n"
        "    print('in the task')\ntask = asyncio.ensure_future(later())\nawait asyncio.sleep(0)"
    )

    async def turn() -> None:
        with OutputCapture(shell) as taps:
            host = Host(shell, taps, Interruption())
            await run_code(host, CodeStep(code, "", take))
            await shell.user_ns["task"]
            print("of the cell")

    asyncio.run(turn())
    assert "".join(heard) == "in the task\n"


def test_the_persons_own_thread_is_not_taken_for_the_steps(shell):
    heard: list[str] = []

    def take(change: Change) -> bool:
        heard.append(getattr(change, "text", ""))
        return True

    go, done = threading.Event(), threading.Event()
    own = io.StringIO()

    def theirs() -> None:
        go.wait(30)
        print("theirs")
        done.set()

    shell.user_ns.update(go=go, done=done)
    stdout, sys.stdout = sys.stdout, own
    try:
        thread = threading.Thread(target=theirs)
        thread.start()
        asyncio.run(step(shell, "go.set(); done.wait(30); print('ours')", take))
        thread.join()
    finally:
        sys.stdout = stdout
    assert "".join(heard) == "ours\n"
    assert own.getvalue() == "theirs\n"


@pytest.mark.parametrize(
    "code",
    [
        "import time\nwhile True: time.sleep(0.01)",
        "import time\ntime.sleep(60)",
        "while True:\n    try: pass\n    except Exception: pass",
        "import asyncio\nawait asyncio.sleep(60)",
        "import asyncio, time\nawait asyncio.sleep(0)\ntime.sleep(60)",
    ],
)
def test_at_its_time_limit_a_step_is_stopped_as_by_the_person(run, code):
    ran = run(f"print('began')\n{code}", seconds=0.3)
    assert (ran.status, ran.limit, ran.stuck) == ("error", 0.3, False)
    assert ran.seconds < 20
    assert ran.outputs[0].text.startswith("began")
    assert run("1 + 1").outputs[0].data == {"text/plain": "2"}


def test_a_step_in_time_has_no_word_of_its_limit(run):
    assert run("1", seconds=30).limit is None


SWALLOWS = {
    "a loop around it": (
        "while True:\n    try:\n        while True: x = 1\n    except BaseException: caught = True"
    ),
    "on one line": "while True:\n    try: time.sleep(60)\n    except BaseException: pass",
    "many loops": (
        "while True:\n  try:\n    while True:\n      try:\n        time.sleep(60)\n"
        "      except BaseException: pass\n  except BaseException: pass"
    ),
    "a context": (
        "import contextlib\nwhile True:\n    with contextlib.suppress(BaseException):\n"
        "        time.sleep(60)"
    ),
    "in functions": (
        "def deep(n):\n    while True:\n        try: deep(n - 1) if n else time.sleep(60)\n"
        "        except BaseException: pass\ndeep(50)"
    ),
    "at its end": "while True:\n    try: time.sleep(60)\n    finally: continue",
    "under our name": (
        "code = 'while True:\\n try: time.sleep(60)\\n except BaseException: pass'\n"
        "exec(code, {'__name__': 'inkernel.other', 'time': time})"
    ),
    "under the shell's name": (
        "code = 'def run_code(f):\\n while True:\\n  try: f()\\n  except BaseException: pass'\n"
        "names = {'__name__': 'IPython.core.interactiveshell'}\nexec(code, names)\n"
        "names['run_code'](lambda: time.sleep(60))"
    ),
    "after an await": (
        "import asyncio\nawait asyncio.sleep(0)\nwhile True:\n    try: time.sleep(60)\n"
        "    except BaseException: pass"
    ),
    "in a library": (
        "import queue\nclass Box(queue.Queue):\n    def get(self):\n        while True:\n"
        "            try: return super().get()\n            except BaseException: pass\nBox().get()"
    ),
}


HANDLERS = {
    "a handler": "signal.signal(signal.SIGINT, lambda *_: None)\nwhile True: time.sleep(60)",
    "none": "signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    "a handler after an await": (
        "import asyncio\nawait asyncio.sleep(0)\n"
        "signal.signal(signal.SIGINT, lambda *_: None)\nwhile True: time.sleep(60)"
    ),
}


@pytest.mark.parametrize("code", HANDLERS.values(), ids=HANDLERS)
def test_a_handler_of_the_code_does_not_keep_it_from_its_end(run, code):
    ran = run(f"import signal, time\n{code}", seconds=0.2, grace=20)
    assert (ran.stuck, ran.status) == (False, "error")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert run("1").status == "ok"


def test_a_handler_of_the_code_gets_an_interrupt_before_the_next_one_ends_it(run, shell):
    over, theirs = threading.Event(), []
    shell.user_ns["theirs"] = theirs

    def insist() -> None:
        while not over.wait(0.7) and signal.getsignal(signal.SIGINT) is not before:
            signal.pthread_kill(main, signal.SIGINT)

    before, main = signal.getsignal(signal.SIGINT), threading.main_thread().ident
    person = threading.Thread(target=insist)
    shell.user_ns["begin"] = person.start
    try:
        ran = run(
            "import signal, time\nsignal.signal(signal.SIGINT, lambda *_: theirs.append(1))\n"
            "begin()\nwhile True: time.sleep(60)"
        )
    finally:
        over.set()
        person.join()
    assert ran.status == "interrupted" and theirs


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # in a callback of gc
@pytest.mark.parametrize("code", SWALLOWS.values(), ids=SWALLOWS)
def test_code_that_swallows_its_interrupt_is_ended_by_the_next_one(run, code):
    reported: list[bool] = []
    ran = run(f"import time\n{code}", seconds=0.2, grace=4, report=lambda: reported.append(True))
    assert (reported, ran.stuck, ran.limit, ran.status) == ([], False, 0.2, "error")
    assert ran.outputs[-1].ename == "KeyboardInterrupt"
    assert sys.gettrace() is None or "insist" not in repr(sys.gettrace()).lower()
    assert run("def f():\n    return 1\nf()").status == "ok"


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # in a callback of gc
@pytest.mark.parametrize("code", SWALLOWS.values(), ids=SWALLOWS)
def test_one_interrupt_of_the_person_ends_code_whatever_it_makes_of_it(run, code):
    soon = "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()"
    heard: list[bool] = []
    ran = run(
        f"import os, signal, threading, time\n{soon}\n{code}",
        grace=3,
        heard=lambda: heard.append(True),
    )
    assert (ran.status, ran.stuck, ran.limit) == ("interrupted", False, None)
    if "sleep" in code:  # at the end of a loop, Python may raise it past the handler
        assert heard == [True]
    assert run("1").status == "ok"


def test_code_may_save_its_work_when_it_is_interrupted_first(run):
    code = "import time\ntry: time.sleep(60)\nfinally:\n    time.sleep(0.3)\n    saved = True"
    assert "saved" in run(code, seconds=0.2, grace=20).bound


def test_awaiting_code_that_swallows_the_persons_interrupt_is_left_alone(shell):
    code = (
        "import asyncio, os, signal\n"
        "asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGINT)\n"
        "while not over.is_set():\n"
        "    try: await asyncio.sleep(0.01)\n    except asyncio.CancelledError: pass"
    )
    over = shell.user_ns["over"] = threading.Event()

    async def turn() -> CellRun:
        try:
            with cancelled_by_sigint(TurnInterrupted()) as came, OutputCapture(shell) as taps:
                host = Host(shell, taps, came)
                return await run_code(host, CodeStep(code, "", take_all, grace=0.4))
        finally:
            over.set()

    ran = asyncio.run(turn())
    assert ran.stuck and ran.status == "interrupted"


def test_awaiting_code_that_swallows_its_cancellation_is_left_alone(shell):
    code = (
        "import asyncio\nwhile not over.is_set():\n"
        "    try: await asyncio.sleep(0.01)\n    except asyncio.CancelledError: pass"
    )
    over = shell.user_ns["over"] = threading.Event()

    async def turn() -> CellRun:
        ran = await step(shell, code, seconds=0.2, grace=0.4)
        assert len(asyncio.all_tasks()) > 1
        over.set()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
        return ran

    ran = asyncio.run(turn())
    assert ran.stuck and ran.status == "error"


def test_on_another_thread_a_limit_interrupts_nothing_else(shell):
    done: list[CellRun] = []

    def work() -> None:
        code = "import time\ntime.sleep(0.5)"
        done.append(asyncio.run(step(shell, code, seconds=0.1, grace=0.1)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done[0].stuck


def test_nothing_is_interrupted_after_a_step_that_ended_just_in_time(run):
    for _ in range(20):
        run("import time\ntime.sleep(0.0495)", seconds=0.05)
    assert run("1").status == "ok"


def test_one_thread_watches_all_steps_of_a_turn_and_ends_with_it(shell):
    code = "import threading\n[it.ident for it in threading.enumerate() if 'inkernel' in it.name]"

    async def turn() -> set[str]:
        with OutputCapture(shell) as taps:
            host = Host(shell, taps, Interruption())
            ran = [await run_code(host, CodeStep(code, "", take_all)) for _ in range(3)]
        return {str(run.outputs[-1].data["text/plain"]) for run in ran}

    (watchers,) = asyncio.run(turn())
    (watcher,) = json.loads(watchers)
    assert watcher not in {thread.ident for thread in threading.enumerate()}


def test_after_a_sink_failed_the_time_limit_still_holds(shell, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda it: told.append(str(it.exc_value)))

    def take(_change: Change) -> bool:
        raise ValueError("no view")

    async def turn() -> CellRun:
        with OutputCapture(shell) as taps:
            return await run_code(
                Host(shell, taps, Interruption()),
                CodeStep("import time\nprint('began')\ntime.sleep(60)", "", take, seconds=0.5),
            )

    assert asyncio.run(turn()).limit == 0.5
    assert told == ["no view"]


def test_nobody_is_asked_where_nobody_can_answer(run, monkeypatch):
    monkeypatch.setattr("inkernel.kernel_ext.execution.stdin.can_ask", lambda _shell: False)
    for code in ("input('Name? ')", "import getpass\ngetpass.getpass()"):
        ran = run(code)
        assert ran.status == "error" and ran.outputs[-1].ename == "NobodyAnswersError"


def test_a_question_names_the_agent_and_its_wait_is_not_the_steps(run, monkeypatch):
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        time.sleep(0.4)
        return "Ada"

    monkeypatch.setattr("inkernel.kernel_ext.execution.stdin.can_ask", lambda _shell: True)
    monkeypatch.setattr("builtins.input", answer)
    ran = run("name = input('Name? ')\nname", seconds=0.3)
    assert asked == ["The agent's code asks: Name? "]
    assert ran.outputs[-1].data == {"text/plain": "'Ada'"} and ran.limit is None


def test_a_question_of_code_cannot_hide_whose_it_is(run, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr("inkernel.kernel_ext.execution.stdin.can_ask", lambda _shell: True)
    monkeypatch.setattr("builtins.input", lambda prompt: asked.append(prompt) or "y")
    run(r"input('\r\x1b[2K\n\n  The agent wants to run this step.')")
    assert asked == ["The agent's code asks: The agent wants to run this step."]


def test_what_is_lent_is_gone_after_the_step_and_the_persons_own_is_back(run, shell):
    shell.user_ns["lent"] = "theirs"
    ran = run("seen = (lent, other)", lent={"lent": 1, "other": 2})
    assert shell.user_ns["seen"] == (1, 2) and ran.bound == ("seen",)
    assert shell.user_ns["lent"] == "theirs" and "other" not in shell.user_ns


def test_a_name_that_the_step_itself_bound_is_kept_though_it_was_lent(run, shell):
    run("lent = 3", lent={"lent": 1})
    assert shell.user_ns["lent"] == 3


def test_no_output_comes_after_the_exit_and_the_error_is_a_line(run):
    ran = run("print('before')\nexit()\nprint('after')")
    printed, error = ran.outputs
    assert (ran.status, printed.text) == ("error", "before\n")
    assert error.traceback == (f"StepExit: {error.evalue}",)


def test_the_person_can_still_end_the_shell(run, shell):
    before = shell.ask_exit
    run("exit()")
    assert shell.ask_exit == before and "ask_exit" not in vars(shell)
    shell.keep_running = True
    shell.run_cell("exit()")
    assert shell.keep_running is False


@pytest.mark.parametrize("code", ["%load {}", "%less {}", "%pycat {}", "open?", "%recall"])
def test_in_a_terminal_no_pager_opens_and_the_prompt_stays_the_persons(run, shell, tmp_path, code):
    (tmp_path / "long.py").write_text("print('a line of it')\n" * 500, encoding="utf-8")
    shell.run_cell("'a line of it'", store_history=True)
    shell.rl_next_input = "theirs"
    ran = run(code.format(tmp_path / "long.py"))
    text = "".join(each.text for each in ran.outputs)
    assert ("a line of it" in text or "Open file" in text) and ran.status == "ok"
    assert shell.rl_next_input == "theirs"
