"""The words of a question, and the meaning of an answer. Pure."""

from typing import Literal

from ...agent.frozen import frozen
from ...agent.printable import hidden_parts, visible
from ...agent.protocol.actions import Question
from ...agent.text.lines import count_of

Scope = Literal["once", "turn", "session", "always"]

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


@frozen
class Reply:
    """The answer of a person: yes for a scope, no with or without a word, stop, or an edit."""

    scope: Scope | None = None
    stop: bool = False
    edit: bool = False
    word: str = ""


def question_words(question: Question) -> str:
    """The question as `input()` shows it. The call itself is shown above it."""
    choices = [
        "[y]es",
        *(["[a]ll of this turn", "all of this [se]ssion"] if question.held else []),
        *(["al[w]ays"] if question.rules else []),
        *(["[e]dit"] if can_edit(question) else []),
    ]
    if question.running:
        begin = f"The step waits. {visible(question.why.reason)}. Allow this?"
    else:
        begin = f"Run this step? ({_size(question.action.literal)})"
    return f"{begin} {', '.join(choices)}, [n]o, [s]top, or what to do instead: "


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


def _size(literal: str) -> str:
    lines = literal.count("\n") + 1
    hidden = hidden_parts(literal)
    size = f"{count_of(lines, 'line')}, {count_of(len(literal), 'character')}"
    return f"{size}; hidden in it: {hidden}" if hidden else size
