"""The job of a client's process, and its form on the command line. Imports no client."""

import json
import sys
from dataclasses import asdict, dataclass

SAID = "Do the steps."
OUTPUT = ("2026-03-01 12:00 rain 3.2 mm, wind 4 m/s from the west, no frost\n" * 32)[:2048]
"""The tool's output: 2 KB."""


@dataclass(frozen=True)
class Job:
    """One run. `url`: the base URL; `work`: what to do; `head`: the JSON of fields to send.

    `compress`: a WebSocket is compressed, although the server is this machine.
    """

    url: str
    transport: str = "http"
    work: str = "turn"
    count: int = 10
    head: str = ""
    compress: bool = False

    @property
    def words(self) -> str:
        """The job as an argument of the command line."""
        return json.dumps(asdict(self))


def job_from_argv() -> Job:
    """The job that this process was started for."""
    return Job(**json.loads(sys.argv[1]))
