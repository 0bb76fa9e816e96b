"""Measures what a compaction keeps and costs, and writes the tables of the docs page.

python -m bench.compaction [--quick] [--json FILE] [--write]
"""

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from . import report
from .cache import measure_cache
from .growth import measure_growth
from .needles import measure_needles

PAGE = Path(__file__).parents[2] / "docs" / "compaction.md"
TURNS, QUICK_TURNS = 1_000, 60
CACHE_TURNS, QUICK_CACHE_TURNS = 300, 60


def main() -> int:
    """Run the bench. Returns 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.compaction", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer turns, in half a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was seen")
    parser.add_argument("--write", action="store_true", help="update docs/compaction.md")
    options = parser.parse_args()
    started = time.monotonic()
    found = measure(options.quick)
    if options.json:
        options.json.write_text(json.dumps(found))
    texts = {
        "needles": report.needles(found["needles"]),
        "growth": report.growth(found["growth"]),
        "cache": report.cache(found["cache"]),
    }
    print("\n\n".join(f"## {title}\n\n{text}" for title, text in texts.items()))
    print(f"\n{time.monotonic() - started:.0f} s in all", file=sys.stderr)
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        for title, text in texts.items():
            marks = re.compile(rf"(<!-- {title} -->\n).*?(<!-- /{title} -->)", re.DOTALL)
            page = marks.sub(lambda mark, text=text: f"{mark[1]}{text}\n{mark[2]}", page)
        PAGE.write_text(page, encoding="utf-8")
    return 0


def measure(quick: bool) -> dict[str, Any]:
    """Everything, one after the other."""
    ways = [("http", False), ("http", True), ("websocket", False), ("websocket", True)]
    turns = QUICK_CACHE_TURNS if quick else CACHE_TURNS
    return {
        "needles": measure_needles(),
        "growth": measure_growth(QUICK_TURNS if quick else TURNS),
        "cache": [measure_cache(turns, way, background) for way, background in ways],
    }


if __name__ == "__main__":
    sys.exit(main())
