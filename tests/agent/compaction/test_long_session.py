"""A long session with restarts and kills loses no cell, and never its task or a rule."""

from pathlib import Path

from bench.compaction.week import KILLED, QUICK, live


def test_after_two_kills_and_two_restarts_every_cell_and_every_rule_is_there(tmp_path: Path):
    lived = live(tmp_path, QUICK)
    found = lived.resumed
    assert not found.lost and not found.missing and not lived.missing
    assert found.conversation.turns == QUICK.turns + len(KILLED)  # those were said again
    assert len(QUICK.binding(QUICK.turns)) == 11 and lived.binding == 1
    assert len(found.runs) >= QUICK.story.cells == 600
