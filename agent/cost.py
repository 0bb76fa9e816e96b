"""What tokens cost, from the prices in the settings. Knows no price list."""

from .events import Usage
from .settings import Settings

MILLION = 1_000_000


def cost_of(usage: Usage, settings: Settings) -> float | None:
    """US dollars for `usage`; None when the prices of input and output are not set.

    Cached input costs as much as other input unless it has a price of its own.
    """
    if settings.price_input is None or settings.price_output is None:
        return None
    cached = settings.price_input if settings.price_cached is None else settings.price_cached
    fresh = usage.input - usage.cached
    return (
        fresh * settings.price_input + usage.cached * cached + usage.output * settings.price_output
    ) / MILLION
