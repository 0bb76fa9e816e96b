"""The SDK's client for one server: its transport, and what the server may ask and tell.

Knows no life of a server, and no call.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from ...config.mcp_servers import McpServer
from ...frozen import frozen
from .calls import Answered, ServerQuestion
from .stdio import ServerCommand, stdio

if TYPE_CHECKING:
    from mcp import Client

MAX_LOG_CHARS = 10_000
"""Most characters of one message that a server sends for its log."""


@frozen
class ClientEars:
    """Hears a server. `changed`: its list is another one. `log`: a line for its log.

    `ask`: a question of the server, and the answer to it.
    """

    changed: Callable[[], object]
    log: Callable[[str], object]
    ask: Callable[[ServerQuestion], Awaitable[Answered]]


def client_of(server: McpServer, transport: Any, ears: ClientEars) -> "Client":
    """A client that is not entered yet."""
    import mcp_types
    from mcp import Client

    async def heard(message: Any) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            ears.changed()

    async def logged(params: Any) -> None:
        text = params.data if isinstance(params.data, str) else repr(params.data)
        ears.log(f"{params.level}: {text[:MAX_LOG_CHARS]}")

    async def asked(context: Any, params: Any) -> Any:
        del context
        question = ServerQuestion(server.name, "elicitation", as_dict(params))
        return mcp_types.ElicitResult.model_validate(await ears.ask(question))

    return Client(
        transport,
        client_info=mcp_types.Implementation(name="inkernel", version="0"),
        message_handler=heard,
        logging_callback=logged,
        log_level="info",
        elicitation_callback=asked,
        mode=server.mode,
    )


def transport_of(server: McpServer, token: str | None, log: BinaryIO, ended: list[str]) -> Any:
    """The way to a server, not entered yet. `ended` gets the reason why no more can be read."""
    if server.command is not None:
        command = ServerCommand(server.command, server.args, server.env, server.cwd)
        return stdio(command, log, ended)
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    headers = dict(server.headers)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    assert server.url is not None
    return streamable_http_client(server.url, http_client=create_mcp_http_client(headers=headers))


def as_dict(value: Any) -> Answered:
    """A value of the SDK as a dict with the protocol's own names."""
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)
