"""An item in splices of another line is the same item again, and shorter."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.conversation.splices import LEAST, LEAST_ITEM, spliced, splices_of

WORDS = st.sampled_from(
    ["\n", '"', "\\", ",", "雨\u2028", "rain ", "é" * 30, "a month of rain at the gauge " * 3]
)
TEXTS = st.lists(WORDS | st.text(max_size=9), max_size=40).map("".join)


def in_json(*texts: str) -> str:
    return json.dumps({"type": "x", "texts": texts}, ensure_ascii=False)


@given(TEXTS, TEXTS, TEXTS)
def test_the_splices_are_the_text(one: str, other: str, shared: str):
    text, line = in_json(f"{one}{shared}{other}{one}"), in_json(other, shared)
    splices = splices_of(text, line)
    if splices is not None:
        assert spliced(json.loads(json.dumps(splices)), line) == text
        assert sum(len(it) for it in splices if isinstance(it, str)) <= len(text) - LEAST


def test_only_long_parts_of_long_items_are_taken():
    line = "the same long line of text, said in both of them, and once more for its length" * 4
    assert splices_of(line, line) == [(0, len(line)), ""]
    assert splices_of(line[: LEAST_ITEM - 1], line) is None
    assert splices_of("\n".join(line[:40] * 9), "\n".join(line[:40])) is None


@pytest.mark.parametrize("piece", [[0, 5], [-1, 2], [3, 1]])
def test_a_part_that_the_line_does_not_have_is_an_error(piece: list[int]):
    with pytest.raises(ValueError, match="does not have"):
        spliced(["a", piece], "four")
