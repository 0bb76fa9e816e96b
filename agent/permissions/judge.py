"""May this action run? From action and policy to a verdict. Does no I/O, asks nobody."""

from ..protocol.actions import Action, Policy, Verdict


def judge(action: Action, policy: Policy) -> Verdict:
    """The verdict on `action`. Reading is always allowed. All else follows the policy.

    The first branch that applies decides. A new rule is one more branch.
    """
    if action.reads_only:
        return Verdict(decision="allow", reason="reads only")
    if policy == "auto":
        return Verdict(decision="allow", reason="policy auto")
    if policy == "ask":
        return Verdict(decision="ask", reason="policy ask")
    return Verdict(decision="deny", reason="policy deny: the agent may look, but run nothing")
