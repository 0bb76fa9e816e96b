"""The person's words are the last to go: what stays as it was said, and what becomes a line."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.compaction.words import (
    MIN_CUT_TOKENS,
    Fitting,
    Saying,
    fitting,
    words_cost,
)
from inkernel.agent.conversation.digest import SaidTurn, said_lines

CHATTER = (
    "Look at the months of Faro in 2001 and tell me which was the wettest, with a table of it."
)
RULE = "Never write to raw/2019.parquet, not even to repair a single row of it."


def saying(turn: int, text: str, answer: str = "") -> Saying:
    return Saying(SaidTurn(turn=turn, label=f"turn {turn}, In [{turn}]", text=text, answer=answer))


def talk(*texts: str) -> list[Saying]:
    return [saying(turn, text) for turn, text in enumerate(texts, 1)]


def shown(fitted: Fitting) -> str:
    return "\n".join(line for turn in fitted.turns for line in said_lines(turn))


def cost(said: Sequence[Saying]) -> int:
    return sum(it.cost for it in said)


def chatter(number: int) -> str:
    return f"{CHATTER} This is question {number}, and it has a second line.\nFor week {number}."


def test_what_fits_stays_as_it_was_said():
    said = talk(*map(chatter, range(20)))
    fitted = fitting(said, cost(said), safe={1})
    assert fitted.turns == [it.turn for it in said] and fitted.left == 0


def test_middle_turns_become_a_line_with_their_name_the_oldest_first():
    said = talk(*map(chatter, range(20)))
    fitted = fitting(said, cost(said) - 100, safe={1})
    assert [turn.turn for turn in fitted.turns if turn.short] == [2, 3, 4, 5, 6, 7]
    assert f"- turn 2: {CHATTER[:80]}" in shown(fitted) and fitted.left == 0
    assert fitted.turns[0] == said[0].turn


def test_a_rule_stays_whole_when_all_around_it_has_gone():
    said = talk("Find the drift.", *map(chatter, range(300)))
    said[7] = saying(8, f"{chatter(7)} {RULE} It is shared. And then plot it, as you did above.")
    fitted = fitting(said, 200, safe={1})
    assert fitted.turns[0] == said[0].turn and fitted.left > 250
    assert RULE in shown(fitted) and "It is shared." in shown(fitted)
    assert sum(map(words_cost, fitted.turns)) <= 200


def test_an_order_goes_before_a_rule_and_after_chatter():
    said = talk("Find it.", f"{RULE}\n{chatter(1)}", f"Do not plot it.\n{chatter(2)}", chatter(3))
    costs = range(cost(said), 40, -1)
    forms = [shown(fitting(said, budget, safe={1})) for budget in costs]

    def last(words: str) -> int:
        return max(at for at, form in enumerate(forms) if words in form)

    assert last("week 3") < last("Do not plot it.") < last(RULE)


def test_a_rule_that_is_said_again_is_kept_where_it_was_said_last():
    said = talk("Find it.", *(f"{chatter(n)} Do not load anything again." for n in range(50)))
    fitted = fitting(said, 1_500, safe={1})
    assert shown(fitted).count("Do not load anything again.") < 25
    assert "Do not load anything again." in shown(fitted)


def test_turns_whose_cell_ran_again_go_first():
    said = talk("Find it.", RULE, *map(chatter, range(5)))
    fitted = fitting(said, cost(said) - 5, safe={1}, superseded={2: 4})
    assert [turn.turn for turn in fitted.turns] == [1, 3, 4, 5, 6, 7] and fitted.left == 1


def test_a_long_brief_keeps_head_tail_and_its_rules_with_its_name():
    brief = "\n".join([f"Line {n} of the brief, about gauges." for n in range(200)])
    brief = brief.replace("Line 100 of the brief, about gauges.", RULE)
    said = talk(brief, *map(chatter, range(20)))
    fitted = fitting(said, 600, safe={1})
    words = shown(fitted)
    assert "> Line 0 of the brief" in words and "> Line 199 of the brief" in words
    assert f"[…] {RULE}" in words and "(recall turn 1 has all of it)" in words
    assert fitted.turns[0].text == brief  # a larger window shows it whole again


def test_pinned_turns_share_what_there_is():
    said = talk(*(f"Brief {n}. " + "many words of it " * 100 for n in range(4)))
    fitted = fitting(said, 800, safe={1, 2, 3, 4})
    assert len(fitted.turns) == 4 and all(turn.shown for turn in fitted.turns)
    assert sum(map(words_cost, fitted.turns)) <= 1_000


def test_answers_take_only_what_words_leave():
    said = [saying(turn, "Go on.", f"Answer {turn}. " * 10) for turn in range(1, 11)]
    assert fitting(said, 1_000, answers=cost(said)).answered == frozenset()
    assert fitting(said, 1_000, answers=cost(said) + 150).answered == {8, 9, 10}
    assert fitting(said, 1_000, answers=10_000).answered == frozenset(range(1, 11))


TEXTS = st.sampled_from(
    [RULE, CHATTER, f"{CHATTER}\nNever.", "Short.", "word " * 300, "line\n" * 200, "绝不。", ""]
)


@given(st.lists(TEXTS, max_size=30), st.integers(0, 2_000), st.sets(st.integers(1, 30)))
def test_it_fits_whatever_was_said(texts: list[str], budget: int, safe: set[int]):
    said = talk(*texts)
    fitted = fitting(said, budget, safe=safe)
    kept = [turn.turn for turn in fitted.turns]
    assert kept == sorted(kept) and len(kept) + fitted.left == len(said)
    assert set(kept) >= safe & {it.turn.turn for it in said}
    least = sum(min(it.cost, MIN_CUT_TOKENS) for it in said if it.turn.turn in safe)
    assert sum(map(words_cost, fitted.turns)) <= max(budget, least)
