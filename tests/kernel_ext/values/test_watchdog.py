"""What takes too long is ended and said; the person's code, timers and handlers are left alone.

The tests of the timer stop pytest's own, which uses the same signal.
"""

import asyncio
import gc
import importlib.metadata
import importlib.util
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.tools.tool import ToolCall
from inkernel.kernel_ext.tools.inspect import Inspect, inspect_tool
from inkernel.kernel_ext.values import describe as describing
from inkernel.kernel_ext.values import plugins
from inkernel.kernel_ext.values.adapter import Reading, ShowValue
from inkernel.kernel_ext.values.describe import brief, describe
from inkernel.kernel_ext.values.paths import reference
from inkernel.kernel_ext.values.plugins import PluggedReader, plugged_readers
from inkernel.kernel_ext.values.snapshot import snapshot
from inkernel.kernel_ext.values.watchdog import (
    MAY_END,
    TooSlow,
    check,
    in_time,
    lent,
    unhurried,
    watching,
)

SOON = 30.0
"""Seconds: far less than what is ended would take, far more than a busy machine needs."""
HANGS = 300.0

with_the_timer = pytest.mark.timeout(60, method="thread")
needs_a_timer = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer here")


class Slow:
    """Known to a reader that is plugged in, and does not come back."""

    def __init__(self) -> None:
        self.kept = 1


def read_slowly(value: object) -> str | None:
    if type(value) is Slow:
        time.sleep(HANGS)
        return "slow"
    return None


def sleep(value: object) -> str:
    time.sleep(HANGS)
    return "slept"


def work(value: object) -> str:
    until = time.monotonic() + HANGS
    while time.monotonic() < until:
        pass
    return "worked"


def name(value: object) -> str:
    return "too slow"


@pytest.fixture
def timer() -> Iterator[None]:
    """A process in which nobody has a timer; none is left behind."""
    before = signal.getsignal(signal.SIGALRM)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    yield
    left = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    assert left == (signal.SIG_DFL, (0.0, 0.0))


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    point = importlib.metadata.EntryPoint("slow", f"{__name__}:read_slowly", "inkernel.readers")
    monkeypatch.setattr(plugins, "installed_points", lambda: [point])
    plugged_readers.cache_clear()
    yield
    plugged_readers.cache_clear()


def seconds(run: Callable[[], object]) -> float:
    began = time.monotonic()
    run()
    return time.monotonic() - began


@needs_a_timer
@with_the_timer
@pytest.mark.usefixtures("timer", "plugged")
def test_a_plugged_reader_that_hangs_is_ended_and_not_asked_again() -> None:
    lines: list[str] = []
    assert seconds(lambda: lines.append(brief(Slow()))) < SOON
    assert lines[0].endswith(".Slow: too slow to describe (over 50 ms)")
    assert brief(Slow()).endswith("Slow instance: kept=1")


@needs_a_timer
@with_the_timer
@pytest.mark.usefixtures("timer", "plugged")
@pytest.mark.parametrize(
    "look",
    [
        lambda names: reference("held", names),
        lambda names: snapshot(names, {})["held"].line,
        lambda names: asyncio.run(inspect_tool(lambda: names).run(ToolCall("c"), Inspect())).text,
        lambda names: (
            asyncio.run(
                inspect_tool(lambda: names).run(ToolCall("c"), Inspect(names=["held"]))
            ).text
        ),
    ],
)
def test_wherever_a_value_is_described_it_is_said_to_be_too_slow(
    look: Callable[[dict[str, object]], str],
) -> None:
    assert "Slow: too slow to describe (over 50 ms)" in look({"held": Slow()})


@needs_a_timer
@with_the_timer
@pytest.mark.usefixtures("timer")
def test_what_was_too_slow_is_not_looked_at_again_while_it_is_the_same_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def slow(value: object) -> None:
        asked.append(value)
        while True:
            check()

    monkeypatch.setattr(describing, "read_plugged", slow)
    names: dict[str, object] = {"held": Slow(), "n": 1}
    told = snapshot(names, {})
    assert told["held"].line.endswith("Slow: too slow to describe (over 50 ms)")
    again = snapshot(names, told)
    assert again["held"] is told["held"]
    assert len(asked) == 1
    names["held"] = Slow()
    assert snapshot(names, again)["held"] != told["held"]
    assert len(asked) == 2


def test_what_has_no_evidence_in_time_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def slow(value: object) -> str:
        asked.append(value)
        while True:
            check()

    monkeypatch.setattr("inkernel.kernel_ext.values.snapshot.fingerprint", slow)
    names: dict[str, object] = {"held": Slow()}
    told = snapshot(names, {})
    assert told["held"].line.endswith("Slow instance: kept=1")
    assert snapshot(names, told)["held"] is told["held"]
    assert len(asked) == 1


@needs_a_timer
@with_the_timer
@pytest.mark.usefixtures("timer")
def test_what_was_told_before_it_took_too_long_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(value: object, show: ShowValue) -> Reading:
        def entries() -> Iterator[str]:
            yield "first"
            while True:
                check()

        return Reading("head", entries())

    monkeypatch.setitem(describing._BUILTINS, Slow, read)
    assert describe(Slow()) == ("head\n  first\n  … the rest is too slow to describe (over 50 ms)")


@needs_a_timer
@with_the_timer
@pytest.mark.usefixtures("timer")
def test_a_reader_is_ended_and_the_persons_code_below_it_is_not() -> None:
    done: list[str] = []
    theirs: dict[str, object] = {"done": done, "time": time}
    exec("def held(value):\n    time.sleep(0.3)\n    done.append(value)", theirs)
    call: Callable[[str], None] = theirs["held"]

    def read(value: str) -> str:
        call(value)
        return sleep(value)

    look = PluggedReader("theirs", read).line
    assert seconds(lambda: done.append(str(in_time(look, "ran", name)))) < SOON
    assert done == ["ran", "too slow"]


@needs_a_timer
@with_the_timer
@pytest.mark.usefixtures("timer")
def test_a_finalizer_that_runs_meanwhile_is_not_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []

    class Ends:
        def __del__(self) -> None:
            time.sleep(0.3)
            ended.append("wholly")

    def slow(value: object) -> None:
        held = Ends()
        held.itself = held
        del held
        gc.collect()

    monkeypatch.setattr(describing, "read_plugged", slow)
    brief(Slow())
    assert ended == ["wholly"]


@needs_a_timer
@with_the_timer
@pytest.mark.usefixtures("timer")
def test_the_persons_timer_and_handler_are_kept_and_heard() -> None:
    heard: list[float] = []
    began = time.monotonic()

    def theirs(_signum: int, _frame: object) -> None:
        heard.append(time.monotonic() - began)

    signal.signal(signal.SIGALRM, theirs)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with watching():
        assert signal.getsignal(signal.SIGALRM) is theirs
        in_time(lambda _: time.sleep(0.3), None, lambda _: None)
    assert len(heard) == 1
    assert signal.getsignal(signal.SIGALRM) is theirs
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


@needs_a_timer
@with_the_timer
@pytest.mark.usefixtures("timer")
def test_a_pause_is_forgiven() -> None:
    def paused(_: object) -> str:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        time.sleep(0.2)  # as another thread, or the machine, may take
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
        check()
        return "done"

    assert in_time(paused, None, name) == "done"


@needs_a_timer
@with_the_timer
@pytest.mark.usefixtures("timer")
@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.3])
def test_a_busy_machine_hides_no_value(seconds: float) -> None:
    def waits(_: object) -> str:
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            time.sleep(0.001)  # others have the processor
            check()
        return "done"

    assert in_time(waits, None, name) == "done"


@needs_a_timer
@with_the_timer
@pytest.mark.usefixtures("timer")
@pytest.mark.parametrize("look", [sleep, lambda _: threading.Event().wait(HANGS), work])
def test_what_waits_or_works_for_long_is_ended(look: Callable[[object], Any]) -> None:
    reader = PluggedReader("slow", look)
    assert seconds(lambda: in_time(reader.line, None, name)) < SOON


@pytest.mark.parametrize("where", ["on another thread", "where there is no timer"])
def test_without_a_timer_the_steps_look_at_the_clock(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step_by_step(_: object) -> str:
        while True:
            check()

    found: list[str] = []

    def run() -> None:
        found.append(in_time(step_by_step, None, name))

    if where == "on another thread":
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(60)
    else:
        monkeypatch.delattr(signal, "setitimer", raising=False)
        run()
    assert found == ["too slow"]


def test_a_look_within_a_look_has_its_own_time_and_both_end() -> None:
    def inner(_: object) -> str:
        while True:
            check()

    def outer(_: object) -> str:
        assert in_time(inner, None, name) == "too slow"
        while True:
            check()

    assert in_time(outer, None, name) == "too slow"
    check()


def test_what_is_loaded_once_is_not_counted() -> None:
    def load(_: object) -> str:
        with unhurried():
            time.sleep(0.2)
            check()
        check()
        return "loaded"

    assert in_time(load, None, name) == "loaded"


def test_an_error_of_the_look_is_raised_and_nothing_is_left() -> None:
    with pytest.raises(ZeroDivisionError):
        in_time(lambda _: 1 / 0, None, name)
    check()
    assert lent(len, "abc") == 3
    assert not issubclass(TooSlow, Exception)


IN_A_KERNEL = """
import signal, site, sys, time
site.getsitepackages = lambda: sys.path  # as if the reader were installed
from inkernel.kernel_ext.values.describe import brief
class Slow: pass
began = time.monotonic()
print(brief(Slow()))
print(time.monotonic() - began < 30)
print(signal.getsignal(signal.SIGALRM) == signal.SIG_DFL, signal.getitimer(signal.ITIMER_REAL))
print(brief(Slow()))
"""


@needs_a_timer
@pytest.mark.kernel
def test_in_a_kernel_a_reader_of_another_package_is_ended(
    kernel: Callable[..., Any], tmp_path: Path
) -> None:
    told = tmp_path / "slow_reader-1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-reader\nVersion: 1\n")
    (told / "entry_points.txt").write_text("[inkernel.readers]\nslow = slow_reader:read\n")
    (tmp_path / "slow_reader.py").write_text(
        "import time\ndef read(value):\n    if type(value).__name__ == 'Slow':\n"
        f"        time.sleep({HANGS})\n"
    )
    assert kernel().run(IN_A_KERNEL).text.split("\n")[:4] == [
        "Slow: too slow to describe (over 50 ms)",
        "True",
        "True (0.0, 0.0)",
        "Slow instance",
    ]


@pytest.mark.parametrize("module", sorted(MAY_END))
def test_the_modules_that_a_look_may_be_ended_in_are_there(module: str):
    assert importlib.util.find_spec(module) is not None
