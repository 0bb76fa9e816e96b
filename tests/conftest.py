"""What tests share: folders and variables of their own, a scripted server, a session on fakes."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from inkernel.agent.config.settings import Settings
from inkernel.agent.context.changes import Environment
from inkernel.agent.conversation.journal import Journal
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.state import Conversation
from inkernel.agent.protocol.actions import Verdict
from inkernel.agent.providers.resolve import Target
from inkernel.agent.scripted.script import load_script
from inkernel.agent.scripted.server import ScriptedServer
from inkernel.agent.seams import Approve, Sample, Seams
from inkernel.agent.session import Session
from inkernel.agent.testing import answer
from inkernel.agent.tools.tool import Tool

# How long an example takes says more of the machine than of the code. A check of the same code
# gives the same answer twice. To look for new examples: `make search`.
settings.register_profile(
    "same", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile(
    "search", settings.get_profile("same"), derandomize=False, max_examples=1_000
)
settings.load_profile("same")

OWN = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "IPYTHONDIR")


def pytest_configure() -> None:
    """Have Ctrl-C work in the processes of tests. In a background job they would ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _home() -> Iterator[None]:
    """A home and an environment without keys, before any fixture starts a process."""
    # Short: the sockets of kernels lie in it, and the path of a socket has at most 107 bytes.
    folder = tempfile.TemporaryDirectory(prefix="ink", ignore_cleanup_errors=True)
    with pytest.MonkeyPatch.context() as patch, folder as home:
        for name in os.environ:
            if name.endswith("_API_KEY") or name.startswith("INKERNEL_"):
                patch.delenv(name)
        for name in (*OWN, "HOME", "USERPROFILE", "XDG_CACHE_HOME", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, home)
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
        yield


@pytest.fixture(autouse=True)
def _folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test has settings, data and IPython folders of its own."""
    for name in OWN:
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Callable[..., ScriptedServer]]:
    """Starts a scripted server from the TOML text of a script, and perhaps the key it wants."""
    with ExitStack() as stack:

        def start(text: str, key: str | None = None) -> ScriptedServer:
            path = tmp_path / "script.toml"
            path.write_text(text, encoding="utf-8")
            return stack.enter_context(ScriptedServer(load_script(path), key))

        yield start


@pytest.fixture
def place() -> Environment:
    """A fixed snapshot of where we are."""
    return Environment(
        "/home/ada/rain", "2026-03-01", "Europe/Berlin", "3.12.4", notebook="rain.ipynb"
    )


@pytest.fixture
def session_for(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """Builds a session over `sample` and tools; other keywords are settings."""
    with ExitStack() as stack:

        def build(
            sample: Sample,
            *tools: Tool[Any],
            approve: Approve | None = None,
            target: Target | None = None,
            **choices: Any,
        ) -> Session:
            record = Record(Path(tempfile.mkdtemp(dir=tmp_path)) / "record.jsonl")
            stack.callback(record.close)
            return Session(
                id="65f1c000-0123456789",
                settings=Settings(**choices),
                target=target or Target("fake", "http://127.0.0.1:9/v1", "fake-1"),
                tools=tools,
                seams=Seams(sample, approve or answer(Verdict(decision="deny", reason="nobody"))),
                journal=Journal(record, Conversation()),
                outputs=OutputStore(record),
            )

        yield build
