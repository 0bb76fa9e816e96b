"""Counting, cutting and cleaning text."""

import json
import re
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.text.tokens import Corrected, Estimate, cut_middle, estimate, without_ansi

SAMPLES = json.loads(Path(__file__).with_name("token_samples.json").read_text("utf-8"))
"""Texts of many kinds and how many tokens of o200k_base each has."""

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


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["kind"])
def test_the_estimate_is_within_a_quarter_for_every_kind_of_text(sample: dict[str, Any]):
    assert abs(estimate(sample["text"]) / sample["tokens"] - 1) < 0.25


def test_the_estimate_is_within_a_tenth_on_the_whole():
    errors = [estimate(sample["text"]) / sample["tokens"] - 1 for sample in SAMPLES]
    assert fmean(map(abs, errors)) < 0.1
    assert abs(fmean(errors)) < 0.05


@given(texts, texts)
def test_a_text_has_no_more_tokens_than_its_pieces_and_hardly_fewer_than_one(text: str, more: str):
    assert estimate(text) - 2 <= estimate(text + more) <= estimate(text) + estimate(more)


@given(texts)
def test_bytes_count_like_the_text_they_are(text: str):
    assert estimate(text.encode(errors="surrogatepass")) == estimate(text)


def test_a_long_text_counts_like_its_parts():
    line = "station,42,13.5,Tromsø 雪\n"
    assert abs(estimate(line * 20_000) / (20_000 * estimate(line)) - 1) < 0.05
    assert estimate("") == 0
    assert Estimate().count(line) == estimate(line)


@pytest.mark.parametrize("threes", [*range(530, 560), 5_000])
def test_the_heaviest_text_of_any_length_counts_what_it_weighs(threes: int):
    assert estimate("000" * threes) == -(-threes * 38 // 32)


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_servers_count_stands_for_what_it_counted(counted: int, reported: int, since: int):
    corrected = Corrected(reported, counted)
    assert corrected.total(counted) == reported
    assert corrected.total(counted + since) == reported + since
    less = corrected.total(max(0, counted - since))
    assert 0 <= less <= reported
    assert corrected.total(0) == 0


def test_without_a_count_from_the_server_ours_stands():
    assert Corrected().total(123) == 123


@pytest.mark.parametrize(
    "text",
    ["\x1b[31mred\x1b[0m", "\x1b[38;5;1mr\x1b[med", "\x1b[2K\x1b[1Gred", "\x1b[?25lred\x1bM"],
)
def test_colours_and_cursor_movements_are_taken_out(text: str):
    assert without_ansi(text) == "red"


def test_text_without_escapes_is_left_alone():
    assert without_ansi("a[31m b\n[0]") == "a[31m b\n[0]"
