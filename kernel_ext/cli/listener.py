"""Shows the events of headless turns on standard output as they come. Knows no kernel."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from ...agent.protocol.event_json import event_values
from ...agent.protocol.events import Event, TurnEnded, TurnStarted, Usage
from .shell_words import in_shell


class Listener:
    """Shows events, and keeps how the turns ended."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._show = _print_json if as_json else _plain_show()
        self._status = "completed"
        self._all_completed = True
        self._lost = 0
        self._unwritten: OSError | None = None

    def begin(self, source: str) -> None:
        """Show that a cell begins: an agent cell in full, any other by its first line."""
        first, _, more = source.strip().partition("\n")
        if first.startswith("%%agent"):
            first, more = source.strip().replace("\n", "\n    "), ""
        if not self._json:
            self._write(lambda: print(f"\nIn: {first}{' …' if more else ''}", flush=True))

    def hear(self, event: Event, lost: int) -> None:
        """Show one event of a turn. `lost`: events before it that did not arrive."""
        self._lost += lost
        if isinstance(event, TurnStarted):
            self._status = "running"
        elif isinstance(event, TurnEnded):
            self._status = event.status
            self._all_completed &= event.status == "completed"
            event = replace(event, hint=event.hint and in_shell(event.hint))
        self._write(lambda: self._show(event))

    def end(self, failure: str | None, interrupted: bool) -> bool:
        """Tell the failure that stopped the notebook, if one did. Returns whether all went well.

        In JSON it is also an event, unless a turn sent one.
        """
        failure = failure and in_shell(failure)
        failures = [each for each in (failure, *self._own_failures()) if each]
        if failures and self._json and self._status in ("completed", "running"):
            end = _ended("interrupted" if interrupted else "failed", failures[0])
            self._write(lambda: _print_json(end))
        for each in failures:
            print(each, file=sys.stderr)
        return not failures and self._all_completed

    def warn(self, text: str) -> None:
        """Tell what does not stop the run."""
        print(text, file=sys.stderr)

    def _own_failures(self) -> list[str]:
        failures: list[str] = []
        if self._lost:
            failures.append(f"{self._lost:,} event(s) were lost between the kernel and here.")
        if self._status == "running":
            failures.append("The end of the turn was not heard.")
        if self._unwritten:
            failures.append(f"Not everything could be written: {self._unwritten.strerror}.")
        return failures

    def _write(self, write: Callable[[], None]) -> None:
        """Write to standard output. When nobody can read it any more, the turn still goes on."""
        try:
            write()
        except OSError as error:
            self._unwritten = error
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_json(event: Event) -> None:
    """Print the event in ASCII, which is JSON on a standard output of any encoding."""
    print(json.dumps(event_values(event), separators=(",", ":")), flush=True)


def _plain_show() -> Callable[[Event], None]:
    from ...widgets import open_view

    return open_view("plain").show


def _ended(status: Literal["interrupted", "failed"], error: str) -> TurnEnded:
    return TurnEnded(
        status=status, answer="", usage=Usage(), cost=None, seconds=0.0, samples=0, error=error
    )
