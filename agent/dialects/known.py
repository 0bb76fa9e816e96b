"""The dialect of a target. Knows no conversation."""

from ..config.settings import Settings
from ..providers.resolve import Target
from .dialect import Dialect
from .responses import Responses


def open_dialect(target: Target, settings: Settings) -> Dialect:
    """A dialect for one conversation with `target`."""
    match target.traits.dialect:
        case "messages":
            # Imported here: most sessions speak one API alone.
            from .messages import Messages

            return Messages(target, settings)
        case "chat":
            from .chat import Chat

            return Chat(target, settings)
        case _:
            return Responses(target, settings)
