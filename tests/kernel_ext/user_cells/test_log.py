"""The person's cells as the log sees them, in a real IPython shell and in real kernels."""

import asyncio
import gc
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

from inkernel.agent.protocol.cells import DisplayOutput, ErrorOutput, StreamOutput
from inkernel.agent.protocol.observed import UserCellRun
from inkernel.kernel_ext.execution.capture import OutputCapture
from inkernel.kernel_ext.execution.interrupts import Interruption
from inkernel.kernel_ext.execution.run_code import CodeStep, Host, run_code
from inkernel.kernel_ext.user_cells import buffer as kept
from inkernel.kernel_ext.user_cells import runs as cell_runs
from inkernel.kernel_ext.user_cells import tap as tee
from inkernel.kernel_ext.user_cells.log import UserCellLog


@pytest.fixture
def log(shell: InteractiveShell) -> Iterator[UserCellLog]:
    log = UserCellLog()
    log.attach(shell)
    yield log
    log.detach()


@pytest.fixture
def run(shell: InteractiveShell, log: UserCellLog):
    """Runs a cell as a front end does; what the log saw of it."""

    def run(source: str, **how: object) -> UserCellRun:
        before = log.last
        shell.run_cell(source, **{"store_history": True, **how})
        (seen,) = log.since(before)
        return seen

    return run


def text(seen: UserCellRun) -> str:
    return "".join(output.text for output in seen.outputs if isinstance(output, StreamOutput))


# what a cell showed


def test_text_displays_values_and_errors_are_seen_in_the_order_they_came(run):
    seen = run(
        "import sys\nfrom IPython.display import display\n"
        "print('one'); print('two', file=sys.stderr); print('three')\n"
        "display({'text/plain': 'shown'}, raw=True)\n42"
    )
    assert seen.outputs == (
        StreamOutput(name="stdout", text="one\n"),
        StreamOutput(name="stderr", text="two\n"),
        StreamOutput(name="stdout", text="three\n"),
        DisplayOutput(data={"text/plain": "shown"}),
        DisplayOutput(data={"text/plain": "42"}, result=True),
    )
    assert (seen.status, seen.source[:6], seen.cell) == ("ok", "import", None)


def shown_by(shell: InteractiveShell, source: str) -> str:
    """What a cell writes to the terminal."""
    stdout, sys.stdout = sys.stdout, io.StringIO()
    stderr, sys.stderr = sys.stderr, sys.stdout
    try:
        shell.execution_count = 1
        shell.run_cell(source, store_history=True)
        return sys.stdout.getvalue()
    finally:
        sys.stdout, sys.stderr = stdout, stderr


@pytest.mark.parametrize(
    "source",
    [
        "print('a'); display('b'); print('c', end='')\n'd'",
        "print('before')\n1 / 0",
        "x = = 1",
        "%%capture got\nprint('captured')",
        "!echo outside",
        "class A:\n    def __del__(self): print('gone')\na = A()\ndel a\nprint('after')",
        "import asyncio\nprint(1)\nawait asyncio.sleep(0)\nprint(2)\n3",
        "get_ipython().run_cell('print(1)\\n2')\n3",
    ],
)
def test_a_cell_shows_exactly_what_it_shows_without_us(shell, source):
    log = UserCellLog()
    without = shown_by(shell, source)
    log.attach(shell)
    try:
        assert shown_by(shell, source) == without
    finally:
        log.detach()


def test_an_error_keeps_its_traceback_and_what_came_before(run, shell):
    seen = run("kept = 1\nprint('before')\n1 / 0")
    stream, error = seen.outputs
    assert seen.status == "error" and stream.text == "before\n"
    assert isinstance(error, ErrorOutput) and error.ename == "ZeroDivisionError"
    assert "1 / 0" in "".join(error.traceback) and seen.bound == ("kept",)


@pytest.mark.parametrize("source", ["x = = 1", "x\n    y", "'open"])
def test_a_cell_that_fails_before_it_runs_is_a_run_with_an_error(run, source):
    seen = run(source)
    assert seen.status == "error" and isinstance(seen.outputs[-1], ErrorOutput)
    assert (seen.source, seen.reads) == (source, ())


def test_what_is_captured_or_redirected_is_not_shown_and_not_seen(run):
    assert run("%%capture got\nprint('captured'); display('x')").outputs == ()
    source = "import io, contextlib\nwith contextlib.redirect_stdout(io.StringIO()): print(1)"
    assert run(source).outputs == ()


def test_cleared_output_is_gone_and_an_updated_display_shows_its_last_state(run):
    source = "from IPython.display import clear_output\nfor n in range(3):\n    {}\n    print(n)"
    assert text(run(source.format("clear_output(wait=True)"))) == "2\n"
    seen = run(
        "handle = display({'text/plain': 'old'}, raw=True, display_id=True)\n"
        "print('between')\nhandle.update({'text/plain': 'new'}, raw=True)"
    )
    assert seen.outputs[0].data == {"text/plain": "new"}
    assert [type(output) for output in seen.outputs] == [DisplayOutput, StreamOutput]


def test_text_printed_without_end_keeps_its_head_and_tail_and_says_what_is_missing(run):
    seen = run("for n in range(200_000): print(f'line {n}')\n'value'")
    (stream, value) = seen.outputs
    assert len(stream.text) < kept.MAX_RUN_CHARS + 100
    assert stream.text.startswith("line 0\nline 1\n") and stream.text.endswith("line 199999\n")
    missing = sum(len(f"line {n}\n") for n in range(200_000)) - len(stream.text)
    (note,) = [line for line in stream.text.splitlines() if "not kept" in line]
    assert abs(int(note.split()[1].replace(",", "")) - missing) <= len(note) + 2
    assert value.data == {"text/plain": "'value'"}


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.text(max_size=99))))
def test_whatever_is_printed_its_beginning_and_end_are_kept_and_it_is_bounded(printed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "_HALF", 1_000)
        keeping = kept.OutputBuffer()
        for name, each in printed:
            keeping.add(StreamOutput(name=name, text=each))
    shown, whole = keeping.all(), "".join(each for _, each in printed)
    got = "".join(each.text for each in shown)
    head, note, tail = got.partition("\n[… ")
    assert len(got) <= 2_100 and whole.startswith(head)
    assert whole.endswith(tail.partition(" …]\n")[2]) if note else got == whole
    assert all(one.name != other.name for one, other in pairwise(shown))


def test_many_displays_and_a_huge_value_are_bounded(run):
    seen = run("for n in range(5000): display({'text/plain': f'n {n}'}, raw=True)\n'x' * 10**6")
    assert len(seen.outputs) <= 2 + kept.MAX_RUN_CHARS // kept.OUTPUT_COST_CHARS
    assert len(seen.outputs[-1].data["text/plain"]) < kept.MAX_VALUE_CHARS + 100
    assert "not kept" in seen.outputs[-1].data["text/plain"]
    assert seen.outputs[0].data == {"text/plain": "n 0"}


def test_a_display_that_shrinks_after_much_was_printed_leaves_the_rest_as_it_is(run):
    seen = run(
        "print('x' * 150_000)\nhandle = display({'text/plain': 'y' * 40_000}, raw=True, "
        "display_id=True)\nhandle.update({'text/plain': 'small'}, raw=True)\nprint('z' * 99_000)"
    )
    assert seen.outputs[-1].text.startswith("z" * 99_000)
    assert any(getattr(output, "data", None) == {"text/plain": "small"} for output in seen.outputs)


def test_images_are_base64_and_the_newest_are_kept(run):
    show = "display({'image/png': bytes([N]) * 900_000, 'text/plain': 'figure'}, raw=True)"
    seen = run(show.replace("[N]", "[1]"))
    assert seen.outputs[0].data["image/png"].startswith("AQEBAQ")
    seen = run(f"for n in range(9): {show.replace('N', 'n')}")
    assert ["image/png" in output.data for output in seen.outputs] == 5 * [False] + 4 * [True]


def test_what_an_older_thread_prints_is_not_this_cells(run, shell):
    run(
        "import threading\nsay, said = threading.Event(), threading.Event()\n"
        "def later():\n    say.wait(30); print('from the thread'); said.set()\n"
        "threading.Thread(target=later).start()"
    )
    assert text(run("say.set(); said.wait(30); print('mine')")) == "mine\n"
    assert (
        text(run("t = threading.Thread(target=print, args=('x',)); t.start(); t.join()")) == "x\n"
    )


# what it did to the namespace


def test_names_bound_rebound_and_deleted_are_seen(run):
    run("a = object(); b = object(); same = object()")
    seen = run("a = object(); c = object(); same = same; _private = 1\ndel b")
    assert (seen.bound, seen.deleted, seen.changed) == (("a", "c"), ("b",), ())


def test_a_name_bound_by_a_function_or_to_none_is_seen(run):
    assert run("def bind():\n    global hidden\n    hidden = None\nbind()").bound == (
        "bind",
        "hidden",
    )
    assert run("globals()['other'] = 1; globals()[7] = 1").bound == ("other",)


def test_a_change_in_place_of_a_name_that_the_cell_mentions_is_seen(run):
    run("numbers = [1]; table = {}; other = []")
    seen = run("numbers.append(2); table['k'] = 1; len(other)")
    assert (seen.changed, seen.bound) == (("numbers", "table"), ())


def test_what_the_shell_itself_changes_is_not_the_cells(run):
    seen = run("In, Out, _ih, get_ipython\n'value'")
    assert (seen.bound, seen.changed, seen.deleted, seen.reads) == ((), (), (), ())


def test_a_value_that_a_cell_lets_go_of_is_gone_at_once(run):
    gc.collect()
    run("import weakref\nclass Big: pass\nbig = Big(); alive = weakref.ref(big)")
    seen = run("big = None\nprint(alive())")
    assert text(seen) == "None\n"


def test_nothing_is_held_after_a_run(run, log):
    run("a = [1]")
    assert log._running is None


# which run it was


def test_a_run_of_the_same_cell_supersedes_the_earlier_one(run):
    first = run("x = 1", cell_id="a")
    assert (first.number, first.cell, first.supersedes) == (1, "a", None)
    assert run("x = 1", cell_id="b").supersedes is None
    assert run("x = 2", cell_id="a").supersedes == 1
    assert run("x = 3", cell_id="a").supersedes == 3


def test_without_ids_the_same_source_is_the_same_cell(run):
    run("x = 1")
    assert run("x = 2").supersedes is None
    assert run("x = 1").supersedes == 1


def test_the_execution_count_and_the_time_are_those_of_the_run(run, shell):
    count = shell.execution_count
    seen = run("import time\ntime.sleep(0.05)")
    assert seen.count == count and seen.seconds >= 0.05


def test_a_cell_can_be_hidden_by_its_first_line(run):
    assert run("# agent: hide\nsecret = 1").hidden
    assert run("#agent:hide").hidden
    assert not run("open_ = 1\n# agent: hide").hidden


def test_since_tells_only_later_runs(run, log):
    run("x = 1")
    second = run("x = 2")
    assert log.since(1) == (second,)
    assert log.since(0)[1] == second and log.since(2) == ()


@pytest.mark.parametrize(
    "source",
    ["%%agent\nhello", "\n%%agent -m x hello", "%agent help", "# mine\n%agent set a=1\n%agent"],
)
def test_what_is_said_to_the_agent_is_no_run(shell, log, source):
    shell.run_cell(source, store_history=True)
    assert log.last == 0
    shell.run_cell("x = 1\n# %%agent is only mentioned", store_history=True)
    assert log.last == 1


@pytest.mark.parametrize("source", ["agent help", "agent", "agent config effort low"])
def test_without_its_sign_too_a_line_to_the_agent_is_no_run(shell, log, source):
    shell.register_magic_function(lambda line: None, "line", "agent")
    shell.run_cell(source, store_history=True)
    assert log.last == 0
    shell.run_cell("agent = 'mine'", store_history=True)
    shell.run_cell("agent", store_history=True)
    assert log.last == 2
    shell.user_ns.pop("agent")


def test_what_the_agent_runs_and_front_ends_ask_is_no_run(shell, log):
    def agent(_line: str, code: str) -> None:
        with OutputCapture(shell) as taps:
            step = CodeStep(code, "agent", lambda _change: True)
            asyncio.run(run_code(Host(shell, taps, Interruption()), step))

    shell.register_magic_function(agent, "cell", "agent")
    shell.run_cell("%%agent\nx = 1", store_history=True)
    shell.run_cell("%%agent\nimport asyncio\nawait asyncio.sleep(0); w = 1", store_history=True)
    assert (shell.user_ns["x"], shell.user_ns["w"]) == (1, 1)
    shell.run_cell("y = 1", store_history=False)
    shell.run_cell("z = 1", silent=True)
    assert log.last == 0


def test_a_cell_that_runs_cells_is_one_run(run, shell, log):
    source = (
        "shell = get_ipython()\nshell.run_cell('inner = 1; print(1)')\n"
        "shell.run_cell('1 / 0', store_history=True)\nshell.run_cell('')\nprint(2)"
    )
    seen = run(source)
    assert (seen.source, seen.status) == (source, "ok")
    assert "inner" in seen.bound
    assert [type(output) for output in seen.outputs] == [StreamOutput, ErrorOutput, StreamOutput]


def test_async_cells_are_runs_too(run):
    seen = run("import asyncio\nawait asyncio.sleep(0)\nprint('x')\nawaited = 1\n5")
    assert (seen.status, seen.bound) == ("ok", ("asyncio", "awaited"))
    assert text(seen) == "x\n" and seen.outputs[-1].data == {"text/plain": "5"}


@pytest.mark.parametrize("wait", ["time.sleep(30)", "await asyncio.sleep(30)"])
def test_an_interrupted_cell_says_so_and_the_next_is_seen_as_ever(run, wait):
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    assert run(f"import asyncio, time\nbegun = 1\n{wait}").status == "interrupted"
    assert text(run("print('next')")) == "next\n"


def test_magics_are_seen_as_they_were_typed(run):
    seen = run("%%time\ntotal = sum([1, 2])")
    assert seen.source.startswith("%%time") and seen.bound == ("total",)
    assert "Wall time" in text(seen)


# bounds of the log


def test_the_oldest_runs_go_and_the_oldest_outputs_before_them(run, log, monkeypatch):
    monkeypatch.setattr(cell_runs, "MAX_RUNS", 3)
    monkeypatch.setattr(cell_runs, "MAX_ALL_CHARS", 3_000)
    for n in range(5):
        run(f"print('x' * 1000); n = {n}")
    assert [seen.number for seen in log.since(0)] == [3, 4, 5]
    assert ["not kept" in text(seen) for seen in log.since(0)] == [True, False, False]
    assert run("print('x' * 1000); n = 0").supersedes is None


def test_the_oldest_images_go_first(run, log, monkeypatch):
    monkeypatch.setattr(cell_runs, "MAX_ALL_IMAGE_BYTES", 2_500)
    for _ in range(3):
        run("display({'image/png': b'x' * 1000, 'text/plain': 'figure'}, raw=True)")
    images = ["image/png" in seen.outputs[0].data for seen in log.since(0)]
    assert images == [False, True, True]


# it never breaks a cell


def state(shell: InteractiveShell) -> list[object]:
    owners = (sys.stdout, sys.stderr, shell.display_pub, shell.displayhook, shell)
    places = ("write", "publish", "clear_output", "write_format_data", "_showtraceback")
    return [vars(owner).get(place) for owner in owners for place in places]


def test_nothing_of_the_taps_stays_behind(run, shell):
    shell.run_cell("warm = 1", store_history=False)  # IPython 9 leaves a write of its own
    before = state(shell)
    run("print(1)\n1 / 0")
    run("import asyncio\nawait asyncio.sleep(0)")
    assert state(shell) == before


def test_a_cell_may_replace_what_is_tapped(run, capsys):
    run("import sys\nold = sys.stdout.write\nsys.stdout.write = lambda t: old(t.upper())")
    run("sys.stdout.write = lambda t: old(t.upper())\nprint('loud')")
    run("sys.stdout.write = old\nprint('plain' + 9_000 * ' ')")
    assert text(run("print('seen')")) == "seen\n"
    assert capsys.readouterr().out.split() == ["LOUD", "plain", "seen"]
    vars(sys.stdout).pop("write", None)


@pytest.mark.parametrize(
    ("place", "name"),
    [("_begin", "in the beginning"), ("_end", "at the end")],
)
def test_a_bug_of_ours_is_told_once_and_the_cell_runs(shell, capsys, monkeypatch, place, name):
    def broken(*_args: object) -> None:
        raise AssertionError(name)

    monkeypatch.setattr(UserCellLog, place, broken)
    shell.run_cell("warm = 1", store_history=True)  # IPython 9 leaves a write of its own
    log, before = UserCellLog(), state(shell)
    log.attach(shell)
    for n in range(3):
        assert shell.run_cell(f"print('runs {n}')", store_history=True).success
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if line.strip()] == ["runs 0", "runs 1", "runs 2"]
    assert err.count(f"AssertionError: {name}") == 1 and "%reload_ext inkernel" in err
    assert state(shell) == before and log.since(0) == ()


def test_a_bug_while_a_cell_prints_is_told_once_and_the_cell_prints_on(shell, capsys, monkeypatch):
    def broken(*_args: object) -> None:
        raise AssertionError("while printing")

    monkeypatch.setattr(tee.OutputTap, "_sort", broken)
    log = UserCellLog()
    log.attach(shell)
    source = "for n in range(9): print('x' * 30_000)\ndisplay({'text/plain': 'y'}, raw=True)"
    assert shell.run_cell(source, store_history=True).success
    out, err = capsys.readouterr()
    assert out.count("x" * 30_000) == 9 and "y" in out
    assert err.count("AssertionError: while printing") == 1


def test_another_thread_that_runs_cells_is_left_alone(shell, log):
    thread = threading.Thread(
        target=shell.run_cell, args=("a = 1",), kwargs={"store_history": True}
    )
    thread.start()
    thread.join()
    assert log.last == 0


def test_a_log_attached_by_a_cell_sees_the_next_cell_first(shell):
    log = UserCellLog()
    shell.user_ns.update(log=log, shell=shell)
    shell.run_cell("log.attach(shell)\nprint('not seen')", store_history=True)
    shell.run_cell("print('seen')", store_history=True)
    shell.run_cell("log.detach()\nprint('cut off')", store_history=True)
    shell.run_cell("print('not seen')", store_history=True)
    log.detach()
    assert [seen.source for seen in log.since(0)] == ["print('seen')"]


@pytest.mark.parametrize(
    ("data", "read"),
    [
        ("{'text/plain': None}", ""),
        ("{'text/plain': 5}", ""),
        ("{'text/html': None, 'text/plain': 'x'}", "x"),
        ("{'text/html': ['<b>a</b>', 'b'], 'text/plain': 3}", '["<b>a</b>", "b"]'),
        ("{'image/png': None}", "[image/png]"),
        ("{'image/png': [1, 2]}", "[1, 2]"),
        ("{'image/svg+xml': None, 'text/plain': 'x'}", "x"),
        ("{5: 'x'}", "[5]"),
        ("{'application/json': {1, 2}}", "[application/json]"),
    ],
)
def test_a_display_of_any_form_is_seen_and_later_cells_are_too(run, log, data, read):
    for source in (f"display({data}, raw=True)", f"d = display({data}, raw=True, display_id='d')"):
        assert run(source).outputs == (DisplayOutput(data={"text/plain": read}),)
    update = "d.display({'text/plain': 'new'}, raw=True); d.update({'text/plain': 5}, raw=True)"
    assert run(update).outputs[0].data == {"text/plain": ""}
    assert run("1").outputs[0].data == {"text/plain": "1"}


def test_an_output_that_cannot_be_read_is_lost_alone(run):
    seen = run(
        "class Text(str):\n    def isspace(self): 1 / 0\n    __len__ = isspace\n"
        "display({'text/plain': Text()}, raw=True)\n1"
    )
    assert (seen.status, text(seen)) == ("ok", "[an output that is not kept: ZeroDivisionError]\n")
    assert seen.outputs[-1].data == {"text/plain": "1"}


def test_cells_are_seen_where_no_file_can_be_opened_any_more(run):
    run("import resource\nmost = resource.getrlimit(resource.RLIMIT_NOFILE)")
    run("resource.setrlimit(resource.RLIMIT_NOFILE, (3, most[1]))")
    try:
        assert text(run("print('seen')")) == "seen\n"
        forked = "import os\nif not os.fork(): print('lost'); os._exit(0)\n_ = os.wait()"
        assert run(forked).status == "ok"
    finally:
        run("resource.setrlimit(resource.RLIMIT_NOFILE, most)")


def patches(shell: InteractiveShell) -> list[object]:
    owners = (sys.stdout, sys.stderr, shell.display_pub, shell.displayhook, shell)
    found = [it for owner in owners for it in vars(owner).values()]
    return [it for it in found if "inkernel" in str(getattr(it, "__module__", ""))]


@pytest.fixture
def interrupted_at(shell: InteractiveShell, log: UserCellLog):
    """Runs a cell with SIGINT at the nth line of our code in it. False if it has fewer lines."""

    def run(number: int, source: str) -> bool:
        lines = iter(range(number + 1))

        def trace(frame, event, _arg):
            code = frame.f_code
            around = ("_before", "_after", "interrupt_waits")
            if "user_cells" not in code.co_filename or code.co_name in around:
                return None
            if event == "line" and next(lines, None) == number:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
            return trace

        sys.settrace(trace)
        try:
            shell.run_cell(source, store_history=True)
        finally:
            sys.settrace(None)
        return next(lines, None) is None

    return run


def test_an_interrupt_anywhere_in_our_code_loses_no_run_and_stops_a_cell_that_begins(
    shell, log, interrupted_at
):
    before = patches(shell)
    shell.run_cell("first = 0", store_history=True)
    number, stopped = 0, 0
    while interrupted_at(number, f"ran = {number}"):
        (seen,) = log.since(number + 1)
        ran = shell.user_ns.get("ran") == number
        assert (seen.source, seen.status) == (f"ran = {number}", "ok" if ran else "interrupted")
        assert patches(shell) == before and shell.ast_transformers == []
        number, stopped = number + 1, stopped + (not ran)
    assert number > stopped > 10


def test_a_run_whose_end_nobody_told_is_seen_when_the_next_cell_begins(shell, log, monkeypatch):
    callbacks = shell.events.callbacks["post_run_cell"]
    with monkeypatch.context() as patch:
        patch.setitem(shell.events.callbacks, "post_run_cell", [])
        shell.run_cell("1 / 0", store_history=True)
    assert callbacks and log.last == 0
    shell.run_cell("shell = get_ipython(); shell.run_cell('inner = 1')", store_history=True)
    assert [(seen.source, seen.status) for seen in log.since(0)] == [
        ("1 / 0", "error"),
        ("shell = get_ipython(); shell.run_cell('inner = 1')", "ok"),
    ]


# loading


def test_attaching_loads_nothing_heavy_nor_does_the_first_cell():
    probe = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
import inkernel
shell.run_line_magic("load_ext", "inkernel")
before = set(sys.modules)
from inkernel.kernel_ext.user_cells.log import UserCellLog
log = UserCellLog(); log.attach(shell)
attached = sorted(set(sys.modules) - before)
shell.run_cell("x = 1", store_history=True)
print(json.dumps([attached, sorted(sys.modules)]))
"""
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    attached, after = json.loads(ran.stdout.splitlines()[-1])
    assert set(attached) <= {"inkernel.kernel_ext.user_cells.log"}
    assert not {"pydantic", "numpy", "httpx", "tiktoken"} & set(after)


# kernels

ATTACH = """
from inkernel.kernel_ext.user_cells.log import UserCellLog
log = UserCellLog(); log.attach(get_ipython())
"""
TELL = """
import json
from dataclasses import asdict
print(json.dumps([
    {"cell": s.cell, "count": s.count, "source": s.source, "status": s.status,
     "supersedes": s.supersedes, "bound": s.bound,
     "outputs": [asdict(o) for o in s.outputs]}
    for s in log.since(0)
]))
"""


@pytest.fixture
def seen_by(kernel):
    """A kernel with a log; its cells, and a way to ask what the log saw."""
    running = kernel()
    running.run(ATTACH)

    def tell() -> list[dict]:
        return json.loads(running.run(TELL).text)

    return running, tell


@pytest.mark.kernel
def test_a_kernels_cells_are_seen_with_id_count_and_outputs(seen_by):
    kernel, tell = seen_by
    source = "import sys\nprint('out'); print('err', file=sys.stderr)\ndisplay('shown')\nx = 1\nx"
    kernel.run(source, cell_id="cell-1")
    kernel.run("await __import__('asyncio').sleep(0)\nprint('waited')\n1 / 0", cell_id="cell-2")
    kernel.run("x = 2", cell_id="cell-1")
    first, second, third = tell()
    assert (first["cell"], first["status"], first["supersedes"]) == ("cell-1", "ok", None)
    assert [output.get("text") or output["data"]["text/plain"] for output in first["outputs"]] == [
        *("out\n", "err\n", "'shown'", "1"),
    ]
    assert (second["cell"], second["status"]) == ("cell-2", "error")
    assert [output["output_type"] for output in second["outputs"]] == ["stream", "error"]
    assert (third["supersedes"], third["count"]) == (1, first["count"] + 2)


@pytest.mark.kernel
def test_a_kernels_cell_shows_the_same_with_a_log_as_without(kernel):
    source = (
        "import sys\nfor n in range(3): print(n); print(-n, file=sys.stderr)\n"
        "display('a'); print('b')\ndisplay({'text/html': '<b>'}, raw=True)\n"
        "h = display('old', display_id='d'); h.update('new'); 7"
    )
    running = kernel()
    without = running.run(source)
    running.run(ATTACH)
    with_log = running.run(source)
    for ran in (without, with_log):
        for output in ran.outputs:
            output.pop("execution_count", None)
    assert joined(with_log.outputs) == joined(without.outputs)
    failed = running.run("print('x')\n1 / 0")
    assert [output["output_type"] for output in failed.outputs] == ["stream", "error"]


def joined(outputs: list[dict]) -> list[object]:
    """Streams as text, however they were split."""
    names: dict[str, str] = {}
    for output in outputs:
        if output["output_type"] == "stream":
            names[output["name"]] = names.get(output["name"], "") + output["text"]
    return [names, *(output for output in outputs if output["output_type"] != "stream")]


@pytest.mark.kernel
@pytest.mark.parametrize("wait", ["time.sleep(60)", "while True: await asyncio.sleep(0.05)"])
def test_an_interrupted_cell_of_a_kernel_is_seen_as_interrupted(seen_by, wait):
    kernel, tell = seen_by
    message = kernel.start(f"import asyncio, time\nprint('begun', flush=True)\n{wait}")
    kernel.wait_for(message, "stream")
    time.sleep(0.2)
    kernel.interrupt()
    kernel.finish(message)
    kernel.run("print('next')")
    first, second = tell()
    assert first["status"] == "interrupted" and second["status"] == "ok"
    assert second["outputs"][0]["text"] == "next\n"


@pytest.mark.kernel
def test_a_cell_of_a_kernel_that_ipython_did_not_end_is_seen_with_the_next_one(seen_by):
    kernel, tell = seen_by
    kernel.run(
        "them = get_ipython().events.callbacks['post_run_cell']; they = them[:]; them.clear()"
    )
    again = "them.extend(they); get_ipython().last_execution_result = None"
    kernel.finish(kernel.client.execute(again, silent=True))
    kernel.run("get_ipython().run_cell('1'); x = 1")
    assert [(seen["status"], seen["bound"]) for seen in tell()] == [
        ("interrupted", ["them", "they"]),
        ("ok", ["x"]),
    ]


@pytest.mark.kernel
def test_silent_and_unstored_requests_are_no_runs(seen_by):
    kernel, tell = seen_by
    for how in ({"silent": True}, {"store_history": False}):
        message = kernel.client.execute("hidden = 1", **how)
        kernel.finish(message)
    assert tell() == []


@pytest.mark.kernel
def test_a_figure_of_a_kernel_is_seen_as_an_image(seen_by):
    pytest.importorskip("matplotlib")
    kernel, tell = seen_by
    kernel.run("%matplotlib inline\nimport matplotlib.pyplot as plt\n_ = plt.plot([1, 2])")
    kernel.run("import asyncio\nawait asyncio.sleep(0)\n_ = plt.plot([1, 2])")
    for cell in tell():
        assert cell["outputs"][-1]["data"]["image/png"].startswith("iVBOR")


@pytest.mark.kernel
def test_the_extension_sees_the_cells_after_it_loads_and_after_it_reloads(kernel):
    running = kernel()
    running.run("%load_ext inkernel\nprint('not seen')", cell_id="load")
    running.run("x = 1", cell_id="a")
    find = "log = get_ipython().magics_manager.magics['cell']['agent'].__self__.log\n"
    running.run("# agent: hide\n%agent")
    (seen,) = json.loads(running.run(find + TELL).text)
    assert (seen["cell"], seen["bound"]) == ("a", ["x"])
    assert running.run("%reload_ext inkernel\nprint('shown')").text == "shown\n"
    running.run("y = 1", cell_id="b")
    assert [seen["cell"] for seen in json.loads(running.run(find + TELL).text)] == ["b"]


def test_on_an_event_loop_a_run_is_logged_after_the_cells_answer(
    shell: InteractiveShell, log: UserCellLog
):
    over: list[str] = []
    log.after_run = lambda: over.append(log.since(0)[-1].source)

    async def cell(source: str) -> None:
        code = shell.transform_cell(source)
        ran = await shell.run_cell_async(source, store_history=True, transformed_cell=code)
        shell.events.trigger("post_run_cell", ran)

    async def cells() -> None:
        await cell("x = 1")
        assert over == []
        await cell("y = 2")
        assert over == ["x = 1"]  # no later than the next cell
        await asyncio.sleep(0)
        assert over == ["x = 1", "y = 2"]
        await cell("z = 3")
        assert log.since(0)[-1].bound == ("z",) and log.last == 3  # whoever asks sees it
        await asyncio.sleep(0)
        assert over == ["x = 1", "y = 2", "z = 3"]

    asyncio.run(cells())
