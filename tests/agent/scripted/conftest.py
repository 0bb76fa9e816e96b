"""What tests of the scripted model share: a client of the module's server, and no error logged."""

from collections.abc import Iterator

import httpx
import pytest

from inkernel.agent.scripted.server import ScriptedServer


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    errors = [log for log in caplog.get_records("call") if log.levelname == "ERROR"]
    assert errors == []


@pytest.fixture(scope="module")
def client(server: ScriptedServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, timeout=30) as connected:
        yield connected
