"""The SDK's client for one server: its transport, and what the server may ask and tell.

Knows no life of a server, and no call.
"""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ...config.mcp_servers import McpServer
from ...frozen import frozen
from .calls import Answered, ServerQuestion
from .stdio import ServerCommand, stdio

if TYPE_CHECKING:
    from mcp import Client

MAX_LOG_CHARS = 10_000
"""Most characters of one message that a server sends for its log."""
_NOT_ALLOWED = "The person did not allow to ask the model, or it gave no answer."


@frozen
class ClientEars:
    """Hears a server. `changed`: its list is another one. `log`: a line for its log.

    `ask`: a question of the server, and the answer to it. `project`: the folder of the project.
    """

    changed: Callable[[], object]
    log: Callable[[str], object]
    ask: Callable[[ServerQuestion], Awaitable[Answered]]
    project: Callable[[], Path] = Path.cwd


def client_of(server: McpServer, transport: Any, ears: ClientEars) -> "Client":
    """A client that is not entered yet. Lines that the SDK logs are not printed."""
    import mcp_types
    from mcp import Client

    if not (logger := logging.getLogger("mcp")).handlers:  # else it is printed
        logger.addHandler(logging.NullHandler())

    async def heard(message: Any) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            ears.changed()

    async def logged(params: Any) -> None:
        text = params.data if isinstance(params.data, str) else repr(params.data)
        ears.log(f"{params.level}: {text[:MAX_LOG_CHARS]}")

    async def asked(context: Any, params: Any) -> Any:
        del context
        question = ServerQuestion(server.name, "elicitation", protocol_dict(params))
        return mcp_types.ElicitResult.model_validate(await ears.ask(question))

    async def sampled(context: Any, params: Any) -> Any:
        del context
        answer = await ears.ask(ServerQuestion(server.name, "sampling", protocol_dict(params)))
        if "action" in answer:
            return mcp_types.ErrorData(code=mcp_types.INVALID_REQUEST, message=_NOT_ALLOWED)
        return mcp_types.CreateMessageResult.model_validate(answer)

    async def rooted(context: Any) -> Any:
        del context
        folder = ears.project()
        root = mcp_types.Root.model_validate({"uri": folder.as_uri(), "name": folder.name})
        return mcp_types.ListRootsResult(roots=[root])

    return Client(
        transport,
        client_info=mcp_types.Implementation(name="inkernel", version="0"),
        message_handler=heard,
        logging_callback=logged,
        log_level="info",
        elicitation_callback=asked,
        sampling_callback=sampled if server.sampling else None,
        list_roots_callback=rooted if server.is_here else None,
        mode=server.mode,
    )


def stdio_transport(server: McpServer, log: BinaryIO, ended: list[str]) -> Any:
    """The way to a server that is a program, not entered yet. `ended` gets the reason why no more
    can be read."""
    assert server.command is not None
    return stdio(ServerCommand(server.command, server.args, server.env, server.cwd), log, ended)


def http_transport(server: McpServer, token: str | None, auth: Any) -> Any:
    """The way to a server over HTTP, not entered yet. `auth`: of its HTTP library, or None."""
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    headers = {**server.headers, **({"Authorization": f"Bearer {token}"} if token else {})}
    assert server.url is not None
    http = create_mcp_http_client(headers=headers, auth=auth)
    return streamable_http_client(server.url, http_client=http)


def protocol_dict(value: Any) -> Answered:
    """A value of the SDK as a dict with the protocol's own names."""
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


def first_cause(error: BaseException) -> str:
    """The first cause of an error, as a sentence."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{error or type(error).__name__}".splitlines()[0]
