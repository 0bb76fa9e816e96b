"""Each script of the repository, and a server that plays it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from inkernel.agent.scripted.script import Script, load_script
from inkernel.agent.scripted.server import ScriptedServer

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parents[1] / "notebooks"
SCRIPTS = [
    *sorted(HERE.glob("*.toml")),
    *sorted(it for it in NOTEBOOKS.glob("*.toml") if not it.name.endswith(".rules.toml")),
]


@pytest.fixture(params=SCRIPTS, ids=lambda path: path.stem)
def script(request: pytest.FixtureRequest) -> Script:
    """One script after the other, without its pauses."""
    return load_script(request.param).model_copy(update={"pace": 0})


@pytest.fixture
def server(script: Script) -> Iterator[ScriptedServer]:
    """A server that plays `script`."""
    with ScriptedServer(script) as running:
        yield running


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[httpx.Client]:
    """A client of `server`."""
    with httpx.Client(base_url=server.base_url, timeout=20) as connected:
        yield connected
