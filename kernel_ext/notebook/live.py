"""The open notebook in JupyterLab 4 and Notebook 7. Knows no widget, no turn and no tool."""

import json
from asyncio import Lock
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast
from uuid import uuid4

from ..frontend import find_cell, find_surface
from ..shell import Shell
from .document import About, Cause, Document, DocumentError, Edge, LiveCell, NewCell
from .page import Pages

ANSWER_SECONDS = 5.0
"""Seconds that a page may take to answer."""
SAVE_SECONDS = 30.0
GREET_SECONDS = 2.0
"""Seconds that a page may take to greet."""
MOST_BYTES = 2_000_000
"""Bytes of one call. Jupyter's server drops *all* messages of a kernel that sends more than 1 MB/s
for 3 s (`iopub_data_rate_limit`, `rate_limit_window`)."""


async def connect(shell: Shell, timeout: float = GREET_SECONDS) -> "LiveDocument | None":
    """The notebook of the running cell. None when no page gives access to it.

    If several pages show that notebook, it is the one that ran the cell. `timeout`: seconds. None
    comes at once when there can be no page at all. For the main thread only.
    """
    if find_surface(shell) != "jupyterlab" or find_cell(shell) is None:
        return None
    pages = Pages(shell)
    client = None
    try:
        client = await pages.choose(timeout)
    finally:
        if client is None:
            pages.close()
    return None if client is None else LiveDocument(pages, client)


class LiveDocument(Document):
    """The document in a page. If the page is lost, a reloaded or another page replaces it.

    Close it at the end of its turn, since another page may run the next cell.
    """

    def __init__(self, pages: Pages, client: str) -> None:
        self._pages = pages
        self._client: str | None = client
        self._one_at_a_time = Lock()

    def close(self) -> None:
        """Close the connection to the page. Further calls fail."""
        self._pages.close()

    async def describe(self) -> About:
        return About(**await self._call("describe"))

    async def cells(self) -> tuple[LiveCell, ...]:
        return tuple(LiveCell(**cell) for cell in await self._call("cells"))

    async def outputs(self, cell: str) -> list[dict[str, Any]]:
        return await self._call("outputs", id=cell)

    async def insert(self, after: str | Edge, cells: Sequence[NewCell]) -> tuple[str, ...]:
        ids = tuple(str(uuid4()) for _ in cells)
        sent = [_cell(each, cell) for each, cell in zip(ids, cells, strict=True)]
        await self._call("insert", cells=sent, **_place(after))
        return ids

    async def replace(self, cell: str, source: str, expect: str) -> None:
        await self._call("replace", id=cell, source=source, expect=expect)

    async def delete(self, cell: str, expect: str) -> None:
        await self._call("delete", id=cell, expect=expect)

    async def move(self, cell: str, after: str | Edge) -> None:
        await self._call("move", id=cell, **_place(after))

    async def set_outputs(
        self, cell: str, outputs: Sequence[Mapping[str, Any]], execution_count: int | None
    ) -> None:
        shown = _joined(outputs)
        await self._call("set_outputs", id=cell, outputs=shown, execution_count=execution_count)

    async def set_metadata(self, cell: str, key: str, value: object) -> None:
        await self._call("set_metadata", id=cell, key=key, value=value)

    async def save(self) -> None:
        await self._call("save")

    async def _call(self, op: str, **args: Any) -> Any:
        """Ask the page. If it is silent, ask once more, in the page that has the notebook by then.

        The page does nothing twice. A silent page is not asked again to save: it may be asking the
        user whether to overwrite a file that changed.
        """
        if len(json.dumps(args)) > MOST_BYTES:
            raise DocumentError("too large", f"More than {MOST_BYTES:,} bytes cannot be sent.")
        call, seconds = {"op": op, "args": args}, SAVE_SECONDS if op == "save" else ANSWER_SECONDS
        async with self._one_at_a_time:
            silent = self._client
            answer = await self._pages.ask(silent, call, seconds)
            if answer is None:
                self._client = await self._pages.choose_anew(GREET_SECONDS)
                if op != "save" or self._client != silent:
                    answer = await self._pages.ask(self._client, call, seconds)
        if answer is None:
            raise DocumentError("no answer", "The notebook's page did not answer in time.")
        return _result(answer)


def _result(answer: Mapping[str, Any]) -> Any:
    match answer:
        case {"ok": value}:
            return value
        case {"error": {"cause": str(cause), "message": str(message), **more}}:
            raise DocumentError(cast("Cause", cause), message, cast("Any", more).get("present"))
        case _:
            raise DocumentError("failed", "The page's answer makes no sense.")


def _place(after: str | Edge) -> dict[str, str]:
    return {"edge": after.value} if isinstance(after, Edge) else {"after": after}


def _cell(cell_id: str, cell: NewCell) -> dict[str, Any]:
    """The cell in nbformat's form. A code cell is trusted, as if it had been run here."""
    metadata = {key: value for key, value in cell.metadata.items() if key != "trusted"}
    text = {"id": cell_id, "cell_type": cell.kind, "source": cell.source, "metadata": metadata}
    if cell.kind != "code":
        return text
    ran = {"outputs": _joined(cell.outputs), "execution_count": cell.execution_count}
    return {**text, **ran, "metadata": {**metadata, "trusted": True}}


def _joined(outputs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Outputs with each stream as one text, since the shared model joins a list with commas."""
    return [
        {**output, "text": "".join(output["text"])} if "text" in output else dict(output)
        for output in outputs
    ]
