"""inkernel: an agent in your IPython kernel. `%load_ext inkernel`, then `%%agent` in a cell.

This is only the front door. It imports nothing until it is called.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["__version__", "load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """Give `shell` the magics `%%agent` and `%agent`."""
    from inkernel.kernel_ext import bind

    bind(shell)


def unload_ipython_extension(shell: "InteractiveShell") -> None:
    """Remove the magics. Nothing of ours stays in the shell."""
    from inkernel.kernel_ext import unbind

    unbind(shell)


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("inkernel")
    raise AttributeError(f"module 'inkernel' has no attribute {name!r}")
