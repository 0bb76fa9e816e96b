"""Measures how long it takes to resume a long session and read its outputs.

The session has 1,000 turns with 2,000 cell runs. Then it reads one output of 10 MB. Medians.
"""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.resume import resume
from inkernel.agent.protocol.cells import CellRun, StreamOutput
from inkernel.agent.protocol.items import call_output, message, parse_item, text_part
from inkernel.agent.protocol.record_lines import ItemLine, SampleLine, TurnLine
from inkernel.agent.tools.output import ReadOutput, output_tool
from inkernel.agent.tools.run_cell import tell
from inkernel.agent.tools.tool import ToolCall

TURNS, STEPS, RUNS = 1_000, 2, 5
CODE = "print(table)\n" * 30


def printed(lines: int) -> CellRun:
    """A run that prints a table."""
    text = "".join(f"{n} {n * 1.5:12.3f} rain é\n" for n in range(lines))
    return CellRun(source=CODE, status="ok", outputs=(StreamOutput(name="stdout", text=text),))


def step(record: Record, outputs: OutputStore, turn: int, call_id: str, run: CellRun) -> None:
    """Reasoning, a call, its run and its output."""
    where = {"turn": turn, "cell": "cell"}
    thought = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA" * 300}
    arguments = json.dumps({"title": "look", "code": CODE})
    call = {"type": "function_call", "name": "run_cell", "call_id": call_id}
    record.append(ItemLine(**where, wire=parse_item(thought).wire))
    record.append(ItemLine(**where, wire=parse_item({**call, "arguments": arguments}).wire))
    told = tell(run, 3_000, outputs.keep_run(call_id, run))
    record.append(ItemLine(**where, about="output", wire=call_output(call_id, told.parts).wire))
    record.append(SampleLine(sample=1, usage={"input": 1}))


def write(record: Record, outputs: OutputStore, turns: int) -> None:
    """The whole session."""
    run = printed(700)
    for turn in range(1, turns + 1):
        record.append(TurnLine(turn=turn, cell="cell", count=None, said="Look at it."))
        where = {"turn": turn, "cell": "cell"}
        said = message("user", text_part("Look at it."))
        record.append(ItemLine(**where, about="said", wire=said.wire))
        for number in range(STEPS):
            step(record, outputs, turn, f"call_{turn}_{number}", run)
        text = {"type": "output_text", "text": "Done. " * 100}
        record.append(ItemLine(**where, wire=message("assistant", text).wire))


def seconds(work: Callable[[], object]) -> float:
    """The median of some runs."""
    times: list[float] = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def measure(quick: bool) -> dict[str, float]:
    """Seconds to resume, and milliseconds to tell and search an output."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "session.jsonl"
        record = Record(path)
        outputs = OutputStore(record)
        write(record, outputs, 20 if quick else TURNS)
        found |= {"MB": path.stat().st_size / 1e6, "resume": seconds(lambda: resume(path))}
        big = printed(4_000 if quick else 400_000)
        handle = outputs.keep_run("big", big)
        tool = output_tool(outputs, 10_000, lambda _head: False)
        found["tell 10 MB"] = 1e3 * seconds(lambda: tell(big, 10_000, handle))
        for asked in ({"start": 2_000}, {"grep": "77777"}, {"grep": r"7.77 .*\.5"}):
            ask = ReadOutput.model_validate({"handle": handle, **asked})
            took = seconds(lambda ask=ask: asyncio.run(tool.run(ToolCall("call"), ask)))
            found[f"read 10 MB, {asked}"] = 1e3 * took
        record.close()
    return found
