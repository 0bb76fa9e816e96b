"""Checks after each step of a turn that its code changed nothing of ours. Knows no loop.

Code in this process owns it: this notices, it does not prevent (`docs/security.md`).
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

from ...agent.config.settings import PREFIX
from ...agent.conversation.history import WindowCopy
from ...agent.errors import TamperedError
from ...agent.protocol.cells import CellRun
from ...agent.session import Session
from ..approval.approvals import Approvals
from ..shell import Shell
from ..user_cells.log import UserCellLog
from .obeyed import ObeyedFiles
from .own_code import OwnCode, watched_modules
from .parts import Watched, attributes_of, entries, environment, own_members

_ROOT = __name__.partition(".")[0]
_MAGIC = "agent"
_MOST_NAMED = 5
_OF_HOST = (
    *("_typed", "_record", "_conversation", "connections", "user_folder"),
    *("approvals", "protection", "obeyed", "folders"),
)
_HINT = (
    "It is put back as far as that is possible. Look at the step before you go on, and restart the"
    " kernel if you do not trust it: code in this process can do more than is seen."
)


class TurnIntegrity:
    """The parts of one turn as they were before a step.

    `prepare` gets the code of each step before it runs, and `note` the run. `obeyed` looks at its
    files before a step. `writes` tells how often any function got other code.
    """

    def __init__(
        self,
        prepare: Callable[[str], object],
        note: Callable[[CellRun], object],
        obeyed: ObeyedFiles,
        writes: Callable[[], int],
    ) -> None:
        self._prepare, self._note, self._obeyed = prepare, note, obeyed
        self._writes = writes
        self._session: Session | None = None
        self._parts: tuple[Watched, ...] = ()
        self._window = WindowCopy()
        self._error: TamperedError | None = None

    def watch(
        self,
        shell: Shell,
        sessions: tuple[Session, Session],
        host: object,
        deciding: tuple[Approvals, *tuple[object, ...]],
    ) -> None:
        """Watch the parts of the turn from now on.

        `sessions`: of the turn, and of the calls that code makes. `host`: the object with the typed
        settings. `deciding`: the answers, and other values by which the turn decides.
        """
        self._session = sessions[0]
        self._parts = (
            OwnCode(watched_modules(), self._writes),
            *_parts_of_process(host),
            *(part for session in sessions for part in _parts_of_session(session)),
            *_parts_of_shell(shell),
            *_parts_of_decisions(*deciding),
        )

    def before(self, code: str) -> None:
        """Take over our own changes since the last step. Raises TamperedError for those of others.

        Then no further step of the turn runs.
        """
        self._check("Something that runs beside the steps", grown=True)
        if self._error is not None:
            raise self._error
        if self._session is None:
            self._obeyed.before()
        else:
            self._window.follow(self._session.conversation.history)
            settings = self._session.settings
            self._obeyed.before(settings.approve, settings.mcp_files)
        self._obeyed.folders.step_begins()
        self._prepare(code)

    def after(self, run: CellRun) -> None:
        """Check all parts, once a step has run."""
        self._note(run)
        self._check("The code of a step")

    def also_changed(self) -> Iterator[str]:
        """A sentence for each file that the agent obeys, and each folder, that a step changed."""
        yield from self._obeyed.after()
        yield from self._obeyed.folders.step_ends()

    def ends(self) -> TamperedError | None:
        """The error that ends the turn, if something was changed."""
        return self._error

    def _check(self, who: str, *, grown: bool = False) -> None:
        changed = list(dict.fromkeys(self._changed(grown)))
        if changed:
            some = ", ".join(changed[:_MOST_NAMED])
            more = f" and {len(changed) - _MOST_NAMED} more" if len(changed) > _MOST_NAMED else ""
            self._error = TamperedError(f"{who} changed what only you may: {some}{more}.", _HINT)

    def _changed(self, grown: bool) -> Iterator[str]:
        for part in self._parts:
            yield from part.changed()
        if self._session is None:
            return
        history = self._session.conversation.history
        if self._window.differs(history, grown=grown):
            self._window.put_back(history)
            yield "the conversation's history"
        if words := self._session.journal.record.foreign_change():
            yield f"the session's record, which {words}"


def _parts_of_process(host: object) -> Iterator[Watched]:
    yield environment(PREFIX)
    yield attributes_of("the agent", host, _OF_HOST)
    yield entries("the settings that you typed", vars(host)["_typed"])
    yield attributes_of("the folders of the walls", vars(host)["folders"], ("now",))


def _parts_of_decisions(answers: Approvals, *others: object) -> Iterator[Watched]:
    home = answers.home
    yield answers
    yield attributes_of("your answers", answers, ("home", "host"))
    yield attributes_of("the one who asks you", home, ("person", "own"))
    for one in (home.person, home.own, *others):
        names = _slots(one) or tuple(vars(one))
        yield attributes_of(f"the {type(one).__name__} of the turn", one, names)


def _parts_of_session(session: Session) -> Iterator[Watched]:
    yield entries("the session's settings", vars(session.settings))
    yield attributes_of("the session", session, _slots(session))
    yield attributes_of("the session's seams", session.seams, _slots(session.seams))
    yield attributes_of("the session's journal", session.journal, _slots(session.journal))
    yield attributes_of("the conversation", session.conversation, ("history", "marks"))
    for tool in session.tools:
        yield attributes_of(f"the tool {tool.name}", tool, ("name", "arguments", "run", "touches"))


def _parts_of_shell(shell: Shell) -> Iterator[Watched]:
    for kind in ("cell", "line"):
        yield entries(f"the {kind} magic", shell.magics_manager.magics[kind], (_MAGIC,))
    transforms = shell.input_transformer_manager
    for found in (transforms.cleanup_transforms, transforms.line_transforms):
        yield own_members("our input transform", found, _is_ours)
    for event, callbacks in shell.events.callbacks.items():
        yield own_members(f"our hook at {event}", callbacks, _listens)
    kernel = getattr(shell, "kernel", None)
    if kernel is not None:
        yield entries(
            "the kernel's question to you",
            cast("dict[str, Any]", vars(kernel)),
            ("raw_input", "getpass"),
        )


def _listens(callback: object) -> bool:
    """Whether it logs cells. Others of ours stay only until a cell is over."""
    return isinstance(getattr(callback, "__self__", None), UserCellLog)


def _is_ours(member: object) -> bool:
    return type(member).__module__.startswith(f"{_ROOT}.")


def _slots(of: object) -> tuple[str, ...]:
    return tuple(getattr(type(of), "__slots__", ()))
