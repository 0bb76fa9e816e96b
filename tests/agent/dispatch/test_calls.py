"""Calls: judged, run in their order, answered in theirs."""

import ast
import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.conversation.journal import INTERRUPTED
from inkernel.agent.conversation.record import read_lines
from inkernel.agent.dialects.dialect import ResponseDone, SamplePart
from inkernel.agent.dialects.request import Request
from inkernel.agent.dispatch.gate import GatedCall, JudgedCall
from inkernel.agent.errors import RecordError, StreamBrokenError, TurnInterrupted
from inkernel.agent.protocol.actions import Action, Answer, Question, Verdict
from inkernel.agent.protocol.events import (
    ApprovalNeeded,
    Event,
    ToolEnded,
    ToolStarted,
    VerdictGiven,
)
from inkernel.agent.protocol.items import FunctionCallOutput, Item, parse_item
from inkernel.agent.session import Session
from inkernel.agent.testing import answer, play
from inkernel.agent.tools.tool import Tool, ToolCall, ToolOutput, text_output

Run = Callable[..., Awaitable[tuple[list[Event], BaseException | None]]]
Make = Callable[..., Any]
END = ResponseDone(None)
PATIENCE = 10
"""Seconds until a test gives up on what should happen at once."""


def outputs(session: Session) -> list[tuple[str, str]]:
    """Call ids and texts of all outputs in the history, in order."""
    items = [entry.item for entry in session.conversation.history.entries]
    return [(x.call_id, str(x.output)) for x in items if isinstance(x, FunctionCallOutput)]


def of_call(events: list[Event], call_id: str) -> list[Event]:
    kinds = (ApprovalNeeded, VerdictGiven, ToolStarted, ToolEnded)
    return [event for event in events if isinstance(event, kinds) and event.call_id == call_id]


@pytest.fixture
def calls(session_for: Make, say: Make, run: Run) -> Make:
    """Runs a turn whose first response makes the calls given; its session, events and error."""

    async def turn(
        items: list[Item], *tools: Tool[Any], **how: Any
    ) -> tuple[Session, list[Event], BaseException | None]:
        session = session_for(play([[*items, END], [say("Done."), END]]), *tools, **how)
        return session, *(await run(session))

    return turn


@pytest.mark.parametrize(
    "order", [("slow", "quick"), ("quick", "slow"), ("slow", "quick", "quick")]
)
async def test_a_call_took_the_time_it_ran_and_not_the_wait_for_its_turn(
    calls: Make, call: Make, tool: Make, order: tuple[str, ...]
):
    async def read(call_id: str, word: str) -> str:
        await asyncio.sleep(1 if word == "slow" else 0)
        return word

    items = [call("read", f"{n}", {"word": word}) for n, word in enumerate(order)]
    _, events, error = await calls(items, tool("read", read, reads_only=True))
    assert error is None
    ended = [event.seconds for event in events if isinstance(event, ToolEnded)]
    assert [seconds >= 0.9 for seconds in ended] == [word == "slow" for word in order]


async def test_outputs_come_in_the_order_of_the_calls(calls: Make, call: Make, tool: Make):
    second = asyncio.Event()

    async def read(call_id: str, word: str) -> str:
        if word == "slow":
            await second.wait()
        second.set()
        return word

    items = [call("read", "a", {"word": "slow"}), call("read", "b", {"word": "quick"})]
    session, events, error = await calls(items, tool("read", read, reads_only=True))
    assert error is None
    assert outputs(session) == [("a", "slow"), ("b", "quick")]
    assert [e.call_id for e in events if isinstance(e, ToolEnded)] == ["a", "b"]


async def test_reads_run_side_by_side_before_the_response_ends(
    session_for: Make, call: Make, say: Make, tool: Make, run: Run
):
    both = asyncio.Barrier(3)

    async def read(call_id: str, word: str) -> str:
        await both.wait()
        return "read"

    async def sample(request: Request) -> AsyncGenerator[SamplePart]:
        if b"function_call_output" not in request.items:
            yield call("read", "a")
            yield call("read", "b")
            async with asyncio.timeout(PATIENCE):
                await both.wait()
        else:
            yield say("Done.")
        yield END

    session = session_for(sample, tool("read", read, reads_only=True))
    _, error = await run(session)
    assert error is None
    assert outputs(session) == [("a", "read"), ("b", "read")]


async def test_what_changes_things_runs_alone_and_reads_after_it_wait(
    session_for: Make, call: Make, say: Make, tool: Make, run: Run
):
    log: list[str] = []

    async def traced(call_id: str, word: str) -> str:
        log.append(f"{call_id} starts")
        await asyncio.sleep(0)
        log.append(f"{call_id} ends")
        return ""

    async def sample(request: Request) -> AsyncGenerator[SamplePart]:
        if b"function_call_output" not in request.items:
            for number, name in enumerate(["write", "read", "read", "write", "read"], 1):
                yield call(name, str(number))
                await asyncio.sleep(0)
            log.append("response ends")
        else:
            yield say("Done.")
        yield END

    session = session_for(sample, tool("read", traced, reads_only=True), tool("write", traced))
    _, error = await run(session)
    assert error is None
    assert log == [
        *("response ends", "1 starts", "1 ends", "2 starts", "3 starts", "2 ends", "3 ends"),
        *("4 starts", "4 ends", "5 starts", "5 ends"),
    ]


async def test_an_unknown_tool_is_told_with_those_there_are(calls: Make, call: Make, tool: Make):
    session, events, error = await calls([call("run_cel", "a")], tool("run_cell"), tool("inspect"))
    assert error is None
    assert outputs(session) == [
        ("a", "There is no tool 'run_cel'. Did you mean run_cell? There are: run_cell, inspect.")
    ]
    assert [type(event) for event in of_call(events, "a")] == [ToolEnded]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('{"word": 3}', "word: Input should be a valid string"),
        ('{"word": ', "arguments: Invalid JSON"),
        ("[]", "arguments: "),
    ],
)
@pytest.mark.parametrize("reads_only", [True, False])
async def test_wrong_arguments_are_told_and_nothing_runs(
    calls: Make, call: Make, tool: Make, arguments: str, words: str, reads_only: bool
):
    async def never(call_id: str, word: str) -> str:
        raise AssertionError("it ran")

    session, events, error = await calls(
        [call("t", "a", arguments)], tool("t", never, reads_only), policy="ask"
    )
    assert error is None
    ((call_id, text),) = outputs(session)
    assert call_id == "a"
    assert text.startswith("The arguments of t are wrong: ")
    assert words in text
    (ended,) = of_call(events, "a")
    assert isinstance(ended, ToolEnded)
    assert ended.status == "error"


async def test_no_arguments_are_an_empty_object(calls: Make, call: Make, tool: Make):
    session, *_ = await calls([call("t", "a", "")], tool("t"))
    assert outputs(session) == [("a", "t ")]


async def test_policy_deny_lets_look_but_run_nothing(calls: Make, call: Make, tool: Make):
    items = [call("write", "a"), call("read", "b")]
    session, events, error = await calls(
        items, tool("write"), tool("read", reads_only=True), policy="deny"
    )
    assert error is None
    assert [text for _, text in outputs(session)] == [
        "Not run: policy deny: the agent may look, but run nothing.",
        "read ",
    ]
    assert [e.status for e in events if isinstance(e, ToolEnded)] == ["denied", "ok"]


@pytest.mark.parametrize(
    ("verdict", "kinds", "text"),
    [
        (
            Verdict(decision="allow", reason="you said yes", by="user"),
            [ApprovalNeeded, VerdictGiven, ToolStarted, ToolEnded],
            "t x",
        ),
        (
            Verdict(decision="deny", reason="you said no: not on Sundays", by="user"),
            [ApprovalNeeded, VerdictGiven, ToolEnded],
            "Not run: you said no: not on Sundays.",
        ),
    ],
)
async def test_a_person_who_is_asked_decides(
    calls: Make, call: Make, tool: Make, verdict: Verdict, kinds: list[type], text: str
):
    session, events, error = await calls(
        [call("t", "a", {"word": "x"})], tool("t"), policy="ask", approve=answer(verdict)
    )
    assert error is None
    assert [type(event) for event in of_call(events, "a")] == kinds
    assert outputs(session) == [("a", text)]
    (line,) = [
        it.value for it in read_lines(session.journal.record.path) if it.value["kind"] == "verdict"
    ]
    told = {"call_id": "a", "tool": "t", **verdict.model_dump(exclude={"at"}), "deeds": []}
    assert {key: line[key] for key in told} == told
    assert datetime.fromisoformat(line["when"])


async def test_a_person_is_asked_about_what_would_run_and_only_that(
    calls: Make, call: Make, tool: Make
):
    asked: list[Action] = []

    async def approve(question: Question) -> Answer:
        asked.append(question.action)
        return Answer(verdict=Verdict(decision="allow", reason="yes", by="user"))

    items = [call("read", "a"), call("write", "b", {"word": "x"})]
    tools = tool("read", reads_only=True), tool("write")
    _, _, error = await calls(items, *tools, policy="ask", approve=approve)
    assert error is None
    effects = frozenset({"run_code"})
    told = Action(tool="write", arguments={"word": "x"}, effects=effects, literal="word: x")
    assert asked == [told]


@pytest.mark.parametrize("policy", ["auto", "ask", "deny"])
async def test_every_call_that_runs_has_its_verdict_in_the_record(
    calls: Make, call: Make, tool: Make, policy: str
):
    items = [call("read", "a"), call("write", "b")]
    session, events, _ = await calls(
        items, tool("read", reads_only=True), tool("write"), policy=policy
    )
    lines = [
        it.value for it in read_lines(session.journal.record.path) if it.value["kind"] == "verdict"
    ]
    assert [line["call_id"] for line in lines] == ["a", "b"]
    judged = [event for event in events if isinstance(event, VerdictGiven)]
    assert [e.verdict.decision for e in judged] == [line["decision"] for line in lines]


@pytest.mark.parametrize("reads_only", [True, False])
async def test_nothing_runs_before_its_verdict_is_in_the_record(
    session_for: Make, call: Make, say: Make, tool: Make, run: Run, reads_only: bool
):
    judged: list[list[str]] = []

    async def look(call_id: str, word: str) -> str:
        lines = [
            it.value
            for it in read_lines(session.journal.record.path)
            if it.value["kind"] == "verdict"
        ]
        judged.append([line["call_id"] for line in lines])
        return word

    responses = [[call("t", "a"), END], [call("t", "b"), END], [say("Done."), END]]
    session = session_for(play(responses), tool("t", look, reads_only))
    _, error = await run(session)
    assert error is None
    assert judged == [["a"], ["a", "b"]]


@pytest.mark.parametrize("reads_only", [True, False])
async def test_a_call_whose_verdict_cannot_be_recorded_does_not_run(
    session_for: Make, tool: Make, monkeypatch: pytest.MonkeyPatch, reads_only: bool
):
    def full(*_line: object) -> int:
        raise RecordError("The disk is full.")

    async def never(call_id: str, word: str) -> str:
        raise AssertionError("it ran")

    session, one = session_for(play([])), tool("t", never, reads_only)
    monkeypatch.setattr(session.journal.record, "append", full)
    gated = GatedCall(session, ToolCall("a"), one, one.arguments.take({}), reads_only)
    with pytest.raises(RecordError):
        async for it in gated.admit():
            assert not isinstance(it, JudgedCall)


def test_only_the_gate_runs_a_tool_and_makes_the_call_that_can():
    root = Path(__file__).parents[3]
    sources = [path for folder in ("agent", "kernel_ext") for path in (root / folder).rglob("*.py")]
    made = [
        (path.name, name)
        for path in sources
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call)
        and (name := ast.unparse(node.func)).endswith(("JudgedCall", "tool.run"))
    ]
    assert made == [("gate.py", "JudgedCall"), ("gate.py", "gated.tool.run")]


async def test_a_person_who_is_asked_about_a_call_sees_its_tool_and_arguments(
    calls: Make, call: Make, tool: Make
):
    _, events, _ = await calls([call("t", "a", {"word": "x"})], tool("t"), policy="ask")
    needed = [event for event in events if isinstance(event, ApprovalNeeded)]
    assert [(it.call_id, it.name, it.arguments) for it in needed] == [("a", "t", {"word": "x"})]


async def test_an_interrupted_step_ends_the_turn_and_closes_the_calls_after_it(
    calls: Make, call: Make, tool: Make
):
    async def stopped(call_id: str, word: str) -> ToolOutput:
        return text_output("half", "interrupted")

    items = [call("t", "a"), call("u", "b"), call("u", "c")]
    session, events, error = await calls(items, tool("t", stopped), tool("u"))
    assert isinstance(error, TurnInterrupted)
    assert events[-1].event == "turn_ended"
    assert events[-1].status == "interrupted"
    assert outputs(session) == [("a", "half"), ("b", INTERRUPTED), ("c", INTERRUPTED)]


async def test_a_bug_in_a_tool_travels_unchanged_and_leaves_no_call_open(
    calls: Make, call: Make, tool: Make
):
    async def broken(call_id: str, word: str) -> str:
        raise ZeroDivisionError

    session, _, error = await calls([call("t", "a"), call("t", "b")], tool("t", broken))
    assert isinstance(error, ZeroDivisionError)
    assert [call_id for call_id, _ in outputs(session)] == ["a", "b"]


async def test_text_and_images_are_sent_in_parts_and_told_in_words(
    calls: Make, call: Make, tool: Make
):
    parts = (
        {"type": "input_text", "text": "a figure"},
        {"type": "input_image", "image_url": "data:,x"},
    )

    async def draw(call_id: str, word: str) -> ToolOutput:
        return ToolOutput(parts)

    session, events, _ = await calls([call("t", "a")], tool("t", draw))
    output = session.conversation.history.entries[-2].item
    assert json.loads(output.wire)["output"] == list(parts)
    assert [e.text for e in events if isinstance(e, ToolEnded)] == ["a figure\n[image]"]


@pytest.mark.parametrize(
    ("call", "output"),
    [
        (
            {"type": "custom_tool_call", "call_id": "a", "name": "sql", "input": "select 1"},
            {"type": "custom_tool_call_output", "call_id": "a"},
        ),
        (
            {"type": "custom_tool_call", "id": "ctc_1", "input": "select 1"},
            {"type": "custom_tool_call_output", "call_id": "ctc_1"},
        ),
        (
            {"type": "local_shell_call", "call_id": "a", "action": {"type": "exec"}},
            {"type": "local_shell_call_output", "id": "a"},
        ),
        (
            {"type": "shell_call", "call_id": "a", "action": {"commands": ["ls"]}},
            {"type": "shell_call_output", "call_id": "a"},
        ),
        (
            {"type": "apply_patch_call", "call_id": "a", "operation": {}},
            {"type": "apply_patch_call_output", "call_id": "a", "status": "failed"},
        ),
        (
            {"type": "function_call", "name": {}, "arguments": [1]},
            {"type": "function_call_output"},
        ),
    ],
    ids=lambda it: it["type"],
)
async def test_a_call_that_no_tool_takes_is_answered_with_an_error_and_the_turn_goes_on(
    calls: Make, tool: Make, call: dict[str, Any], output: dict[str, Any]
):
    session, _, error = await calls([parse_item(call)], tool("run_cell"))
    assert error is None
    assert session.conversation.history.open_calls == ()
    kinds = [entry.item.type for entry in session.conversation.history.entries]
    assert kinds[-3:] == [call["type"], output["type"], "message"]
    answered = json.loads(session.conversation.history.entries[-2].item.wire)
    assert output.items() <= answered.items()
    assert "There is no tool" in json.dumps(answered)
    assert "There are: run_cell." in json.dumps(answered)


async def test_a_custom_call_of_a_tool_of_ours_runs_it(calls: Make, tool: Make):
    fields = {"type": "custom_tool_call", "call_id": "a", "name": "read", "input": '{"word": "hi"}'}
    session, _, error = await calls([parse_item(fields)], tool("read"))
    assert error is None
    answered = json.loads(session.conversation.history.entries[-2].item.wire)
    assert answered == {"type": "custom_tool_call_output", "call_id": "a", "output": "read hi"}


async def test_a_call_that_the_server_answered_itself_is_not_answered_again(
    session_for: Make, say: Make, tool: Make, run: Run
):
    shell = {"type": "shell_call", "call_id": "a", "action": {}}
    came = [shell, {"type": "shell_call_output", "call_id": "a", "output": []}]
    session = session_for(play([[*map(parse_item, came), say("Done."), END]]), tool("run_cell"))
    events, error = await run(session)
    assert error is None
    assert not [event for event in events if isinstance(event, ToolEnded)]


async def test_an_interrupted_custom_call_has_an_output_of_its_kind(session_for: Make, run: Run):
    fields = {"type": "custom_tool_call", "call_id": "a", "name": "sql", "input": ""}
    session = session_for(
        play([[parse_item(fields), StreamBrokenError("It broke.")]]), max_attempts=1
    )
    await run(session)
    assert session.conversation.history.entries[-1].item.type == "custom_tool_call_output"
