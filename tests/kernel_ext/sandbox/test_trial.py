"""A trial run shows what code would do, and leaves no trace. Real kernels; no wall is a failure."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.protocol.trials import Deed
from inkernel.kernel_ext.sandbox.frames import Receiver, deed_in, names_in, unpacked
from inkernel.kernel_ext.sandbox.trial import _Report
from tests.kernel_ext.approval.test_questions import steps
from tests.kernel_ext.conftest import Kernel

SETUP = """
import asyncio, os
from dataclasses import asdict
from inkernel.agent.permissions.walls import workspace_walls
from inkernel.agent.protocol.trials import Cover
from inkernel.kernel_ext.sandbox.trial import run_trial
from inkernel.kernel_ext.sandbox.walls.readable import read_freely
walls = workspace_walls({ws!r}, {tmp!r}, {home!r})
cover = Cover(walls=walls, readable=tuple(read_freely({home!r})))
shown, count, empty = [1, 2], 5, {{}}
def target(descriptor):
    try:
        return os.readlink("/proc/self/fd/" + descriptor)
    except FileNotFoundError:  # another thread closed it meanwhile
        return ""
def pipes():
    return sum(target(it).startswith("pipe") for it in os.listdir("/proc/self/fd"))
async def tried(code, seconds=20):
    found = asdict(await run_trial(get_ipython(), code, cover, [], seconds))
    found["denied"] = [[it["kind"], it["target"]] for it in found["denied"]]
    found["deeds"] = [[it["kind"], it["target"]] for it in found["deeds"]]
    return found
"""


class Place:
    """A kernel in a workspace, with a file outside it and one that is secret."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ws, self.outside = folder, folder / "ws", folder / "outside"
        self.home = folder / "home"
        for each in (
            self.ws / ".git",
            self.outside / "__pycache__",
            self.home / ".ssh",
            folder / "tmp",
        ):
            each.mkdir(parents=True)
        (self.outside / "mine.txt").write_text("mine")
        (self.home / ".ssh" / "id_rsa").write_text("CANARY")
        (self.ws / "data.csv").write_text("a,b\n1,2\n")
        environ = {"HOME": str(self.home), "TMPDIR": str(folder / "tmp"), "SOME_API_KEY": "CANARY"}
        self.kernel = Kernel(self.ws, environ | {"IPYTHONDIR": str(folder / "ipython")})
        places = {"ws": str(self.ws), "tmp": str(folder / "tmp"), "home": str(self.home)}
        ran = self.kernel.run(SETUP.format(**places))
        assert ran.status == "ok", ran.traceback

    def tried(self, code: str, seconds: float = 20) -> dict[str, Any]:
        """The trial of a code, as JSON has it."""
        code = code.replace("$OUT", str(self.outside)).replace("$HOME", str(self.home))
        ran = self.kernel.run(f"import json; print(json.dumps(await tried({code!r}, {seconds})))")
        assert ran.status == "ok", ran.traceback
        return json.loads(ran.text)

    def state(self) -> dict[str, Any]:
        """All that a trial must not change."""
        files = {str(it): it.read_bytes() for it in self.folder.rglob("*") if it.is_file()}
        kept = {name: it for name, it in files.items() if "ipython" not in name}
        names = "sorted(it for it in globals() if it[0] != '_' and it != 'json')"
        ran = self.kernel.run(f"print(shown, count, empty, {names}, pipes(), os.getcwd())")
        assert ran.status == "ok" and ran.text, (ran.status, ran.outputs, ran.traceback)
        return {"files": kept, "names": ran.text.replace("\n", "")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    found = Place(tmp_path_factory.mktemp("trial"))
    yield found
    found.kernel.close()


CLEAN: dict[str, tuple[str, Callable[[dict[str, Any]], bool]]] = {
    "nothing": ("pass", lambda it: it["status"] == "ok" and not it["denied"]),
    "names": (
        "shown.append(3); count = 6; new = 7; del empty",
        lambda it: (
            [it[k] for k in ("created", "rebound", "changed", "deleted")]
            == [["new"], ["count"], ["shown"], ["empty"]]
        ),
    ),
    "a print": ("print('hello')", lambda it: it["outputs"][0]["text"] == "hello\n"),
    "a value": ("6 * 7", lambda it: it["outputs"][0]["data"]["text/plain"] == "42"),
    "an error": ("1 / 0", lambda it: it["error"] == "ZeroDivisionError: division by zero"),
    "a syntax error": ("1 +", lambda it: it["error"].startswith("SyntaxError")),
    "an await": ("import asyncio\nawait asyncio.sleep(0.01)", lambda it: it["status"] == "ok"),
    "a file": (
        "open('new.txt', 'w').write('x')",
        lambda it: it["deeds"][0][0] == "write" and it["deeds"][0][1].endswith("/ws/new.txt"),
    ),
    "a file read": (
        "print(open('data.csv').read())",
        lambda it: "1,2" in it["outputs"][0]["text"] and not it["denied"],
    ),
    "a file removed": (
        "import os; os.remove('data.csv')",
        lambda it: it["status"] == "ok" and it["deeds"][0][0] == "remove",
    ),
    "a mode within": (
        "import os; os.chmod('data.csv', 0o600)",
        lambda it: it["status"] == "ok" and not it["denied"],
    ),
    "a program": ("!echo hello", lambda it: it["outputs"][0]["text"] == "hello\n"),
    "a temporary file": (
        "import tempfile; tempfile.NamedTemporaryFile().write(b'x')",
        lambda it: it["status"] == "ok" and not it["denied"] and not it["deeds"],
    ),
    "a pool by fork": (
        "import multiprocessing as m\nwith m.get_context('fork').Pool(2) as p:\n"
        "    print(p.map(abs, [-1, 2]))",
        lambda it: it["outputs"][0]["text"] == "[1, 2]\n" and not it["denied"],
    ),
    "a thread": (
        "import threading\nt = threading.Timer(0, print, ('hello',))\nt.start()\nt.join()",
        lambda it: it["outputs"][0]["text"] == "hello\n",
    ),
    "sqlite": (
        "import sqlite3\nc = sqlite3.connect('a.db')\nc.execute('create table t (a)')",
        lambda it: it["status"] == "ok" and not it["denied"],
    ),
    "no key": (
        "import os; print('SOME_API_KEY' in os.environ)",
        lambda it: it["outputs"][0]["text"] == "False\n",
    ),
    "more outputs than a report holds": (
        "for i in range(60):\n    display({'text/plain': 'x' * 10**6}, raw=True)\nlast = 1",
        lambda it: it["status"] == "ok" and "last" in it["created"] and len(it["outputs"]) > 20,
    ),
    "no answer": ("input()", lambda it: it["error"].startswith("EOFError")),
}


@pytest.mark.kernel
@pytest.mark.parametrize("name", CLEAN)
def test_a_trial_shows_what_code_does_and_leaves_no_trace(name: str, place: Place) -> None:
    code, holds = CLEAN[name]
    before = place.state()
    found = place.tried(code)
    assert holds(found), found
    assert place.state() == before


DENIED = {
    "a file outside": ("open('$OUT/mine.txt', 'w')", "write"),
    "a file outside, unseen": ("import os; os.truncate('$OUT/mine.txt', 0)", "write"),
    "a mode outside": ("import os; os.chmod('$OUT/mine.txt', 0o777)", "write"),
    "a time outside": ("import os; os.utime('$OUT/mine.txt', (0, 0))", "write"),
    "a link to outside": ("import os; os.symlink('$OUT', 'l'); open('l/new', 'w')", "write"),
    "a program outside": ("!touch $OUT/new.txt", "command"),
    "removed outside": ("import os; os.remove('$OUT/mine.txt')", "remove"),
    "git": ("open('.git/HEAD', 'w').write('x')", "write"),
    "the code of a module": ("open('$OUT/__pycache__/x.pyc', 'wb')", "write"),
    "a secret": ("open('$HOME/.ssh/id_rsa')", "read"),
    "a secret by a program": ("!cat $HOME/.ssh/id_rsa", ""),
    "a file outside, read": ("open('$OUT/mine.txt')", "read"),
    "a caught refusal": (
        "try:\n    open('$OUT/mine.txt', 'w')\nexcept OSError:\n    pass",
        "write",
    ),
    "a socket": ("import socket; socket.socket()", "network"),
    "a name": ("import socket; socket.getaddrinfo('example.org', 80)", "network"),
    "a signal": ("import os; os.kill(os.getppid(), 9)", "process"),
    "libc": ("import ctypes; ctypes.CDLL(None).unlink(b'$OUT/mine.txt')", "native"),
}


@pytest.mark.kernel
@pytest.mark.parametrize("name", DENIED)
def test_what_the_walls_refuse_is_reported_and_has_no_effect(name: str, place: Place) -> None:
    code, kind = DENIED[name]
    before = place.state()
    found = place.tried(code)
    assert not kind or kind in [it[0] for it in found["denied"]], found
    assert "CANARY" not in json.dumps(found)
    assert place.state() == before


OF_C = {
    "a file outside": ("pa.OSFile('$OUT/mine.txt').read()", "read", "/outside/mine.txt"),
    "a secret": ("pa.OSFile('$HOME/.ssh/id_rsa').read()", "read", "/home/.ssh/id_rsa"),
    "a secret by a link": (
        "os.symlink('$HOME/.ssh', 'keys'); pa.OSFile('keys/id_rsa').read()",
        "read",
        "/home/.ssh/id_rsa",
    ),
    "a secret that is not there": ("pa.OSFile('$HOME/.ssh/other')", "read", "/home/.ssh/other"),
    "a file outside, written": ("pa.OSFile('$OUT/n.bin', 'wb')", "write", "/outside/n.bin"),
    "by a relative path": ("pa.OSFile('../outside/n.bin', 'wb')", "write", "/outside/n.bin"),
    "a secret behind a look": (
        "os.path.exists('$HOME/.ssh/id_rsa') and pa.OSFile('$HOME/.ssh/id_rsa').read()",
        "read",
        "/home/.ssh/id_rsa",
    ),
    "a secret by a pattern": (
        "import duckdb; duckdb.sql(\"select content from read_text('$HOME/.ssh/id*')\").fetchall()",
        "read",
        "/home/.ssh/id_rsa",
    ),
    "after a path without an end": (
        "[os.symlink(f'l{i + 1}', f'l{i}') for i in range(1500)]\n    try: pa.OSFile('l0')\n"
        "    except OSError: pass\n    pa.OSFile('$OUT/n.bin', 'wb')",
        "write",
        "/outside/n.bin",
    ),
    "a file removed": (
        "import pyarrow.fs as fs; fs.LocalFileSystem().delete_file('$OUT/mine.txt')",
        "remove",
        "/outside/mine.txt",
    ),
    "a file moved": (
        "import pyarrow.fs as fs; fs.LocalFileSystem().move('$OUT/mine.txt', 'mine.txt')",
        "remove",
        "/outside/mine.txt",
    ),
    "a folder made": (
        "import pyarrow.fs as fs; fs.LocalFileSystem().create_dir('$OUT/a/b')",
        "write",
        "/outside/a",
    ),
    "parts in folders": (
        "import duckdb; duckdb.sql(\"copy (select 1 a, 2 b) to '$OUT/new' (format csv,"
        ' partition_by (a))")',
        "write",
        "/outside/new",
    ),
    "on a thread": (
        "import concurrent.futures as f; f.ThreadPoolExecutor().submit(pa.OSFile, '$OUT/mine.txt')"
        ".result()",
        "read",
        "/outside/mine.txt",
    ),
    "in a forked process": (
        "p = os.fork()\n    if not p: pa.OSFile('$OUT/mine.txt')\n    os.waitpid(p, 0)",
        "read",
        "/outside/mine.txt",
    ),
    "its own memory": ("pa.OSFile('/proc/self/mem')", "read", "/mem"),
    "the environment of another process": ("pa.OSFile('/proc/1/environ')", "read", "/environ"),
    "a socket": ("pq.read_table('s3://a/b?endpoint_override=127.0.0.1:9')", "network", ""),
}


@pytest.mark.kernel
@pytest.mark.parametrize("name", OF_C)
def test_a_refusal_that_code_hides_is_reported_where_c_was_refused(name: str, place: Place) -> None:
    pytest.importorskip("pyarrow")
    code, kind, end = OF_C[name]
    before = place.state()
    found = place.tried(
        f"import os, pyarrow as pa, pyarrow.parquet as pq\ntry:\n    {code}\n"
        "except BaseException:\n    pass"
    )
    assert found["status"] == "ok"
    assert any(it[0] == kind and it[1].endswith(end) for it in found["denied"]), found
    assert "CANARY" not in json.dumps(found)
    assert place.state() == before


MEMORY = {
    "ctypes": "import ctypes\nprint(ctypes.string_at(id(text), 64))",
    "its file": "f = open('/proc/self/mem', 'rb'); f.seek(id(text)); print(f.read(64))",
    "its file, by a thread": (
        "import threading as t\nf = open(f'/proc/self/task/{t.get_native_id()}/mem', 'rb')"
    ),
    "its file, by its number": "import os; f = open(f'/proc/{os.getpid()}/mem', 'rb')",
}


@pytest.mark.kernel
@pytest.mark.parametrize("name", MEMORY)
def test_a_copy_cannot_read_its_own_memory(name: str, place: Place) -> None:
    found = place.tried(f"text = 'SECR'.join(['', 'ET'])\n{MEMORY[name]}")
    assert found["error"].startswith("PermissionError"), found
    assert found["denied"] and "SECRET" not in json.dumps(found["outputs"])


def test_files_that_libraries_in_c_may_read_are_no_refusals(place: Place) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("duckdb")
    found = place.tried(
        "import pyarrow.csv as c, duckdb, os\n"
        "c.read_csv('data.csv')\nduckdb.sql(\"copy (select 1 as a) to 'o.parquet'\")\n"
        "duckdb.sql(\"select * from 'o.parquet'\").fetchall()\nc.read_csv('missing.csv')"
    )
    assert found["error"].startswith("FileNotFoundError")
    assert not found["denied"], found


ENDS = {
    "exit": ("import os; os._exit(3)", "killed"),
    "abort": ("import os; os.abort()", "killed"),
    "a signal to itself": ("import signal; signal.raise_signal(9)", "killed"),
    "a crash in C": ("import faulthandler; faulthandler._sigsegv()", "killed"),
    "another program": ("import os; os.execv('/bin/true', ['true'])", "killed"),
    "an endless loop": ("while True: pass", "cut"),
    "forks": ("import os\nwhile True: os.fork()", ""),
    "much memory": ("x = bytearray(1 << 36)", "error"),
    "much text": ("while True: print('x' * 10_000)", "cut"),
}


@pytest.mark.kernel
@pytest.mark.parametrize("name", ENDS)
def test_however_a_copy_ends_the_kernel_lives(name: str, place: Place) -> None:
    code, status = ENDS[name]
    before = place.state()
    found = place.tried(code, 2)
    assert found["status"] == status or not status, found
    assert found["seconds"] < 20
    assert place.state() == before


@pytest.mark.kernel
def test_no_descendant_outlives_its_trial(place: Place) -> None:
    name = f"sleeper-{os.getpid()}"
    code = (
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time;"
        f" time.sleep(300)', {name!r}], start_new_session=True)"
    )
    assert place.tried(code)["status"] == "ok"
    until = time.monotonic() + 30  # the system ends a namespace after its first process
    while running(name) and time.monotonic() < until:
        time.sleep(0.01)
    assert not running(name)


def running(word: str) -> list[str]:
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.kernel
def test_a_cancelled_trial_is_over_at_once(place: Place) -> None:
    before = place.state()
    name = f"cancelled-{os.getpid()}"
    code = f"import subprocess; subprocess.run(['sleep', '300'], env={{'N': {name!r}}})"
    ran = place.kernel.run(
        f"task = asyncio.ensure_future(tried({code!r}, 60))\n"
        "done, _ = await asyncio.wait([task], timeout=1)\ntask.cancel()\n"
        "await asyncio.wait([task])\nprint(len(done), task.cancelled())\ndel task, done"
    )
    assert ran.text == "0 True\n"
    assert place.state() == before


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@given(st.lists(st.binary(max_size=200) | HOSTILE.map(lambda it: json.dumps(it).encode())))
def test_a_reader_takes_any_bytes(pieces: list[bytes]) -> None:
    receiver = Receiver()
    for piece in pieces:
        for kind, value in receiver.feed(piece + b"\n"):
            assert isinstance(kind, str)
            unpacked(value)
            deed_in(value)
            if isinstance(value, dict):
                names_in(value, "created")


def test_a_report_ends_at_its_limit() -> None:
    receiver = Receiver()
    frame = json.dumps(["output", "x" * 1_000_000]).encode() + b"\n"
    assert sum(len(list(receiver.feed(frame))) for _ in range(50)) < 40


def test_an_error_about_a_path_that_was_refused_is_no_refusal_of_its_own():
    told = [
        Deed("read", "/home/ada/.aws/keys", "open"),
        Deed("kernel", "", 'IOError: Cannot open "/home/ada/x/../.aws/keys": Permission denied'),
        Deed("kernel", "", "OSError: not permitted: '/etc/keys'"),
        Deed("kernel", "", "OSError: Operation not permitted"),
    ]
    report = _Report(denied=dict.fromkeys(told))
    assert report.trial().denied == (told[0], *told[2:])


def test_a_live_run_that_differs_from_its_trial_says_so(agent: Any):
    kind = "type(sys.stdout).__name__"
    code = f"import sys\nif {kind} == 'OutStream':\n    here = 1\nelse:\n    there = 1"
    kernel, server = agent(steps(code), INKERNEL_TRIAL="always")
    kernel.run("%%agent\nGo.")
    told = str(server.requests[1])
    assert "not as in its trial run: it bound there there, and here here" in told
