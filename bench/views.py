"""Counts the bytes that a turn's view sends to the front end, and those that its cell saves.

A scripted model asks for steps that print 2 KB, or show a figure of 68 KB. A kernel really runs
them. A client counts the frames of each output and comm, and keeps the cell as a notebook would.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient

from .kernel import PATIENCE, printed, running

STEPS = (20, 100, 300)
FIGURES = 40
MADE = """
import base64, random
rain = "\\n".join(
    f"{n:4} " + " ".join(f"{(n * 7919 + k) % 100_000 / 7:11.4f}" for k in range(6))
    for n in range(27)
)
size = bytes.fromhex("89504e470d0a1a0a0000000d49484452000002800000018008060000")
picture = base64.b64encode(size + random.randbytes(51_000)).decode()
plot = {"image/png": picture, "text/plain": "<Figure>"}
print(len(rain), len(picture))
"""
"""The user's own variables: a text of 2 KB, and a picture of 68 KB."""
PRINT, FIGURE = "print(rain)", "display(plot, raw=True)"
SURFACES = {
    "notebook": (STEPS, True),
    "headless": (STEPS[-1:], False),
    "jupyterlab": (STEPS[-1:], True),
}
"""The front ends: without widgets, none, and with widgets. Their turns, and whether they answer."""


@dataclass
class Cell:
    """The outputs of a running cell, as a notebook keeps them. `sent`: bytes of all frames."""

    sent: int = 0
    outputs: list[dict[str, Any]] = field(default_factory=list)
    clearing: bool = False
    named: dict[str, dict[str, Any]] = field(default_factory=dict)

    def take(self, message: dict[str, Any]) -> None:
        """Apply one message."""
        content, kind = message["content"], message["msg_type"]
        name = content.get("transient", {}).get("display_id")
        if kind == "clear_output":
            self.clearing = True
        elif kind == "update_display_data" and name in self.named:
            self.named[name].update(data=content["data"], metadata=content["metadata"])
        elif kind in ("display_data", "stream", "execute_result", "error"):
            if self.clearing:
                self.outputs, self.named, self.clearing = [], {}, False
            shown = {key: it for key, it in content.items() if key != "transient"}
            self.outputs.append({"output_type": kind, **shown})
            self.named |= {name: self.outputs[-1]} if name else {}

    @property
    def saved(self) -> int:
        """Bytes of the outputs in the notebook's file."""
        return len(json.dumps(self.outputs, ensure_ascii=False).encode())


def measure(quick: bool) -> dict[str, float]:
    """For each front end: MB sent, sent ÷ outputs, saved ÷ outputs. And how the second grows from
    a hundred steps to three hundred."""
    figures: dict[str, float] = {}
    for surface, (counts, _) in SURFACES.items():
        cases = {f"{count} steps": (count, PRINT) for count in counts}
        for name, (count, code) in {**cases, f"{FIGURES} figures": (FIGURES, FIGURE)}.items():
            cell, shown = turn(surface, count // 10 if quick else count, code)
            figures |= {
                f"{surface} {name} MB": cell.sent / 1e6,
                f"{surface} {name} sent": cell.sent / shown,
                f"{surface} {name} saved": cell.saved / shown,
            }
    some, many = (figures[f"notebook {count} steps sent"] for count in STEPS[1:])
    return {**figures, "growth": many / some}


def turn(surface: str, count: int, code: str) -> tuple[Cell, int]:
    """The cell of one turn of so many steps, and the bytes of the steps' outputs."""
    elsewhere = {"VSCODE_PID": "1"} if surface == "notebook" else {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.toml"
        path.write_text(script(count, code), encoding="utf-8")
        own = {"INKERNEL_MODEL": f"scripted:{path}", "INKERNEL_MAX_SAMPLES": "1000"}
        with running(**own, **elsewhere) as (_, client):
            printed(client, "%load_ext inkernel")
            text, picture = map(int, printed(client, MADE).split())
            cell = Cell()
            with counted(client, cell):
                reply = client.execute_interactive(
                    "%%agent\nGo.",
                    allow_stdin=SURFACES[surface][1],
                    output_hook=cell.take,
                    timeout=PATIENCE,
                )
            if reply["content"]["status"] != "ok":
                raise RuntimeError(reply["content"])
            return cell, count * (text + 1 if code == PRINT else picture)


def script(count: int, code: str) -> str:
    """A turn with so many steps of this code."""
    call = '[[turn.response]]\n[[turn.response.call]]\nname = "run_cell"\n'
    steps = (
        f'{call}arguments = {{ title = "Step {n}", code = {json.dumps(code.strip())} }}\n'
        for n in range(count)
    )
    return "[[turn]]\n" + "".join(steps) + '[[turn.response]]\nsay = "Done."\n'


@contextmanager
def counted(client: BlockingKernelClient, cell: Cell) -> Iterator[None]:
    """Count the frames of outputs and comms that the client reads."""
    session: Any = client.session
    read = session.deserialize

    def deserialize(frames: list[Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        message = read(frames, *args, **kwargs)
        kind = message["header"]["msg_type"]
        if kind.startswith("comm_") or kind in (
            *("display_data", "update_display_data", "stream", "clear_output"),
            *("execute_result", "error"),
        ):
            cell.sent += sum(map(len, frames))
        return message

    session.deserialize = deserialize
    try:
        yield
    finally:
        del session.deserialize
