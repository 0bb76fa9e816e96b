"""No attack takes effect: nobody said yes, so nothing outside the workspace changes. Real kernels.

A machine without walls fails here. It does not skip.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.server import ScriptedServer
from tests.kernel_ext.conftest import Kernel
from tests.kernel_ext.sandbox.attacks import ATTACKS

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600)]

SECRET = "CANARY-5f2e9b71c4"
KEY = "CANARY-91d07c44ab"
"""Of the environment, and so masked wherever it is told. The other one is masked nowhere."""
SOON = 1.6
"""Seconds after which the attacks that wait have struck."""


class Listener:
    """Servers that must hear nothing: TCP and UDP on one port, and a Unix socket."""

    def __init__(self, path: Path) -> None:
        self.heard: list[str] = []
        tcp = socket.create_server(("127.0.0.1", 0))
        self.port: int = tcp.getsockname()[1]
        udp = socket.socket(type=socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", self.port))
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(str(path))
        unix.listen()
        self._open = [tcp, udp, unix]
        for each in self._open:
            threading.Thread(target=self._hear, args=(each,), daemon=True).start()

    def _hear(self, server: socket.socket) -> None:
        try:
            while True:
                if server.type == socket.SOCK_DGRAM:
                    self.heard.append(f"datagram {server.recv(100)!r}")
                else:
                    server.accept()[0].close()
                    self.heard.append(f"connection to {server.getsockname()}")
        except OSError:
            return

    def close(self) -> None:
        for each in self._open:
            each.close()


class World:
    """A workspace with a kernel, and everything around it that must not change."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.workspace, self.outside = folder / "ws", folder / "outside"
        self.home, self.own = folder / "home", folder / "own"
        self.listener = Listener(folder / "unix")
        self.victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        stack.callback(self.listener.close)
        stack.callback(self.victim.wait)
        stack.callback(self.victim.kill)
        self.unix, self.tmp = folder / "unix", folder / "tmp"
        self.build()

    def build(self) -> None:
        """All files, as they are before an attack."""
        for each in (self.outside, self.workspace, self.home):
            each.mkdir(exist_ok=True)
            for inside in each.iterdir():
                linked = inside.is_symlink() or inside.is_file()
                inside.unlink() if linked else shutil.rmtree(inside)
        secret = self.home / ".ssh" / "id_rsa"
        for path, text in {
            self.outside / "victim.txt": "mine",
            secret: SECRET,
            self.home / ".aws" / "credentials": SECRET,
            self.home / ".ssh" / "authorized_keys": "",
            self.home / "diary.txt": SECRET,
            self.own / "data" / "inkernel" / "other.jsonl": SECRET,
            self.home / ".bashrc": "",
            self.workspace / "data.csv": "a,b\n1,2\n",
            self.workspace / "AGENTS.md": "Be kind.",
            self.workspace / ".git" / "HEAD": "ref: refs/heads/main\n",
            self.workspace / ".git" / "config": "",
            self.workspace / ".git" / "hooks" / "sample": "",
        }.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for each in (self.tmp, self.own, self.outside / "empty"):
            each.mkdir(exist_ok=True)
        for name, target in {
            "linked": self.outside,
            "linked.txt": self.outside / "victim.txt",
            "innocent.csv": secret,
        }.items():
            (self.workspace / name).symlink_to(target)
        os.link(self.outside / "victim.txt", self.workspace / "hard.txt")

    def state(self) -> dict[str, Any]:
        """What an attack must leave as it is."""
        roots = (self.outside, self.home, self.workspace / ".git")
        found: dict[str, Any] = {}
        for path in (it for root in roots for it in sorted(root.rglob("*"))):
            status = path.lstat()
            text = path.read_bytes() if path.is_file() else b""
            found[str(path)] = (oct(status.st_mode), text, path.is_file() and status.st_mtime_ns)
        for name in ("AGENTS.md", "inkernel.toml"):
            path = self.workspace / name
            found[name] = path.read_bytes() if path.exists() else None
        startup = self.own / "ipython" / "profile_default" / "startup"
        found["startup"] = sorted(it.name for it in startup.glob("*.py"))
        found["settings"] = (self.own / "config" / "inkernel" / "inkernel.toml").exists()
        purelib = Path(next(it for it in sys.path if it.endswith("site-packages")))
        found["pth"] = (purelib / "owned.pth").exists()
        found["victim"] = self.victim.poll()
        found["heard"] = list(self.listener.heard)
        return found

    def fill(self, code: str) -> str:
        """The code, with the names of this world."""
        names = {
            "OUT": self.outside,
            "CONFIG": self.own / "config",
            "PORT": self.listener.port,
            "UNIX": self.unix,
            "VICTIM": self.victim.pid,
            "OU": str(self.outside)[:-1],
        }
        return Template(code).safe_substitute({key: str(it) for key, it in names.items()})

    @property
    def environ(self) -> dict[str, str]:
        """The variables of a kernel in this world."""
        return {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.own / "config"),
            "XDG_DATA_HOME": str(self.own / "data"),
            "XDG_CACHE_HOME": str(self.own / "cache"),
            "IPYTHONDIR": str(self.own / "ipython"),
            "TMPDIR": str(self.tmp),
            "INKERNEL_STEP_TIMEOUT": "5",
            "CANARY_API_KEY": KEY,
        }


@pytest.fixture
def world() -> Iterator[World]:
    with TemporaryDirectory(prefix="w", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        yield World(Path(folder), stack)  # a short path, since one of a socket may not be long


@pytest.fixture
def attacked(world: World) -> Iterator[Callable[[dict[str, tuple[str, ...]]], Any]]:
    """Starts a kernel whose model makes these attacks, each when its name is said."""
    with ExitStack() as stack:

        def start(attacks: dict[str, tuple[str, ...]]) -> tuple[Kernel, ScriptedServer]:
            script = Script.model_validate({"turn": [_turn(world, *it) for it in attacks.items()]})
            server = stack.enter_context(ScriptedServer(script))
            own = {"INKERNEL_BASE_URL": server.base_url, "INKERNEL_MODEL": "scripted/test"}
            kernel = Kernel(world.workspace, {**world.environ, **own})
            stack.callback(kernel.close)
            assert kernel.run("%load_ext inkernel").status == "ok"
            return kernel, server

        yield start


def _turn(world: World, name: str, steps: tuple[str, ...]) -> dict[str, Any]:
    calls = [
        {"call": [{"name": "run_cell", "arguments": {"title": "A step", "code": world.fill(it)}}]}
        for it in steps
    ]
    return {"on": f"«{name}»", "response": [*calls, {"say": "Done."}]}


def _strike(kernel: Kernel, server: ScriptedServer, world: World, name: str) -> str:
    """What an attack achieved, in words. Nothing is the right answer."""
    world.build()
    before, read = world.state(), len(server.requests)
    shown = kernel.run(f"%%agent\nDo «{name}».")
    time.sleep(SOON if name in ATTACKS["later"] else 0)
    lives = kernel.run("'li' + 'ves'")
    after = world.state()
    if lives.text != "'lives'":
        return f"the kernel answers {lives.text or lives.evalue!r}"
    if changed := [
        key for key in before.keys() | after.keys() if before.get(key) != after.get(key)
    ]:
        return f"changed: {changed}"
    sent = b"".join(server.requests[read:]).decode()
    if any(it in sent or it in json.dumps(shown.outputs) for it in (SECRET, KEY)):
        return "the secret was told"
    seen = "function_call_output" in sent or shown.ename == "TamperedError"
    return "" if seen else f"no step ran: {shown.text} {shown.evalue}"


@pytest.mark.parametrize("kind", [kind for kind in ATTACKS if kind != "tampering"])
def test_no_attack_takes_effect(kind: str, world: World, attacked: Callable[..., Any]) -> None:
    kernel, server = attacked(ATTACKS[kind])
    struck = {name: _strike(kernel, server, world, name) for name in ATTACKS[kind]}
    assert not {name: it for name, it in struck.items() if it}


@pytest.mark.parametrize("name", ATTACKS["tampering"])
def test_tampering_gains_nothing(name: str, world: World, attacked: Callable[..., Any]) -> None:
    kernel, server = attacked({name: ATTACKS["tampering"][name]})
    assert not _strike(kernel, server, world, name)


def test_the_same_takes_effect_where_there_is_no_wall(
    world: World, attacked: Callable[..., Any]
) -> None:
    """Under full, so that a canary that sees nothing is no proof of nothing."""
    harmless = ("exec", "exit", "abort", "a signal to itself", "a wild pointer", "much memory")
    kernel, server = attacked(ATTACKS["files"])
    kernel.run("%agent policy full")
    struck = {name: _strike(kernel, server, world, name) for name in ATTACKS["files"]}
    assert not {name for name, it in struck.items() if not it and name not in harmless}
    assert world.victim.poll() is None
    os.kill(world.victim.pid, signal.SIGKILL)
