"""What a turn cost."""

from dataclasses import replace

import pytest

from inkernel.agent.config.settings import Settings
from inkernel.agent.protocol.events import Usage
from inkernel.agent.providers.pricing import cost_of
from inkernel.agent.providers.resolve import Target

OPENAI = Target("openai", "https://api.openai.com/v1", "gpt-5.5")
LOCAL = Target("ollama", "http://127.0.0.1:11434/v1", "gpt-5.5")

USAGE = Usage(input=3_000_000, cached=1_000_000, output=500_000, reasoning=200_000)


def test_reasoning_is_part_of_the_output_and_cached_input_has_its_price():
    priced = Settings(price_input=2, price_cached=0.5, price_output=8)
    assert cost_of(USAGE, priced, OPENAI) == pytest.approx(2 * 2 + 0.5 + 4)


def test_cached_input_without_a_price_costs_as_much_as_the_rest():
    assert cost_of(USAGE, Settings(price_input=2, price_output=8), OPENAI) == pytest.approx(
        3 * 2 + 4
    )


def test_what_is_free_costs_nothing_which_is_a_cost():
    assert cost_of(USAGE, Settings(price_input=0, price_output=0), OPENAI) == 0


def test_input_that_is_written_to_a_cache_has_its_price_or_that_of_the_rest():
    usage = Usage(input=3_000_000, cached=1_000_000, written=1_000_000)
    priced = Settings(price_input=2, price_cached=0.5, price_output=8)
    assert cost_of(usage, priced, OPENAI) == pytest.approx(2 * 2 + 0.5)
    dearer = priced.model_copy(update={"price_written": 2.5})
    assert cost_of(usage, dearer, OPENAI) == pytest.approx(2 + 2.5 + 0.5)


def test_a_cache_that_keeps_an_hour_costs_twice_the_input_at_anthropic():
    pytest.importorskip("genai_prices")
    target = Target("anthropic", "https://api.anthropic.com/v1", "claude-sonnet-5-5")
    plain, written = Usage(input=1_000_000), Usage(input=1_000_000, written=1_000_000)
    fresh = cost_of(plain, Settings(), target)
    assert fresh
    assert cost_of(written, Settings(), target) == pytest.approx(1.25 * fresh)
    assert cost_of(written, Settings(cache_ttl="1h"), target) == pytest.approx(2 * fresh)


@pytest.mark.parametrize(
    "prices", [{}, {"price_input": 2}, {"price_output": 2}, {"price_cached": 2}]
)
def test_without_prices_no_cost_is_claimed(prices: dict[str, float]):
    assert cost_of(USAGE, Settings(**prices), LOCAL) is None


def test_a_price_list_that_is_there_knows_models_at_their_servers():
    pytest.importorskip("genai_prices")
    listed = cost_of(USAGE, Settings(), OPENAI)
    assert listed is not None and 0 < listed < 100
    dearer = cost_of(replace(USAGE, cached=0), Settings(), OPENAI)
    assert dearer is not None and dearer > listed
    assert cost_of(USAGE, Settings(), replace(OPENAI, model="unheard-of")) is None


def test_the_users_own_prices_count_before_the_list():
    assert cost_of(USAGE, Settings(price_input=0, price_output=0), OPENAI) == 0


def test_a_script_is_free_of_prices_even_under_a_known_name():
    scripted = Target("scripted", "https://api.openai.com/v1", "gpt-5.5", scripted=True)
    assert cost_of(USAGE, Settings(), scripted) is None
