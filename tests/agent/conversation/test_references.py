"""Cells, runs and turns are named by words: each form means one thing, in any spelling."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.conversation.references import (
    CellIdStart,
    CellPositions,
    CountReference,
    HandleRange,
    HandleReference,
    RunReference,
    TurnReference,
    parse_reference,
)

N = st.integers(0, 10**18 - 1)
SPACE = st.sampled_from(["", " "])
DASH = st.sampled_from(["–", "—", "-", "..", ":", "to", "TO"])
PADDED = st.sampled_from(["{}", " {}", "{}\n", "\t{} "])


@st.composite
def named(draw: st.DrawFn) -> tuple[str, Any]:
    """A text, and what it means."""
    one, other, pad = draw(N), draw(N), draw(PADDED)
    first, last = draw(st.sampled_from([("out-", "out-"), ("out-", ""), ("", "out-")]))
    here, there, dash = draw(SPACE), draw(SPACE), draw(DASH)
    turn, word = (
        draw(st.sampled_from(["turn ", "Turn-", "turn"])),
        draw(st.sampled_from(["in", "In "])),
    )
    ends = draw(st.sampled_from([("[", "]"), ("", "")]))
    to = draw(st.sampled_from(["-", "–", "-#", " - #", "– "]))
    forms = [
        (f"out-{one}", HandleReference(f"out-{one}")),
        (f"{first}{one}{here}{dash}{there}{last}{other}", HandleRange(one, other)),
        (f"{turn}{one}", TurnReference(one)),
        (f"turn {one}, In [{other}]", TurnReference(one)),
        (f"run {one}", RunReference(one, None)),
        (f"run {one}, In [{other}]", RunReference(one, other)),
        (f"{word}{ends[0]}{one}{ends[1]}", CountReference(one, bare=False)),
        (f"{ends[0]}{one}{ends[1]}", CountReference(one, bare=True)),
        (f"#{one}", CellPositions(one, one)),
        (f"#{one}{to}{other}", CellPositions(one, other)),
    ]
    text, meant = draw(st.sampled_from(forms))
    return pad.format(text), meant


@given(named())
def test_every_form_is_read_in_every_spelling(case: tuple[str, Any]):
    words, meant = case
    assert parse_reference(words) == meant


@given(st.text(max_size=40) | st.text("0123456789out-#[]In turn–.:", max_size=40))
def test_any_text_is_a_reference_and_what_is_in_no_form_may_be_an_id(words: str):
    reference = parse_reference(words)
    if isinstance(reference, CellIdStart):
        assert reference.start == words.strip()
    else:
        assert any(sign.isdecimal() for sign in words)


@pytest.mark.parametrize(
    "words",
    ["", "out-", "OUT-7", "3-7", "turn", "turn 3 4", "#", "#-3", "#3-", "In []", "9" * 5_000],
)
def test_what_only_looks_like_a_form_is_taken_for_an_id(words: str):
    assert parse_reference(words) == CellIdStart(words)


@given(st.text(min_size=1, max_size=12), st.integers(0, 12))
def test_a_cell_is_known_by_four_characters_of_its_id(cell: str, size: int):
    start = cell[:size]
    assert CellIdStart(start).names(cell) == (len(start) >= 4)
    assert not CellIdStart(f"{cell}x").names(cell)
    assert not CellIdStart(cell).names(None)
