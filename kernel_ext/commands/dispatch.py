"""`%agent` and its subcommands: what there is to see, to change and to have done."""

import getpass
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, cast

import IPython.display

from ...agent.config.project import read_docs
from ...agent.config.settings import Layer, Settings, choose, nearest
from ...agent.errors import AgentError, UsageError
from ...agent.protocol.events import Usage
from ...agent.providers.catalog import Capabilities
from ...agent.providers.keys import keep_in_keyring
from ...agent.providers.pricing import cost_of
from ...agent.providers.resolve import Target, chosen_name
from ...agent.responses.client import Client
from ...agent.responses.http import list_models
from ...agent.responses.request import Request, read_by_model
from ...agent.session import Conversation
from ...agent.text.tokens import estimate
from ...widgets.panels.cards import Card, TextCard
from ...widgets.panels.context_card import ContextCard, RawCard
from ..environment import can_ask
from ..host import TYPED, UNASKED, KernelAgent
from . import notebook as notebook_commands
from . import window as window_commands
from .ask_now import found_now, now
from .context_card import Counting, context_card
from .sessions import find_session, session_row, turn_rows
from .window import next_compaction


def run_command(agent: KernelAgent, line: str) -> Coroutine[Any, Any, None] | None:
    """Do what the line says and show it; a coroutine, where that is to be awaited.

    Raises UsageError for what is not known.
    """
    name, _, rest = line.strip().partition(" ")
    name = name.rstrip("?") or "status"  # `%agent status?` asks the same
    known = [*COMMANDS, *AWAITED]
    if name not in known:
        raise UsageError(
            f"%agent has no subcommand {name!r}.{nearest(name, known)}",
            f"There are: {', '.join(known)}. To ask the agent something, use %%agent.",
        )
    rest = rest.strip().rstrip("?").strip()
    if name in AWAITED:
        return _show(AWAITED[name](agent, rest))
    show_card(COMMANDS[name](agent, rest))
    return None


async def _show(coming: Coroutine[Any, Any, Card | None]) -> None:
    if (card := await coming) is not None:
        show_card(card)


def show_card(card: Card | TextCard | ContextCard | RawCard) -> None:
    """Display it below the cell."""
    cast("Any", IPython.display).display(card.bundle(), raw=True)


def status(agent: KernelAgent, _rest: str) -> Card:
    """provider, model, session, tokens, cost, policy, AGENTS.md"""
    settings = agent.choose().settings
    found = found_now(agent, settings)
    conversation, used = agent.conversation, agent.conversation.usage
    items = len(conversation.history.entries)
    window = settings.window or (found.window if isinstance(found, Target) else None)
    rows = [
        ("model", _model_row(found)),
        ("transport", agent.transport),
        ("session", f"{agent.session_id}, {conversation.turns} turns, {items} items"),
        ("context", _context_row(conversation, agent.fields, window)),
        ("cached", f"{used.cached / used.input:.0%} of input" if used.input else "–"),
        ("tokens", f"{used.input:,} in, {used.output:,} out"),
        ("cost", _cost_row(used, settings, found)),
        ("policy", settings.policy),
        ("record", str(agent.record.path) if agent.record else "begins with the first turn"),
        ("AGENTS.md", _docs_row(agent, settings)),
    ]
    return Card(
        "inkernel: write %%agent on the first line of a cell, and what you want below.", rows
    )


def model(agent: KernelAgent, rest: str) -> Card:
    """[name] — show or choose the model: a name, provider:name, or scripted:FILE"""
    if rest:
        _set(agent, "model", rest)
    found = found_now(agent, agent.choose().settings)
    rows = [("model", _model_row(found))]
    if isinstance(found, Target):
        rows.append(("server can", _traits_row(found.traits)))
    return Card("The next turn asks:", rows)


def models(agent: KernelAgent, _rest: str) -> Card:
    """the models that the server lists"""
    settings = agent.choose().settings
    target = found_now(agent, settings)
    if isinstance(target, AgentError):
        raise target
    listed = sorted(now(list_models(target, settings.connect_timeout)))
    rows = [("→" if name == target.model else "", name) for name in listed]
    return Card(f"{target.server} lists {len(rows)}; `%agent model NAME` chooses one.", rows)


def key(agent: KernelAgent, rest: str) -> Card:
    """[PROVIDER] — keep a key in the system's keyring; it is asked for, never typed in a cell"""
    if not can_ask(agent.shell):
        raise UsageError("Nobody can be asked for a key here.", "Use a variable or a command.")
    provider = rest or chosen_name(agent.choose().settings)
    keep_in_keyring(provider, getpass.getpass(f"Key for {provider} (empty: remove): ").strip())
    agent.forget_keys()
    return Card(f"The keyring is changed. The next turn with {provider} uses it.")


def context(agent: KernelAgent, rest: str) -> ContextCard | RawCard | Card:
    """[--raw] — what is in the model's window, by kind and by cell; the exact next request"""
    settings = agent.choose().settings
    conversation = agent.conversation
    if rest == "--raw":
        if not agent.fields:
            raise UsageError("There is no request yet.", "It begins with the first %%agent.")
        return RawCard(Request.of(agent.fields, conversation.history.wire).wire(b""))
    if not conversation.history.entries:
        return Card("Nothing is in the model's window yet: it begins with the first %%agent.")
    found = found_now(agent, settings)
    target = found if isinstance(found, Target) else UNASKED
    session = agent.session(settings, Client(target, settings))
    coming = next_compaction(session, agent.fields)
    counting = Counting(agent.counter(target), target.model)
    return context_card(session, agent.fields, counting, coming)


def new(agent: KernelAgent, _rest: str) -> Card:
    """forget the conversation, keep the variables; the old record stays"""
    turns = agent.conversation.turns
    agent.start_anew()
    return Card(f"A new session begins: {agent.session_id}. ({turns} turns are in the old record.)")


def resume(agent: KernelAgent, rest: str) -> Card:
    """[SESSION] — go on from a session's record, the latest without a name"""
    path = find_session(_sessions(agent), rest, agent.session_id)
    agent.resume(path)
    conversation = agent.conversation
    rows = turn_rows(path)[-1:]
    return Card(
        f"Session {agent.session_id} goes on: {conversation.turns} turns, "
        f"{len(conversation.history.entries)} items. Variables are as this kernel has them.",
        rows,
    )


def history(agent: KernelAgent, rest: str) -> Card:
    """[SESSION | all] — the turns of this session, of another, or all sessions"""
    folder = _sessions(agent)
    if rest == "all":
        paths = sorted(folder.glob("*/*.jsonl"), key=lambda path: path.name, reverse=True)
        return Card(
            f"{len(paths)} sessions in {folder}", [session_row(path) for path in paths[:50]]
        )
    if rest:
        path = find_session(folder, rest, agent.session_id)
        return Card(f"session {path.stem}", turn_rows(path))
    if agent.record is None:
        return Card("This session has no turns yet.")
    return Card(f"session {agent.session_id}", turn_rows(agent.record.path))


def config(agent: KernelAgent, rest: str) -> Card:
    """[key [value]] — show the settings, one of them, or set one for this session"""
    key, _, value = rest.partition(" ")
    if value:
        _set(agent, key, value.strip())
    chosen = agent.choose()
    if key and key not in Settings.model_fields:
        known = list(Settings.model_fields)
        raise UsageError(
            f"There is no setting {key!r}.{nearest(key, known)}", "`%agent config` lists them all."
        )
    rows = [
        (
            name,
            f"{getattr(chosen.settings, name)}  ({chosen.origins.get(name, 'default')}; {about})",
        )
        for name, field in Settings.model_fields.items()
        if (about := field.description or "") and key in ("", name)
    ]
    return Card("settings", rows)


def help_(_binding: KernelAgent, _rest: str) -> Card:
    """this list"""
    commands = {**COMMANDS, **AWAITED}
    rows = [(f"%agent {name}", command.__doc__ or "") for name, command in commands.items()]
    say = ("%%agent", "[-m MODEL] [--new] [--policy auto|ask|deny] [--effort LEVEL] [prompt] …")
    return Card("$`name` in a prompt attaches a description of that variable.", [say, *rows])


COMMANDS: Mapping[str, Callable[[KernelAgent, str], Card | TextCard | ContextCard | RawCard]] = {
    "status": status,
    "model": model,
    "models": models,
    "context": context,
    "compact": window_commands.compact,
    "digest": window_commands.digest,
    "pin": window_commands.pin,
    "unpin": window_commands.unpin,
    "hide": window_commands.hide,
    "show": window_commands.show,
    "rewind": window_commands.rewind,
    "undo": window_commands.undo,
    "key": key,
    "new": new,
    "resume": resume,
    "history": history,
    "config": config,
    "help": help_,
}

AWAITED: Mapping[str, Callable[[KernelAgent, str], Coroutine[Any, Any, Card | None]]] = {
    "keep": notebook_commands.keep,
    "fix": notebook_commands.fix,
    "explain": notebook_commands.explain,
}


def _set(agent: KernelAgent, key: str, value: str) -> None:
    """Set it for this session, unless that would not do. Raises SettingsError."""
    typed = {**agent.typed, key: value}
    choose([Layer(TYPED, typed)])
    agent.typed = typed


def _model_row(found: Target | AgentError) -> str:
    if isinstance(found, AgentError):
        return str(found)
    if found.scripted:
        return f"{found.model} · scripted model: its words come from a script file"
    return f"{found.model} at {found.provider} ({found.base_url})"


def _traits_row(traits: Capabilities) -> str:
    known = (
        ("WebSocket", traits.websocket),
        ("store responses", traits.stores),
        ("compact", traits.compact),
        ("encrypted reasoning", traits.encrypted),
    )
    can = [name for name, does in known if does]
    return ", ".join([*can, *traits.hosted]) or "what Open Responses asks of every server"


def _context_row(conversation: Conversation, fields: bytes, window: int | None) -> str:
    tokens = conversation.size(estimate(read_by_model(fields)))
    how = "as the server counts" if conversation.counted else "estimated"
    share = f" of {window:,} ({tokens / window:.0%})" if window else ""
    return f"{tokens:,}{share} tokens, {how}"


def _cost_row(used: Usage, settings: Settings, found: Target | AgentError) -> str:
    cost = cost_of(used, settings, found) if isinstance(found, Target) else None
    return "price not known" if cost is None else f"${cost:.4f}"


def _docs_row(agent: KernelAgent, settings: Settings) -> str:
    docs = read_docs(Path.cwd(), agent.user_folder, settings.docs_bytes)
    return "\n".join(f"{d.path}{' (cut)' if d.cut else ''}" for d in docs) or "none found"


def _sessions(agent: KernelAgent) -> Path:
    return agent.data_folder(agent.choose().settings) / "sessions"
