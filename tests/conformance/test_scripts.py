"""Each script, played to its end: every event and every resource is strict and in order."""

from typing import Any

import httpx

from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.server import ScriptedServer

from .checked import connect, exchanged, posted, streamed
from .playing import Ask, play


def test_over_sse_with_the_whole_input(script: Script, client: httpx.Client):
    def ask(asked: Ask) -> dict[str, Any]:
        return streamed(client, {**asked.fields, "input": asked.items})[-1]["response"]

    play(script, ask)


def test_not_streamed_with_what_is_new(script: Script, client: httpx.Client):
    def ask(asked: Ask) -> dict[str, Any]:
        more = {"input": asked.new, "previous_response_id": asked.previous}
        return posted(client, {**asked.fields, **more})

    play(script, ask)


def test_over_one_websocket_with_what_is_new(script: Script, server: ScriptedServer):
    with connect(server.base_url) as socket:

        def ask(asked: Ask) -> dict[str, Any]:
            more = {"input": asked.new, "previous_response_id": asked.previous, "store": False}
            return exchanged(socket, {**asked.fields, **more})[-1]["response"]

        play(script, ask)
