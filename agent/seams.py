"""The seams: the callables through which a session reaches the world. Knows no host.

`run_code`, the seam of code, is in `tools/run_cell`: only tools run code.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

from .context.changes import Environment
from .dialects.dialect import Counted, SamplePart
from .dialects.request import Request
from .frozen import frozen
from .permissions.judge import Seen
from .protocol.actions import Action, Answer, Question, StandingRules
from .protocol.events import Notice
from .protocol.observed import Variable
from .protocol.trials import Trial
from .tools.tool import Show, ToolCall, show_nothing
from .transport.provider_compaction import Sealed

Sample = Callable[[Request], AsyncGenerator[SamplePart | Counted | Notice]]
"""Send a request, and yield the parts of the response. The real one is `Client.sample`."""

Compact = Callable[[Request], Awaitable[Sealed]]
"""Have the provider compact the input of a request. Raises a ModelError."""

Approve = Callable[[Question], Awaitable[Answer]]
"""Ask a person. The verdict that comes back is `allow` or `deny`."""

RunTrial = Callable[[ToolCall, Action], Awaitable[Trial]]
"""Run the code of a call in a confined copy of the kernel."""


def no_rules() -> StandingRules:
    """The rules where there are none."""
    return StandingRules()


@frozen
class Seams:
    """The ways of one session to the world. None: the host has no such thing.

    `aside` asks the same model beside the conversation. Without it, `sample` does. `compact` asks
    the provider for its own compaction. `environment` and `variables` return their present state.
    `show` shows events of running code at once. `read` reads code without running it. `trial` runs
    it in a copy; without it no code is tried. `rules` returns those that hold now.
    """

    sample: Sample
    approve: Approve
    aside: Sample | None = None
    compact: Compact | None = None
    environment: Callable[[], Environment] | None = None
    variables: Callable[[], Mapping[str, Variable]] | None = None
    show: Show = show_nothing
    read: Callable[[str], Seen] | None = None
    trial: RunTrial | None = None
    rules: Callable[[], StandingRules] = no_rules
