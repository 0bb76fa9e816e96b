"""The session, which lasts between turns, and how a turn begins.

Knows neither how a turn runs nor who hosts it.
"""

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .config.settings import Settings
from .context.cells import HiddenRuns
from .context.changes import (
    Budget,
    Cells,
    ContextItem,
    Snapshot,
    difference,
    environment_difference,
)
from .context.instructions import make_fields
from .context.kernels import new_kernel_lines
from .conversation.history import loaded_name
from .conversation.journal import Journal
from .conversation.output_store import OutputStore
from .conversation.runs import run_key
from .conversation.state import Conversation, KnownContext
from .conversation.validity import validity
from .frozen import frozen
from .protocol.items import TOOL_SEARCH, message, text_part
from .protocol.observed import UserCellRun
from .protocol.record_lines import ToolsLine, TurnLine
from .providers.resolve import Target
from .seams import Seams
from .text.blocks import untagged
from .tools.refused import refused_tools
from .tools.tool import Tool
from .tools.tool_search import search_among

CELL_RAN_BEFORE = (
    "<cells>\nThis cell ran before, as turn {}: that turn's results are superseded.\n</cells>"
)

_NAME = re.compile(r"[^\W\d]\w*")


@frozen
class Prompt:
    """Your words. `attached`: descriptions of the variables they refer to, as data.

    `notices`: sentences to show you as the turn begins, unless the turn before showed them. `news`:
    those to show in any case.
    """

    text: str
    seen: Snapshot
    attached: tuple[str, ...] = ()
    cell: str | None = None
    count: int | None = None
    notices: tuple[str, ...] = ()
    news: tuple[str, ...] = ()


@frozen
class Session:
    """One conversation with one model. A turn with other settings is a `replace` of this."""

    id: str
    settings: Settings
    target: Target
    tools: tuple[Tool[Any], ...]
    seams: Seams
    journal: Journal
    outputs: OutputStore

    @property
    def conversation(self) -> Conversation:
        """The state between turns. Only the journal changes the parts that the record has."""
        return self.journal.conversation

    def fields(self) -> bytes:
        """The fixed part of this session's requests."""
        return make_fields(self.target, self.settings, self.sent_tools, self.id)

    @property
    def sent_tools(self) -> list[Tool[Any]]:
        """The tools that requests list: no refused ones, and none that a search replaces."""
        sent = [it for it in self.tools if it.name not in self.conversation.refused]
        search = search_among(sent)
        return [it for it in sent if search is None or it.name not in search.replaces]

    def leave_out(self, said: str) -> tuple[str, ...]:
        """Leave out of all requests the tools that a server's refusal is about. Code has them.

        `said`: its words. Returns their names: none, if it is not about tools of others.
        """
        conversation, listed = self.conversation, self.conversation.listed or ()
        foreign = [it["name"] for it in listed if it["tool"] or it["name"] == TOOL_SEARCH]
        loaded = {key[1]: loaded_name(*key) for key in conversation.history.loaded}
        found = refused_tools(said, [it.name for it in self.sent_tools], foreign, loaded)
        if found:
            refused = sorted(conversation.refused | set(found))
            self.journal.write(ToolsLine(tools=listed, refused=refused))
            if {TOOL_SEARCH, *loaded.values()}.intersection(found):
                self._hand_over(searches=False)  # what it has loaded would be refused again
        return found

    def hand_over(self) -> None:
        """Leave out what only the server of before can read. A request to another needs that."""
        refused = TOOL_SEARCH in self.conversation.refused
        self._hand_over(searches=self.target.traits.tool_search and not refused)

    def _hand_over(self, searches: bool) -> None:
        target = self.target
        self.journal.hand_over(target.provider, target.traits.dialect, searches=searches)

    def begin(self, said: Prompt) -> list[str]:
        """Begin a turn: append the changed context, then the prompt. Returns texts of notices."""
        conversation, journal = self.conversation, self.journal
        journal.close_open_calls()  # of a kernel that died in a turn
        journal.mask()
        self.hand_over()
        turn = conversation.turns + 1
        self.outputs.begin(turn, said.cell, said.seen.kernel)
        conversation.stale, conversation.stuck = said.seen.stale, 0  # the last turn can go now
        journal.write(
            TurnLine(
                turn=turn,
                cell=said.cell,
                count=said.count,
                said=said.text,
                provider=self.target.provider,
                model=self.target.model,
                policy=self.settings.policy,
            )
        )
        budget = Budget(self.settings.cells_tokens, self.settings.names_tokens)
        mentioned = frozenset(_NAME.findall(said.text))
        cells = self._kept(said.seen.cells, said.seen.kernel)
        gone = self._of_another_kernel(said.seen, budget.names // 2)
        items, known = difference(conversation.told, said.seen, budget, mentioned, cells, gone)
        self._tell(items, known)
        if earlier := self._earlier(said.cell):
            text = CELL_RAN_BEFORE.format(earlier)
            journal.commit(message("user", text_part(text)), "cells")
        parts = (said.text, *map(untagged, said.attached))
        journal.commit(message("user", *map(text_part, parts)), "said")
        told_docs = any(it.kind == "instructions" for it in items)
        cut = [doc.path for doc in said.seen.environment.docs if doc.cut and told_docs]
        longer = [f"{path} is longer than docs_bytes allows: its end is left out." for path in cut]
        notices = (*said.notices, *said.seen.environment.notices)
        fresh = [text for text in notices if text not in conversation.noticed]
        conversation.noticed = notices
        return [*said.news, *fresh, *longer]

    def refresh(self) -> None:
        """Append the changes of the environment while the turn runs."""
        if self.seams.environment is not None:
            # The turn itself knows what it imports. The next one gets the new versions.
            known, later = self.conversation.told, frozenset({"imported"})
            self._tell(*environment_difference(known, self.seams.environment(), later))

    def _of_another_kernel(self, seen: Snapshot, budget: int) -> list[str]:
        """Lines on the runs whose variables are gone, if the kernel is another one than before."""
        conversation = self.conversation
        told, last = conversation.told, conversation.turns - 1
        if told.kernel in ("", seen.kernel):
            return []
        holds = replace(validity(conversation, self.outputs.runs), kernel=seen.kernel)
        untold = {name for it in holds.runs.heads if it.turn >= last for name in it.bound}
        return new_kernel_lines(holds, untold.union(told.names), seen.names, budget)

    def _earlier(self, cell: str | None) -> int | None:
        """The earlier turn of the same cell, if there is one."""
        heads = self.conversation.heads[:-1]
        return next((it.turn for it in reversed(heads) if cell and it.cell == cell), None)

    def _tell(self, items: list[ContextItem], known: KnownContext) -> None:
        """Append context items, and only then record that the model knows them."""
        for told in items:
            self.journal.commit(told.item, told.kind, told.run)
        self.journal.know(known)

    def _kept(self, runs: Sequence[UserCellRun], kernel: str) -> Cells:
        """Record your cell runs, without those that you hide."""
        marked = self.conversation.marks.hidden
        hides = [run.hidden or run_key(run.source, run.cell) in marked for run in runs]
        hidden = [run for run, hide in zip(runs, hides, strict=True) if hide]
        shown = [run for run, hide in zip(runs, hides, strict=True) if not hide]
        superseded = [it for run in hidden if (it := self.outputs.supersede(run, kernel))]
        kept = tuple(self.outputs.keep_seen(run, kernel) for run in shown)
        return Cells(kept, HiddenRuns(len(hidden), tuple(superseded)))


def keep_runs(
    journal: Journal, outputs: OutputStore, runs: Sequence[UserCellRun], kernel: str
) -> None:
    """Record your runs as soon as they are over, before a turn tells of them, but for hidden ones.

    Raises RecordError.
    """
    marked, turn = journal.conversation.marks.hidden, journal.conversation.turns + 1
    for run in runs:
        if not run.hidden and run_key(run.source, run.cell) not in marked:
            outputs.keep_seen(run, kernel, turn)


def new_session_id() -> str:
    """A unique id in order of time: seconds and 40 random bits, in hexadecimal."""
    return f"{int(time.time()):x}-{secrets.token_hex(5)}"


def record_path(folder: Path, session_id: str) -> Path:
    """The path of a session's record under `folder`."""
    day = time.strftime("%Y-%m", time.localtime(int(session_id.partition("-")[0], 16)))
    return folder / "sessions" / day / f"{session_id}.jsonl"
