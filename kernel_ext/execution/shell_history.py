"""A step in the shell's own history: `In`, `Out`, `%history`, `%rerun`. Knows no agent.

A step takes a number, as a cell does. The user's last inputs and results stay the last.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..shell import Shell

MOST_UNSAVED = 20
"""Runs of a turn that IPython keeps before it writes them to its file."""
_LAST = frozenset(("_", "__", "___", "_i00", "_i", "_ii", "_iii"))
_KEPT = _LAST | {"get_ipython", "_ih", "_oh", "_dh"}
"""Names that IPython itself works with. Without `_oh` no later cell could show a result."""


@dataclass(slots=True)
class HistoryEntry:
    """`count`: the step's number, In [count]. None when it was not stored."""

    count: int | None = None


@contextmanager
def in_history(shell: Shell, mark: str) -> Generator[HistoryEntry]:
    """A run with `store_history` meanwhile counts as a step. `mark` is the comment above it."""
    entry = HistoryEntry()
    history: Any = shell.history_manager

    def mark_inputs(original: Callable[..., None]) -> Callable[..., None]:
        def store_inputs(line_num: int, source: str, source_raw: str | None = None) -> None:
            entry.count = line_num
            raw = source if source_raw is None else source_raw
            with _last_ones_kept(shell):
                original(line_num, source, f"# {mark}\n{raw}" if mark else raw)

        return store_inputs

    # IPython 9 counts a cell when it begins. IPython 8 counts it only when it has ended.
    late = f"_i{shell.execution_count}" in shell.user_ns
    if late:
        shell.execution_count += 1
    with _last_ones_kept(shell), in_place(history, "store_inputs", mark_inputs):
        try:
            yield entry
        finally:
            if late and shell.execution_count != entry.count:  # else the step still runs
                shell.execution_count -= 1


@contextmanager
def _last_ones_kept(shell: Shell) -> Generator[None]:
    """The user's last inputs and results are the last ones afterwards, too.

    They are in the hook and in the history, under names, and under hidden names: IPython no longer
    updates `_` once these differ.
    """
    parts: tuple[Any, ...] = (shell.displayhook, shell.history_manager)
    last = [{name: getattr(part, name) for name in _LAST if hasattr(part, name)} for part in parts]
    spaces = (shell.user_ns, shell.user_ns_hidden)
    named = [{name: space[name] for name in _KEPT if name in space} for space in spaces]
    try:
        yield
    finally:
        for part, kept in zip(parts, last, strict=True):
            for name, value in kept.items():
                if getattr(part, name, None) is not value:  # to set a trait is slow
                    setattr(part, name, value)
        for space, kept in zip(spaces, named, strict=True):
            for name in _KEPT - kept.keys():
                space.pop(name, None)
            space.update(kept)


@contextmanager
def saved_in_batches(shell: Shell) -> Generator[None]:
    """Meanwhile IPython writes its history to its file after `MOST_UNSAVED` runs, and at the end.

    Else it writes each run on a thread, with four waits for the disk. The next run waits for that.
    """
    history: Any = shell.history_manager
    before, history.db_cache_size = history.db_cache_size, MOST_UNSAVED
    try:
        yield
    finally:
        history.db_cache_size = before
        if history.save_flag is not None:
            history.save_flag.set()
        else:  # its thread ended at a fork, and begins again at a later run
            history.writeout_cache()


def keep_count(shell: Shell, count: int | None) -> None:
    """Let the running cell be shown as In [count], although steps took later numbers.

    At the end of a cell, ipykernel replies with the number before the next one.
    """
    kernel: Any = getattr(shell, "kernel", None)
    get_parent: Callable[[], dict[str, Any]] | None = getattr(shell, "get_parent", None)
    if kernel is None or get_parent is None or count is None:
        return
    session, request = kernel.session, get_parent()["header"]["msg_id"]
    original = session.send

    def send(stream: Any, kind: Any, content: Any = None, *more: Any, **named: Any) -> Any:
        parent: Any = more[0] if more else named.get("parent")
        if kind == "execute_reply" and parent and parent["header"]["msg_id"] == request:
            if getattr(session, "send", None) is send:  # else somebody has wrapped it
                object.__delattr__(session, "send")
            content = {**content, "execution_count": count}
        return original(stream, kind, content, *more, **named)

    object.__setattr__(session, "send", send)


@contextmanager
def in_place(owner: Any, name: str, tap: Callable[[Any], Any]) -> Generator[None]:
    """Meanwhile `tap` of an instance's attribute takes its place."""
    own, original = name in vars(owner), getattr(owner, name)
    object.__setattr__(owner, name, tap(original))
    try:
        yield
    finally:
        if own:
            object.__setattr__(owner, name, original)
        else:
            object.__delattr__(owner, name)
