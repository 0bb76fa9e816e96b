"""Compares a long session's input that misses the provider's cache with the least possible.

The scripted server counts, with a cache that knows prompts by blocks of 128 tokens. In the least
case each new block misses once. After a compaction the new window misses, except for its head:
instructions, tools and environment, up to the digest. A digest that begins like the previous one
does better than that: the ratio falls, and may be below 1. The least does not include notes.
"""

import asyncio
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Literal

from inkernel.agent.config.settings import Settings
from inkernel.agent.protocol.events import Compacted
from inkernel.agent.protocol.observed import Variable
from inkernel.agent.protocol.verbatim_json import dumps, loads
from inkernel.agent.providers.catalog import Capabilities
from inkernel.agent.providers.resolve import Target
from inkernel.agent.scripted.model import count_tokens
from inkernel.agent.scripted.script import Script
from inkernel.agent.scripted.server import ScriptedServer
from inkernel.agent.session import Session
from inkernel.agent.transport.client import Client

from .cells_made import a_cell
from .growth import CELLS
from .player import Actors, Hands, Teller, session_in
from .story import Cell, Turn

WINDOW, BLOCK = 32_000, 128
NOTES = '{"state": "Gauges are compared one by one.", "plan": ["go on with the next gauge"]}'

Way = Literal["http", "websocket"]


def measure_cache(turns: int, transport: Way, background: bool) -> dict[str, Any]:
    """A session of so many turns. `background`: notes are made beside the conversation."""
    with TemporaryDirectory(prefix="ink") as folder:
        return asyncio.run(_measure(Path(folder), turns, transport, background))


def _script(turns: Sequence[Turn]) -> Script:
    """A step and an answer in each turn, and notes at each request for them."""
    played = [
        {
            "response": [
                {"call": [{"name": "run_cell", "arguments": {"title": "t", "code": "look()"}}]},
                {"say": turn.answer},
            ]
        }
        for turn in turns
    ]
    notes = {"on": "about to be shortened", "response": [{"say": NOTES}]}
    return Script.model_validate({"turn": [*played, notes]})


def _turns(count: int) -> list[Turn]:
    chance = Random(11)
    found: list[Turn] = []
    for number in range(count):
        cells = tuple(Cell(f"cell-{number}-{n}", a_cell(chance)) for n in range(CELLS // 5))
        said = f"Turn {number}. Go on with the next gauge."
        found.append(Turn(cells, said, (a_cell(chance),), f"Done: gauge {number}."))
    return found


async def _measure(folder: Path, count: int, transport: Way, background: bool) -> dict[str, Any]:
    story, names, hands = _turns(count), dict[str, Variable](), Hands()
    traits = Capabilities(websocket=transport == "websocket")
    with ScriptedServer(_script(story)) as server:
        settings = Settings(window=WINDOW, transport=transport)
        target = Target("fake", server.base_url, "scripted", traits=traits)
        client = Client(target, settings)
        actors = Actors(client.sample, client.aside if background else None, hands)
        session = session_in(folder, target, settings, actors, names)
        compactions = await _told(session, Teller(session, names, hands), story)
        await client.close()
    session.journal.record.close()
    return {"transport": transport, "background": background, **_reckoned(session, compactions)}


async def _told(session: Session, teller: Teller, story: Sequence[Turn]) -> list[Compacted]:
    found: list[Compacted] = []
    for turn in story:
        found += (await teller.tell(turn)).compactions
        conversation = session.conversation
        if conversation.preparing:  # a person reads the answer meanwhile
            await asyncio.wait([conversation.preparing.task])
    return found


def _reckoned(session: Session, compactions: Sequence[Compacted]) -> dict[str, Any]:
    """The input of each request and its cached part, from the record, and the least."""
    read = uncached = least = before = 0
    fresh = True
    head = _head(session) // BLOCK * BLOCK
    for line in session.journal.record.path.read_bytes().splitlines():
        value = loads(line)
        if value["kind"] == "window":
            fresh = True
        elif value["kind"] in ("sample", "notes"):
            used = value["usage"]
            read += used["input"]
            uncached += used["input"] - used["cached"]
            if value["kind"] == "notes":
                continue
            known = (head if read > used["input"] else 0) if fresh else before // BLOCK * BLOCK
            least += used["input"] - known
            before, fresh = used["input"], False
    return {
        "turns": session.conversation.turns,
        "compactions": len(compactions),
        "read": read,
        "uncached": uncached,
        "least": least,
        "ratio": uncached / least,
    }


def _head(session: Session) -> int:
    """Tokens of a prompt up to its digest, as the server counts. No compaction changes them."""
    fields = loads(b"{" + session.fields() + b"}")
    standing = takewhile(lambda entry: entry.kind != "digest", session.conversation.history.entries)
    items = [loads(entry.item.wire) for entry in standing]
    prompt = dumps([fields["instructions"], fields["tools"], items])[:-2]
    return count_tokens(prompt + b"," * bool(items))
