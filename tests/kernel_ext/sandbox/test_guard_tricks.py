"""Pure Python that knows of the guard does not get past it. Real kernels."""

import shutil
from collections.abc import Iterator

import pytest

from tests.kernel_ext.conftest import skip_without_imports
from tests.kernel_ext.sandbox.test_guard import Workspace

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    place = Workspace(tmp_path_factory.mktemp("tricks"))
    yield place
    place.kernel.close()


PATCHED = "import os\n{0}, old = {1}, {0}\ntry:\n    open('$OUT/new', 'w')\nfinally:\n    {0} = old"
TRICKS = {
    "an empty context": (
        "import asyncio, contextvars\nasync def f():\n    open('$OUT/new', 'w')\n"
        "await asyncio.create_task(f(), context=contextvars.Context())"
    ),
    "an empty context, at once": (
        "import contextvars\ncontextvars.Context().run(open, '$OUT/new', 'w')"
    ),
    "a callback in an empty context": (
        "import asyncio, contextvars\nt = asyncio.ensure_future(asyncio.sleep(0))\n"
        "t.add_done_callback(lambda _: open('$OUT/new', 'w'), context=contextvars.Context())\n"
        "await t\nawait asyncio.sleep(0)"
    ),
    "the context's values taken away": (
        "import contextvars\nfor v in contextvars.copy_context():\n"
        "    if v.name.endswith('sign'):\n        v.set(None)\n"
        "open('$OUT/new', 'w')"
    ),
    "the context's values changed": (
        "import contextvars\n"
        "for v, w in contextvars.copy_context().items():\n    for name in dir(w):\n"
        "        if name == 'consent':\n            w.consent = lambda deed: True\n"
        "        if name == 'aside':\n            w.aside(open, '$OUT/new', 'w')\n"
        "open('$OUT/new', 'w')"
    ),
    "a text of a class of its own": (
        "class S(str):\n    def partition(self, by):\n        return '', '', ''\n"
        "    def startswith(self, *_):\n        return False\n"
        "open(S('$OUT/new'), 'w')"
    ),
    "a host of a class of its own": (
        "import socket\nclass S(str):\n    def __format__(self, _):\n        return 'localhost'\n"
        "    def rpartition(self, by):\n        return '', '', ''\n"
        "socket.socket().connect((S('127.0.0.1'), 9))"
    ),
    "a number that is none": (
        "import io\nclass P:\n    __class__ = int\n    def __fspath__(self):\n"
        "        return '$OUT/new'\nio.FileIO(P(), 'w')"
    ),
    "a path that changes": (
        "import io\nclass P:\n    n = 0\n    def __fspath__(self):\n        P.n += 1\n"
        "        return 'ok.txt' if P.n == 1 else '$OUT/new'\nio.FileIO(P(), 'w')"
    ),
    "a path of a database that changes": (
        "import sqlite3\nclass P:\n    n = 0\n    def __fspath__(self):\n        P.n += 1\n"
        "        return 'ok.db' if P.n == 1 else '$OUT/new'\nsqlite3.connect(P())"
    ),
    "pathlib that changes": (
        "import io, pathlib\nold = pathlib.PurePath.__fspath__\nanswers = iter(['ok.txt'])\n"
        "pathlib.PurePath.__fspath__ = lambda self: next(answers, '$OUT/new')\n"
        "try:\n    io.FileIO(pathlib.Path('x'), 'w')\nfinally:\n"
        "    pathlib.PurePath.__fspath__ = old"
    ),
    "realpath": PATCHED.format("os.path.realpath", "lambda p, **_: '/dev/null'"),
    "lstat": PATCHED.format("os.lstat", "lambda *_, **__: 1 / 0"),
    "fspath": PATCHED.format("os.fspath", "lambda _: 'ok.txt'"),
    "getcwd": PATCHED.format("os.getcwd", "lambda: '/tmp'").replace("$OUT/", "../outside/"),
    "any": "import builtins, os\n" + PATCHED.format("builtins.any", "lambda _: True"),
    "the target of a thread": (
        "import threading\nclass T(threading.Thread):\n    def run(self):\n"
        "        open('$OUT/new', 'w')\nt = T(target=asyncio_target)\nt.start()\nt.join()"
    ),
    "a thread under another name": (
        "import _thread, threading, time\ndef f():\n"
        "    threading._active[_thread.get_ident()] = threading.main_thread()\n"
        "    open('$OUT/new', 'w')\n_thread.start_new_thread(f, ())\ntime.sleep(0.2)"
    ),
    "a pool of the person": "pool.submit(open, '$OUT/new', 'w').result()",
    "a callback in a pool of the person": (
        "import time\nf = pool.submit(time.sleep, 0.1)\n"
        "f.add_done_callback(lambda _: open('$OUT/new', 'w'))\nf.result()\ntime.sleep(0.1)"
    ),
    "the beginning of a pool's threads": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "p = ThreadPoolExecutor(1, initializer=lambda: open('$OUT/new', 'w'))\n"
        "p.submit(abs, 1).result()"
    ),
    "a program by a pool": (
        "from concurrent.futures import ThreadPoolExecutor\nimport os\n"
        "ThreadPoolExecutor().submit(os.system, 'touch $OUT/new').result()"
    ),
    "a program by a thread of the loop": (
        "import asyncio, os\nawait asyncio.to_thread(os.system, 'touch $OUT/new')"
    ),
    "a program by a forked pool": (
        "import multiprocessing, os\nwith multiprocessing.get_context('fork').Pool(1) as p:\n"
        "    print(p.map(os.system, ['touch $OUT/new']))"
    ),
    "libc by a pool": (
        "from concurrent.futures import ThreadPoolExecutor\nimport ctypes\n"
        "c = ThreadPoolExecutor().submit(ctypes.CDLL, None).result()\nc.creat(b'$OUT/new', 384)"
    ),
    "libc by pandas": (
        "import ctypes, pandas as pd\nc = pd.Series([None]).map(ctypes.CDLL)[0]\n"
        "c.creat(b'$OUT/new', 384)"
    ),
    "a program by the words of a library": (
        "import joblib.externals.loky.backend.context as c, os\n"
        "open('lscpu', 'w').write('#!/bin/sh\\ntouch $OUT/new')\nos.chmod('lscpu', 0o755)\n"
        "os.environ['PATH'], old = os.getcwd() + ':' + os.environ['PATH'], os.environ['PATH']\n"
        "c.physical_cores_cache = None\ntry:\n    c._count_physical_cores()\n"
        "finally:\n    os.environ['PATH'] = old"
    ),
    "a program by its inner function": (
        "import _posixsubprocess, os\nr, w = os.pipe()\nos.waitpid(_posixsubprocess.fork_exec("
        "[b'touch', b'$OUT/new'], [b'/usr/bin/touch'], True, (), None, None, -1, -1, -1, -1, -1,"
        " -1, r, w, False, False, -1, None, None, None, -1, None, True), 0)"
    ),
    "a program by a function of pools": (
        "import multiprocessing.util as u, os\n"
        "os.waitpid(u.spawnv_passfds(b'/usr/bin/touch', [b'touch', b'$OUT/new'], ()), 0)"
    ),
    "Python by a function of pools": (
        "import multiprocessing.util as u, os, sys\n"
        "code = \"open('$OUT/new', 'w')\"\n"
        "os.waitpid(u.spawnv_passfds(os.fsencode(sys.executable),"
        " [sys.executable, '-c', code], ()), 0)"
    ),
    "a socket by a function of pools": (
        "import multiprocessing.forkserver as f\ns = f._forkserver\n"
        "s.ensure_running = abs.__repr__\n"
        "s._forkserver_address = '$OUT/pymp-x/../listener-x'\ns._forkserver_alive_fd = 0\n"
        "try:\n    s.connect_to_new_process([])\nfinally:\n    s.__init__()\n"
        "    del s.ensure_running"
    ),
    "a socket of pools elsewhere": (
        "from multiprocessing.connection import Client\nClient('/tmp/pymp-x/listener-x')"
    ),
    "ZeroMQ": (
        "import zmq\nzmq.Context.instance().socket(zmq.DEALER).connect('tcp://127.0.0.1:9')"
    ),
    "an address of a database": (
        "import sqlite3\nsqlite3.connect('file:%2e%2e/outside/new', uri=True)"
    ),
    "an address with a host": (
        "import sqlite3\nsqlite3.connect('file://localhost$OUT/new?mode=rwc', uri=True)"
    ),
    "a database of inputs": (
        "from IPython.core.history import HistoryAccessor\n"
        "HistoryAccessor(hist_file='$OUT/history.sqlite')"
    ),
    "the environment of this process": "open('/proc/self/environ').read()",
    "memory as a file": "open('/proc/self/mem', 'rb')",
    "a reader of pandas": "import pandas as pd\npd.read_csv('$OUT/mine.txt')",
    "another's file": "open('/'.join(['$OUT', 'mine.txt'])).read()",
}


@pytest.mark.parametrize("code", TRICKS.values(), ids=TRICKS)
def test_a_trick_gains_nothing(workspace: Workspace, code: str):
    skip_without_imports(code)
    ready = (
        "from concurrent.futures import ThreadPoolExecutor\nasyncio_target = agent = print\n"
        "if 'pool' not in globals():\n    pool = ThreadPoolExecutor(2)\n    pool.submit(abs, 1)"
    )
    assert workspace.kernel.run(ready).status == "ok"
    done = workspace.step(code)
    assert not workspace.changed()
    assert done["refused"] or "PermissionError" in str(done["errors"]), done
    assert "CANARY" not in str(done["shown"])


STRIKES = {
    "a finaliser": (
        "class G:\n    def __init__(self):\n        self.me = self\n"
        "    def __del__(self):\n        try:\n            open('$OUT/new', 'w')\n"
        "        except OSError:\n            pass\n"
        "for i in range(2000):\n    G()\n    open('data.csv', 'w').close()\n"
        "import gc\ngc.collect()"  # what dies later acts as the person's code
    ),
    "a timer": (
        "import signal\ndef strike(_, frame):\n    while frame is not None:\n"
        "        if frame.f_code.co_filename.endswith(('guard.py', 'deeds.py', 'callers.py')):\n"
        "            try:\n                open('$OUT/new', 'w')\n            except OSError:\n"
        "                pass\n        frame = frame.f_back\n"
        "signal.signal(signal.SIGALRM, strike)\nsignal.setitimer(0, 0.01, 0.01)\n"
        "try:\n    for _ in range(1000):\n        open('data.csv', 'w').close()\n"
        "    try:\n        open('$OUT/other', 'w')\n    except OSError:\n        pass\n"
        "finally:\n    signal.setitimer(0, 0)\n    signal.signal(signal.SIGALRM, signal.SIG_DFL)"
    ),
}


@pytest.mark.parametrize("code", STRIKES.values(), ids=STRIKES)
def test_code_that_runs_within_the_guard_is_guarded(workspace: Workspace, code: str):
    workspace.step(code)
    assert not workspace.changed()


def test_a_bytecode_file_is_neither_written_nor_asked_about(workspace: Workspace):
    lib = workspace.outside / "lib"
    lib.mkdir()
    (lib / "freshly.py").write_text("x = 1")
    done = workspace.step(
        "import sys\nsys.path.append('$OUT/lib')\nimport freshly\nsys.path.pop()\nfreshly.x",
        readable=[str(lib)],
    )
    assert (done["status"], done["asked"], done["refused"]) == ("ok", [], [])
    forged = (
        "from importlib.machinery import SourceFileLoader\n"
        "SourceFileLoader('a', 'b').set_data('$OUT/__pycache__/new.pyc', b'owned')"
    )
    workspace.step(forged)
    assert not (lib / "__pycache__").exists()
    shutil.rmtree(lib)
    assert not workspace.changed()


def test_threads_and_pools_of_the_person_stay_theirs(workspace: Workspace):
    path = workspace.outside / "theirs"
    setup = "from concurrent.futures import ThreadPoolExecutor\nown = ThreadPoolExecutor(2)"
    workspace.kernel.run(setup)
    assert workspace.step("own.submit(abs, 1).result()")["status"] == "ok"
    workspace.step("import asyncio\nawait asyncio.to_thread(abs, 1)")
    for call in (
        "own.submit(open, {0!r}, 'w').result()",
        "await asyncio.to_thread(open, {0!r}, 'w')",
    ):
        assert workspace.kernel.run(call.format(str(path))).status == "ok"
        path.unlink()


def test_a_task_of_the_person_that_wakes_while_a_step_waits_is_theirs(workspace: Workspace):
    path = workspace.outside / "theirs"
    code = f"async def own():\n    await asyncio.sleep(0.3)\n    open({str(path)!r}, 'w').close()\n"
    workspace.kernel.run(f"{code}own_task = asyncio.create_task(own())")
    done = workspace.step("import asyncio\nawait asyncio.sleep(0.8)")
    assert (done["asked"], done["refused"], path.exists()) == ([], [], True)
    path.unlink()


def test_a_pool_of_processes_is_no_deed(workspace: Workspace):
    code = (
        "import multiprocessing as m\nfrom concurrent.futures import ProcessPoolExecutor\n"
        "with m.get_context('fork').Pool(1) as p:\n    print(p.map(abs, [-1]))\n"
        "with ProcessPoolExecutor(1, mp_context=m.get_context('fork')) as p:\n"
        "    print(list(p.map(abs, [-2])))\n"
        "with m.get_context('spawn').Pool(1) as p:\n    print(p.map(abs, [-3]))\n"
        "with m.get_context('forkserver').Pool(1) as p:\n    print(p.map(abs, [-4]))\n"
        "p = m.get_context('fork').Process(target=abs, args=(1,))\np.start()\n"
        "p.terminate()\np.join()"
    )
    done = workspace.step(code)
    assert (done["status"], done["asked"], done["refused"]) == ("ok", [], [])
