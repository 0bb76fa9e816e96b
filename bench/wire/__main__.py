"""`make bench`: run every case, print the ratios, write the page's table and its picture.

python -m bench.wire [--quick] [--peers PYTHON] [--json FILE] [--write]
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from . import cases
from .figures import Figures, head_of
from .measure import ROOT, Results, measure, serving
from .picture import draw
from .report import lines_of, peers, put_into, targets

PACKAGES = ("openai", "openai-agents", "httpx", "websockets", "pydantic", "orjson")
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "images" / "performance.svg"
VERSIONS = """
import importlib.metadata as m, json, sys
found = {}
for name in sys.argv[1:]:
    try: found[name] = m.version(name)
    except m.PackageNotFoundError: pass
print(json.dumps(found))
"""


def main() -> int:
    """Run the bench. Returns 1 when a case failed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.wire", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small and once, in half a minute")
    parser.add_argument("--peers", metavar="PYTHON", help="the interpreter that has the peers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was seen")
    parser.add_argument("--write", action="store_true", help="update docs/performance.md")
    options = parser.parse_args()
    started, where = time.monotonic(), machine(options.peers)
    results = run(options.quick, options.peers)
    if options.json:
        options.json.write_text(json.dumps(results))
    steps = cases.QUICK_STEPS if options.quick else cases.STEPS
    stream = cases.QUICK_STREAM if options.quick else cases.STREAM
    figures = Figures(results)
    parts = [where, targets(figures.rows(steps, stream))]
    text = "\n\n".join([*parts, *(beside(figures) if options.peers else ())])
    print(text)
    print(f"\n{time.monotonic() - started:.0f} s in all", file=sys.stderr)
    if options.write:
        PICTURE.write_text(draw(lines_of(figures, steps)), encoding="utf-8")
        put_into(PAGE, text)
    return int(not all(results.values()))


def run(quick: bool, python: str | None) -> Results:
    """Run all cases, then the floor with the head that ours sent."""
    pythons = {"peers": python, "floor": python} if python else {}
    with serving(pythons) as bench:
        wanted = cases.quick_cases() if quick else cases.cases(peers=python is not None)
        results = measure(bench, wanted)
        steps = (cases.QUICK_STEPS if quick else cases.PEER_STEPS)[-1]
        kept = results.get(f"ours turn websocket steps.{steps}.keep")
        if kept:
            results |= measure(bench, [cases.same_head(steps, head_of(kept[0]))])
    return results


def beside(figures: Figures) -> tuple[str, str]:
    """The table of the peers, and a sentence about the SDK's helper."""
    helper = (
        f"`responses.stream()` of the SDK reads {figures.helper} of a stream of"
        f" {cases.HELPER_STREAM:,} deltas; it copies its whole text at each of them."
    )
    return peers(figures), helper


def machine(python: str | None) -> str:
    """The machine, the date, the versions, and the machine's load before we start."""
    call = [python or sys.executable, "-c", VERSIONS, *PACKAGES]
    here = [sys.executable, *call[1:]]
    found: dict[str, str] = {}
    for one in (call, here):
        found |= json.loads(subprocess.run(one, capture_output=True, check=True).stdout)
    versions = ", ".join(f"{name} {version}" for name, version in sorted(found.items()))
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    day = time.strftime("%Y-%m-%d")
    busy = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start"
    return f"Measured {day} by `make bench`: {busy}; {system}; {versions}."


if __name__ == "__main__":
    raise SystemExit(main())
