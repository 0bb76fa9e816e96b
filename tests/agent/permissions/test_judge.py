"""May an action run?"""

from typing import get_args

import pytest

from inkernel.agent.permissions.judge import judge
from inkernel.agent.protocol.actions import STRICTNESS, Action, Effect, Policy

CHANGES = [effect for effect in get_args(Effect) if effect != "look"]


def action(*effects: Effect) -> Action:
    return Action(tool="t", arguments={}, effects=frozenset(effects))


@pytest.mark.parametrize("policy", STRICTNESS)
def test_looking_is_always_allowed(policy: Policy):
    assert judge(action("look"), policy).decision == "allow"


@pytest.mark.parametrize(
    ("policy", "decision"), [("auto", "allow"), ("ask", "ask"), ("deny", "deny")]
)
@pytest.mark.parametrize("effect", CHANGES)
def test_all_else_follows_the_policy_and_says_why(policy: Policy, decision: str, effect: Effect):
    verdict = judge(action("look", effect), policy)
    assert verdict.decision == decision
    assert verdict.by == "policy"
    assert f"policy {policy}" in verdict.reason
