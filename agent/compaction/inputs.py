"""From a session to the input of a compaction: all that a digest needs beside the window."""

from ..context.kernels import gone_lines
from ..conversation.notes import Notes
from ..conversation.validity import validity
from ..protocol.observed import Variable
from ..session import Session
from .shorten import CompactionInput


def compaction_input(session: Session, notes: Notes | None = None) -> CompactionInput:
    """The state of the session now, with notes of the model if there are any. Changes nothing."""
    conversation, variables = session.conversation, session.seams.variables
    live = variables() if variables else conversation.told.names
    holds = validity(conversation, session.outputs.runs)
    return CompactionInput(
        validity=holds,
        turn=conversation.turns,
        turns=conversation.heads,
        facts=conversation.told.facts,
        names=[seen.line for seen in live.values() if isinstance(seen, Variable)],
        gone=gone_lines(holds, live),
        notes=notes,
        digest=conversation.digest,
    )
