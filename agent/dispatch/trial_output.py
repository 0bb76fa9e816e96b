"""The output of a call that ran as a trial alone. Knows no policy."""

from dataclasses import replace

from ..protocol.cells import CellRun
from ..protocol.items import text_part
from ..protocol.trials import Trial
from ..session import Session
from ..text.cell_output import run_parts
from ..text.truncation import full_text
from ..tools.tool import ToolOutput

MARK = (
    "This ran as a trial, in a copy of the kernel: the live variables, files and the notebook are"
    " as they were before."
)


def trial_output(trial: Trial, code: str, session: Session) -> ToolOutput:
    """The output of a trial run for the model, marked as one."""
    run = CellRun(
        source=code,
        status="ok" if trial.status in ("ok", "cut") else "error",
        outputs=trial.outputs,
        seconds=trial.seconds,
    )
    names = (*trial.created, *trial.rebound)
    run = replace(run, bound=tuple(sorted(names)), deleted=trial.deleted)
    ends = {"cut": "It was ended at its time limit.", "killed": f"It was killed: {trial.why}."}
    denied = [f"Refused: {it.kind} {it.target} ({it.call})" for it in trial.denied]
    lines = [MARK, *filter(None, [ends.get(trial.status)]), *denied]
    parts = run_parts(run, session.settings.output_tokens, session.outputs.keep(full_text(run)))
    return ToolOutput((text_part("\n".join(lines)), *parts), run.status, seconds=trial.seconds)
