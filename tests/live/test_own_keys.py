"""Turns with each provider whose key you have: a call, its output, an answer, and what came before.

Each is skipped without the key's variable. A run costs a few cents. `LIVE_MODEL_MISTRAL` and the
like name the model of a provider that has no usual one.
"""

import os
import re
from contextlib import aclosing
from dataclasses import replace

import pytest

from inkernel.agent.config.settings import Settings
from inkernel.agent.context.changes import Environment, Snapshot
from inkernel.agent.loop import turn
from inkernel.agent.protocol.events import TurnEnded
from inkernel.agent.providers.catalog import REMOTE, Provider
from inkernel.agent.providers.keys import Keys
from inkernel.agent.providers.resolve import find_target
from inkernel.agent.session import Prompt, Session
from inkernel.agent.tools.run_cell import run_cell_tool
from inkernel.agent.transport.client import Client
from inkernel.agent.transport.http import list_models

from .test_live import run_code

# Read now: no test sees our variables.
KEYS = {it.key_env: os.environ.get(it.key_env) for it in REMOTE if it.key_env}
MODELS = {it.name: os.environ.get(f"LIVE_MODEL_{it.name.upper()}") for it in REMOTE}

pytestmark = pytest.mark.timeout(300)


async def ended(session: Session, said: str, place: Environment) -> TurnEnded:
    async with aclosing(turn(session, Prompt(said, Snapshot(place)))) as events:
        *_, last = [event async for event in events]
    assert isinstance(last, TurnEnded)
    return last


@pytest.mark.parametrize("provider", REMOTE, ids=lambda it: it.name)
async def test_a_turn_with_a_call_and_a_turn_after_it(
    provider: Provider, session_for, place: Environment
):
    model = MODELS[provider.name] or provider.default_model
    key = KEYS[provider.key_env or ""]
    if not (key and model and provider.base_url):
        pytest.skip(f"needs {provider.key_env}, and a model")
    settings = Settings(model=f"{provider.name}:{model}", effort="low")
    target = await find_target(settings, Keys({f"{provider.key_env}": key}), list_models)
    client = Client(target, settings)
    session = session_for(client.sample, target=target)
    session = replace(session, tools=(run_cell_tool(run_code, 1000, session.outputs),))
    first = await ended(session, "Compute 1234 * 5678 with a step. Print it.", place)
    second = await ended(session, "Which was the first of the two factors?", place)
    await client.close()
    assert "7006652" in re.sub(r"\D", "", first.answer)
    assert first.usage.input > 0
    assert "1234" in second.answer.replace(",", "")
