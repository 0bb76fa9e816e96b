"""Budgets: what is set is counted, 80 % is near, 100 % is over."""

from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.config.settings import Settings
from inkernel.agent.permissions.budget import Spent, Use, uses

amounts = st.integers(0, 10**12)


def test_what_has_no_limit_or_no_price_is_not_counted():
    settings = Settings(turn_tokens=None, turn_steps=None, turn_sent=None, session_cost=5)
    assert list(uses(settings, Spent(tokens=10**12), Spent())) == []


@given(amounts, amounts, st.integers(1, 10**12))
def test_a_turn_that_uses_more_is_never_further_from_its_end(less: int, more: int, most: int):
    less, more = sorted((less, more))
    one, two = Use("turn_tokens", less, most), Use("turn_tokens", more, most)
    assert one.near <= two.near
    assert one.over <= two.over
    assert one.over <= one.near
    assert one.over == (less >= most)


def test_the_use_is_told_in_words():
    settings = Settings(turn_cost=5, session_seconds=90)
    found = [it.words for it in uses(settings, Spent(cost=4.1), Spent(seconds=60, cost=9))]
    assert "$4.10 of $5.00 of this turn's cost" in found
    assert "60 s of 90 s of this session's time" in found
    assert "0 of 500 of this turn's steps" in found
