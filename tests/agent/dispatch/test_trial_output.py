"""A live run is compared with its trial, where the two can be compared."""

import pytest

from inkernel.agent.dispatch.trial_output import unlike_trial
from inkernel.agent.protocol.cells import CellRun, ErrorOutput
from inkernel.agent.protocol.trials import Deed, Trial

FAILS = (ErrorOutput(ename="ValueError", evalue="x", traceback=()),)


@pytest.mark.parametrize(
    ("trial", "run", "words"),
    [
        (Trial(status="ok", created=("a",)), CellRun(source="", status="ok", bound=("a",)), ""),
        (
            Trial(status="ok", created=("a",), rebound=("c",)),
            CellRun(source="", status="ok", bound=("b", "c")),
            "it bound a there, and b here",
        ),
        (
            Trial(status="ok"),
            CellRun(source="", status="error", outputs=FAILS),
            "it ended with nothing there, and ValueError here",
        ),
        (
            Trial(status="error", error="ValueError: y"),
            CellRun(source="", status="error", outputs=FAILS),
            "",
        ),
        (
            Trial(status="ok", deleted=("z",)),
            CellRun(source="", status="ok"),
            "it deleted z there, and nothing here",
        ),
    ],
)
def test_names_and_errors_that_differ_are_told(trial: Trial, run: CellRun, words: str):
    assert unlike_trial(trial, run) == words


@pytest.mark.parametrize(
    "trial",
    [
        Trial(status="cut", created=("a",)),
        Trial(status="none"),
        Trial(status="ok", created=("a",), denied=(Deed("write", "/x"),)),
        Trial(status="error", error="EOFError: nobody can answer in a trial run"),
    ],
)
def test_a_trial_that_was_held_back_is_no_measure(trial: Trial):
    assert unlike_trial(trial, CellRun(source="", status="ok", bound=("b",))) == ""
    stopped = CellRun(source="", status="interrupted")
    assert unlike_trial(Trial(status="ok", created=("a",)), stopped) == ""
