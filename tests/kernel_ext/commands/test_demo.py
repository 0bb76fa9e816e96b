"""`%agent demo` in a real kernel: a turn without a key, which replaces nothing of yours."""

import pytest

pytestmark = pytest.mark.kernel


@pytest.fixture
def keyless(kernel):
    """A kernel with the extension loaded, and no model."""
    running = kernel()
    running.run("%load_ext inkernel")
    return running


def test_it_shows_a_turn_and_leaves_its_variables(keyless):
    shown = keyless.run("%agent demo").text
    assert "Which month was wettest" in shown and "November" in shown
    assert "OPENAI_API_KEY" in shown
    assert keyless.run("wettest_month").text.strip() == "'Nov'"
    assert keyless.run("%agent digest").status == "error", "the demo's session is over"
    assert "November" in keyless.run("%agent demo").text, "its own variables are no obstacle"


def test_a_variable_of_the_same_name_is_not_replaced(keyless):
    keyless.run("weather = 'fine'")
    assert "your variable `weather`" in keyless.run("%agent demo").evalue
    assert keyless.run("weather").text.strip() == "'fine'"
