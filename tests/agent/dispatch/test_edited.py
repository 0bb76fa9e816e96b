"""Code that a person has changed in a question is judged again. Their yes covers what they saw."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from inkernel.agent.dispatch.gate import GatedCall, JudgedCall
from inkernel.agent.permissions.judge import Seen
from inkernel.agent.protocol.actions import (
    Action,
    ActionRule,
    Answer,
    Question,
    StandingRules,
    Verdict,
)
from inkernel.agent.protocol.trials import Deed, Trial
from inkernel.agent.testing import play, repeat_code
from inkernel.agent.tools.run_cell import RunCell, run_cell_tool
from inkernel.agent.tools.tool import ToolCall

Make = Callable[..., Any]
DEEDS = {name: Deed("write", f"/far/{name}", "open") for name in ("a", "b")}


def read(code: str) -> Seen:
    """Each letter is a file that the code writes. Those after a `?` only a run shows."""
    named, hidden, _ = code.partition("?")
    return Seen(plain=not hidden, concerns=tuple(DEEDS[it] for it in named if it in DEEDS))


async def trial(_call: ToolCall, action: Action) -> Trial:
    denied = (DEEDS["b"],) if "b" in str(action.code).partition("?")[2] else ()
    return Trial(status="ok", denied=denied)


def said(
    code: str | None = None, decision: Any = "allow", deeds: Any = ()
) -> Callable[..., Answer]:
    def answer(question: Question) -> Answer:
        verdict = Verdict(decision=decision, reason="said", by="user", deeds=question.why.deeds)
        return Answer(verdict=verdict, code=code)

    return answer


@pytest.fixture
def judged(session_for: Make) -> Make:
    """Judges code, with the answers to its questions: the judged call, and the questions."""

    async def judge(
        code: str, answers: Iterable[Any], rules: Iterable[ActionRule] = (), **how: Any
    ) -> tuple[JudgedCall, list[Question]]:
        rest, asked, session = iter(answers), list[Question](), session_for(play([]), **how)

        async def approve(question: Question) -> Answer:
            asked.append(question)
            return next(rest)(question)

        seams = replace(session.seams, approve=approve, read=read, trial=trial)
        seams = replace(seams, rules=lambda: StandingRules(tuple(rules)))
        tool = run_cell_tool(repeat_code(), 100, session.outputs)
        arguments = RunCell(title="t", code=code)
        gated = GatedCall(replace(session, seams=seams), ToolCall("c"), tool, arguments, False)
        return [it async for it in gated.admit() if isinstance(it, JudgedCall)][-1], asked

    return judge


async def test_a_change_that_adds_nothing_runs_with_the_deeds_of_the_yes(judged: Make):
    done, asked = await judged("a", [said("a a")])
    assert (done.verdict.decision, done.verdict.by, len(asked)) == ("allow", "user", 1)
    assert done.verdict.deeds == (DEEDS["a"],)
    assert "a a" in (await done.run()).text and done.edited


async def test_a_deed_that_the_change_took_away_is_allowed_no_more(judged: Make):
    done, _ = await judged("a", [said("x")])
    assert (done.verdict.decision, done.verdict.deeds) == ("allow", ())


async def test_a_new_deed_is_asked_for_by_name_and_both_are_allowed(judged: Make):
    done, asked = await judged("a", [said("ab"), said()])
    assert asked[1].why.deeds == (DEEDS["b"],) and asked[1].action.literal == "ab"
    assert (done.verdict.decision, set(done.verdict.deeds)) == ("allow", set(DEEDS.values()))
    done, asked = await judged("a", [said("ab"), said("aba"), said(decision="deny")])
    assert len(asked) == 2 and done.verdict.decision == "allow"


async def test_a_rule_that_denies_holds_for_the_changed_code(judged: Make):
    rule = ActionRule(decision="deny", path="/far/b", origin="a test")
    done, asked = await judged("a", [said("b")], rules=[rule])
    assert (done.verdict.decision, done.verdict.by, len(asked)) == ("deny", "rule", 1)
    text = (await done.run()).text
    assert "Not run: the code as the person changed it: a rule of a test" in text


async def test_a_rule_that_asks_is_answered_for_the_call_and_not_for_a_new_deed(judged: Make):
    of_tool = ActionRule(decision="ask", tool="run_cell", origin="a test")
    done, asked = await judged("x", [said("y")], rules=[of_tool])
    assert (done.verdict.decision, len(asked)) == ("allow", 1)
    of_path = ActionRule(decision="ask", path="/far/b", origin="a test")
    done, asked = await judged("x", [said("b"), said()], rules=[of_tool, of_path])
    assert len(asked) == 2 and DEEDS["b"] in done.verdict.deeds


async def test_a_change_that_only_a_run_shows_has_its_trial(judged: Make):
    done, asked = await judged("x", [said("?")], policy="ask")
    assert (done.verdict.decision, len(asked)) == ("allow", 1)
    done, asked = await judged("x", [said("?b"), said()], policy="ask")
    assert asked[1].trial is not None and DEEDS["b"] in asked[1].why.deeds
    assert done.trial is asked[1].trial
