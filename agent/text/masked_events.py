"""Shows events without keys, also when a key comes in pieces. Knows no view and no key.

The end of a streamed text is held while it may be the start of a key. The next piece or the next
other event gives it out.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from ..protocol.cells import StreamOutput
from ..protocol.events import (
    CallDelta,
    Event,
    HostedProgress,
    OutputShown,
    ReasoningDelta,
    TextDelta,
)
from .masking import HELD_CHARS, Mask

_DELTAS = (CallDelta, HostedProgress, ReasoningDelta, TextDelta)


class MaskedEvents:
    """Masks each event, and passes it on to `show`. Events may come from several threads."""

    def __init__(self, mask: Mask, show: Callable[[Event], object]) -> None:
        self._mask = mask
        self._pass_on = show
        self._lock = threading.RLock()
        self._last: Event | None = None
        self._held = self._given = ""

    def show(self, event: Event) -> None:
        """Pass on an event, as far as it is no start of a key."""
        with self._lock:
            if self._last is None or not _goes_on(self._last, event):
                self.flush()
            text = _text_of(event)
            if text is None:
                self._pass_on(self._mask.value(event))
                return
            text = self._held + text
            most = self._mask.beginning(self._given + text)
            cut = len(text) - min(most, len(text))
            self._last, self._held = event, text[cut:]
            self._given = (self._given + text[:cut])[1 - HELD_CHARS :]
            if cut or not text:
                self._pass_on(self._mask.value(_with_text(event, text[:cut])))

    def flush(self) -> None:
        """Pass on the text that is held."""
        with self._lock:
            held, last = self._held, self._last
            self._last, self._held, self._given = None, "", ""
            if held and last is not None:
                self._pass_on(self._mask.value(_with_text(last, held)))


def _text_of(event: Event) -> str | None:
    """The text of an event that the next one may go on with."""
    if isinstance(event, OutputShown) and isinstance(event.output, StreamOutput):
        return event.output.text
    return event.text if isinstance(event, _DELTAS) else None


def _with_text(event: Event, text: str) -> Event:
    if isinstance(event, OutputShown):
        output = replace(cast("StreamOutput", event.output), text=text)
        return replace(event, output=output)
    return replace(event, text=text)


def _goes_on(last: Event, event: Event) -> bool:
    """Whether two events have pieces of the same text."""
    return _text_of(event) is not None and _with_text(last, "") == _with_text(event, "")
