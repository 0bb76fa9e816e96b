"""inkernel: an agent in your IPython kernel. `%load_ext inkernel`, then `%%agent` in a cell.

This is only the front door. It imports nothing until it is called.
"""

from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from IPython.core.interactiveshell import InteractiveShell

    from inkernel.kernel_ext.functions.marked import FunctionEffect

F = TypeVar("F", bound="Callable[..., Any]")

__all__ = ["__version__", "load_ipython_extension", "tool", "unload_ipython_extension"]


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """Give `shell` the magics `%%agent` and `%agent`."""
    from inkernel.kernel_ext import bind

    bind(shell)


def unload_ipython_extension(shell: "InteractiveShell") -> None:
    """Remove the magics. Nothing of ours stays in the shell."""
    from inkernel.kernel_ext import unbind

    unbind(shell)


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(*, effects: "Iterable[FunctionEffect]") -> "Callable[[F], F]": ...
def tool(function: Any = None, /, *, effects: "Iterable[FunctionEffect] | None" = None) -> Any:
    """Make a function a tool of the agent: `@inkernel.tool`, or `@inkernel.tool(effects=[])`.

    Docstring and hints describe it. `effects`: what a call may do beyond computing, which the
    policy then judges and the guard holds it to. Without them it may do anything, so each call is
    asked. Raises UsageError for a function that cannot be a tool.
    """
    from inkernel.kernel_ext.functions.marked import ANYTHING, mark

    named = (effects,) if isinstance(effects, str) else effects  # a single one, without its list
    declared = ANYTHING if named is None else tuple(named)

    def marked(function: Any) -> Any:
        mark(function, declared)
        return function

    return marked if function is None else marked(function)


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("inkernel")
    raise AttributeError(f"module 'inkernel' has no attribute {name!r}")
