"""`%agent mcp login`: the person logs in at a server, in their own browser."""

from urllib.parse import urlsplit

from ....agent.config.mcp_servers import McpServer
from ....agent.errors import UsageError
from ....agent.printable import visible
from ....agent.tools.mcp.calls import Answered, Caller, CallLine, ServerQuestion
from ....agent.tools.mcp.logins import LoginError
from ....widgets.panels.cards import Card
from ...approval.person import ForgedInputError
from ...execution.interrupts import Interruption
from ...execution.stdin import Waiting
from ...host import KernelAgent

_ASK = (
    "{note}Open the address above in your browser and log in. Then press Enter here. If the"
    " browser cannot show the last page, paste its address here. [n]o ends it: "
)


async def login(agent: KernelAgent, server: McpServer) -> Card:
    """Log in, and start the server with it. Raises UsageError."""
    if server.url is None:
        raise UsageError(f"{server.name} is a program, and wants no login.")
    if not agent.approvals.person.is_there:
        raise UsageError("Nobody can log in here.", "Do it in a notebook or a terminal.")
    agent.approvals.person.listen()
    try:
        made = await _logged_in(agent, server)
    except LoginError as error:
        raise UsageError(f"You are not logged in at {server.name}: {error}.") from None
    if not made:
        return Card(f"{server.name} wants no login.")
    running = agent.servers.running
    if running is not None and server.name in {it.server.name for it in running}:
        await running.restart(server.name)
    return Card(f"You are logged in at {server.name}. Its tools come with the next %%agent.")


async def _logged_in(agent: KernelAgent, server: McpServer) -> bool:
    from ....agent.tools.mcp.oauth import log_in

    async def answer(question: ServerQuestion) -> Answered:
        address, note = str(question.params["address"]), str(question.params["note"])
        if not note:
            print(f"The login of {server.name}, at {urlsplit(address).hostname}:\n\n{address}\n")
        return {"said": _asked(agent, note)}

    line = CallLine(Caller(answer))

    async def ask(address: str, note: str) -> str:
        params = {"address": visible(address), "note": note}
        answered = await line.ask(ServerQuestion(server.name, "login", params))
        if answered.get("said") is None:
            raise LoginError("you ended it")
        return answered["said"]

    work = log_in(server, agent.servers.logins, ask)
    return await line.wait(agent.services.loop.submit(work))


def _asked(agent: KernelAgent, note: str) -> str | None:
    """The text that the person typed. None: they end it."""
    text = _ASK.format(note=f"{note} " if note else "")
    try:
        said = agent.approvals.person.ask(text, Interruption(), Waiting())
    except (ForgedInputError, KeyboardInterrupt, EOFError):
        return None
    return None if said.lower() in ("n", "no") else said
