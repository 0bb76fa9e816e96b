"""A checkpoint in a real kernel, and in a terminal's shell."""

import subprocess
import sys
from pathlib import Path

import pytest

from .turns import descriptors, gone

SETUP = """
from inkernel.kernel_ext.undo.checkpoint import take as _take
def _is_users(name):
    return name[:1] != "_" and name not in get_ipython().user_ns_hidden
def _begin():
    held = get_ipython().user_ns
    return _take({name: value for name, value in held.items() if _is_users(name)})
def _undo():
    return _checkpoint.restore(get_ipython().user_ns, _is_users)
"""
MADE = """
import threading, numpy as np, pandas as pd
class Model:
    def __init__(self):
        self.steps, self.guard, self.scale = [1], threading.Lock(), lambda x: 2 * x
    def __reduce__(self):
        raise RuntimeError
model, double, total = Model(), lambda x: 2 * x, 10
table = pd.DataFrame({"a": [1, 2, 3], "s": list("xyz")})
array = np.zeros(1_000_000)
handlers = {"one": lambda x: x + total}
models = [Model()]
"""
TURN = """
model.steps.append(2); model.more = 1
model.scale = handlers["one"] = None
table.loc[0, "a"] = 9; table["new"] = 1
array[123_456] = 5
double, total, extra = None, 0, 1
models.clear()
del Model
"""
CHECK = """
print(vars(model).keys(), model.steps, model.scale(2), double(4), total, handlers["one"](1))
print(table.to_csv(), array.any(), "extra" in globals(), type(models[0]) is Model, models[0].steps)
"""
SHOWN = (
    "dict_keys(['steps', 'guard', 'scale']) [1] 4 8 10 11\n"
    ",a,s\n0,1,x\n1,2,y\n2,3,z\n False False True [1]\n"
)


@pytest.mark.kernel
@pytest.mark.parametrize("awaited", ["", "import asyncio; await asyncio.sleep(0)\n"])
def test_a_turn_in_a_real_kernel_is_undone(kernel, awaited):
    running = kernel()
    running.run(SETUP)
    running.run(MADE)
    assert running.run(awaited + "_checkpoint = _begin(); _checkpoint.kind").text == "'forked'"
    assert running.run(awaited + TURN).status == "ok"
    restored = running.run(awaited + "print(_undo())").text
    assert "removed=('extra',)" in restored
    assert "back=('Model', 'double', 'total')" in restored
    assert "failed={}" in restored
    assert running.run(CHECK).text == SHOWN


def test_a_turn_in_a_terminals_shell_is_undone():
    cells = [SETUP, MADE, "_checkpoint = _begin()", TURN, "_undo()", CHECK]
    code = "\n".join(f"get_ipython().run_cell({each!r})" for each in cells)
    command = [sys.executable, "-m", "IPython", "--colors=NoColor", "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert SHOWN in ran.stdout, ran.stdout + ran.stderr


@pytest.mark.kernel
def test_an_interrupt_passes_a_sleeping_copy_by(kernel):
    running = kernel()
    running.run(SETUP)
    running.run("numbers = [1]")
    running.run("_checkpoint = _begin()")
    running.run("numbers.append(2)")
    waiting = running.start("print('go', flush=True); import time; time.sleep(60)")
    running.wait_for(waiting, "stream")
    running.interrupt()
    assert running.finish(waiting).ename == "KeyboardInterrupt"
    running.interrupt()
    assert "failed={}" in running.run("print(_undo())").text
    assert running.run("numbers").text == "[1]"


@pytest.mark.kernel
@pytest.mark.parametrize("how", ["killed", "ended"])
def test_a_kernel_takes_its_copy_with_it(kernel, how):
    running = kernel()
    running.run(SETUP)
    pid = int(running.run("_checkpoint = _begin(); _checkpoint.pid").text)
    assert Path(f"/proc/{pid}").exists()
    running.manager.shutdown_kernel(now=how == "killed")
    assert gone(pid)


@pytest.mark.kernel
def test_a_copy_keeps_no_port_and_no_file_of_the_kernel(kernel):
    running = kernel()
    running.run(SETUP)
    running.run("import socket; server = socket.create_server(('127.0.0.1', 0))")
    running.run("port = server.getsockname()[1]")
    pid = int(running.run("_checkpoint = _begin(); _checkpoint.pid").text)
    held = descriptors(pid)
    assert len(held) == 2 and "/dev/null" in held
    again = "server.close(); socket.create_server(('127.0.0.1', port), reuse_port=False).close()"
    assert running.run(again).status == "ok"
