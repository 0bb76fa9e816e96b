"""Puts what a server wants of the person to them: a form to fill in, or a page to open.

Knows no server that runs. The answer has the shape of MCP's `ElicitResult`.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ...agent.errors import TurnInterrupted
from ...agent.printable import visible
from .forms import FormField, fields_of, form_words

AskPerson = Callable[[str], str | None]
"""Puts a text to the person. None: nobody can answer."""
MOST_SAID = 60
"""Most characters of an answer that are repeated."""
DECLINED: dict[str, Any] = {"action": "decline"}


def elicited(server: str, params: Mapping[str, Any], ask: AskPerson) -> dict[str, Any]:
    """The person's answer. Nobody is asked to open a page without https.

    Raises TurnInterrupted if the person stops the turn.
    """
    message = "\n".join(f"  │ {line}" for line in visible(str(params.get("message"))).split("\n"))
    head = f"The server {visible(server)} asks you:\n{message}"
    if params.get("mode") == "url":
        return _opened(head, str(params.get("url")), ask)
    return _filled_in(head, fields_of(params.get("requestedSchema")), ask)


def _filled_in(head: str, fields: tuple[FormField, ...], ask: AskPerson) -> dict[str, Any]:
    values = {it.name: it.schema["default"] for it in fields if "default" in it.schema}
    wrong = ""
    while True:
        missing = [it.title for it in fields if it.required and it.name not in values]
        keys = [*([] if missing else ["[y] send this"]), *(["[f]ill in"] if fields else [])]
        form = f"\n{form_words(fields, values)}" if fields else ""
        said = ask(f"{head}{form}\n{wrong}{', '.join([*keys, '[n]o, [s]top'])}: ")
        wrong = ""
        match None if said is None else said.lower():
            case "y" | "yes" if missing:
                wrong = f"It is not sent: {', '.join(missing)} must be filled in.\n"
            case "y" | "yes":
                return {"action": "accept", "content": values}
            case "f" | "fill" | "fill in" if fields:
                for field in fields:
                    _fill(field, values, ask)
            case "s" | "stop":
                raise TurnInterrupted("You stopped the turn.")
            case None | "n" | "no":
                return DECLINED
            case _:
                wrong = _no_answer(said)


def _no_answer(said: str | None) -> str:
    """A line on an answer that is not offered."""
    return f"{visible(said or '')[:MOST_SAID]!r} is none of the answers.\n" if said else ""


def _fill(field: FormField, values: dict[str, Any], ask: AskPerson) -> None:
    """Ask for a field until its value is right. Nothing typed leaves it as it is."""
    wrong = ""
    while True:
        now = f" [{field.shown(values[field.name])}]" if field.name in values else ""
        said = ask(f"{wrong}{field.words}{now}: ")
        if not said:
            return
        try:
            values[field.name] = field.read(said)
        except ValueError as error:
            wrong = f"{field.title}: {error}\n"
        else:
            return


def _opened(head: str, url: str, ask: AskPerson) -> dict[str, Any]:
    """Whether the person has done what a page asks. Nothing is opened for them."""
    host = _host(url)
    if not host:
        return DECLINED
    page, wrong = f"{head}\nIt is done on a page of {host}:\n  {visible(url)}\n", ""
    while True:
        said = ask(f"{page}{wrong}[d]one, [n]o, [s]top: ")
        match None if said is None else said.lower():
            case "s" | "stop":
                raise TurnInterrupted("You stopped the turn.")
            case "d" | "done" | "y" | "yes":
                return {"action": "accept"}
            case None | "n" | "no":
                return DECLINED
            case _:
                wrong = _no_answer(said)


def _host(url: str) -> str:
    """The host of an https address as a browser finds it. Empty for any other address."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError:
        return ""
    return host if parts.scheme == "https" and "@" not in parts.netloc else ""
