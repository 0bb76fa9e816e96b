"""Binds the agent to a shell, and unbinds it. Everything else loads at the first use."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .shell import Shell


def bind(shell: "Shell") -> None:
    """Register the magics and the cell transformer. A second call changes nothing."""
    from .magics import register

    register(shell)


def unbind(shell: "Shell") -> None:
    """Close the session and take everything back."""
    from .magics import unregister

    unregister(shell)
