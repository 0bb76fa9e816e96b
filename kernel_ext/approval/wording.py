"""The words of a question, and the meaning of an answer. Pure."""

from typing import Literal

from ...agent.frozen import frozen
from ...agent.printable import hidden_parts, visible
from ...agent.protocol.actions import Action, Question
from ...agent.text.lines import count_of

Scope = Literal["once", "turn", "session", "always"]

SAMPLING = "sampling of the server "
"""Before the name of a server in the tool of a rule that lets it ask the model."""

_SCOPES: dict[str, Scope] = {
    "y": "once",
    "yes": "once",
    "a": "turn",
    "all": "turn",
    "se": "session",
    "session": "session",
    "w": "always",
    "always": "always",
}


_MAY = {
    "read_files": "read files",
    "write_files": "write files",
    "network": "use the network",
    "run_command": "run programs",
    "spawn": "start processes",
}
"""Effects that a function may declare, in words."""
MOST_GIVEN_CHARS, MOST_GIVEN_LINES = 2_000, 30
"""Longest arguments of a call that the question itself shows. Longer ones are above it alone."""


@frozen
class Reply:
    """The answer of a person: yes for a scope, no with or without a word, stop, or an edit."""

    scope: Scope | None = None
    stop: bool = False
    edit: bool = False
    word: str = ""


def question_words(question: Question) -> str:
    """The question as `input()` shows it: who asks, why, the answers. The call is shown above it.

    A yes that lasts is one to the whole tool, or to the same deeds alone.
    """
    to = "to all " if any(rule.tool for rule in question.held) else ""
    yes = [
        "[y] once",
        *([f"[a] {to}in this turn", f"[se] {to}in this session"] if question.held else []),
        *(["[w] always"] if question.rules else []),
    ]
    other = [*(["[e]dit"] if can_edit(question) else []), "[n]o", "[s]top"]
    reason = visible(question.why.reason)
    keys = f"Yes: {', '.join(yes)}. {', '.join(other)}, or what to do instead: "
    return f"{_asks(question)}\n{reason[:1].upper()}{reason[1:]}.\n{keys}"


def can_edit(question: Question) -> bool:
    """Whether the call has code that a person may change."""
    code = question.action.arguments.get("code")
    return isinstance(code, str) and not question.running


def read_reply(text: str, question: Question) -> Reply:
    """The meaning of an answer. A choice that is not offered is a word to the model."""
    word = text.strip().lower()
    scope = _SCOPES.get(word)
    if scope == "once" or (scope == "always" and question.rules):
        return Reply(scope)
    if scope in ("turn", "session") and question.held:
        return Reply(scope)
    if word in ("e", "edit") and can_edit(question):
        return Reply(edit=True)
    if word in ("s", "stop"):
        return Reply(stop=True)
    return Reply(word="" if word in ("", "n", "no") else text.strip())


def _asks(question: Question) -> str:
    if question.running:
        return "The agent's step waits. May it go on?"
    action = question.action
    if action.tool.startswith(SAMPLING):
        server = visible(action.tool.removeprefix(SAMPLING))
        return f"The server {server} asks your model ({_size(action.literal)})."
    if not action.server and "function" not in action.effects:
        what = "run this step" if "run_code" in action.effects else f"use {action.tool}"
        return f"The agent wants to {what} ({_size(action.literal)})."
    what = f"The agent wants to call {visible(action.tool)}, {_whose(action)}"
    if not action.arguments:
        return f"{what}. It has no arguments."
    given = visible(action.literal)
    if len(given) > MOST_GIVEN_CHARS or given.count("\n") >= MOST_GIVEN_LINES:
        return f"{what}, with the arguments above ({_size(action.literal)})."
    return "\n  ".join([f"{what}:", *given.split("\n")])


def _whose(action: Action) -> str:
    """Whose tool it is, and what it may do: a server's may do anything."""
    if action.server:
        return f"a tool of the server {visible(action.server)}, which may do anything"
    may = [words for effect, words in _MAY.items() if effect in action.effects]
    told = "do anything" if len(may) == len(_MAY) else " and ".join(may) or "only compute"
    return f"a function of yours that may {told}"


def _size(literal: str) -> str:
    lines = literal.count("\n") + 1
    hidden = hidden_parts(literal)
    size = f"{count_of(lines, 'line')}, {count_of(len(literal), 'character')}"
    return f"{size}; hidden in it: {hidden}" if hidden else size
