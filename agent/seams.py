"""The seams: the callables through which a session reaches the world. Knows no host.

`run_code`, the seam of code, is in `tools/run_cell`: only tools run code.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from .context.changes import Environment
from .dialects.dialect import SamplePart
from .dialects.request import Request
from .protocol.actions import Action, Verdict
from .protocol.events import Notice
from .protocol.observed import Variable
from .tools.tool import Show, show_nothing
from .transport.provider_compaction import Sealed

Sample = Callable[[Request], AsyncGenerator[SamplePart | Notice]]
"""Send a request, and yield the parts of the response. The real one is `Client.sample`."""

Compact = Callable[[Request], Awaitable[Sealed]]
"""Have the provider compact the input of a request. Raises a ModelError."""

Approve = Callable[[Action, Verdict], Awaitable[Verdict]]
"""Ask a person. The verdict that comes back is `allow` or `deny`."""


@dataclass(frozen=True, slots=True)
class Seams:
    """The ways of one session to the world. None: the host has no such thing.

    `aside` asks the same model beside the conversation. Without it, `sample` does. `compact` asks
    the provider for its own compaction. `environment` and `variables` return their present state.
    `show` shows events of running code at once.
    """

    sample: Sample
    approve: Approve
    aside: Sample | None = None
    compact: Compact | None = None
    environment: Callable[[], Environment] | None = None
    variables: Callable[[], Mapping[str, Variable]] | None = None
    show: Show = show_nothing
