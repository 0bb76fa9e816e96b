"""What undo cannot or must not give back is named, and costs the rest nothing."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inkernel.kernel_ext.undo import checkpoint as module

from .turns import Basket, changed, undo


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[dict[str, Any]]:
    path = tmp_path / "file"
    path.write_text("text")
    ours, theirs = socket.socketpair()
    with path.open() as file, ours, theirs:
        generator = (each for each in [1, 2, 3])
        unused = (each for each in [1, 2, 3])
        names = {"file": file, "line": ours, "generator": generator, "unused": unused}
        yield names | {"lock": threading.Lock(), "holds": [1, file], "code": lambda: 1}


def test_what_cannot_be_brought_back_is_said_and_the_rest_comes_back(opened):
    restored = undo(opened, "next(generator); holds.append(2); file = None")
    assert opened["holds"] == [1, opened["file"]]
    assert restored.back == ("file",) and changed(restored) == {"holds": True}
    assert dict(restored.failed) == {
        "file": "an open file",
        "generator": "a generator",
        "holds": "an open file",
        "line": "an open connection (socket.socket)",
    }


def test_an_object_that_died_with_what_cannot_be_made_again_is_not_half_made():
    names: dict[str, Any] = {"all": [Basket()], "one": {"n": 1}, "class": Basket}
    names["all"][0].letters = (each for each in "abc")
    restored = undo(names, "names['all'].clear(); one.clear()")
    assert names["all"] == [] and list(restored.failed) == ["all"]
    assert names["one"] == {"n": 1} and changed(restored) == {"one": True}


class Pool:
    """A library's: it holds a connection."""

    def __init__(self, line: object) -> None:
        self.free = [line]


def test_a_librarys_object_that_holds_a_connection_is_left_alone(opened):
    pool = Pool(opened["line"])
    names: dict[str, Any] = {"pool": pool, "numbers": [1]}
    restored = undo(names, "pool.free.clear(); numbers.append(2)")
    assert pool.free == [] and names["numbers"] == [1]
    assert dict(restored.failed) == {"pool": "holds an open file, a connection or the like"}


class Hangs:
    """A library's own pickling that never ends, or fails."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __reduce__(self) -> Any:
        while self.how == "hangs":
            try:
                time.sleep(0.01)
            except Exception:
                continue
        raise RuntimeError


@pytest.mark.parametrize("how", ["hangs", "raises"])
def test_pickling_that_hangs_or_fails_costs_the_others_nothing(how):
    names = {"bad": Hangs(how), "good": [1]}
    started = time.monotonic()
    restored = undo(names, "good.append(2)", seconds=4.0)
    assert names["good"] == [1] and changed(restored) == {"good": True}
    assert list(restored.failed) == ["bad"]
    assert time.monotonic() - started < 30


class Deaf:
    """Blocks in C with every signal blocked: only killing helps."""

    def __reduce__(self) -> Any:
        import signal

        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        time.sleep(60)


def test_a_copy_that_hangs_for_good_is_killed_and_names_still_come_back(monkeypatch):
    monkeypatch.setattr(module, "HANG_SECONDS", 0.5)
    names: dict[str, Any] = {"bad": Deaf(), "good": [1], "n": 1}
    started = time.monotonic()
    restored = undo(names, "n = 2; new = 3; good.append(1)", seconds=0.5)
    assert names["n"] == 1 and "new" not in names
    assert dict(restored.failed) == {"bad": "too slow", "good": "too slow"}
    assert time.monotonic() - started < 30


def test_an_array_in_shared_memory_is_said_to_be_out_of_reach(tmp_path):
    mapped = np.memmap(tmp_path / "map", dtype="u1", mode="w+", shape=10)
    names = {"mapped": mapped, "part": np.asarray(mapped)[2:4]}
    restored = undo(names, "mapped[3] = 7")
    assert dict(restored.failed) == dict.fromkeys(names, "a memory-mapped file")


def test_only_what_differs_of_a_large_array_is_sent():
    names = {"large": np.zeros(10_000_000)}
    restored = undo(names, "large[5_000_000] = 1", most=3 << 20)
    assert changed(restored) == {"large": True} and not names["large"].any()
    restored = undo(names, "large[:] = 1", most=3 << 20)
    assert restored.failed["large"].startswith("too large") and names["large"].all()


class Enough:
    """What a shell holds that is no value: it must stay as it is."""


Enough.__module__ = "IPython.core.pretended"


def test_the_shells_own_objects_are_left_alone():
    shell: Any = Enough()
    shell.count, shell.cells = 1, ["a"]
    names = {"shell": shell}
    names["user"] = Basket()
    names["user"].shell = shell
    restored = undo(names, lambda: (shell.cells.append("b"), setattr(shell, "count", 2)))
    assert shell.count == 2 and shell.cells == ["a", "b"]
    why = "IPython.core.pretended.Enough, a part of the running process"
    assert dict(restored.failed) == {"shell": why}


def test_the_names_of_a_module_are_not_its_users(monkeypatch):
    names = {"all": vars(module), "held": [vars(module)]}
    monkeypatch.setattr(module, "COPY_BYTES", module.COPY_BYTES)
    undo(names, lambda: monkeypatch.setattr(module, "COPY_BYTES", 5))
    assert module.COPY_BYTES == 5


def test_a_large_name_is_said_not_to_be_copied_where_there_is_no_fork():
    names = {"large": np.zeros(10_000_000), "small": [1]}
    restored = undo(names, "large[0] = 1; small.append(2)", fork=False)
    assert names["small"] == [1] and dict(restored.failed) == {"large": "too large"}
