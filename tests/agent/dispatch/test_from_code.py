"""Tools as functions of code: the same verdicts, the same record, and no use after the step."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from inkernel.agent.dispatch.from_code import AgentTools, ToolCallError, lend, stubs
from inkernel.agent.protocol.actions import Action, Answer, Question, Verdict
from inkernel.agent.protocol.events import ApprovalNeeded, Event
from inkernel.agent.session import Session
from inkernel.agent.testing import answer, play
from inkernel.agent.tools.call_budget import CallBudget
from inkernel.agent.tools.tool import Tool, ToolCall, ToolOutput, text_output

Make = Callable[..., Any]
ANY = CallBudget()


@pytest.fixture
def lent(
    session_for: Make,
) -> Iterator[Callable[..., tuple[AgentTools, list[Event], Session, Callable]]]:
    """Lends tools under settings; what was lent, the events, the session, and what ends it."""

    def start(
        *tools: Tool[Any], approve: Any = None, budget: CallBudget = ANY, **choices: Any
    ) -> Any:
        session = session_for(play([]), **choices)
        if approve is not None:
            session = replace(session, seams=replace(session.seams, approve=approve))
        events: list[Event] = []
        loan = lend(session, tools, ToolCall("call_7", events.append, budget=budget))
        functions = stack.enter_context(loan)
        return functions, events, session, stack.close

    with ExitStack() as stack:
        yield start


def lines(session: Session, kind: str) -> list[dict[str, Any]]:
    text = session.journal.record.path.read_text(encoding="utf-8")
    return [line for line in map(json.loads, text.splitlines()) if line["kind"] == kind]


async def test_a_call_gives_the_text_and_is_in_the_record_with_its_verdict(lent: Make, tool: Make):
    functions, events, session, _ = lent(tool("look", reads_only=True))
    assert await functions.look(word="here") == "look here"
    assert await functions.look() == "look "
    first, second = lines(session, "lent_call")
    assert (first["call_id"], first["arguments"]) == ("call_7.1", {"word": "here"})
    assert (first["text"], second["text"]) == ("look here", "look ")
    assert [line["decision"] for line in lines(session, "verdict")] == ["allow", "allow"]
    assert [event.event for event in events] == ["tool_called", "tool_called"]


async def test_a_tool_that_changes_things_is_shown_as_a_step_of_its_own(lent: Make, tool: Make):
    functions, events, _, _ = lent(tool("move"))
    await functions.move(word="it")
    assert [event.event for event in events] == ["judged", "tool_started", "tool_ended"]
    assert {event.call_id for event in events} == {"call_7.1"}


@pytest.mark.parametrize(("policy", "by"), [("deny", "policy"), ("ask", "user")])
async def test_what_is_not_allowed_is_not_run(lent: Make, tool: Make, policy: str, by: str):
    ran: list[str] = []

    async def run(call_id: str, word: str) -> str:
        ran.append(word)
        return word

    no = answer(Verdict(decision="deny", reason="the person said no", by="user"))
    functions, _, session, _ = lent(tool("move", run), policy=policy, approve=no)
    with pytest.raises(ToolCallError, match="Not run"):
        await functions.move(word="it")
    assert not ran and lines(session, "verdict")[0]["by"] == by


async def test_a_person_who_is_asked_is_told_the_tool_and_its_arguments(lent: Make, tool: Make):
    asked: list[Action] = []

    async def approve(question: Question) -> Answer:
        asked.append(question.action)
        return Answer(verdict=Verdict(decision="allow", reason="yes", by="user"))

    functions, events, _, _ = lent(tool("move"), policy="ask", approve=approve)
    await functions.move(word="it")
    assert [(it.tool, it.arguments) for it in asked] == [("move", {"word": "it"})]
    needed = [event for event in events if isinstance(event, ApprovalNeeded)]
    assert [(it.call_id, it.name, it.arguments) for it in needed] == [
        ("call_7.1", "move", {"word": "it"})
    ]


@pytest.mark.parametrize("reads_only", [True, False])
async def test_nothing_runs_before_its_verdict_is_in_the_record(
    lent: Make, tool: Make, reads_only: bool
):
    judged: list[list[str]] = []

    async def run(_call_id: str, word: str) -> str:
        judged.append([line["call_id"] for line in lines(session, "verdict")])
        return word

    functions, _, session, _ = lent(tool("move", run, reads_only))
    await functions.move()
    await functions.move()
    assert judged == [["call_7.1"], ["call_7.1", "call_7.2"]]


async def test_wrong_arguments_and_failures_are_raised_in_the_code(lent: Make, tool: Make):
    async def fail(call_id: str, word: str) -> Any:
        return text_output("It broke.", "error")

    functions, _, session, _ = lent(tool("look", reads_only=True), tool("break_", fail, True))
    with pytest.raises(ToolCallError, match="arguments of look are wrong: word"):
        await functions.look(word=["no"])
    with pytest.raises(ToolCallError, match=r"It broke\."):
        await functions.break_()
    with pytest.raises(AttributeError, match=r"no tool 'lok'\. Did you mean look\?"):
        functions.lok  # noqa: B018
    assert [line["status"] for line in lines(session, "lent_call")] == ["error", "error"]


async def test_calls_of_code_are_counted_and_end_with_the_budget(lent: Make, tool: Make):
    budget = CallBudget(steps_left=2, from_code=5)
    functions, _, session, _ = lent(tool("look", reads_only=True), tool("move"), budget=budget)
    for word in "ab":
        await functions.move(word=word)
    with pytest.raises(ToolCallError, match="budget of steps"):
        await functions.move()
    for _ in range(2):
        await functions.look()
    for _ in range(3):
        with pytest.raises(ToolCallError, match="may make 5 calls"):
            await functions.look()
    assert (budget.called, budget.steps) == (5, 2)
    assert budget.sent == sum(len(it["text"]) for it in lines(session, "lent_call"))
    assert len(lines(session, "lent_call")) == 5


async def test_after_the_step_nothing_is_called(lent: Make, tool: Make):
    functions, _, session, end = lent(tool("look", reads_only=True))
    call = functions.look()
    end()
    with pytest.raises(ToolCallError, match="is over"):
        await call
    assert not lines(session, "lent_call")


def test_they_say_how_they_are_called(lent: Make, tool: Make):
    functions, _, _, _ = lent(tool("look", reads_only=True))
    assert repr(functions) == "agent_tools.look(word: str = '') -> str"
    assert repr(functions) == stubs((tool("look"),))
    assert dir(functions) == ["look"]
    assert "await agent_tools.look" in repr(functions.look())
    assert "The look tool." in functions.look.__doc__


def of_server(made: Tool[Any], local: str, **more: Any) -> Tool[Any]:
    return replace(made, server="my git", local=local, **more)


async def test_the_tools_of_a_server_are_in_a_namespace_of_its_name(lent: Make, tool: Make):
    log = of_server(tool("mcp__my_git__git-log"), "git-log")
    functions, _, _, _ = lent(tool("look"), log)
    assert await functions["my git"]["git-log"](word="here") == "mcp__my_git__git-log here"
    assert await functions.my_git.git_log({"word": "there"}) == "mcp__my_git__git-log there"
    assert dir(functions) == ["look", "my git"] and dir(functions.my_git) == ["git-log"]
    assert repr(functions).splitlines() == [
        "agent_tools.look(word: str = '') -> str",
        "agent_tools['my git']['git-log'](word: str = '') -> str",
    ]
    with pytest.raises(AttributeError, match=r"no tool 'git_lag' in my git\. Did you mean git-log"):
        _ = functions.my_git.git_lag
    with pytest.raises(KeyError, match="no tool 'nothing'"):
        _ = functions["nothing"]


async def test_a_short_name_is_found_if_only_one_tool_can_be_meant(lent: Make, tool: Make):
    one = replace(tool("mcp__git__git_log"), server="git", local="git_log")
    two, three = (replace(tool(f"mcp__git__{it}"), server="git", local=it) for it in ("a-b", "a.b"))
    functions, _, _, _ = lent(one, two, three)
    assert await functions.git.log(word="x") == "mcp__git__git_log x"
    with pytest.raises(AttributeError):
        _ = functions.git.a_b


async def test_code_gets_the_value_of_an_output_and_the_record_its_text(lent: Make, tool: Make):
    async def run(_call_id: str, _word: str) -> ToolOutput:
        return replace(text_output('{"rows": 2}'), value={"rows": 2})

    functions, _, session, _ = lent(tool("count", run))
    assert await functions.count() == {"rows": 2}
    assert lines(session, "lent_call")[0]["text"] == '{"rows": 2}'
