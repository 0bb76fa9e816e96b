"""`%agent`: the session at a glance, and the processes of its steps."""

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from ...agent.config.project import read_docs
from ...agent.config.settings import Settings
from ...agent.errors import AgentError, UsageError
from ...agent.overview import Overview
from ...agent.permissions.budget import Spent, uses
from ...agent.protocol.events import Usage
from ...agent.providers.pricing import cost_of
from ...agent.providers.resolve import Target
from ...agent.text.lines import count_of
from ...widgets.panels.cards import Card
from ..execution.children import Child, children_words
from ..host import KernelAgent
from ..protection import in_force
from .command import Command, counted
from .model import model_row


async def status(agent: KernelAgent, _rest: str) -> Card:
    """The card of the session: model, tokens, cost, files."""
    settings = agent.choose().settings
    found = await agent.connections.found(settings)
    now, client = agent.overview, agent.connections.client
    used = now.usage
    window = settings.window or (found.window if isinstance(found, Target) else None)
    rows = [
        ("model", model_row(found)),
        ("transport", client.transport if client else "begins with the first turn"),
        (
            "session",
            f"{now.session_id}, {count_of(now.left, 'turn')}, {count_of(now.items, 'item')}",
        ),
        ("context", _context_row(now, window)),
        ("cached", f"{used.cached / used.input:.0%} of input" if used.input else "–"),
        ("tokens", _tokens_row(used)),
        ("cost", _cost_row(used, settings, found)),
        ("budgets", _budgets_row(now, settings, found)),
        ("policy", settings.policy),
        ("protection", in_force(settings)),
        ("record", str(now.record) if now.record else "begins with the first turn"),
        ("AGENTS.md", _docs_row(agent, settings)),
    ]
    return Card(
        "inkernel: write %%agent on the first line of a cell, and what you want below.", rows
    )


def _context_row(now: Overview, window: int | None) -> str:
    how = "as the server counts" if now.counted else "estimated"
    share = f" of {window:,} ({now.tokens / window:.0%})" if window else ""
    return f"{now.tokens:,}{share} tokens, {how}"


def _tokens_row(used: Usage) -> str:
    guessed = f", {used.estimated:,} of them estimated" if used.estimated else ""
    return f"{used.input:,} in, {used.output:,} out{guessed}"


def _cost_row(used: Usage, settings: Settings, found: Target | AgentError) -> str:
    cost = cost_of(used, settings, found) if isinstance(found, Target) else None
    return "price not known" if cost is None else f"${cost:.4f}"


def _budgets_row(now: Overview, settings: Settings, found: Target | AgentError) -> str:
    spent = Spent(
        tokens=now.usage.input + now.usage.output,
        cost=cost_of(now.usage, settings, found) if isinstance(found, Target) else None,
        steps=now.steps,
        seconds=now.seconds,
        sent=now.sent,
    )
    return "\n".join(it.words for it in uses(settings, Spent(cost=0), spent))


def _docs_row(agent: KernelAgent, settings: Settings) -> str:
    cwd, held = Path(agent.folders.now.working), agent.obeyed.held
    docs, notices = read_docs(cwd, agent.user_folder, settings.docs_bytes, held)
    found = [f"{d.path}{' (cut)' if d.cut else ''}" for d in docs]
    return "\n".join([*found, *notices]) or "none found"


def processes(agent: KernelAgent, rest: str) -> Card | Coroutine[Any, Any, Card]:
    """The processes that steps left running. `end` ends all of them, `end PID` one."""
    found = agent.children.alive()
    word, _, number = rest.partition(" ")
    which = [it for it in found if not number or str(it.pid) == number.strip()]
    if rest and (word != "end" or (number and not which)):
        raise UsageError(f"There is nothing to do for {rest!r}.", "You can say `end` or `end PID`.")
    if rest:
        return _ended(agent, which)
    rows = [(str(it.pid), it.words) for it in found]
    return Card("Processes that steps left running" if rows else "No step left any process.", rows)


async def _ended(agent: KernelAgent, which: Sequence[Child]) -> Card:
    await asyncio.sleep(0)
    if not which:
        return Card("There was nothing to end.")
    async with counted("Waiting for the processes to end"):
        await agent.children.end(which)
    return Card(f"Ended: {children_words(which)}")


COMMANDS = (
    Command(
        "processes",
        "[end [PID]] — the processes that steps left running; end them",
        processes,
        (
            ("", "the processes that steps left running"),
            ("end", "end all of them"),
            ("end PID", "end one of them"),
        ),
    ),
    Command("status", "— provider, model, session, tokens, cost, policy, AGENTS.md", status),
)
