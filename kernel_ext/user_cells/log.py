"""Logs the cells that the user runs: their outputs, and their changes of the namespace.

It loads with the extension, so that the first turn knows earlier cells. Its own imports load with
the first cell. It does not know what the model learns of the log.
"""

import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from threading import get_ident
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from ...agent.frozen import frozen
from ..shell import Shell

if TYPE_CHECKING:
    from ...agent.protocol.observed import UserCellRun
    from .runs import UserCellRuns
    from .shown_before import ShownBefore
    from .tap import OutputTap

MAX_SOURCE_CHARS = 100_000
"""Characters of a cell that are searched for names, at most."""
MAX_COMPARED = 32
"""Names of one cell that are compared for a change in place, at most."""

_AGENTS_CELL = re.compile(r"\s*%%agent(?:\s|$)")
_AGENTS_LINE = re.compile(r"\s*(?:%agent(?:\s.*)?|#.*)?")
_AGENTS_CALL = re.compile(r"(?:await )?get_ipython\(\)\.run_(?:line|cell)_magic\('agent', .*\)\n?")
_AGENTS_TURN = re.compile(r"(?:await )?get_ipython\(\)\.run_cell_magic\('agent', (?!'demo).*\)\n?")
"""A turn alone. `%agent demo` shows its prompt before it."""
_IDENTIFIER = re.compile(r"[^\W\d]\w*")


@frozen
class _Running:
    """A user's run that has begun: identities of the names in it, and evidence of some.

    `before` is the namespace, but without the values of these names: a cell must be able to free
    them.
    """

    tee: "OutputTap"
    before: dict[str, object]
    mentioned: dict[str, int]
    evidence: dict[str, str]
    started: float


class UserCellLog:
    """The user's runs in one shell, without runs of the agent and requests of front ends.

    A bug here never reaches a cell: it is printed once, and the log detaches from the shell.
    `before_run` is called when a cell of the person's begins, and `after_run` when any is over and
    in the log. On an event loop that is when the front end has its answer, before the next cell.
    """

    def __init__(self) -> None:
        self.before_run: Callable[[], None] | None = None
        self.after_run: Callable[[], None] | None = None
        self._shell: Shell | None = None
        self._thread = 0
        self._loading = ""  # the source of the cell that attaches it, while that runs
        self._outer: Any = None  # the outermost running cell, of the user or the agent
        self._request: str | None = None  # the front end's request that runs it
        self._is_persons = True
        self._running: _Running | None = None
        self._shown: ShownBefore | None = None  # while a cell that is one turn waits for it
        self._runs: UserCellRuns | None = None
        self._waiting: Callable[[], None] | None = None  # puts the last run into the log

    @property
    def last(self) -> int:
        """The number of the latest run that is over. 0 if there was none."""
        self._catch_up()
        return self._runs.last if self._runs else 0

    def turn_is_alone(self) -> bool:
        """Whether the running cell is one turn that begins now, and nothing was shown in it."""
        shown, self._shown = self._shown, None
        if shown is None:
            return False
        shown.close()
        return not shown.anything

    def running_source(self) -> str:
        """The source of the person's cell that runs on this thread. Empty if none does."""
        if get_ident() != self._thread:
            return ""
        return self._outer.raw_cell if self._outer and self._is_persons else self._loading

    def attach(self, shell: Shell) -> None:
        """Log every cell that starts from now on, on this thread."""
        self._shell, self._thread = shell, get_ident()
        self._loading = _on_stack("raw_cell")
        # Before the callbacks of others, which may show something.
        shell.events.callbacks["pre_run_cell"].insert(0, self._listen)
        shell.events.register("pre_run_cell", self._before)
        shell.events.register("post_run_cell", self._after)

    def detach(self) -> None:
        """Log nothing more. The runs so far stay. Does nothing if it is not attached."""
        if self._shell is None:
            return
        self._catch_up()
        self._shell.events.unregister("pre_run_cell", self._listen)
        self._shell.events.unregister("pre_run_cell", self._before)
        self._shell.events.unregister("post_run_cell", self._after)
        running, self._running, self._outer, self._shell = self._running, None, None, None
        self.turn_is_alone()
        if running is not None:
            running.tee.close()

    def since(self, number: int) -> "tuple[UserCellRun, ...]":
        """The kept runs after that number, without a running cell."""
        self._catch_up()
        return self._runs.since(number) if self._runs else ()

    def _listen(self, info: Any) -> None:
        shell = self._shell
        if shell is None or get_ident() != self._thread or self._outer is not None:
            return
        if _is_turn(info):
            from .shown_before import ShownBefore

            self._shown = ShownBefore(shell)

    def _before(self, info: Any) -> None:
        shell = self._shell
        if shell is None or get_ident() != self._thread:
            return
        from .interrupt_waits import interrupt_waits, stop_cell

        try:
            with interrupt_waits():
                self._enter(shell, info)
        except KeyboardInterrupt:
            stop_cell(shell)

    def _after(self, result: Any) -> None:
        if self._shell is None or get_ident() != self._thread:
            return
        self._loading = ""
        from .interrupt_waits import interrupt_waits

        with interrupt_waits():
            if self._outer is not None and _ends(self._outer, result):
                self._leave(self._shell, result)

    def _enter(self, shell: Shell, info: Any) -> None:
        self._catch_up()
        request = _request(shell)
        if self._outer is not None:
            last = getattr(shell, "last_execution_result", None)
            over = getattr(last, "info", None) is self._outer
            if not over and request in (None, self._request):
                return  # it runs within the outer one
            self._leave(shell, last if over else None)  # an interrupt kept IPython from telling it
        self._is_persons = request is None or request != self._request  # else code runs a cell
        self._outer, self._request, self._loading = info, request, ""
        if self._shell and info.store_history and not _is_agents(info.raw_cell, _code(info)):
            try:
                if self.before_run is not None and self._is_persons:
                    self.before_run()
                self._begin(shell, info.raw_cell)
            except Exception:
                self._give_up()

    def _leave(self, shell: Shell, result: Any) -> None:
        info, running, self._running, self._outer = self._outer, self._running, None, None
        self.turn_is_alone()
        if running is not None:
            try:
                running.tee.close()
                seconds = perf_counter() - running.started
                self._waiting = partial(self._end, shell, running, info, result, seconds)
                _soon(self._catch_up)
            except Exception:
                self._give_up()

    def _catch_up(self) -> None:
        """Put a run that is over into the log, if it is not there yet."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        from .interrupt_waits import interrupt_waits

        try:
            with interrupt_waits():
                waiting()
                if self.after_run is not None:
                    self.after_run()
        except Exception:
            self._give_up()

    def _give_up(self) -> None:
        self.detach()
        print(
            "inkernel does not see the cells you run any more, because of a bug in it:\n"
            f"{traceback.format_exc()}`%reload_ext inkernel` lets it see them again.",
            file=sys.stderr,
        )

    def _begin(self, shell: Shell, source: str) -> None:
        from ..user_names import user_names
        from ..values.fingerprint import fingerprint
        from .tap import OutputTap

        names = shell.user_ns
        before = names.copy()  # also quick after names were deleted, unlike dict(names)
        found = dict.fromkeys(_IDENTIFIER.findall(source[:MAX_SOURCE_CHARS]))
        live = {name: names[name] for name in found if name in names}
        mentioned = {name: id(value) for name, value in live.items()}
        before.update(mentioned)
        theirs = islice(user_names(shell, live).items(), MAX_COMPARED)
        evidence = {name: fingerprint(value) for name, value in theirs}
        self._running = _Running(
            OutputTap(self._give_up), before, mentioned, evidence, perf_counter()
        )
        self._running.tee.open(shell)

    def _end(self, shell: Shell, running: _Running, info: Any, result: Any, seconds: float) -> None:
        from ..user_names import is_public, user_names
        from .runs import UserCellRuns, UserRun

        if self._runs is None:
            self._runs = UserCellRuns(shell.transform_cell)
        names = shell.user_ns
        bound, deleted = _differences(running, names)
        self._runs.append(
            UserRun(
                cell=getattr(info, "cell_id", None),
                count=getattr(result, "execution_count", None),
                source=info.raw_cell,
                code=getattr(info, "transformed_cell", None),
                status=_status(result),
                shown=running.tee.shown(),
                bound=tuple(sorted(user_names(shell, {name: names[name] for name in bound}))),
                changed=tuple(sorted(_changed(running, names))),
                deleted=tuple(sorted(filter(is_public, deleted))),
                seconds=seconds,
            )
        )


def _soon(work: Callable[[], None]) -> None:
    """Do it when the event loop comes round, before the next cell. Now, where none runs."""
    from asyncio import get_running_loop

    try:
        loop = get_running_loop()
    except RuntimeError:
        work()
    else:
        loop.call_soon(work)


def _is_turn(info: Any) -> bool:
    """Whether a cell is one turn and nothing else."""
    return _AGENTS_TURN.fullmatch(_code(info)) is not None


def _code(info: Any) -> str:
    """The transformed cell that begins to run. Before IPython 9 only its frame has it."""
    return getattr(info, "transformed_cell", None) or _on_stack("transformed_cell")


def _on_stack(name: str) -> str:
    """A text that the outermost cell on this thread runs with. Empty if there is none."""
    frame, text = inspect.currentframe(), ""
    while frame := frame and frame.f_back:
        if frame.f_code.co_name == "run_cell_async":
            text = str(frame.f_locals.get(name) or "")
    return text


def _is_agents(source: str, code: str) -> bool:
    """Whether a cell is a prompt to the agent, or only has `%agent` lines.

    `code`: the transformed cell, which shows whether `agent` alone is `%agent` (automagic).
    """
    if _AGENTS_CALL.fullmatch(code):
        return True
    if "%agent" not in source:
        return False
    lines = source.splitlines()
    return bool(_AGENTS_CELL.match(source)) or all(map(_AGENTS_LINE.fullmatch, lines))


def _request(shell: Shell) -> str | None:
    """The id of the request that runs a cell. None in a terminal."""
    get_parent = getattr(shell, "get_parent", None)
    parent: Mapping[str, Any] = (get_parent() or {}) if get_parent else {}
    header: Mapping[str, Any] = parent.get("header", {})
    return header["msg_id"] if header.get("msg_type") == "execute_request" else None


def _ends(info: Any, result: Any) -> bool:
    """Whether the result is of that cell. An interrupted shell may have none, or a new one."""
    if result is None or result.info is info:
        return True
    return (result.info.raw_cell, result.info.store_history) == (info.raw_cell, info.store_history)


def _differences(running: _Running, names: Mapping[str, object]) -> tuple[list[str], list[str]]:
    """Names bound to another object than before, and names that are gone."""
    from ..user_names import gone, rebound

    before = running.before
    differ = rebound(before, names)
    bound = [name for name in differ if running.mentioned.get(name) != id(names.get(name))]
    return bound, gone(before, names, differ)


def _changed(running: _Running, names: Mapping[str, object]) -> Iterator[str]:
    """Names in the cell that are bound to the same object, whose content changed."""
    from ..values.fingerprint import fingerprint

    for name, evidence in running.evidence.items():
        same = name in names and running.mentioned[name] == id(names[name])
        if same and fingerprint(names[name]) != evidence:
            yield name


def _status(result: Any) -> Literal["ok", "error", "interrupted"]:
    if result is None:
        return "interrupted"
    error = result.error_before_exec
    error = result.error_in_exec if error is None else error
    if error is None:
        return "ok"
    from asyncio import CancelledError

    return "interrupted" if isinstance(error, KeyboardInterrupt | CancelledError) else "error"
