"""A long text by its lines: every part of it has an address, and what is told of it adds up."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from inkernel.agent.text.lines import FOLD_CHARS, MARK_TOKENS, Lines, ends, fenced, with_gaps
from inkernel.agent.text.tokens import estimate

LINE = st.one_of(
    st.text(max_size=60),
    st.text("0123456789 .", min_size=50, max_size=3 * FOLD_CHARS),
    st.integers(1, 5).map(lambda times: "雨é " * (times * FOLD_CHARS)),
)
TEXT = st.lists(LINE, max_size=60).map("\n".join)
MARKED = re.compile(r"\n?\[… lines (\d+)–(\d+) of out-1 left out, about \d+ tokens …\]\n")


@given(TEXT)
def test_all_lines_together_are_the_text(text: str):
    lines = Lines(text)
    assert "".join(lines.cut(at, at) for at in range(1, len(lines) + 1)) == text
    assert lines.cut(1, len(lines)) == text


@given(TEXT)
def test_every_character_is_in_the_line_of_its_number(text: str):
    lines, at = Lines(text), 0
    for number in range(1, len(lines) + 1):
        line = lines.cut(number, number)
        assert len(line) <= FOLD_CHARS + 1
        assert {lines.number(at), lines.number(at + max(len(line) - 1, 0))} == {number}
        at += len(line)


def test_lines_are_those_an_editor_counts():
    assert len(Lines("a\nb\nc\n")) == len(Lines("a\nb\nc")) == 3
    assert Lines("a\nb\nc").cut(2, 2) == "b\n"
    assert len(Lines("")) == 1


@given(TEXT, st.integers(0, 500))
def test_head_and_tail_are_within_the_limit_and_begin_and_end_the_text(text: str, limit: int):
    spans = ends(text, 0, len(text), limit)
    assert sum(estimate(text[start:end]) - 1 for start, end in spans) <= limit
    if spans:
        assert spans[0][0] == 0 and spans[-1][1] == len(text)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


def test_the_cut_falls_on_line_ends():
    text = "\n".join(f"line {n}" for n in range(1000))
    (_, head), (tail, _) = ends(text, 0, len(text), 100)
    assert text[head - 1] == text[tail - 1] == "\n"


@given(TEXT, st.integers(0, 300))
def test_what_is_left_out_is_exactly_what_the_marked_lines_hold(text: str, limit: int):
    lines = Lines(text)
    told = with_gaps(lines, ends(text, 0, len(text), limit), "out-1")
    assert estimate(told) <= max(limit + MARK_TOKENS, 2 * MARK_TOKENS)
    marks = list(MARKED.finditer(told))
    if not marks:
        assert told == text
        return
    (mark,) = marks
    head, tail = told[: mark.start()], told[mark.end() :]
    missing = lines.cut(int(mark[1]), int(mark[2]))
    assert text.startswith(head) and text.endswith(tail)
    assert text[len(head) : len(text) - len(tail)].strip("\n") in missing


@given(st.text(alphabet="`~a\n", max_size=40))
def test_no_text_ends_its_markdown_fence(text: str):
    (token,) = MarkdownIt("commonmark").parse(fenced(text))
    assert token.type == "fence"
    assert token.content == (text + "\n" if text else "\n")
