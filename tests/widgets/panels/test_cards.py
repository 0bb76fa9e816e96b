"""What a card shows of texts that it did not write."""

import re

import pytest

from inkernel.agent.text.lines import count_of
from inkernel.widgets.panels.cards import Card, TextCard
from inkernel.widgets.panels.context_card import CellRow, ContextCard, RawCard

ACTING = ("\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x9b2J", "\u202ereversed", "<b>bold</b>")


@pytest.mark.parametrize("text", ACTING)
def test_no_text_acts_on_a_terminal_or_a_page(text: str) -> None:
    cards = (
        Card(text, [(text, text)]),
        TextCard(text, text),
        ContextCard({"said": 1}, (CellRow(text, 1),), 10, None, None, coming=text),
        RawCard(f'{{"a": "{text}"}}'.encode() if text.isprintable() else b"{}"),
    )
    for card in cards:
        shown = card.bundle()
        for form in shown.values():
            assert all(c.isprintable() or c in "\n\ufffd" for c in form), form
        assert "<b>bold" not in shown.get("text/html", "")


@pytest.mark.parametrize("server", [None, 20_860, 900])
def test_the_rows_of_a_context_add_up_to_its_total(server: int | None) -> None:
    cells = tuple(CellRow(f"turn {n}", 7) for n in range(70))
    card = ContextCard({"head": 1_000, "said": 490}, cells, 50_000, server, None)
    title, *rows = card.bundle()["text/plain"].split("\n")
    assert f"{server or 1_490:,} tokens" in title
    at = rows.index("by cell:")
    kinds = [int(re.findall(r"-?\d[\d,]*", row)[0].replace(",", "")) for row in rows[:at]]
    by_cell = [int(row.split()[0].replace(",", "")) for row in rows[at + 1 :]]
    assert sum(kinds) == sum(by_cell) == (server or 1_490)
    assert all(count >= 0 for count in (*kinds, *by_cell))


def test_what_is_in_backticks_is_code_and_nothing_else() -> None:
    card = Card("`%agent unpin` undoes it, for $5", [("a", "`<b>` and ` alone")])
    markup = card.bundle()["text/html"]
    assert "<code>%agent unpin</code> undoes it" in markup
    assert "<code>&lt;b&gt;</code> and ` alone" in markup


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 turns"), (1, "1 turn"), (2_000, "2,000 turns")]
)
def test_one_is_singular(number: int, words: str) -> None:
    assert count_of(number, "turn") == words
