"""Counting, cutting and cleaning text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.tokens import cut_middle, estimate, without_ansi

NOTICE = 30
"""Tokens that the words about what is missing may take."""

char = st.characters(exclude_categories=()) | st.sampled_from("0123456789\n\n\n雨🌧")
texts = st.lists(st.tuples(st.text(char, min_size=1, max_size=12), st.integers(1, 60))).map(
    lambda runs: "".join(text * times for text, times in runs)
)


@given(texts, st.integers(10, 200))
def test_a_cut_text_is_bounded_and_keeps_its_two_ends(text: str, limit: int):
    cut = cut_middle(text, limit)
    if estimate(text) <= limit:
        assert cut == text
        return
    head, notice, tail = re.split(r"\n(\[… [\d,]+ lines?, about [\d,]+ tokens left out …\])\n", cut)
    assert estimate(cut) <= limit + NOTICE
    assert head and tail
    assert text.startswith(head)
    assert text.endswith(tail)
    missing = text[len(head) : len(text) - len(tail)]
    assert len(head) + len(missing) + len(tail) == len(text)
    assert f"[… {missing.count(chr(10))} lines, about {estimate(missing)} tokens" in notice


def test_the_cut_falls_on_line_ends():
    text = "".join(f"line number {number}\n" for number in range(1000))
    head, tail = re.split(r"\n\[….*…\]\n", cut_middle(text, 100))
    assert head.endswith("\n")
    assert text.endswith("\n" + tail)


@pytest.mark.parametrize("text", ["ok\n" + "x" * 9_999, "x" * 9_999 + "\nok", "x" * 9_999])
def test_one_long_line_is_cut_inside_rather_than_left_out(text: str):
    head, tail = re.split(r"\n\[….*…\]\n", cut_middle(text, 100))
    assert min(estimate(head), estimate(tail)) > 40


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 1), ("word" * 100, 101), ("1234" * 100, 201), ("雨" * 100, 76), ("\ud800" * 4, 4)],
)
def test_the_estimate_is_bytes_by_four_and_digits_by_two(text: str, tokens: int):
    assert estimate(text) == tokens


@given(st.text(char), st.text(char))
def test_more_text_is_never_fewer_tokens_and_hardly_more_than_its_pieces(text: str, more: str):
    assert estimate(text) <= estimate(text + more) <= estimate(text) + estimate(more) + 1


@pytest.mark.parametrize(
    "text",
    ["\x1b[31mred\x1b[0m", "\x1b[38;5;1mr\x1b[med", "\x1b[2K\x1b[1Gred", "\x1b[?25lred\x1bM"],
)
def test_colours_and_cursor_movements_are_taken_out(text: str):
    assert without_ansi(text) == "red"


def test_text_without_escapes_is_left_alone():
    assert without_ansi("a[31m b\n[0]") == "a[31m b\n[0]"
