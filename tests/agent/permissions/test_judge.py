"""The judge: looking is free, the strictest voice wins, and no rule loosens a denial."""

from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.permissions.judge import (
    Seen,
    Terms,
    TrialUse,
    in_words,
    judge,
    judge_trial,
)
from inkernel.agent.permissions.question import question
from inkernel.agent.permissions.rules import deeds_named_by, fits
from inkernel.agent.protocol.actions import Action, ActionRule, Effect
from inkernel.agent.protocol.policy import PRESETS, Asks, Level, Policy, read_policy
from inkernel.agent.protocol.trials import Deed, Trial

ORDER = ("allow", "try", "ask", "deny")
WRITE = Deed("write", "/etc/hosts", "open")
FETCH = Deed("network", "api.example.org:443", "connect")
NATIVE = Deed("native", "ctypes.dlopen", "ctypes")


def action(*effects: Effect, tool: str = "t", **more: Any) -> Action:
    return Action(tool=tool, arguments={}, effects=frozenset(effects), **more)


RUN = action("run_code")
EDIT = action("edit_notebook", paths=("/w/a.ipynb",))

deeds = st.sampled_from((WRITE, FETCH, NATIVE, Deed("command", "ls -la", "os.system")))
policies = st.builds(Policy, st.sampled_from(get_args(Level)), st.sampled_from(get_args(Asks)))
rules = st.sampled_from(
    [
        ActionRule(decision=decision, origin="a test", **parts)
        for decision in ("allow", "ask", "deny")
        for parts in (
            {"tool": "t"},
            {"tool": "u"},
            {"effect": "network"},
            {"effect": "run_code"},
            {"path": "/etc"},
            {"host": "*.example.org"},
            {"command": "ls"},
            {"tool": "t", "host": "api.example.org:443"},
        )
    ]
)
terms = st.builds(
    Terms,
    policy=policies,
    rules=st.lists(rules, max_size=4).map(tuple),
    held=st.lists(rules.filter(lambda it: it.decision == "allow"), max_size=2).map(tuple),
    trial=st.sampled_from(get_args(TrialUse)),
    can_try=st.booleans(),
)
seen = st.builds(Seen, plain=st.booleans(), concerns=st.lists(deeds, max_size=2).map(tuple))
actions = st.sampled_from((RUN, EDIT, action("run_code", "edit_notebook"), action("network")))


def rank(decision: str) -> int:
    return ORDER.index(decision)


@given(actions, seen, terms, st.sampled_from(get_args(Asks)))
def test_in_level_read_only_nothing_is_asked_and_no_code_runs_live(
    what: Action, found: Seen, on: Terms, asks: Asks
):
    on = replace(on, policy=Policy("read-only", asks))
    tried = Trial(status="ok", denied=found.concerns)
    for verdict in (judge(what, found, on), judge_trial(what, tried, on)):
        assert verdict.decision in ("try", "deny")


@pytest.mark.parametrize("policy", PRESETS.values(), ids=PRESETS)
def test_looking_is_always_allowed(policy: Policy):
    assert judge(action("look"), Seen(), Terms(policy=policy)).decision == "allow"


@pytest.mark.parametrize(
    ("policy", "decision"), [("auto", "allow"), ("ask", "ask"), ("deny", "deny"), ("full", "allow")]
)
def test_code_follows_the_policy_and_says_why(policy: str, decision: str):
    verdict = judge(RUN, Seen(), Terms(policy=read_policy(policy)))
    assert (verdict.decision, verdict.by) == (decision, "policy")
    assert f"policy {policy}" in verdict.reason


@given(actions, seen, terms, rules)
def test_a_rule_that_asks_or_denies_never_loosens(act: Action, code: Seen, now: Terms, rule: Any):
    more = Terms(
        policy=now.policy,
        rules=(*now.rules, rule),
        held=now.held,
        trial=now.trial,
        can_try=now.can_try,
    )
    before, after = judge(act, code, now), judge(act, code, more)
    if rule.decision != "allow":
        assert rank(after.decision) >= rank(before.decision)
    elif before.decision == "deny":
        done = (*deeds_named_by(act), *code.concerns)
        denies = any(it.decision == "deny" and fits(it, act, done) for it in now.rules)
        never = now.policy.asks == "never"
        assert after.decision == "deny" or (never and not denies)


@given(actions, seen, terms, st.sampled_from(get_args(Level)), st.sampled_from(get_args(Asks)))
def test_a_stricter_policy_never_loosens(
    act: Action, code: Seen, now: Terms, level: Level, asks: Asks
):
    stricter = Policy(level, asks)
    if stricter.is_stricter(now.policy):
        then = Terms(
            policy=stricter, rules=now.rules, held=now.held, trial=now.trial, can_try=now.can_try
        )
        live = judge(act, code, now).decision == "allow"
        assert live or judge(act, code, then).decision != "allow"


@given(actions, seen, terms)
def test_what_reading_has_found_never_lowers_a_verdict(act: Action, code: Seen, now: Terms):
    found = judge(act, code, now).decision
    nothing_known = judge(act, Seen(plain=False), now).decision
    assert rank(found) >= rank(nothing_known) or (found, nothing_known) == ("allow", "try")


@given(actions, seen, terms)
def test_nobody_is_asked_where_that_is_the_policy(act: Action, code: Seen, now: Terms):
    if now.policy.asks == "never":
        assert judge(act, code, now).decision != "ask"


@given(actions, seen, terms)
def test_in_read_only_nothing_runs_live(act: Action, code: Seen, now: Terms):
    if now.policy.level == "read-only":
        assert judge(act, code, now).decision in ("try", "ask", "deny")
        assert judge_trial(act, Trial(status="ok"), now).decision in ("try", "ask", "deny")


@given(actions, seen, terms)
def test_a_verdict_that_a_rule_decided_names_its_file_and_its_words(
    act: Action, code: Seen, now: Terms
):
    plain = replace(now, rules=tuple(it for it in now.rules if it.decision != "allow"), held=())
    for judged in (
        lambda on: judge(act, code, on),
        lambda on: judge_trial(act, Trial(status="ok", denied=code.concerns), on),
    ):
        verdict, without = judged(now), judged(plain)
        if verdict.by == "rule":
            assert "a test: " in verdict.reason
        if verdict.decision == "allow":
            assert (verdict.by == "rule") == (without.decision != "allow")


def test_each_rule_that_allowed_a_deed_is_named():
    file = ActionRule(decision="allow", path="/etc", origin="/home/a/rules.toml")
    held = ActionRule(decision="allow", host="api.example.org", origin="your answer for this turn")
    other = ActionRule(decision="allow", host="b.example.org", origin="/home/a/rules.toml")
    now = Terms(rules=(other, file), held=(held,))
    verdict = judge(RUN, Seen(concerns=(WRITE, FETCH)), now)
    assert (verdict.decision, verdict.by) == ("allow", "rule")
    assert verdict.reason == (
        "policy auto, and /home/a/rules.toml: allow: path /etc;"
        " your answer for this turn: allow: host api.example.org"
    )


def test_concerns_are_asked_with_the_deeds_in_words():
    verdict = judge(RUN, Seen(concerns=(WRITE, FETCH)), Terms())
    assert (verdict.decision, verdict.deeds) == ("ask", (WRITE, FETCH))
    assert "writes /etc/hosts; connects to api.example.org:443" in verdict.reason


@pytest.mark.parametrize(
    ("plain", "use", "decision"),
    [
        (True, "effects", "allow"),
        (False, "effects", "try"),
        (True, "always", "try"),
        (False, "never", "allow"),
    ],
)
def test_plain_computing_is_not_tried_first(plain: bool, use: Any, decision: str):
    assert judge(RUN, Seen(plain=plain), Terms(trial=use, can_try=True)).decision == decision


def test_a_clean_trial_is_allowed_and_a_refused_one_is_asked():
    now = Terms(can_try=True)
    assert judge_trial(RUN, Trial(status="ok"), now).decision == "allow"
    assert judge_trial(RUN, Trial(status="cut"), now).decision == "allow"
    refused = judge_trial(RUN, Trial(status="error", denied=(WRITE,)), now)
    assert (refused.decision, refused.deeds) == ("ask", (WRITE,))
    killed = judge_trial(RUN, Trial(status="killed", why="it took 9 GB"), now)
    assert (killed.decision, "it took 9 GB" in killed.reason) == ("ask", True)


def test_where_no_trial_is_possible_code_that_is_not_plain_is_asked():
    now = Terms(can_try=True)
    verdict = judge_trial(RUN, Trial(status="none", why="there is no fork"), now)
    assert (verdict.decision, "there is no fork" in verdict.reason) == ("ask", True)
    deny = Terms(can_try=True, policy=PRESETS["deny"])
    assert judge_trial(RUN, Trial(status="none"), deny).decision == "deny"


def test_under_always_the_question_comes_with_the_evidence_of_the_trial():
    now = Terms(can_try=True, policy=PRESETS["ask"])
    assert judge(RUN, Seen(), now).decision == "try"
    assert judge_trial(RUN, Trial(status="ok"), now).decision == "ask"


@given(st.lists(deeds, min_size=1, max_size=3), policies)
def test_the_answer_for_a_turn_answers_the_same_question_and_no_other(
    found: list[Deed], policy: Policy
):
    code, now = Seen(concerns=tuple(found)), Terms(policy=policy)
    why = judge(RUN, code, now)
    if why.decision != "ask":
        return
    asked = question(RUN, why, None, now)
    held = Terms(policy=policy, held=asked.held)
    if asked.held:
        assert judge(RUN, code, held).decision == "allow"
    other = Seen(concerns=(Deed("write", "/root/.ssh/config", "open"),))
    if policy.level == "workspace":
        assert judge(RUN, other, held).decision == "ask"
    if policy.level == "workspace":
        assert (NATIVE in found) is not bool(asked.held)


def test_no_rule_is_offered_that_would_let_any_code_run():
    now = Terms(policy=PRESETS["ask"])
    asked = question(RUN, judge(RUN, Seen(), now), None, now)
    assert asked.rules == ()
    assert asked.held == (ActionRule(decision="allow", tool="t"),)
    edit = question(EDIT, judge(EDIT, Seen(), now), None, now)
    assert edit.rules == (ActionRule(decision="allow", tool="t"),)


def test_a_rule_that_asks_is_answered_for_the_turn():
    rule = ActionRule(decision="ask", tool="t", origin="a test")
    now = Terms(rules=(rule,))
    why = judge(RUN, Seen(), now)
    assert (why.decision, why.by) == ("ask", "rule")
    held = question(RUN, why, None, now).held
    assert judge(RUN, Seen(), Terms(rules=(rule,), held=held)).decision == "allow"


def test_a_name_that_code_chose_is_on_one_line_of_the_reason_and_short():
    assert in_words([Deed("command", "ls\n[y]es: \nrm")]) == "runs ls⏎[y]es: ⏎rm"
    assert len(in_words([Deed("command", "x" * 5000)])) < 250
    assert in_words([Deed("command", "…")]) == "runs what only a run shows"


def test_a_refusal_of_nobody_knows_which_file_is_told_by_its_error():
    words = in_words([Deed("kernel", "", "OSError: Read-only file system")])
    assert words == "was refused something: OSError: Read-only file system"


@pytest.mark.parametrize(
    "parts",
    [{"server": "git"}, {"tool": "mcp__git__log"}, {"server": "git", "tool": "mcp__git__log"}],
)
def test_a_rule_for_a_server_or_its_tool_answers_for_its_calls_alone(parts: dict[str, str]):
    rule = ActionRule(decision="allow", origin="a test", **parts)
    terms = Terms(policy=read_policy("auto"), rules=(rule,))
    call = action("server", tool="mcp__git__log", server="git")
    assert judge(call, Seen(), terms).decision == "allow"
    assert judge(call, Seen(), Terms(policy=read_policy("auto"))).decision == "ask"
    others = action("server", tool="mcp__web__log", server="web")
    assert judge(others, Seen(), terms).decision == "ask"
    assert judge(call, Seen(), Terms(policy=read_policy("deny"), rules=(rule,))).decision == "deny"
