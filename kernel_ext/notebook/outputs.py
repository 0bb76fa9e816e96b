"""The outputs of a step in the form of a notebook file. Knows no document."""

from collections.abc import Iterator
from typing import Any, assert_never

from ...agent.protocol.cells import CellRun, DisplayOutput, ErrorOutput, StreamOutput


def as_nbformat(run: CellRun) -> list[dict[str, Any]]:
    """The outputs of a run, valid in format 4.5."""
    return list(_outputs(run))


def _outputs(run: CellRun) -> Iterator[dict[str, Any]]:
    for output in run.outputs:
        match output:
            case StreamOutput():
                yield {"output_type": "stream", "name": output.name, "text": output.text}
            case ErrorOutput():
                yield {
                    "output_type": "error",
                    "ename": output.ename,
                    "evalue": output.evalue,
                    "traceback": list(output.traceback),
                }
            case DisplayOutput():
                shown = {"data": output.data, "metadata": output.metadata}
                count = {"execution_count": run.count} if output.result else {}
                kind = "execute_result" if output.result else "display_data"
                yield {"output_type": kind, **shown, **count}
            case _:
                assert_never(output)
