"""A step in the shell's own history: `In`, `Out`, `%history`, `%rerun`. Knows no agent.

A step takes a number, as a cell does. The user's last inputs and results stay the last.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..shell import Shell

_UNDERS = ("_", "__", "___")
_INPUTS = ("_i00", "_i", "_ii", "_iii")


@dataclass(slots=True)
class HistoryEntry:
    """`count`: the step's number, In [count]. None when it was not stored."""

    count: int | None = None


@contextmanager
def in_history(shell: Shell, mark: str) -> Generator[HistoryEntry]:
    """A run with `store_history` meanwhile counts as a step. `mark` is the comment above it."""
    entry = HistoryEntry()
    history: Any = shell.history_manager
    hook: Any = shell.displayhook

    def keep_inputs(original: Callable[..., None]) -> Callable[..., None]:
        def store_inputs(line_num: int, source: str, source_raw: str | None = None) -> None:
            entry.count = line_num
            names, kept = shell.user_ns, [getattr(history, name) for name in _INPUTS]
            theirs = {name: names[name] for name in _INPUTS[1:] if name in names}
            raw = source if source_raw is None else source_raw
            original(line_num, source, f"# {mark}\n{raw}" if mark else raw)
            for name, value in zip(_INPUTS, kept, strict=True):
                setattr(history, name, value)
            names.update(theirs)

        return store_inputs

    def keep_result(original: Callable[[object], None]) -> Callable[[object], None]:
        def update_user_ns(result: object) -> None:
            names, kept = shell.user_ns, [getattr(hook, name) for name in _UNDERS]
            theirs = {name: names[name] for name in _UNDERS if name in names}
            original(result)
            for name, value in zip(_UNDERS, kept, strict=True):
                setattr(hook, name, value)
            names.update(theirs)

        return update_user_ns

    # IPython 9 counts a cell when it begins. IPython 8 counts it only when it has ended.
    late = hook.prompt_count == shell.execution_count < len(history.input_hist_parsed)
    if late:
        shell.execution_count += 1
    inputs = in_place(history, "store_inputs", keep_inputs)
    with inputs, in_place(hook, "update_user_ns", keep_result):
        try:
            yield entry
        finally:
            if late:
                shell.execution_count -= 1


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
