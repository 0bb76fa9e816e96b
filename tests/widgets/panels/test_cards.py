"""What a card shows of texts that it did not write."""

import pytest

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
