"""The one home of questions and answers: asks, and keeps what was answered for more than once.

Never allows anything where nobody answers.
"""

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ...agent.config.action_rules import all_as_toml
from ...agent.errors import SettingsError, TurnInterrupted, UsageError
from ...agent.printable import visible
from ...agent.protocol.actions import ActionRule, Answer, Question, StandingRules, Verdict
from ..execution.capture import OutputCapture, is_of_step
from ..execution.run_code import Host
from ..shell import Shell
from .own_rules import OwnRules
from .person import ForgedInputError, Person
from .wording import Reply, question_words, read_reply

_CALL = r"\bagent(?:\s+|['\"],\s*['\"]\s*)"
"""The magic's name, up to the line: `%agent LINE`, or `run_line_magic('agent', 'LINE')`."""
_UNLOADS = r"\b(?:un|re)load_ext(?:ension)?\b\W+inkernel\b"
FORGED = "code has replaced the function through which the person answers, so nobody was asked"


class ApprovalHome:
    """Where a kernel's person is asked. `own`: the rules of "always". `session`: the answers that
    hold until the session ends, as rules. Made before any code of the agent runs.

    `typed`: gives the source of the person's cell that runs now.
    """

    def __init__(self, shell: Shell, own: OwnRules, typed: Callable[[], str]) -> None:
        self.person = Person(shell)
        self.own = own
        self.session: list[ActionRule] = []
        self._typed = typed
        self._taps: OutputCapture | None = None

    def of_turn(self, host: Host, rules: tuple[ActionRule, ...]) -> "Approvals":
        """The questions of a turn. `rules`: of files, as it begins."""
        self._taps = host.taps
        return Approvals(self, host, rules)

    def refuse_code(self, line: str) -> None:
        """Raises UsageError where code of a step runs a line that changes something."""
        if is_of_step() or (self._taps is not None and self._taps.step_here() is not None):
            raise UsageError(
                f"Code of the agent cannot run `{line}`.",
                "Only the person can, in a cell of their own.",
            )

    def refuse_untyped(self, line: str) -> None:
        """Raises UsageError unless the running cell has this line, after `agent`.

        Code of a step that is over may wait for its time: in a thread, a callback, a hook.
        """
        self._refuse_unless(_CALL + r"\s+".join(map(re.escape, line.split())), line)

    def refuse_unloading(self) -> None:
        """The same where the extension is unloaded or loaded anew."""
        self.refuse_code("%unload_ext")
        self._refuse_unless(_UNLOADS, "%unload_ext")

    def _refuse_unless(self, said: str, line: str) -> None:
        if not re.search(said, self._typed()):
            raise UsageError(
                f"`{line}` changes what the agent may do, and the running cell does not say so.",
                "Type it in a cell.",
            )


_Lists = tuple[tuple[ActionRule, ...], tuple[ActionRule, ...], tuple[ActionRule, ...]]
"""The rules of files, and the answers for the turn and for the session."""


@dataclass(slots=True)
class Approvals:
    """The questions of one turn."""

    home: ApprovalHome
    host: Host
    rules: tuple[ActionRule, ...]
    _turn: list[ActionRule] = field(default_factory=list[ActionRule])
    _known: "_Lists" = field(init=False)

    def __post_init__(self) -> None:
        self._known = self._lists()

    def changed(self) -> Iterator[str]:
        """Put back the rules and answers that code has changed, and name them."""
        if repr(self._lists()) != repr(self._known):
            self.rules, self._turn[:], self.home.session[:] = self._known
            yield "the rules and answers that hold"

    def _lists(self) -> "_Lists":
        """Copies, as a rule can be changed in place."""
        lists = (self.rules, self._turn, self.home.session)
        rules, turn, session = (tuple(it.model_copy() for it in one) for one in lists)
        return rules, turn, session

    def standing(self) -> StandingRules:
        """All that holds now."""
        return StandingRules(self.rules, (*self._turn, *self.home.session))

    async def approve(self, question: Question) -> Answer:
        """Ask. Raises TurnInterrupted if the person stops the turn."""
        with self.stopping():
            return self._asked(question)

    @contextmanager
    def stopping(self) -> Generator[None]:
        """Meanwhile the person's stop ends the turn, also if code waits and catches the error."""
        try:
            yield
        except TurnInterrupted:
            self.host.waiting.stop()
            raise

    def approve_now(self, question: Question) -> Answer:
        """The same about a deed of code that runs. Nothing else shows it, so the question does."""
        return self._asked(replace(question, running=True))

    def _asked(self, question: Question) -> Answer:
        if not self.home.person.is_there:
            return _no(self._unasked(question), by="nobody")
        try:
            while True:
                reply = read_reply(self._ask(question_words(question)), question)
                answer = self._answer(reply, question)
                if answer is not None:
                    return answer
        except ForgedInputError:
            return _no(FORGED, by="nobody")
        except (KeyboardInterrupt, EOFError):
            raise TurnInterrupted("You stopped the turn.") from None

    def put(self, text: str) -> str | None:
        """The person's answer to a question of another kind. None: nobody can answer.

        Raises TurnInterrupted if the person stops the turn.
        """
        if not self.home.person.is_there:
            return None
        try:
            return self._ask(text)
        except ForgedInputError:
            return None
        except (KeyboardInterrupt, EOFError):
            raise TurnInterrupted("You stopped the turn.") from None

    def _unasked(self, question: Question) -> str:
        """Why nobody is asked, and what the person can do before the next time."""
        parts = [", ".join(f'{k} = "{v}"' for k, v in it.parts.items()) for it in question.rules]
        other = "only another policy would allow it"
        files = f"{self.home.own.path} or a file for --approve"
        rule = f"a rule in {files} would allow it: {'; '.join(parts)}"
        asked = f"nobody can answer here (asked: {question.why.reason})"
        return f"{asked}; {rule if parts else other}"

    def _answer(self, reply: Reply, question: Question) -> Answer | None:
        """The answer. None: the same question comes again."""
        if reply.stop:
            raise TurnInterrupted("You stopped the turn.")
        if reply.edit:
            code = self._edited(str(question.action.arguments["code"]))
            if code is None:
                return None
            said = _yes("the person changed the code and allowed it", question)
            return Answer(verdict=said, code=code)
        match reply.scope:
            case None:
                word = f"the person said: {reply.word}" if reply.word else "the person said no"
                return _no(f"{word} (asked: {question.why.reason})", by="user")
            case "once":
                return Answer(verdict=_yes("allowed by the person", question))
            case "turn":
                self._turn += _held(question, "your answer for this turn")
                self._known = self._lists()
                return Answer(verdict=_yes("allowed for this turn", question))
            case "session":
                self.home.session += _held(question, "your answer for this session")
                self._known = self._lists()
                return Answer(verdict=_yes("allowed for this session", question))
            case "always":
                return self._always(question)

    def _always(self, question: Question) -> Answer | None:
        text = visible(all_as_toml(question.rules))
        path = self.home.own.path
        if self._ask(f"{text}\nWrite this into {path}? [y]es, [n]o: ").lower() not in ("y", "yes"):
            return None
        try:
            self.home.own.add(question.rules)
        except SettingsError as error:
            self._ask(f"{error.message} Press Enter to answer again: ")
            return None
        self.rules += _from(question.rules, str(path))
        self._known = self._lists()
        return Answer(verdict=_yes("always allowed by the person", question))

    def _edited(self, code: str) -> str | None:
        """The code after the person has changed lines of it. None if they took it back."""
        lines, wrong = code.split("\n"), ""
        while True:
            shown = "\n".join(f"{n:>3}  {visible(line)}" for n, line in enumerate(lines, 1))
            said = self._ask(f"{shown}\n{wrong}Line to change, [r]un it so, or [c]ancel: ").lower()
            wrong = f"There is no line {visible(said)[:20]!r}.\n"
            if said in ("c", "cancel"):
                return None
            if said in ("r", "run", ""):
                return "\n".join(lines)
            if said.isdecimal() and 1 <= int(said) <= len(lines):
                at = int(said) - 1
                indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
                lines[at : at + 1] = [indent + self._ask(f"{said:>3}  {indent}")]
                wrong = ""

    def _ask(self, text: str) -> str:
        host = self.host
        host.taps.asked = True
        masked = host.taps.mask.text(text)
        return self.home.person.ask(masked, host.interruption, host.waiting)


def _held(question: Question, origin: str) -> tuple[ActionRule, ...]:
    return _from(question.held, origin)


def _from(rules: tuple[ActionRule, ...], origin: str) -> tuple[ActionRule, ...]:
    return tuple(rule.model_copy(update={"origin": origin}) for rule in rules)


def _yes(reason: str, question: Question) -> Verdict:
    return Verdict(decision="allow", reason=reason, by="user", deeds=question.why.deeds)


def _no(reason: str, by: str) -> Answer:
    return Answer(verdict=Verdict.model_validate({"decision": "deny", "reason": reason, "by": by}))


async def nobody(_question: Question) -> Answer:
    """The `approve` seam while no turn runs."""
    return _no("no turn runs", by="nobody")
