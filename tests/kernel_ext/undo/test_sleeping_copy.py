"""The process that remembers: when it is forked, what it holds, and how it ends."""

import gc
import os
import socket
import threading
import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from inkernel.kernel_ext.undo import checkpoint as module
from inkernel.kernel_ext.undo.checkpoint import Checkpoint, take
from inkernel.kernel_ext.workers import fork as forked

from .turns import descriptors, gone


def test_nothing_is_forked_where_it_is_not_safe(monkeypatch):
    monkeypatch.setattr(module.sys, "platform", "darwin")
    checkpoint = take({"a": [1]})
    assert (checkpoint.kind, checkpoint.pid) == ("copied", None)
    assert checkpoint.why == "this system cannot fork safely"


def test_nothing_is_forked_off_the_main_thread():
    made: list[Checkpoint] = []
    thread = threading.Thread(target=lambda: made.append(take({})))
    thread.start()
    thread.join()
    assert made[0].kind == "copied"


def test_nothing_is_forked_while_a_gpu_is_in_use(monkeypatch):
    torch = SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: True))
    monkeypatch.setitem(module.sys.modules, "torch", torch)
    assert take({}).why == "a GPU is in use"


def test_a_dropped_checkpoint_leaves_no_process():
    checkpoint = take({})
    assert checkpoint.pid
    checkpoint.drop()
    checkpoint.drop()
    assert gone(checkpoint.pid)


def test_a_forgotten_checkpoint_leaves_no_process():
    checkpoint = take({})
    pid = checkpoint.pid
    assert pid
    del checkpoint
    gc.collect()
    assert gone(pid)


def test_a_copy_that_was_killed_is_said():
    names = {"a": [1], "b": 2}
    checkpoint = take(names)
    assert checkpoint.pid
    os.kill(checkpoint.pid, 9)
    names["a"].append(1)
    names["b"] = 3
    restored = checkpoint.restore(names, bool)
    checkpoint.drop()
    assert names["b"] == 2 and dict(restored.failed) == {"a": "the process that knew it is gone"}


def test_a_copy_has_no_descriptor_but_its_own():
    with socket.create_server(("127.0.0.1", 0)):
        copy = forked.start(lambda _: [os.readlink(f"/proc/self/fd/{i}") for i in (0, 1, 2)])
        assert copy.ask(None, 20) == ["/dev/null"] * 3
        held = descriptors(copy.pid)
        copy.end()
    assert len(held) == 2 and "/dev/null" in held


def test_forking_with_threads_warns_nobody():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        take({}).drop()
    stop.set()
    thread.join()


def test_an_interrupt_while_undo_looks_changes_nothing(monkeypatch):
    def interrupted(self: object, seconds: float, most: int = 0) -> None:
        raise KeyboardInterrupt

    names: dict[str, Any] = {"a": [1], "n": 1}
    checkpoint = take(names)
    monkeypatch.setattr(forked.Forked, "answer", interrupted)
    names["a"].append(2)
    names["n"] = 2
    with pytest.raises(KeyboardInterrupt):
        checkpoint.restore(names, bool)
    assert names == {"a": [1, 2], "n": 2}
    checkpoint.drop()
