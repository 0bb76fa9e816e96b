"""The provider's own compaction in our window: at our request, or within a response.

Our own compaction of the same entries is kept beside it, for another provider and for the record.
"""

from dataclasses import asdict

from ..conversation.history import OpaqueStart
from ..dialects.request import Request
from ..errors import ModelError
from ..protocol.record_lines import NotesLine
from ..session import Session
from ..transport.provider_compaction import Sealed, latest_seal
from .budget import WindowBudget, target
from .inputs import compaction_input
from .shorten import shorten


async def ask_provider(session: Session, fields: bytes) -> tuple[Sealed | None, str]:
    """The provider's compaction, if it is wanted and possible, and the reason for a failure."""
    compact, wanted = session.seams.compact, session.settings.compaction == "provider"
    if not wanted or compact is None or not session.target.traits.compact:
        return None, ""
    try:
        sealed = await compact(Request.of(fields, session.conversation.history.wire))
    except ModelError as error:
        return None, f"The provider's compaction failed, so we used our own: {error.message}"
    session.journal.write(NotesLine(usage=asdict(sealed.usage)))
    return sealed, ""


def prune(session: Session, room: WindowBudget) -> None:
    """Drop the entries that the server compacted within a response. Its item replaces them."""
    history = session.conversation.history
    at = latest_seal(history.entries, history.seal.count if history.seal else 0)
    if at is None:
        return
    local = history.local[: at - len(history.entries)]
    goal = target(session, room, "full")
    done = shorten(local, compaction_input(session), goal, session.outputs.keep)
    opaque = OpaqueStart(session.target.provider, 1, done.entries)
    session.journal.rewrite(history.entries[at:], "server", done.digest, opaque)
