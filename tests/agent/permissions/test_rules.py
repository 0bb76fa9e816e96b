"""Rules fit what they name: in doubt a rule that denies fits, and one that allows does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.permissions.rules import allows_deed, fits, narrowest
from inkernel.agent.protocol.actions import Action, ActionRule
from inkernel.agent.protocol.trials import Deed

RUN = Action(tool="run_cell", arguments={}, effects=frozenset({"run_code"}))


def allow(**parts: str) -> ActionRule:
    return ActionRule.model_validate({"decision": "allow", **parts})


def deny(**parts: str) -> ActionRule:
    return ActionRule.model_validate({"decision": "deny", **parts})


@pytest.mark.parametrize(
    ("rule", "deed", "allowed"),
    [
        (allow(path="/data"), Deed("write", "/data/a.csv"), True),
        (allow(path="/data"), Deed("write", "/data"), True),
        (allow(path="/data"), Deed("write", "/database"), False),
        (allow(path="/data"), Deed("network", "/data"), False),
        (allow(effect="read_files", path="/data"), Deed("write", "/data/a"), False),
        (allow(host="example.org"), Deed("network", "example.org:443"), True),
        (allow(host="example.org:80"), Deed("network", "example.org:443"), False),
        (allow(host="example.org"), Deed("network", "evil-example.org:443"), False),
        (allow(host="*.example.org"), Deed("network", "API.example.org:443"), True),
        (allow(host="*.example.org"), Deed("network", "example.org.evil.net"), False),
        (allow(command="git status"), Deed("command", "git status -s"), True),
        (allow(command="git status"), Deed("command", "git statusx"), False),
        (allow(command="git status"), Deed("command", "git status; rm -rf ~"), False),
        (allow(command="git status"), Deed("command", "git status $(rm x)"), False),
        (allow(command="git status"), Deed("command", "git status > ~/.bashrc"), False),
        (allow(effect="network"), Deed("network", ""), True),
        (allow(host="example.org"), Deed("network", ""), False),
        (allow(tool="run_cell"), Deed("network", "example.org"), False),
        (allow(tool="other", host="example.org"), Deed("network", "example.org"), False),
        (deny(host="example.org"), Deed("network", "example.org"), False),
        (allow(deed="read", path="/home/u/.ssh"), Deed("read", "/home/u/.ssh"), True),
        (allow(deed="read", path="/home/u/.ssh"), Deed("read", "/home/u/.ssh/id"), False),
        (allow(deed="write", path="/home/u"), Deed("remove", "/home/u"), False),
        (allow(deed="command", command="rm x"), Deed("command", "rm x /home/u"), False),
        (allow(deed="network", host="*.org"), Deed("network", "evil.org:443"), False),
        (allow(deed="network", host="a.org"), Deed("network", "A.org:443"), True),
        (allow(deed="process"), Deed("process", "42"), True),
    ],
)
def test_an_allowed_deed_is_one_that_the_rule_names(rule: ActionRule, deed: Deed, allowed: bool):
    assert allows_deed(rule, RUN, deed) is allowed


@pytest.mark.parametrize(
    ("rule", "deed", "fit"),
    [
        (deny(command="rm"), Deed("command", "cd /tmp && rm -rf x"), True),
        (deny(command="rm"), Deed("command", "ls | xargs rm"), True),
        (deny(command="rm"), Deed("command", "ls"), False),
        (deny(effect="network"), Deed("network", "x"), True),
        (deny(deed="remove", path="/data"), Deed("remove", "/data"), True),
        (deny(deed="remove", path="/data"), Deed("write", "/data"), False),
        (deny(effect="run_code"), Deed("read", "x"), True),
        (deny(tool="notebook_edit"), Deed("network", "x"), False),
    ],
)
def test_a_denial_fits_in_doubt(rule: ActionRule, deed: Deed, fit: bool):
    assert fits(rule, RUN, [deed]) is fit


targets = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ("/a", "/a/b", "h.example", "h.example:1", "ls -l", "git push; rm x", "a\nb", "*.x", " ")
    ),
)
kinds = st.sampled_from(("read", "write", "remove", "network", "command", "process", "native"))


@given(st.builds(Deed, kinds, targets), st.builds(Deed, kinds, targets))
def test_the_narrowest_rule_allows_its_deed_and_no_other(deed: Deed, other: Deed):
    rule = narrowest(deed)
    if rule is None:
        return
    assert allows_deed(rule, RUN, deed)
    if allows_deed(rule, RUN, other):
        assert other.kind == deed.kind
        same = deed.target.lower() in (other.target.lower(), other.target.lower().split(":")[0])
        assert same if deed.kind == "network" else other == deed or deed.kind == "process"


def test_no_rule_is_made_of_a_target_that_only_a_run_shows():
    assert narrowest(Deed("command", "…")) is None
    assert narrowest(Deed("write", "/data/….csv")) is None
