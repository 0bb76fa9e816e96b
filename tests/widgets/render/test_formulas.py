r"""Dollars: a page sets what is plainly mathematics, and nothing else.

The page here is MathJax as notebooks set it up. It looks for formulas in text that no tag
interrupts, and not in code.
"""

import re
from html.parser import HTMLParser

import pytest

from inkernel.widgets.panels.cards import Card, TextCard
from inkernel.widgets.panels.context_card import CellRow, ContextCard
from inkernel.widgets.render.html import block_html, bundle
from inkernel.widgets.render.sanitize import markdown_html, words_html
from inkernel.widgets.state.blocks import AnswerBlock, AnswerSource, Note, ReasoningBlock, StepBlock
from inkernel.widgets.state.fold import TurnState

SET = re.compile(r"\$\$.+?\$\$|\$(?:\\.|[^$])+?\$|\\\(.+?\\\)|\\\[.+?\\\]", re.DOTALL)
PRICES = (
    "costs $5 a month and the pro plan costs $10",
    "from $5 to $10, or 5$ to 10$, or US$5 and CA$ 6",
    "($5)/($10), $1M–$2M, $5,$6",
    "**$5** a month, **$x** more",
    "5$/month and 10$/month",
    "$HOME/$USER, $PATH:$HOME and $A_$B",
    "rated $, $$ or $$$",
    "cheap ($), dear ($$), dearest ($$$)",
    "- $5\n- $6\n\n| a | b |\n|---|---|\n| $7 | $8 |",
)
FORMULAS = (
    "$x$",
    "$a_1 + b_1 < c^*$",
    "$2x + 3 = 7$",
    "$$\\sum_{i=1}^n i$$",
    "$$ x = y $$",
    "$$\na \\\\\nb\n$$",
    r"\(a_1*b*c\)",
    r"\[x_1 = \frac{1}{2}\]",
    r"$\text{about \$5}$",
)


class Page(HTMLParser):
    """Text in pieces as MathJax takes it, apart from code."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.pieces, self.skipped = [""], 0
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.skipped += tag in ("pre", "code")
        self.pieces.append("")

    def handle_endtag(self, tag: str) -> None:
        self.skipped -= tag in ("pre", "code")
        self.pieces.append("")

    def handle_data(self, data: str) -> None:
        if not self.skipped:
            self.pieces[-1] += data


def set_as_formulas(markup: str) -> list[str]:
    return [found for piece in Page(markup).pieces for found in SET.findall(piece)]


def places(text: str) -> list[str]:
    """The text where a model or a card shows it in prose, each as HTML."""
    sources = (AnswerSource(text), AnswerSource(text, "https://a.example/"))
    blocks = (
        AnswerBlock(text),
        AnswerBlock("x", sources=sources),
        ReasoningBlock((text,)),
        ReasoningBlock((f"**{text}**",)),
        StepBlock("c", tool=text, status="asking", asked=text),
        Note("notice", text),
    )
    cards = (
        Card(text, [(text, text)]),
        TextCard(text, ""),
        ContextCard({"said": 1}, (CellRow(text, 1),), 9, None, None, coming=text),
    )
    return [
        *(block_html(block, timing=True) for block in blocks),
        *(card.bundle()["text/html"] for card in cards),
    ]


@pytest.mark.parametrize("price", PRICES)
def test_a_price_is_no_formula(price: str) -> None:
    for markup in places(price):
        assert set_as_formulas(markup) == [], markup


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_is_set_as_it_was_written(formula: str) -> None:
    for text in (formula, f"for $5, ({formula})", f"*So* {formula}th is it."):
        assert set_as_formulas(markdown_html(text)) == [formula]
        assert set_as_formulas(words_html(text)) == [formula]


@pytest.mark.parametrize("price", PRICES)
def test_a_reader_sees_every_dollar(price: str) -> None:
    for shown in (words_html(price), markdown_html(price)):
        assert "".join(Page(shown).pieces).count("$") == price.count("$")


@pytest.mark.parametrize(
    ("text", "saved"),
    [
        ("costs $5 or $10", r"costs \$5 or \$10"),
        (r"\$5 and \\$6", r"\$5 and \\\$6"),
        ("`$5` and $x$ for $6", r"`$5` and $x$ for \$6"),
        ("$$\nx\n$$", "$$\nx\n$$"),
        ("```\n$5 $6\n```\n$7", "```\n$5 $6\n```\n\\$7"),
    ],
)
def test_the_markdown_form_escapes_prices_alone(text: str, saved: str) -> None:
    assert saved in bundle(TurnState(blocks=(AnswerBlock(text),)), timing=False)["text/markdown"]


def test_many_dollars_take_no_longer_than_their_number() -> None:
    for text in ("$" * 50_000, "$a" * 30_000, r"\(" * 30_000, "$1 " * 30_000, "$$ a" * 20_000):
        assert words_html(text)
