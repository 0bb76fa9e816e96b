"""A failure as it may be shown: without the key, which some servers repeat. Knows no transport."""

from ..errors import ModelError
from ..providers.resolve import Target


def without_key(error: ModelError, target: Target) -> ModelError:
    """The same error without the key. No screen or record may have it."""
    return type(error)(target.hide(error.message), target.hide(error.hint), error.after)
