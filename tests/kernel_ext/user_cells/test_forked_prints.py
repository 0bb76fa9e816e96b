"""Prints of other processes that a step or a cell starts: they are shown, and the model is told."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.kernel

DEFINE = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
fork = multiprocessing.get_context("fork")
def say(n):
    print(f"says {n}, wörtlich")
def fail(n):
    print("tells", n, file=sys.stderr)
    raise ValueError(f"failed in {n}")
def start(work, n):
    child = fork.Process(target=work, args=(n,))
    child.start()
    child.join()
"""
CHILDREN = {
    "start(say, 7)": ("says 7, wörtlich",),
    "start(fail, 7)": ("tells 7", "Traceback", "ValueError: failed in 7"),
    "with fork.Pool(2) as pool: pool.map(say, [1, 2])": ("says 1, wörtlich", "says 2, wörtlich"),
    "with ProcessPoolExecutor(2, fork) as pool: list(pool.map(say, [3]))": ("says 3, wörtlich",),
    "pid = os.fork()\nif not pid: say(4); os._exit(0)\nos.waitpid(pid, 0)": ("says 4, wörtlich",),
    "start(lambda n: start(say, n), 8)": ("says 8, wörtlich",),
    "start(lambda n: (os.closerange(3, 200), say(n)), 9); print('on')": ("on",),
    "start(lambda n: print('x' * 2_000_000, n), 6)": ("xxx 6",),
}
OTHERS = {
    "os.write(1, b'by number')": ("by number",),
    "import ctypes\nc = ctypes.CDLL(None)\nc.printf(b'from C')\nc.fflush(None)": ("from C",),
    "import subprocess\nsubprocess.run(['sh', '-c', 'echo a; echo b >&2'])": ("a", "b"),
    "os.system('echo outside')": ("outside",),
}
BOTH = {**CHILDREN, **OTHERS}


def script(*codes: str) -> str:
    calls = (
        '[[turn.response]]\n[[turn.response.call]]\nname = "run_cell"\n'
        f"arguments = {{ title = 'a step', code = {json.dumps(code)} }}\n"
        for code in codes
    )
    end = '[[turn.response]]\nsay = "Done."\n'
    return f'model = "scripted/test"\n[[turn]]\n{"".join(calls)}{end}[[turn]]\n{end}'


def told(body: bytes) -> str:
    return str(json.loads(body)["input"][-1]["output"])


def test_in_a_step_they_are_the_steps_output(agent: Any):
    kernel, server = agent(script(*BOTH), INKERNEL_POLICY="full")  # a fork is asked for
    kernel.run(DEFINE)
    ran = kernel.run("print('before')\nawait get_ipython().run_cell_magic('agent', '', 'Go.')")
    below = "".join(o["text"] for o in ran.outputs if o["output_type"] == "stream")
    assert below.split() == ["before", "says", "9,", "wörtlich"], "it closed its files"
    for (code, expected), body in zip(BOTH.items(), server.requests[1:], strict=True):
        for text in expected:
            assert text in told(body), code


def test_in_a_persons_cell_they_are_shown_and_told(agent: Any):
    kernel, server = agent(script())
    kernel.run(DEFINE)
    shown = [kernel.run(code) for code in BOTH]
    kernel.run("%%agent\nGo.")
    request = json.loads(server.requests[0])["input"]
    cells = [json.dumps(item, ensure_ascii=False) for item in request]
    for (code, expected), ran in zip(BOTH.items(), shown, strict=True):
        assert ran.status == "ok", code
        for text in expected:
            assert any(code.split("\n")[0] in cell and text in cell for cell in cells), code


def test_a_child_that_outlives_its_step_hangs_nowhere(agent: Any, tmp_path: Any):
    later = (
        "def wait(n):\n    while not os.path.exists('go'): pass\n"
        "    say(n)\n    open('done', 'w')\n"
        "child = fork.Process(target=wait, args=(5,))\nchild.start()"
    )
    kernel, _ = agent(script(later, "1"))
    kernel.run(DEFINE)
    assert kernel.run("%%agent\nGo.").status == "ok"
    (tmp_path / "go").touch()
    assert kernel.run("child.join(30); child.exitcode").text.endswith("0")
    assert (tmp_path / "done").exists()
