"""Types for the parts of IPython's shell that this package uses. IPython types few of them."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from IPython.core.async_helpers import get_asyncio_loop


class Result(Protocol):
    """The result of `run_cell`."""

    error_before_exec: BaseException | None
    error_in_exec: BaseException | None


class Events(Protocol):
    """The shell's hooks."""

    callbacks: dict[str, list[Callable[..., object]]]

    def trigger(self, event: str, *args: object) -> None:
        """Call everyone registered for `event`."""
        ...

    def register(self, event: str, function: Callable[..., object]) -> None:
        """Call `function` at every `event`."""
        ...

    def unregister(self, event: str, function: Callable[..., object]) -> None:
        """Call it no longer. Raises ValueError when it is not registered."""
        ...


class Transforms(Protocol):
    """The shell's input transformer manager."""

    cleanup_transforms: list[Callable[[list[str]], list[str]]]
    line_transforms: list[Callable[[list[str]], list[str]]]
    token_transformers: list[object]

    def do_token_transforms(self, lines: list[str]) -> list[str]:
        """Let each of `token_transformers` rewrite what it finds, from the top."""
        ...


class Prefilter(Protocol):
    """The shell's manager of automagic in cells of one line."""

    def prefilter_lines(self, lines: str) -> str:
        """The line as Python."""
        ...


class MagicsRegistry(Protocol):
    """The shell's magics manager."""

    magics: dict[str, dict[str, object]]


class Shell(Protocol):
    """An `InteractiveShell`: IPython 8.24 to 9.18, in a terminal or in ipykernel."""

    user_ns: dict[str, object]
    user_ns_hidden: dict[str, object]
    autoawait: bool
    loop_runner: object
    loop_runner_map: dict[str, tuple[object, bool]]
    execution_count: int
    history_manager: object
    display_pub: object
    displayhook: object
    events: Events
    ast_transformers: list[object]
    input_transformer_manager: Transforms
    prefilter_manager: Prefilter
    magics_manager: MagicsRegistry

    def register_magic_function(self, func: object, magic_kind: str, magic_name: str) -> None:
        """Add one magic, of the kind `cell` or `line`."""
        ...

    def showtraceback(self, exc_tuple: object) -> None:
        """Show an exception in the running cell."""
        ...

    def transform_cell(self, raw_cell: str) -> str:
        """The cell as Python."""
        ...

    def should_run_async(
        self, raw_cell: str, *, transformed_cell: str, preprocessing_exc_tuple: Any
    ) -> bool:
        """Whether the cell has a top-level `await`."""
        ...

    def run_cell(self, raw_cell: str, store_history: bool = False) -> Result:
        """Run a cell without top-level `await`. Its errors are shown and returned."""
        ...

    def run_cell_async(
        self,
        raw_cell: str,
        store_history: bool = False,
        *,
        transformed_cell: str,
        preprocessing_exc_tuple: Any,
    ) -> Coroutine[Any, Any, Result]:
        """Run a cell with top-level `await`. Fires `pre_run_cell`, but no hook after the run."""
        ...

    def set_next_input(self, s: str) -> None:
        """Put a text into a new cell below, or at the next prompt."""
        ...


def awaits_on_asyncio(shell: Shell) -> bool:
    """Whether its cells may await, on asyncio's event loop."""
    return shell.autoawait and shell.loop_runner is shell.loop_runner_map["asyncio"][0]


def loop_runs() -> bool:
    """Whether an event loop runs in this thread, so that no other can."""
    import asyncio  # not yet when the extension loads

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def run_to_end(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on IPython's own event loop. Only while no loop runs."""
    get_asyncio_loop().run_until_complete(coroutine)


def cell_as_python(shell: Shell, cell: str) -> str:
    """The cell as Python, or as it is where the shell cannot read it."""
    try:
        return shell.transform_cell(cell)
    except Exception:  # running it shows the error
        return cell
