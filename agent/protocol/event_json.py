"""Events as JSON values, one object each: written for other processes, and read back.

Knows no channel. Apart from the events, since a turn in a kernel needs none of it.
"""

from functools import cache
from typing import Any

from pydantic import TypeAdapter

from .events import Event


@cache
def _adapter() -> TypeAdapter[Event]:
    return TypeAdapter(Event)


def event_values(event: Event) -> dict[str, Any]:
    """The event as a JSON object. Other values become their `str`."""
    return _adapter().dump_python(event, mode="json", fallback=str)


def read_event(values: object) -> Event:
    """The event with these JSON values. Raises pydantic's ValidationError."""
    return _adapter().validate_python(values)
