"""Chooses among the pages that show the notebook, and sends calls to one. Knows no operation.

An invisible widget reaches the pages. Its script, `static/bridge.js`, greets from each page with
a notebook. The script describes the messages.
"""

import asyncio
from collections.abc import Mapping
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, cast

from ..frontend import find_cell
from ..shell import Shell
from .comm_pump import needs_pump, pump

SETTLE_SECONDS = 0.5
"""Seconds in which the page that ran the cell may greet after another page of the notebook."""
_ASK_SECONDS = 0.2
"""JupyterLab may send its first greeting before it has made the comm's subshell. ipykernel 7.0 to
7.3 read such a greeting only after the running cell, so the pages are asked again."""
_PUMP_SECONDS = 0.005
_STATIC = Path(__file__).parent / "static"


class Pages:
    """Pages by their client, which is the id of a page's session with the kernel.

    Make and use it on the kernel's own loop, in a cell.
    """

    def __init__(self, shell: Shell) -> None:
        self._loop = asyncio.get_running_loop()
        self._shell = shell
        self._kernel: Any = getattr(shell, "kernel", None)
        self._pumps = needs_pump(self._kernel)
        self._numbers = count(1)
        self._asked: dict[tuple[str, int], asyncio.Future[dict[str, Any]]] = {}
        self._holds: dict[str, bool] = {}
        self._greeted: asyncio.Future[None] = self._loop.create_future()
        self._closed = False
        self._widget = self._open()

    def close(self) -> None:
        """Remove the widget, here and in every page, for good."""
        self._closed = True
        self._discard()

    def _open(self) -> Any:
        widget = _widget_class()()
        widget.on_msg(self._receive)
        widget.cell = find_cell(self._shell)  # makes pages greet, now that we listen
        return widget

    def _discard(self) -> None:
        self._widget.close()
        self._widget.layout.close()  # a widget makes its layout, but does not close it

    async def choose(self, timeout: float) -> str | None:
        """The client of the page that ran the cell, else of one that shows the cell."""
        owner = _session(self._shell)
        deadline = self._loop.time() + timeout
        while owner not in self._holds:
            others = [client for client, holds in self._holds.items() if holds]
            if others:
                deadline = min(deadline, self._loop.time() + SETTLE_SECONDS)
            if (left := deadline - self._loop.time()) <= 0:
                return others[0] if others else None
            self._greeted = self._loop.create_future()
            if not await self._until(self._greeted, min(left, _ASK_SECONDS)):
                self._widget.asked += 1
        return owner

    async def choose_anew(self, timeout: float) -> str | None:
        """Choose among the pages that are open now."""
        if self._closed:
            return None
        self._discard()
        self._holds.clear()
        self._widget = self._open()
        return await self.choose(timeout)

    async def ask(self, client: str | None, call: Mapping[str, Any], seconds: float) -> Any:
        """The page's answer. None if none comes in time, or at once if none can come."""
        if client is None or self._widget.comm is None:  # someone may close all widgets
            return None
        number = next(self._numbers)
        answer = self._asked[client, number] = self._loop.create_future()
        try:
            self._widget.send({"to": client, "call": number, **call})
            return answer.result() if await self._until(answer, seconds) else None
        finally:
            del self._asked[client, number]

    async def _until(self, future: asyncio.Future[Any], seconds: float) -> bool:
        deadline = self._loop.time() + seconds
        while not future.done() and (left := deadline - self._loop.time()) > 0:
            if self._pumps:
                pump(self._kernel, self._widget.model_id, self._widget.deliver)
                left = min(left, _PUMP_SECONDS)
            await asyncio.wait({future}, timeout=left)
        return future.done()

    def _receive(self, _widget: object, content: object, _buffers: object) -> None:
        """Pass a message on. ipykernel 7.0 to 7.3 call this on another thread."""
        self._loop.call_soon_threadsafe(self._take, content)

    def _take(self, content: object) -> None:
        match content:
            case {"hello": {"client": str(client), "holds": bool(holds)}}:
                self._holds[client] = holds
                if not self._greeted.done():
                    self._greeted.set_result(None)
            case {"client": str(client), "call": int(number)}:
                asked = self._asked.get((client, number))
                if asked is not None and not asked.done():
                    asked.set_result(cast("dict[str, Any]", content))
            case _:
                pass  # not our script's


def _session(shell: Shell) -> str | None:
    """The session of the client that runs the current cell."""
    get_parent = getattr(shell, "get_parent", None)
    parent: Mapping[str, Any] = (get_parent() if get_parent else None) or {}
    return parent.get("header", {}).get("session")


@cache
def _widget_class() -> Any:
    """The widget's class. It is made at the first use, since importing anywidget is slow."""
    import anywidget
    import traitlets

    class BridgeWidget(anywidget.AnyWidget):
        _esm = (_STATIC / "bridge.js").read_text("utf-8")
        cell = traitlets.Unicode(None, allow_none=True).tag(sync=True)
        asked = traitlets.Int().tag(sync=True)

        def deliver(self, message: Any) -> None:
            self._handle_msg(message)  # pyright: ignore[reportUnknownMemberType]

    return BridgeWidget
