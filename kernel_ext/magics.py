"""The magics `%%agent` (a prompt) and `%agent` (all else). Parses the first line, never the text.

It loads with the extension, so it imports nothing heavy. The agent loads at the first use.
"""

import gc
import re
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from IPython.core.magic import no_var_expand

from ..agent.errors import AgentError, LineInterrupted, TurnInterrupted, UsageError
from ..agent.frozen import frozen
from .input_transform import CellTransform, LineTransform, not_first
from .shell import Shell, loop_runs, run_to_end
from .user_cells.log import UserCellLog

if TYPE_CHECKING:
    from .host import KernelAgent

MAGIC_NAME = "agent"
CELL_FLAGS = {"-m": "model", "--model": "model", "--policy": "policy", "--effort": "effort"}
_QUOTED_OR_HASH = re.compile(r"""(?<![^\s=])(?:"[^"]*"|'[^']*')|(?<!\S)#(?!\S)""")


@frozen
class AgentLine:
    """The first line of a `%%agent` cell: settings for this turn, and perhaps a short prompt.

    `digest`: the cell is no prompt. Its text becomes the digest.
    """

    settings: dict[str, str]
    new: bool
    prompt: str
    digest: bool = False


def parse_line(line: str) -> AgentLine:
    """Parse flags, and then a text that stays as it is. `--` or a comment ends the flags.

    Raises UsageError for an unknown flag, or one without its value.
    """
    settings: dict[str, str] = {}
    new = digest = False
    rest = line.strip()
    while rest.startswith("-"):
        flag, rest = _word(rest)
        if flag == "--":
            break
        name, equals, value = flag.partition("=")
        if name == "--new" and not equals:
            new = True
            continue
        if name == "--digest" and not equals:
            digest = True
            continue
        if name not in CELL_FLAGS:
            raise _unknown_flag(name)
        if not equals:
            value, rest = _word(rest)
        if not value:
            raise UsageError(f"{name} needs a value.", "For example: `%%agent -m gpt-5.5`.")
        settings[CELL_FLAGS[name]] = value
    else:
        if rest != line.strip() and not without_comment(rest):
            rest = ""
    return AgentLine(settings, new, rest, digest)


def without_comment(line: str) -> str:
    """An `%agent` line without the comment at its end: from a `#` between blanks, outside quotes.

    `#3` is a cell.
    """
    marks = _QUOTED_OR_HASH.finditer(line)
    at = next((mark.start() for mark in marks if mark[0] == "#"), len(line))
    return line[:at].rstrip()


def _word(text: str) -> tuple[str, str]:
    """The first word, which may have quotes around a part with blanks, and the rest."""
    found = re.match(r"""(?:[^\s"']|"[^"]*"|'[^']*'|["'])*""", text)
    word = found[0] if found else ""
    return re.sub(r"""(["'])(.*?)\1""", r"\2", word), text[len(word) :].strip()


def _unknown_flag(name: str) -> UsageError:
    import difflib

    known = [*CELL_FLAGS, "--new", "--digest"]
    close = difflib.get_close_matches(name, known, n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    return UsageError(
        f"%%agent has no flag {name}.{meant}",
        f"There are: {', '.join(known)}. A prompt that begins with a dash goes on the next line.",
    )


@contextmanager
def _uncollected() -> Generator[None]:
    """Meanwhile the garbage collector rests. Modules are no garbage, and it would look at all the
    person's objects again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class AgentMagics:
    """Both magics of one shell, and its agent once it is made."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._agent: KernelAgent | None = None
        self.cells = CellTransform(shell)
        self.lines = LineTransform(shell)
        self.log = UserCellLog()
        self._loading = False

    @property
    def agent(self) -> "KernelAgent":
        """The shell's agent. It is made at the first use."""
        if self._agent is None:
            with _uncollected():
                from .host import KernelAgent

            self._agent = KernelAgent(self._shell, self.log)
        return self._agent

    @no_var_expand
    def say(self, line: str, cell: str | None) -> Coroutine[Any, Any, None] | None:
        """Give the agent a prompt. It works in this kernel and answers below the cell.

            %%agent [-m MODEL] [--new] [--policy POLICY] [--effort LEVEL] [a short prompt]
            the prompt, as long as you like; $`name` attaches a description of a variable

        `%agent help` lists the rest.
        """
        said = self._said(line, cell)
        if not loop_runs():
            return run_to_end(said)
        from .user_cells.pending import PendingTurn

        return PendingTurn(said, self._shell)

    async def _said(self, line: str, cell: str | None) -> None:
        import asyncio

        from .execution.gui import gui_held
        from .execution.interrupts import cancelled_by_sigint

        interrupted = LineInterrupted() if cell is None else TurnInterrupted()
        with cancelled_by_sigint(interrupted), self._errors():
            agent = self.agent  # the first time, its imports take a while
            await asyncio.sleep(0)  # an interrupt that came meanwhile ends it here
            async with gui_held(self._shell) as notices:
                if cell is None:  # an awaited `%agent` line
                    from .commands.dispatch import run_command

                    await run_command(agent, without_comment(line))
                else:
                    first = parse_line(line)
                    if first.settings:
                        agent.approvals.refuse_untyped(line)
                    await _ask(agent, first, cell.strip(), notices)

    @no_var_expand
    def manage(self, line: str) -> None:
        """Show and change how the agent works. `%agent help` lists the subcommands."""
        with self._errors():
            from .commands.dispatch import run_unawaited

            run_unawaited(self.agent, without_comment(line), loading=self._loading)

    def misplaced(self, _line: str) -> None:
        """Say why a `%%agent` below other lines is none."""
        raise not_first()

    def load(self) -> None:
        """Serve the rest of the running cell, which IPython has read without our transforms."""
        self._loading = True
        self._shell.register_magic_function(self.misplaced, "line", f"%{MAGIC_NAME}")
        self._shell.events.register("pre_execute", self.loaded)

    def loaded(self) -> None:
        """Serve that cell no longer: it is over. Does nothing the second time."""
        if self._loading:
            self._loading = False
            self._shell.events.unregister("pre_execute", self.loaded)
            del self._shell.magics_manager.magics["line"][f"%{MAGIC_NAME}"]

    @contextmanager
    def _errors(self) -> Generator[None]:
        """Masks our errors, and replaces one that comes from a file named as a module we import."""
        try:
            yield
        except AgentError as error:
            if self._agent is not None:
                error.mask(self._agent.mask.text)
            raise
        except Exception as error:
            from .commands.shadowed import shadow_error

            if named := shadow_error(error):
                raise named from error
            raise

    def close(self) -> None:
        """Close the session, and stop what it started. Raises UsageError for code of a step."""
        if self._agent is not None:
            self._agent.approvals.refuse_unloading()
        self.log.detach()
        self.loaded()
        if self._agent is not None:
            if self._agent.servers.running:
                print("The MCP servers are ended, which may take some seconds.", flush=True)
            self._agent.close()


async def _ask(agent: "KernelAgent", first: AgentLine, rest: str, notices: tuple[str, ...]) -> None:
    text = "\n".join(part for part in (first.prompt, rest) if part)
    if not text:
        raise UsageError(
            "%%agent has nothing to do: the cell is empty.",
            "Write what you want below the first line.",
        )
    if first.digest:
        from .commands.dispatch import show_card
        from .commands.window import edit_digest

        return show_card(agent, edit_digest(agent, text))
    await agent.ask(text, first.settings, first.new, notices)


def register(shell: Shell) -> None:
    """Give the shell the magics and the transform, once."""
    if _registered(shell) is None:
        magics = AgentMagics(shell)
        shell.register_magic_function(magics.say, "cell", MAGIC_NAME)
        shell.register_magic_function(magics.manage, "line", MAGIC_NAME)
        shell.input_transformer_manager.cleanup_transforms.insert(0, magics.cells)
        shell.input_transformer_manager.line_transforms.append(magics.lines)
        magics.log.attach(shell)
        magics.load()


def unregister(shell: Shell) -> None:
    """Remove both, and close the session."""
    magics = _registered(shell)
    if magics is None:
        return
    magics.close()
    shell.input_transformer_manager.cleanup_transforms.remove(magics.cells)
    shell.input_transformer_manager.line_transforms.remove(magics.lines)
    for kind in ("cell", "line"):
        del shell.magics_manager.magics[kind][MAGIC_NAME]


def _registered(shell: Shell) -> AgentMagics | None:
    owner = getattr(shell.magics_manager.magics["cell"].get(MAGIC_NAME), "__self__", None)
    return owner if isinstance(owner, AgentMagics) else None
