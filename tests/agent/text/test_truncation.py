"""The outputs of a run share the budget of what is told of it."""

import re

from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.protocol.cells import CellRun, DisplayOutput, ErrorOutput, StreamOutput
from inkernel.agent.text.tokens import estimate
from inkernel.agent.text.truncation import OutputPart, fit, output_part, run_parts_of, whole

LONG = "\n".join(f"line {n}" for n in range(5_000))
FRAMES = "\n\n".join(f"Cell In[{n}], line 1\n----> 1 step_{n}()" for n in range(200))
TEXTS = st.one_of(
    st.text(max_size=200),
    st.integers(0, 400).map(lambda n: LONG[: 10 * n]),
    st.integers(0, 3_000).map(lambda n: "7" * n),
)


def test_what_fits_is_told_whole():
    pieces = [OutputPart("ok"), OutputPart("stdout:\na")]
    assert fit(pieces, 100, "out-1") == whole(pieces) == "ok\nstdout:\na"


def test_a_short_output_beside_a_long_one_is_whole():
    told = fit([OutputPart(f"stdout:\n{LONG}"), OutputPart("result:\n42 of them")], 300, "out-1")
    assert told.startswith("stdout:\nline 0\n") and told.endswith("line 4999\nresult:\n42 of them")
    assert "of out-1 left out" in told


def test_long_outputs_have_equal_shares():
    told = fit([OutputPart("a, " * 9_000), OutputPart("b, " * 90_000)], 1_000, "out-1")
    assert 0 < told.count("b") < 1.2 * told.count("a") < 1.5 * told.count("b") < 9_000


def test_a_traceback_has_as_much_as_all_the_rest():
    printed = [OutputPart(f"display:\n{LONG}") for _ in range(4)]
    told = fit(
        [*printed, OutputPart(f"error:\n{FRAMES}\n\nValueError: no", error=True)], 2_000, "out-1"
    )
    assert estimate(told[told.index("error:") :]) > 700
    assert told.endswith("ValueError: no")


def test_of_very_many_outputs_the_first_and_last_are_told():
    told = fit([OutputPart(f"display:\n{n}") for n in range(5_000)], 500, "out-1")
    assert told.startswith("display:\n0\n") and told.endswith("display:\n4999")
    assert len(re.findall("left out", told)) == 1 and estimate(told) <= 500


def test_what_is_left_out_between_two_outputs_is_said_once():
    told = fit(
        [OutputPart("1" * 9_000), OutputPart("2" * 9_000), OutputPart("3" * 9_000)], 100, "out-1"
    )
    assert len(re.findall("left out", told)) == 1


@given(
    st.lists(st.builds(OutputPart, TEXTS, st.booleans()), min_size=1, max_size=40),
    st.integers(100, 3_000),
)
def test_no_pieces_are_told_above_the_limit(pieces: list[OutputPart], limit: int):
    assert estimate(fit(pieces, limit, "out-1234")) <= limit


@given(st.lists(TEXTS, min_size=1, max_size=10), st.integers(100, 1_000))
def test_the_lines_that_are_said_to_be_missing_are(texts: list[str], limit: int):
    pieces = [OutputPart(text) for text in texts]
    lines, told = whole(pieces), fit(pieces, limit, "out-1")
    marks = [(int(a), int(b)) for a, b in re.findall(r"lines (\d+)–(\d+) of out-1", told)]
    assert marks == sorted(marks)
    assert bool(marks) == (told != lines)


def test_a_run_is_its_state_and_its_outputs_without_colours():
    error = ErrorOutput(ename="E", evalue="no", traceback=("\x1b[31mE\x1b[0m: no",))
    shown = DisplayOutput(data={"text/plain": "42"}, result=True)
    run = CellRun(
        source="",
        status="error",
        outputs=(StreamOutput(name="stderr", text="a\n\n"), shown, error),
        bound=("x", "y"),
        deleted=("z",),
    )
    assert whole(run_parts_of(run)) == (
        "error · bound: x, y · deleted: z\nstderr:\na\nresult:\n42\nerror:\nE: no"
    )
    assert run_parts_of(run)[-1].error


def test_an_error_without_a_traceback_is_named():
    error = ErrorOutput(ename="ValueError", evalue="no", traceback=())
    assert output_part(error).text == "error:\nValueError: no"
