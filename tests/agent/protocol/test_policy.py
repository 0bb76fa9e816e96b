"""A policy is one word or two, and stricter means no looser in either way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.protocol.policy import LEVELS, PRESETS, WAYS_TO_ASK, Policy, read_policy

policies = st.builds(Policy, st.sampled_from(list(LEVELS)), st.sampled_from(list(WAYS_TO_ASK)))


@given(policies)
def test_the_words_of_a_policy_mean_it(policy: Policy):
    assert read_policy(policy.words) == policy


@given(policies, policies)
def test_of_two_policies_at_most_one_is_stricter(one: Policy, other: Policy):
    assert not (one.is_stricter(other) and other.is_stricter(one))
    assert not one.is_stricter(one)


@pytest.mark.parametrize(
    ("words", "policy"),
    [
        ("workspace, always", Policy("workspace", "always")),
        ("always workspace", Policy("workspace", "always")),
        ("read-only", Policy("read-only", "on-request")),
        ("never", Policy("workspace", "never")),
        ("full", Policy("full", "on-request")),
    ],
)
def test_a_level_and_a_way_to_ask_may_come_alone_or_in_any_order(words: str, policy: Policy):
    assert read_policy(words) == policy


def test_a_single_word_changes_only_its_side_of_the_present_policy():
    present = Policy("read-only", "always")
    assert read_policy("full", present) == Policy("full", "always")
    assert read_policy("never", present) == Policy("read-only", "never")
    assert read_policy("auto", present) == PRESETS["auto"]


@pytest.mark.parametrize("words", ["", "yolo", "full full", "auto always", "full, workspace", ","])
def test_other_words_are_refused(words: str):
    with pytest.raises(ValueError, match="none of auto, ask, deny, full"):
        read_policy(words)
