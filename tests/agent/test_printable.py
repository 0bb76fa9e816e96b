"""Letters that look like others have their names in a question."""

import pytest

from inkernel.agent.printable import hidden_parts, visible


@pytest.mark.parametrize(
    "word",
    ["օpen", "ⲟpen", "ꓳpen", "ӏen", "ᴏs", "оpen", "ꓳꓑꓰꓠ", "ɑbs", "oｓ", "ǀen", "ᏚᎬᎢ", "dеl"],
)
def test_a_letter_that_may_be_taken_for_another_is_named(word: str):
    assert "⟨" in visible(word)
    assert "look" in hidden_parts(word)


@pytest.mark.parametrize(
    "text",
    [
        "größe",
        "Δt",
        "μ_x",
        "数据df",
        "данные",
        "Ελλάδα",
        "đường",
        "naïve",
        "שלום",
        "价格2",
    ],
)
def test_a_name_in_the_script_of_a_language_is_left_as_it_is(text: str):
    assert (visible(text), hidden_parts(text)) == (text, "")
