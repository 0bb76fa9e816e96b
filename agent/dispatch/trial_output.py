"""A trial run for the model: in place of a live run, or beside one. Knows no policy."""

from dataclasses import replace

from ..protocol.cells import CellRun, ErrorOutput
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


def unlike_trial(trial: Trial, run: CellRun) -> str:
    """How the live run of the same code differs from its trial in names or error, in words.

    Empty if it does not, or if they cannot be compared: a trial that was refused something or did
    not end, or a live run that somebody stopped.
    """
    if trial.denied or trial.status not in ("ok", "error") or trial.error.startswith("EOFError"):
        return ""
    if run.status == "interrupted" or run.limit is not None:
        return ""
    errors = [it.ename for it in run.outputs if isinstance(it, ErrorOutput)][-1:]
    ended = trial.error.partition(":")[0] if trial.status == "error" else ""
    there, here = {*trial.created, *trial.rebound}, {*run.bound}
    pairs = (
        ("it bound", ", ".join(sorted(there - here)), ", ".join(sorted(here - there))),
        ("it deleted", ", ".join(trial.deleted), ", ".join(run.deleted)),
        ("it ended with", ended, "".join(errors)),
    )
    found = (
        f"{what} {one or 'nothing':.200} there, and {other or 'nothing':.200} here"
        for what, one, other in pairs
        if one != other
    )
    return "; ".join(found)
