"""Earlier sessions, as their records tell them: which there are, what was said, how it ended."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...agent.conversation.record import read_record
from ...agent.errors import UsageError

Rows = Sequence[tuple[str, str]]


def find_session(folder: Path, name: str, present: str) -> Path:
    """The record of the session called `name`; without one, of the latest but the `present`.

    Raises UsageError when there is none.
    """
    found = sorted(folder.glob(f"*/{Path(name).name or '*'}.jsonl"), key=lambda path: path.name)
    others = [path for path in found if name or path.stem != present]
    if not others:
        raise UsageError(
            f"There is no session {name!r} in {folder}." if name else f"There is none in {folder}.",
            "`%agent history all` lists them.",
        )
    return others[-1]


def session_row(path: Path) -> tuple[str, str]:
    """A session in a line: its name, when it was last written to, its size."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))
    return path.stem, f"{when}, {path.stat().st_size / 1024:,.0f} KiB"


def turn_rows(path: Path) -> Rows:
    """One row a turn: what was said, and how it ended."""
    said: dict[int, str] = {}
    ended: dict[int, str] = {}
    turn = 0
    for line in read_record(path):
        if line["kind"] == "turn":
            turn = int(line["turn"])
            said[turn] = str(line["said"]).strip().partition("\n")[0][:80]
        elif line["kind"] == "ended":
            ended[turn] = _ending(line)
    return [(str(n), f"{text}\n{ended.get(n, 'not ended')}") for n, text in said.items()]


def _ending(line: Mapping[str, Any]) -> str:
    tokens = line["usage"]
    samples = f"{line['samples']} samples, {tokens['input']:,} tokens in, {tokens['output']:,} out"
    return f"{line['status']}: {samples}" + (f"; {line['error']}" if line.get("error") else "")
