"""The digest grows with the window: words of notes, facts, lines of runs and what ranges tell."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from inkernel.agent.compaction.budget import budget_or_size, note_words
from inkernel.agent.compaction.note_taking import asking
from inkernel.agent.compaction.run_index import index_lines
from inkernel.agent.conversation.digest import Parts, make_digest
from inkernel.agent.conversation.notes import Cited, Notes
from inkernel.agent.conversation.runs import RunLog, RunSummary
from inkernel.agent.protocol.items import Message
from inkernel.agent.session import Session
from inkernel.agent.testing import play
from inkernel.agent.text.tokens import estimate

TOPICS = {1: "Load the gauges of Faro.", 2: "Compare them with Lagos.", 3: "Plot the drift."}


def run(number: int, line: str = "", cell: str = "") -> RunSummary:
    return RunSummary(
        handle=f"out-{number}",
        by="person",
        key=cell or f"key-{number}",
        turn=1 + (number - 1) // 10,
        line=line or f"x{number} = load({number})",
        status="ok",
        number=number,
        bound=(f"x{number}",),
    )


def lines(runs: RunLog, budget: int, topics: dict[int, str] | None = None) -> list[str]:
    return index_lines(runs, len(runs.heads), budget, lambda _head: "", topics or {})


def test_the_line_of_a_range_tells_turns_topics_headings_and_how_many_were_superseded():
    runs = RunLog(
        [run(n, "# Mean by month" if n == 4 else "", "a" * (n < 3)) for n in range(1, 31)]
    )
    line = lines(runs, 500, TOPICS)[0]
    assert line.startswith("- out-1–out-10: 10 ok, 1 superseded; bound x1, x2,")
    assert line.endswith("; turn 1 (Load the gauges of Faro.); # Mean by month")


def test_a_long_range_tells_of_its_beginning_and_its_end():
    topics = {turn: f"Topic {turn}." for turn in range(1, 101)}
    line = lines(RunLog([run(n) for n in range(1, 1_001)]), 300, topics)[0]
    assert "; turns 1–" in line and "(Topic 1.; Topic " in line


def test_a_run_that_is_superseded_changes_the_line_of_its_range_alone():
    runs = RunLog([run(n, cell=f"cell-{n}") for n in range(1, 201)])
    before = lines(runs, 800)
    runs.add(run(201, cell="cell-3"))
    after = index_lines(runs, 200, 800, lambda _head: "")
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    ((old, new),) = changed
    assert "superseded" not in old and "1 superseded" in new and new.startswith("- out-1–")


def test_more_tokens_are_more_lines_up_to_thousands():
    runs = RunLog([run(n) for n in range(1, 5_001)])
    counts = [len(lines(runs, budget)) for budget in (400, 1_200, 6_000, 50_000)]
    assert counts == sorted(set(counts)) and counts[-1] > 1_000
    assert all(sum(map(estimate, lines(runs, budget))) <= budget for budget in (400, 6_000, 50_000))


def words_at(session_for: Callable[..., Session], window: int) -> int:
    session = session_for(play([]), window=window)
    return note_words(session, budget_or_size(session, session.fields()))


def test_we_ask_for_more_notes_in_a_larger_window(session_for: Callable[..., Session]):
    windows = (8_000, 16_000, 32_000, 128_000, 1_000_000)
    words = [words_at(session_for, window) for window in windows]
    assert words == sorted(set(words)) and words[2] == 700
    assert words[0] >= 200 and 3_000 < words[-1] < 5_000
    item = asking(words[-1])
    assert isinstance(item, Message) and f"At most {words[-1]:,} words in all." in item.text


@pytest.mark.parametrize("room", [2_000, 10_000, 100_000])
def test_many_decisions_leave_facts_their_share(room: int):
    many = tuple(Cited(text=f"decided {n} for a reason", sources=()) for n in range(9_000))
    facts = tuple(Cited(text=f"value {n} is {n}.5 mm", sources=()) for n in range(9_000))
    notes = Notes(state="s", decisions=many, facts=facts)
    parts = Parts(notes, [], 0, (), "", [], 0, [], lambda _handle: "", {})
    text = make_digest(parts, room).text
    shown = [line for line in text.splitlines() if line.startswith("- value ")]
    decided = [line for line in text.splitlines() if line.startswith("- decided ")]
    assert sum(map(estimate, shown)) >= 0.35 * 0.25 * room
    assert sum(map(estimate, decided)) >= 0.5 * 0.25 * room
    few = make_digest(replace(parts, notes=notes.model_copy(update={"facts": ()})), room).text
    assert few.count("- decided ") > len(decided)  # a share that nobody needs is not kept free
