"""Runs one script in a process of its own, and says where it ran. Knows no page."""

import importlib.metadata
import multiprocessing
import os
import platform
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPTS = {
    **{name: name for name in ("startup", "interrupt", "cells", "steps", "names", "checkpoint")},
    **{name: name for name in ("resume", "recall", "notebook_file", "views", "dialects", "trial")},
    "mcp": "servers",
    "files": "files",
    "ordinary": "ordinary",
    "checks": "checks",
    "asked": "asked.figures",
    "compaction": "compaction.figures",
    "week": "compaction.week",
    "wire": "wire.figures",
}
"""The module of each script. It has `measure(quick)`, which returns figures by name."""
PACKAGES = ("ipython", "ipykernel", "httpx", "websockets", "pydantic", "orjson")
PEERS = """
import importlib.metadata as m
print(", ".join(f"{name} {m.version(name)}" for name in ("openai", "openai-agents")))
"""


def alone(name: str, quick: bool) -> dict[str, float]:
    """The figures of one script, printed as they come."""
    started = time.monotonic()
    print(f"{name}:", flush=True)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        figures = process.submit(figures_of, SCRIPTS[name], quick).result()
    for figure, value in figures.items():
        print(f"  {figure:44} {value:14,.3f}")
    print(f"  ({time.monotonic() - started:.0f} s in all)", flush=True)
    return figures


def figures_of(module: str, quick: bool) -> dict[str, float]:
    """The figures of a script, by name."""
    return import_module(f"{__package__}.{module}").measure(quick)


def where() -> str:
    """The machine, its load before we start, the commit, and the versions."""
    commit = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    found = subprocess.run(commit, capture_output=True, text=True).stdout.strip() or "no commit"
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    if peers := os.environ.get("PEERS"):
        call = [peers, "-c", PEERS]
        versions.append(subprocess.run(call, capture_output=True, text=True).stdout.strip())
    busy = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start"
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{busy}; {system}; {', '.join(versions)}; commit {found}"
