"""The cost of tokens, by the prices in the settings, else by a price list. Knows no session."""

import contextlib
import importlib

from ..config.settings import Settings
from ..protocol.events import Usage
from .resolve import Target

MILLION = 1_000_000


def cost_of(usage: Usage, settings: Settings, target: Target) -> float | None:
    """US dollars for `usage` at `target`; None when the price is not known.

    The settings' prices count first, when input and output are set. Input that was cached, or
    written to a cache, costs as much as other input if it has no price of its own. Else
    genai-prices answers, if it is installed (the extra `cost`) and knows this model at this
    server. It is loaded at the first use.
    """
    fresh = settings.price_input
    if fresh is None or settings.price_output is None:
        return None if target.scripted else _listed(usage, settings, target)
    cached = fresh if settings.price_cached is None else settings.price_cached
    written = fresh if settings.price_written is None else settings.price_written
    dollars = (
        (usage.input - usage.cached - usage.written) * fresh
        + usage.cached * cached
        + usage.written * written
        + usage.output * settings.price_output
    )
    return dollars / MILLION


def preload() -> None:
    """Load the price list, if there is one. It takes a while, so do it while a model answers."""
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module("genai_prices")


def _listed(usage: Usage, settings: Settings, target: Target) -> float | None:
    try:
        from genai_prices import Usage as Tokens
        from genai_prices import calc_price
    except ModuleNotFoundError:
        return None
    tokens = Tokens(
        input_tokens=usage.input,
        cache_read_tokens=usage.cached,
        cache_write_tokens=usage.written,
        output_tokens=usage.output,
        **({"cache_write_1h_tokens": usage.written} if settings.cache_ttl == "1h" else {}),
    )
    try:
        price = calc_price(tokens, model_ref=target.model, provider_api_url=target.base_url)
    except (LookupError, ValueError):  # also for counts that make no sense
        return None
    return float(price.total_price)
