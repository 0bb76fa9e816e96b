"""Delivers messages to a comm while a cell awaits in ipykernel 6. Does not know their content.

ipykernel 6 has one queue for all requests, and takes nothing from it until the running cell ends.
Later versions deliver comm messages meanwhile, so that nothing is left to do.
"""

from collections.abc import Callable
from typing import Any


def needs_pump(kernel: Any) -> bool:
    """Whether comm messages wait for the end of the running cell."""
    return hasattr(kernel, "msg_queue")


def pump(kernel: Any, comm_id: str, deliver: Callable[[Any], None]) -> None:
    """Deliver the messages that wait for a comm. All others stay in the queue, in order.

    For the main thread only. It avoids the kernel's own dispatch, which would announce another
    request as the current one, and trigger the shell's hooks in the middle of a cell.
    """
    queue, session = kernel.msg_queue, kernel.session
    ours: list[Any] = []
    for _ in range(queue.qsize()):
        item = queue.get_nowait()
        if _is_for(comm_id, session, item):
            ours.append(item)
        else:
            queue.put_nowait(item)
    for _, _, (frames, *_) in ours:
        _, parts = session.feed_identities(frames, copy=False)
        deliver(session.deserialize(parts, copy=False))


def _is_for(comm_id: str, session: Any, item: Any) -> bool:
    """Whether a message is for this comm. It only peeks: a session accepts each message once."""
    try:
        _, _, (frames, *_) = item
        _, parts = session.feed_identities(frames, copy=False)
        message = session.deserialize(parts, content=False, copy=False)
    except (TypeError, ValueError):  # no message, or a forged one: the kernel decides
        return False
    if message["header"]["msg_type"] != "comm_msg":
        return False
    return session.unpack(message["content"]).get("comm_id") == comm_id
