"""The words of a failure: whoever they quote, they do not act on a screen."""

import json

import pytest

from inkernel.agent.errors import AgentError, UsageError
from inkernel.agent.protocol.failures import ServerAnswer, error_in_stream, error_of

ACTING = (
    "\x1b[31mred\x1b[0m",
    "\x1b]0;a window's title\x07",
    "\x1b]8;;https://evil.example\x1b\\a link\x1b]8;;\x1b\\",
    "\x9b2J\x07\x08\r over the line",
    "\u202ereversed",
    "\ud83d",
)


@pytest.mark.parametrize("acting", ACTING)
@pytest.mark.parametrize("status", [400, 401, 404, 413, 429, 500])
def test_a_servers_words_do_not_act_on_a_terminal(acting: str, status: int) -> None:
    said = {"message": f"No: {acting}", "code": acting}
    headers = {"content-type": f"text/html{acting}"}
    errors = (
        error_of(ServerAnswer("s:1", "m", status, headers, json.dumps({"error": said}).encode())),
        error_of(ServerAnswer("s:1", "m", status, headers, b"<html>")),
        error_in_stream(said, "s:1", "m"),
        error_in_stream({"error": said, "status": status}, "s:1", "m"),
        UsageError(acting, acting),
    )
    for error in errors:
        check(error)


def check(error: AgentError) -> None:
    shown = (str(error), *error.args, error.message, error.hint, *error._render_traceback_())
    for text in shown:
        assert all(c.isprintable() or c in "\n\ufffd" for c in text), text
