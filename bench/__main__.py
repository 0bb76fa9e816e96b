"""Runs the scripts, each in a process of its own, and writes their figures into the pages.

python -m bench [NAME ...] [--quick] [--write | --pages] [--root FOLDER]

The figures are kept in `bench/results.json`, so that one script can be run again by itself.
"""

import argparse
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from .page import Kept, gaps, written
from .picture import draw
from .scripts import ROOT, SCRIPTS, alone, where
from .tables import CURVES, STEPS, TABLES

KEPT = Path("bench", "results.json")
PICTURE = Path("docs", "images", "performance.svg")


def main() -> int:
    """Run the bench. Returns 1 when a script failed, or a row of these scripts lacks a figure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCRIPTS)}")
    parser.add_argument("--quick", action="store_true", help="small and once: does it still run?")
    parser.add_argument("--write", action="store_true", help="keep the figures, write the pages")
    parser.add_argument("--pages", action="store_true", help="write the pages from what was kept")
    parser.add_argument("--root", type=Path, default=ROOT, help="where bench/ and docs/ are")
    options = parser.parse_args()
    names = options.names or ([] if options.pages else list(SCRIPTS))
    if unknown := set(names) - set(SCRIPTS):
        parser.error(f"no such script: {', '.join(unknown)}")
    if options.quick and options.write and options.root == ROOT:
        parser.error("figures of a quick run are not for the pages: give another --root")
    own = {"day": time.strftime("%Y-%m-%d"), "where": where()}
    if options.pages:
        keep(options.root, {})
    measured: dict[str, dict[str, Any]] = {}
    for name in names:
        try:
            measured[name] = {**own, "figures": alone(name, options.quick)}
        except Exception:  # the others are measured all the same
            traceback.print_exc()
        if options.write:
            keep(options.root, measured)
    missing = [name for name in names if name not in measured] + gaps(TABLES, measured)
    if missing:
        print("not measured:", *missing, sep="\n  ", file=sys.stderr)
    return bool(missing)


def keep(root: Path, measured: Kept) -> None:
    """Keep these figures beside those of the other scripts, and write the pages and the picture."""
    path = root / KEPT
    kept = {**json.loads(path.read_text(encoding="utf-8")), **measured}
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_pages(root, kept)


def write_pages(root: Path, kept: Kept) -> None:
    """Write what is kept into the pages and the picture."""
    for page in {table.page for table in TABLES}:
        text = (root / page).read_text(encoding="utf-8")
        (root / page).write_text(written(text, page, TABLES, kept), encoding="utf-8")
    (root / PICTURE).write_text(draw(curves(kept)), encoding="utf-8")


def curves(kept: Kept) -> dict[str, list[tuple[int, float]]]:
    """The turnarounds of the picture: steps and milliseconds."""
    figures: dict[str, Any] = kept["wire"]["figures"]
    found = {
        title: [(n, figures[f"{name} {n}"]) for n in STEPS if f"{name} {n}" in figures]
        for title, name in CURVES.items()
    }
    return {title: curve for title, curve in found.items() if curve}


if __name__ == "__main__":
    raise SystemExit(main())
