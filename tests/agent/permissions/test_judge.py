"""May an action run?"""

import pytest

from inkernel.agent.permissions.judge import judge
from inkernel.agent.protocol.actions import STRICTNESS, Action, Policy


def action(reads_only: bool) -> Action:
    return Action(call_id="c", tool="t", arguments={}, reads_only=reads_only)


@pytest.mark.parametrize("policy", STRICTNESS)
def test_looking_is_always_allowed(policy: Policy):
    assert judge(action(reads_only=True), policy).decision == "allow"


@pytest.mark.parametrize(
    ("policy", "decision"), [("auto", "allow"), ("ask", "ask"), ("deny", "deny")]
)
def test_running_follows_the_policy_and_says_why(policy: Policy, decision: str):
    verdict = judge(action(reads_only=False), policy)
    assert verdict.decision == decision
    assert verdict.by == "policy"
    assert f"policy {policy}" in verdict.reason
