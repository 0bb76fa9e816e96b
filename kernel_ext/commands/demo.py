"""`%agent demo`: one real turn in this kernel, with a scripted model."""

from importlib import import_module
from typing import Any, cast

from ...agent.config.settings import SCRIPTED
from ...agent.errors import UsageError
from ...widgets.panels.cards import Card
from ..host import KernelAgent
from ..notebook.demo import DATA, NAME, NEXT, demo_file
from .command import Command

PROMPT = "Which month was wettest in $`weather`? Plot the monthly means."


async def demo(agent: KernelAgent, _rest: str) -> Card:
    """Load the data as `weather`, and ask about it in a session of its own."""
    agent.refuse_while_running()
    if agent.overview.items:
        raise UsageError("The demo is a session of its own.", "Begin one first: `%agent new`.")
    script, data = demo_file(f"{NAME}.toml"), demo_file(DATA)
    pandas, names = cast("Any", import_module("pandas")), agent.shell.user_ns
    weather = pandas.read_csv(data)
    bound = {"pd": pandas, "weather": weather}
    for name, value in bound.items():
        known: Any = names.get(name, value)
        same = known is value or (type(known) is type(weather) and weather.equals(known))
        if not same:
            raise UsageError(f"The demo would replace your variable `{name}`.", "Rename it first.")
    names.update(bound)
    print(f"import pandas as pd\n\nweather = pd.read_csv({str(data)!r})\n\n%%agent\n{PROMPT}")
    try:
        await agent.ask(PROMPT, {"model": f"{SCRIPTED}{script}"}, new=False)
    finally:  # an interrupted demo, too, is no part of the next session
        agent.new()
    return Card(NEXT)


COMMANDS = (Command("demo", "— see a turn here, without a key or a model", demo),)
