"""Whole requests, a readable file each: every item that is sent, in order. A change is a diff.

`UPDATE_GOLDEN=1 pytest tests/agent/test_requests.py` writes the files anew.
"""

import json
import os
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.compaction.marks import go_back, named
from inkernel.agent.config.project import Doc
from inkernel.agent.context.changes import Environment, Snapshot
from inkernel.agent.context.instructions import instructions
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.resume import resume
from inkernel.agent.conversation.runs import RunLog
from inkernel.agent.dialects.dialect import ResponseDone, SamplePart
from inkernel.agent.dialects.request import Request
from inkernel.agent.loop import turn
from inkernel.agent.protocol.cells import CellRun, DisplayOutput, ErrorOutput, StreamOutput
from inkernel.agent.protocol.items import Item, call_output, parse_item, text_part
from inkernel.agent.protocol.observed import UserCellRun, Variable
from inkernel.agent.session import Prompt, Session
from inkernel.agent.testing import play
from inkernel.agent.text.tokens import estimate
from inkernel.agent.tools.run_cell import RunCell, run_cell_tool
from inkernel.agent.tools.tool import ToolCall

FOLDER = Path(__file__).parent / "golden" / "requests"
DOC = Doc(Path("/home/ada/rain/AGENTS.md"), "Use metric units.\n")
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhg"
    "GAWjR9awAAAABJRU5ErkJggg=="
)

LOAD = UserCellRun(
    number=1,
    cell="c1",
    count=1,
    source="import pandas as pd\nrain = pd.read_csv('rain.csv')",
    status="ok",
    bound=("pd", "rain"),
)
LOOK = UserCellRun(
    number=2,
    cell="c2",
    count=2,
    source="rain.plot()\nprint(len(rain))",
    status="ok",
    outputs=(
        StreamOutput(name="stdout", text="365\n"),
        DisplayOutput(data={"text/plain": "<Axes>", "image/png": PNG}),
    ),
    reads=("rain",),
)
FAIL = UserCellRun(
    number=3,
    cell="c3",
    count=3,
    source="rain['date'].dt.month",
    status="error",
    outputs=(
        ErrorOutput(
            ename="AttributeError",
            evalue="Can only use .dt accessor with datetimelike values",
            traceback=("AttributeError: Can only use .dt accessor with datetimelike values",),
        ),
    ),
    reads=("rain",),
)
AGAIN = replace(LOAD, number=4, count=4, supersedes=1)
PLACE_ELSEWHERE = Environment("/home/ada/rain", "2026-03-02", "Europe/Berlin", "3.12.4")
NAMES = {
    "pd": Variable("pd", "pd: module pandas", "1"),
    "rain": Variable("rain", "rain: DataFrame 365 × 3 (date object, mm float64, …)", "1"),
}


def rendered(session: Session) -> str:
    """The request's items, each with what it is to the conversation."""
    lines: list[str] = []
    for entry in session.conversation.history.entries:
        item = json.loads(entry.item.wire)
        about = item.get("role") or item["type"]
        lines.append(f"[{entry.kind}] {about}, turn {entry.turn}")
        lines += [f"    {line}" for line in body(item).splitlines()]
    return "\n".join(lines) + "\n"


def body(item: dict[str, Any]) -> str:
    parts = item.get("content", item.get("output", item.get("arguments", "")))
    if isinstance(parts, str):
        return parts
    return "\n".join(
        part.get("text") or f"({part['type']}, {len(part['image_url']):,} characters)"
        for part in parts
    )


def golden(name: str, session: Session) -> None:
    path, text = FOLDER / f"{name}.txt", rendered(session)
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def answered(session: Session, text: str) -> None:
    part = {"type": "output_text", "text": text}
    session.journal.commit(parse_item({"type": "message", "role": "assistant", "content": [part]}))


@pytest.fixture
def session(session_for: Callable[..., Session]) -> Session:
    return session_for(play([]))


def test_a_fresh_session(session: Session, place: Environment):
    session.begin(Prompt("How much rain fell?", Snapshot(replace(place, docs=(DOC,)))))
    golden("fresh", session)


def test_cells_and_names_since_the_last_turn(session: Session, place: Environment):
    first = Snapshot(place, "k", {}, (LOAD,), 1)
    session.begin(Prompt("How much rain fell?", first))
    answered(session, "Some.")
    hidden = UserCellRun(5, "c5", 5, "# agent: hide\nsecret()", "ok", hidden=True)
    seen = Snapshot(
        place,
        "k",
        NAMES,
        (LOOK, FAIL, AGAIN, hidden),
        5,
        (("run 2, In [2]", ("rain",)), ("run 3, In [3]", ("rain",))),
    )
    session.begin(Prompt("Why does it fail?", seen))
    answered(session, "Dates are text.")
    session.begin(Prompt("Thanks.", replace(seen, cells=())))
    golden("cells_since", session)


def test_settings_and_place_change(session: Session, place: Environment):
    session.begin(Prompt("One.", Snapshot(replace(place, policy="auto: steps run"))))
    moved = replace(place, policy="ask: the person is asked", cwd="/tmp", date="2026-03-02")
    session.begin(Prompt("Two.", Snapshot(moved)))
    golden("settings_change", session)


def test_instructions_change_while_the_turn_runs(session: Session, place: Environment):
    now = replace(place, docs=(DOC,))
    session = replace(session, seams=replace(session.seams, environment=lambda: now))
    session.begin(Prompt("Go.", Snapshot(now)))
    call = {"type": "function_call", "call_id": "c", "name": "run_cell", "arguments": "{}"}
    session.journal.commit(parse_item(call))
    session.journal.commit(call_output("c", [text_part("ok")]))
    session.refresh()
    round_too = replace(DOC, text="Use metric units. Round.\n")
    now = replace(place, docs=(round_too,), packages={"numpy": "2.1"})
    session.refresh()
    session.refresh()
    session.begin(Prompt("Go on.", Snapshot(now)))
    golden("instructions_change", session)


def test_a_new_kernel(session: Session, place: Environment):
    session.begin(Prompt("One.", Snapshot(place, "k1", NAMES, (LOAD,), 1)))
    left = {"x": Variable("x", "x: int 1", "1")}
    session.begin(Prompt("Two.", Snapshot(place, "k2", left)))
    golden("new_kernel", session)


def test_more_cells_than_fit(session_for: Callable[..., Session], place: Environment):
    session = session_for(play([]), cells_tokens=300)
    runs = tuple(
        UserCellRun(n, f"c{n}", n, f"x{n} = compute({n})\n" * 5, "ok", bound=(f"x{n}",))
        for n in range(1, 41)
    )
    session.begin(Prompt("Go.", Snapshot(place, "k", {}, runs, 40)))
    golden("many_cells", session)


NOTES = {
    "state": "The wettest month is found; the plot is missing.",
    "plan": [{"text": "find the wettest month", "done": True}, {"text": "plot it", "done": False}],
    "decisions": [{"text": "millimetres, not inches", "from": []}],
    "facts": [{"text": "April had 96.5 mm", "from": ["out-2"]}],
}


def said(text: str) -> Item:
    part = {"type": "output_text", "text": text}
    return parse_item({"type": "message", "role": "assistant", "content": [part]})


def step(call_id: str, code: str) -> Item:
    arguments = json.dumps({"title": "look", "code": code})
    call = {"type": "function_call", "call_id": call_id, "name": "run_cell"}
    return parse_item({**call, "arguments": arguments})


@pytest.fixture
def conversation(session_for: Callable[..., Session], place: Environment):
    """Has turns in a small window: what is said, and the model's responses after it."""

    def begin(*responses: Item) -> tuple[Session, Callable[..., Any]]:
        rest = iter(responses)

        async def sample(request: Request) -> AsyncGenerator[SamplePart]:
            asked = b"about to be shortened" in request.items[request.end - 2_500 : request.end]
            yield said(json.dumps(NOTES)) if asked else next(rest)
            yield ResponseDone(None)

        window = estimate(instructions()) + 1_950  # a longer prompt changes no golden file
        session = session_for(sample, window=window, output_tokens=600)

        async def run_code(_call: ToolCall, step: RunCell) -> CellRun:
            code = step.code
            text = f"{code}: " + "1.5 2.5 3.5\n" * 40
            shown = StreamOutput(name="stdout", text=text)
            return CellRun(source=code, status="ok", outputs=(shown,), bound=("mm",))

        session = replace(session, tools=(run_cell_tool(run_code, 600, session.outputs),))

        async def say(session: Session, text: str, *cells: UserCellRun, count: int = 0) -> None:
            last = cells[-1].number if cells else session.conversation.told.run
            seen = Snapshot(place, "k", NAMES, cells, last)
            async for _ in turn(session, Prompt(text, seen, cell=f"ask-{count}", count=count)):
                pass

        return session, say

    return begin


async def test_a_compaction_before_a_turn(conversation):
    answers = [step("c1", "mean(rain)"), said("Some rain."), step("c2", "max(rain)")]
    answers += [said("April: 96.5 mm."), said("Plotted.")]
    session, say = conversation(*answers)
    await say(session, "How much rain fell?", LOAD, LOOK, count=3)
    await say(session, "Which month was wettest?\nIn millimetres.", FAIL, AGAIN, count=5)
    pasted = "\n".join(f"gauge {n}: keep" for n in range(60))  # what is said counts, too
    await say(session, f"Plot it, please.\n{pasted}", count=6)
    golden("compaction_before", session)


async def test_a_compaction_while_a_turn_runs(conversation):
    answers = [step(f"c{n}", f"look({n})") for n in range(1, 6)]
    answers += [step("c6", "look(6)"), said("Done.")]
    session, say = conversation(*answers)
    await say(session, "Look at each gauge.", LOAD, count=2)
    golden("compaction_within", session)


async def test_a_rewind_and_a_resume_after_a_compaction(conversation):
    answers = [step("c1", "mean(rain)"), said("Some rain."), step("c2", "max(rain)")]
    answers += [said("April: 96.5 mm."), said("Plotted."), said("Better.")]
    session, say = conversation(*answers)
    await say(session, "How much rain fell?", LOAD, LOOK, count=3)
    await say(session, "Which month was wettest?", FAIL, AGAIN, count=5)
    await say(session, "Plot it, please. " + "By month, please. " * 80, count=6)
    assert session.conversation.digest is not None
    go_back(session, named(session, "turn 3"))
    found = resume(session.journal.record.path)
    outputs = OutputStore(session.journal.record, found.outputs, RunLog(found.runs, found.ended))
    again = replace(
        session, journal=replace(session.journal, conversation=found.conversation), outputs=outputs
    )
    golden("rewind", again)
    wide = again.settings.model_copy(update={"window": 100_000})
    again = replace(again, settings=wide)
    await say(again, "Plot it by month.", count=7)
    golden("rewind_and_on", again)


async def test_a_resumed_session_sends_what_the_live_one_would(conversation):
    answers = [step("c1", "mean(rain)"), said("Some rain.")]
    session, say = conversation(*answers)
    await say(session, "How much rain fell?", LOAD, LOOK, count=3)
    found = resume(session.journal.record.path)
    outputs = OutputStore(session.journal.record, found.outputs, RunLog(found.runs, found.ended))
    again = replace(
        session, journal=replace(session.journal, conversation=found.conversation), outputs=outputs
    )
    assert rendered(again) == rendered(session)
    again.begin(Prompt("And now?", Snapshot(PLACE_ELSEWHERE, "k2", NAMES, (AGAIN,), 4)))
    golden("resume", again)


def test_what_is_rendered_is_what_is_sent(session: Session, place: Environment):
    session.begin(Prompt("One.", Snapshot(place, "k1", NAMES, (LOAD, LOOK), 2)))
    sent: list[Item] = [entry.item for entry in session.conversation.history.entries]
    assert bytes(session.conversation.history.wire) == b",".join(item.wire for item in sent)
