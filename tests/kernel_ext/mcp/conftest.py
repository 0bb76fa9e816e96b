"""Kernels whose person has MCP servers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def serving(agent: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Starts a kernel and its scripted model. `servers`: tables of the person's settings."""

    def start(script: str, servers: str, **environ: str) -> Any:
        own = tmp_path / "own" / "inkernel"
        own.mkdir(parents=True, exist_ok=True)
        (own / "inkernel.toml").write_text(servers)
        folders = {"XDG_CONFIG_HOME": str(own.parent), "XDG_STATE_HOME": str(tmp_path / "state")}
        settings = {"INKERNEL_POLICY": "full", "INKERNEL_STEP_TIMEOUT": "60"}
        return agent(script, **{**folders, **settings, **environ})

    return start
