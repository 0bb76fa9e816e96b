"""What a turn cost."""

import pytest

from inkernel.agent.cost import cost_of
from inkernel.agent.events import Usage
from inkernel.agent.settings import Settings

USAGE = Usage(input=3_000_000, cached=1_000_000, output=500_000, reasoning=200_000)


def test_reasoning_is_part_of_the_output_and_cached_input_has_its_price():
    priced = Settings(price_input=2, price_cached=0.5, price_output=8)
    assert cost_of(USAGE, priced) == pytest.approx(2 * 2 + 0.5 + 4)


def test_cached_input_without_a_price_costs_as_much_as_the_rest():
    assert cost_of(USAGE, Settings(price_input=2, price_output=8)) == pytest.approx(3 * 2 + 4)


def test_what_is_free_costs_nothing_which_is_a_cost():
    assert cost_of(USAGE, Settings(price_input=0, price_output=0)) == 0


@pytest.mark.parametrize(
    "prices", [{}, {"price_input": 2}, {"price_output": 2}, {"price_cached": 2}]
)
def test_without_prices_no_cost_is_claimed(prices: dict[str, float]):
    assert cost_of(USAGE, Settings(**prices)) is None
