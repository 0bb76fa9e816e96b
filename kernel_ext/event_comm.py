"""Sends a turn's events to the front end over a comm, one message each. Knows no front end."""

from typing import Any

from ..agent.protocol.event_json import event_values
from ..agent.protocol.events import Event

EVENT_TARGET = "inkernel.events"
"""The comm's target. Each message's `data` is one event of `agent/protocol/events.py`.

Its metadata has the event's `number` from 1, so that a front end notices when one is missing.
"""


class EventComm:
    """One comm, opened at the first event."""

    def __init__(self) -> None:
        self._comm: Any = None
        self._sent = 0

    def send(self, event: Event) -> None:
        """Send one event."""
        if self._comm is None:
            from comm import create_comm

            self._comm = create_comm(target_name=EVENT_TARGET)
        self._sent += 1
        self._comm.send(data=event_values(event), metadata={"number": self._sent})

    def close(self) -> None:
        """Close the comm, if there is one."""
        if self._comm is not None:
            self._comm.close()
            self._comm, self._sent = None, 0
