"""The walls around the code of a turn, and all that holds it within: reading, trials, the guard.

Knows no loop. The judge is in `agent/permissions`.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..agent.config.project import project_folders
from ..agent.config.settings import Settings
from ..agent.dispatch.gate import note_verdict
from ..agent.errors import TurnInterrupted
from ..agent.permissions.code.findings import Surroundings
from ..agent.permissions.judge import Seen, Terms, in_words
from ..agent.permissions.question import question
from ..agent.permissions.reading import read_code
from ..agent.permissions.rules import EFFECT_OF, allows_deed, fits
from ..agent.permissions.walls import workspace_walls
from ..agent.protocol.actions import Action, ActionRule, Verdict
from ..agent.protocol.events import ApprovalNeeded, VerdictGiven
from ..agent.protocol.policy import Policy, read_policy
from ..agent.protocol.trials import Cover, Deed, Trial, Walls
from ..agent.seams import RunTrial, Seams
from ..agent.session import Session
from ..agent.tools.tool import Show, ToolCall
from .approval.approvals import Approvals
from .environment import working_folder
from .sandbox.definitions import definitions
from .sandbox.guard import Guard, Watch, as_ours
from .sandbox.trial import no_trial, run_trial, wall_words
from .sandbox.walls.folders import Folders, HeldFolders
from .sandbox.walls.readable import cache_folders, read_freely
from .shell import Shell
from .tools.step_runner import Watching


class Protection:
    """The protection of one kernel. `folders`: they hold, whatever code makes of them.

    `user_folder`: of the person's settings.
    """

    def __init__(self, shell: Shell, folders: HeldFolders, user_folder: Path) -> None:
        self._shell, self._folders, self._user_folder = shell, folders, user_folder
        self._guard = Guard()
        self.function_writes = self._guard.function_writes

    def of_turn(
        self, settings: Settings, scripts: Sequence[str], secrets: Iterable[str]
    ) -> "TurnProtection":
        """That of a turn. `scripts`: files that run with the person's rights. `secrets`: texts that
        no copy may hold."""
        folders = self._folders.now
        own = [self._user_folder]
        records = [settings.data_dir or Path(folders.data)]
        own += [folders.path(settings.approve)] if settings.approve else []
        walls = find_walls(self._shell, folders, own, records)
        return TurnProtection(
            shell=self._shell,
            guard=self._guard,
            walls=replace(walls, protected=(*walls.protected, *scripts)),
            caches=tuple(cache_folders(folders)),
            policy=read_policy(settings.policy),
            secrets=tuple(secrets),
            readable=tuple(read_freely(folders.home)),
        )


@dataclass(frozen=True, slots=True)
class TurnProtection:
    """The walls of a turn, and what keeps its code within them."""

    shell: Shell
    guard: Guard
    walls: Walls
    caches: tuple[str, ...]
    policy: Policy
    secrets: tuple[str, ...]
    readable: tuple[str, ...]

    @property
    def parts(self) -> tuple[object, ...]:
        """The values that no code may change."""
        return self, self.walls, self.policy

    def seams(self, seams: Seams, asked: Approvals, show: Show) -> Seams:
        """The seams of the turn, with those that read code, try it, and ask."""
        trial = _trying(self.shell, self._cover(), self.secrets)
        asking = replace(seams, approve=as_ours(asked.approve), rules=asked.standing, show=show)
        return replace(asking, read=self._read, trial=trial)

    def watching(self, asked: Approvals, session: Session, *, within: bool = False) -> Watching:
        """The guard that stops the code of a call at a deed that its verdict leaves open.

        `within`: the code of a step makes the call.
        """
        guard = self.guard.within if within else self.guard.over

        def watch(call: ToolCall) -> AbstractContextManager[Sequence[Deed]]:
            action, verdict = call.action, call.verdict
            if self.policy.level == "full" or action is None or verdict is None:
                return guard(None)
            kinds = frozenset(kind for kind, it in EFFECT_OF.items() if it in action.effects)
            cover = replace(self._cover(verdict.deeds), kinds=kinds)
            note = partial(note_verdict, session, call, action)
            ask = _Consent(self.policy, asked, call, action, note)
            return guard(Watch(cover, ask.may))

        return watch

    def _cover(self, allowed: tuple[Deed, ...] = ()) -> Cover:
        return Cover(walls=self.walls, caches=self.caches, allowed=allowed, readable=self.readable)

    def _read(self, code: str) -> Seen:
        home = os.path.expanduser("~")
        around = Surroundings(str(working_folder()), home, definitions(self.shell), _real)
        found = read_code(code, self.walls, around)
        return Seen(
            plain=found.plain,
            concerns=found.concerns,
            unheard=found.unheard,
            writer=found.writer,
        )


@dataclass(frozen=True, slots=True)
class _Consent:
    """Whether the code of a call may do one thing more, while it runs."""

    policy: Policy
    asked: Approvals
    call: ToolCall
    action: Action
    note: Callable[[Verdict], Verdict]

    def may(self, deed: Deed) -> bool:
        """Whether a rule or the person allows it. Interrupts the step if the person stops it."""
        standing = self.asked.standing()
        rules = (*standing.rules, *standing.held)
        fitting = {it.decision: it for it in rules if fits(it, self.action, [deed])}
        if "deny" in fitting:
            self._note_rule(fitting["deny"], deed)
            return False
        heard = standing.held if "ask" in fitting else rules  # a question, until it is answered
        if rule := next((it for it in heard if allows_deed(it, self.action, deed)), None):
            self._note_rule(rule, deed)
            return True
        if self.policy.asks == "never":
            return False
        reason = f"policy {self.policy.words}: while it runs, it {in_words([deed])}"
        why = Verdict(decision="ask", reason=reason, deeds=(deed,))
        terms = Terms(policy=self.policy, rules=standing.rules, held=standing.held)
        self.call.show(ApprovalNeeded(call_id=self.call.id, reason=reason, deeds=(deed,)))
        try:
            answer = self.asked.approve_now(question(self.action, why, None, terms))
        except TurnInterrupted:
            self.asked.host.waiting.stop()
            return False
        verdict = self.note(answer.verdict)
        self.call.show(VerdictGiven(call_id=self.call.id, verdict=verdict))
        return answer.verdict.decision == "allow"

    def _note_rule(self, rule: ActionRule, deed: Deed) -> None:
        reason = f"while it runs, it {in_words([deed])}, and {rule.cited}"
        self.note(Verdict(decision=rule.decision, reason=reason, by="rule", deeds=(deed,)))


def _real(path: str) -> str | None:
    return os.path.realpath(path) if os.path.lexists(path) else None


def in_force(settings: Settings) -> str:
    """The protection of the next step, in words. Never shows one that is not there."""
    policy = read_policy(settings.policy)
    if policy.level == "full":
        return "none: policy full"
    trials = no_trial() or ("trial = never" if settings.trial == "never" else "")
    if policy.level == "read-only":
        return f"nothing runs: {trials}" if trials else f"trial runs alone: {wall_words()}"
    if trials:
        return f"the guard, and no trial runs: {trials}"
    return f"trial runs before what does more than compute ({wall_words()}), and the guard"


def find_walls(
    shell: Shell, folders: Folders, own: Iterable[Path], records: Iterable[Path] = ()
) -> Walls:
    """The walls around the project of the working folder. `own`: paths of ours, beside records."""
    profile = getattr(getattr(shell, "profile_dir", None), "location", None)
    kept = [*map(str, own), *([profile] if isinstance(profile, str) else [])]
    return workspace_walls(
        *workspace(folders),
        os.path.realpath(folders.home),
        [os.path.realpath(it) for it in kept],
        [os.path.realpath(it) for it in records],
    )


def workspace(folders: Folders) -> tuple[str, str]:
    """The project's folder and that for temporary files, without links."""
    here = Path(folders.working)
    folder = next(iter(project_folders(here)), here)
    return os.path.realpath(folder), os.path.realpath(folders.temporary)


def _trying(shell: Shell, cover: Cover, secrets: Sequence[str]) -> RunTrial:
    """The seam that tries code in a copy. Where no copy can be made, its trials say why."""

    async def trial(_call: ToolCall, action: Action) -> Trial:
        return await run_trial(shell, action.code or "", cover, secrets)

    return trial
