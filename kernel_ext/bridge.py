"""The open notebook in JupyterLab 4 and Notebook 7. Knows no widget, no turn and no tool."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast
from uuid import uuid4

from .document import About, Cause, DocumentError, Edge, LiveCell, NewCell
from .pages import Pages
from .place import find_surface
from .shell import Shell

ANSWER_SECONDS = 5.0
"""How long a page may take to answer; the median is some 10 ms, a large figure takes 0.5 s."""
SAVE_SECONDS = 30.0
MOST_BYTES = 2_000_000
"""Of one call. Jupyter's server drops *all* messages of a kernel that sends more than 1 MB/s for
3 s (`iopub_data_rate_limit`, `rate_limit_window`)."""


async def connect(shell: Shell, timeout: float = 2.0) -> "LiveDocument | None":
    """The notebook that the running cell belongs to; None when no page gives access to it.

    Of several pages with that notebook it is the one that ran the cell, and only that one.
    `timeout`: seconds. Where there can be no page at all, None comes at once. Main thread only.
    """
    if find_surface(shell) != "jupyterlab":
        return None
    pages = Pages(shell)
    try:
        client = await pages.choose(timeout)
    except BaseException:
        pages.close()
        raise
    if client is None:
        pages.close()
        return None
    return LiveDocument(pages, client)


class LiveDocument:
    """A `Document` in a page. One that is loaded anew, or another, takes the place of a lost one.

    To be closed with the turn it was made for: the next cell may be another page's.
    """

    def __init__(self, pages: Pages, client: str) -> None:
        self._pages = pages
        self._client = client

    def close(self) -> None:
        """Let go of the page. Further calls fail."""
        self._pages.close()

    async def describe(self) -> About:
        """The notebook as a whole."""
        return About(**await self._call("describe"))

    async def cells(self) -> tuple[LiveCell, ...]:
        """All cells in order."""
        return tuple(LiveCell(**cell) for cell in await self._call("cells"))

    async def outputs(self, cell: str) -> list[dict[str, Any]]:
        """A cell's outputs as nbformat has them; none for text."""
        return await self._call("outputs", id=cell)

    async def insert(self, after: str | Edge, cells: Sequence[NewCell]) -> tuple[str, ...]:
        """Insert cells, in order, as one step; their ids. Outputs are shown as trusted."""
        ids = tuple(str(uuid4()) for _ in cells)
        sent = [_cell(each, cell) for each, cell in zip(ids, cells, strict=True)]
        await self._call("insert", cells=sent, **_place(after))
        return ids

    async def replace(self, cell: str, source: str, expect: str) -> None:
        """Give a cell another source if it still is `expect`."""
        await self._call("replace", id=cell, source=source, expect=expect)

    async def delete(self, cell: str, expect: str) -> None:
        """Delete a cell if its source still is `expect` and it does not run."""
        await self._call("delete", id=cell, expect=expect)

    async def move(self, cell: str, after: str | Edge) -> None:
        """Move a cell that does not run."""
        await self._call("move", id=cell, **_place(after))

    async def set_outputs(
        self, cell: str, outputs: Sequence[Mapping[str, Any]], execution_count: int | None
    ) -> None:
        """Replace what a code cell that does not run shows, as if it had been run."""
        shown = _joined(outputs)
        await self._call("set_outputs", id=cell, outputs=shown, execution_count=execution_count)

    async def set_metadata(self, cell: str, key: str, value: object) -> None:
        """Set one entry of a cell's metadata; None removes it."""
        await self._call("set_metadata", id=cell, key=key, value=value)

    async def save(self) -> None:
        """Save the notebook, as the person would. Nothing else here does."""
        await self._call("save")

    async def _call(self, op: str, **args: Any) -> Any:
        """Ask the page. When it is silent, ask once more where the notebook is open now."""
        if len(json.dumps(args)) > MOST_BYTES:
            raise DocumentError("too large", f"More than {MOST_BYTES:,} bytes cannot be sent.")
        seconds = SAVE_SECONDS if op == "save" else ANSWER_SECONDS
        call = {"op": op, "args": args}
        silent, answer = self._client, None
        if silent is not None:
            answer = await self._pages.ask(silent, call, seconds)
        if answer is None:
            self._client = await self._pages.choose_anew()
            if self._client not in (None, silent):
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
    """The cell as nbformat has it. Its outputs come from the kernel, as if it had been run."""
    text = {"id": cell_id, "cell_type": cell.kind, "source": cell.source}
    if cell.kind != "code":
        return {**text, "metadata": dict(cell.metadata)}
    return {
        **text,
        "metadata": {**cell.metadata, "trusted": True},
        "outputs": _joined(cell.outputs),
        "execution_count": cell.execution_count,
    }


def _joined(outputs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Outputs whose streams are one text: the shared model puts commas between several."""
    return [
        {**output, "text": "".join(output["text"])} if "text" in output else dict(output)
        for output in outputs
    ]
