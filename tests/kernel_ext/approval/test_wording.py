"""The words of a question: who asks, why, and each answer. No other answer is a yes."""

from typing import Any

import pytest

from inkernel.agent.protocol.actions import Action, ActionRule, Question, Verdict
from inkernel.agent.protocol.trials import Deed
from inkernel.kernel_ext.approval.wording import Reply, question_words, read_reply

FAR = Deed("write", "/far", "open")
OF_PATH = ActionRule(decision="allow", deed="write", path="/far")
OF_TOOL = ActionRule(decision="allow", tool="run_cell")


def asked(*held: ActionRule, **more: Any) -> Question:
    action = Action(
        tool="run_cell",
        arguments={"code": "save()"},
        effects=frozenset(("run_code",)),
        literal="save()",
    )
    why = Verdict(decision="ask", reason="policy auto: it writes /far", deeds=(FAR,))
    return Question(action=action, why=why, held=held, **more)


def test_a_question_says_who_asks_why_and_the_answers_each_on_a_line():
    who, why, answers = question_words(asked(OF_PATH, rules=(OF_PATH,))).split("\n")
    assert who == "The agent wants to run this step (1 line, 6 characters)."
    assert why == "Policy auto: it writes /far."
    assert answers == (
        "Yes: [y] once, [a] in this turn, [se] in this session, [w] always."
        " [e]dit, [n]o, [s]top, or what to do instead: "
    )


def test_a_yes_to_the_whole_tool_says_so_and_code_that_runs_is_not_edited():
    assert "[a] to all in this turn, [se] to all in this session" in question_words(asked(OF_TOOL))
    running = question_words(asked(OF_PATH, running=True))
    assert running.startswith("The agent's step waits.") and "[e]dit" not in running


def called(arguments: dict[str, Any], *effects: Any, server: str = "") -> str:
    """The first lines of the question for a call."""
    literal = "\n".join(f"{name}: {value}" for name, value in arguments.items())
    action = Action(
        tool="mine", arguments=arguments, effects=frozenset(effects), literal=literal, server=server
    )
    why = Verdict(decision="ask", reason="policy auto: x")
    return question_words(Question(action=action, why=why)).partition("\nPolicy auto")[0]


def test_a_question_for_a_call_says_whose_it_is_what_it_may_do_and_its_arguments():
    given = {"town": "Ulm", "years": [1, 2]}
    assert called(given, "function", "network", "read_files") == (
        "The agent wants to call mine, a function of yours that may read files and use the network:"
        "\n  town: Ulm\n  years: [1, 2]"
    )
    assert called({}, "function").endswith("that may only compute. It has no arguments.")
    assert "a tool of the server git, which may do anything:" in called(
        given, "server", server="git"
    )
    every = ("read_files", "write_files", "network", "run_command", "spawn")
    assert "a function of yours that may do anything" in called({}, "function", *every)


def test_arguments_that_are_too_long_for_a_question_are_counted_in_it():
    long = {"text": "x\u200b" * 3_000}
    assert "with the arguments above (1 line, 6,006 characters; hidden in it" in called(
        long, "function"
    )


@pytest.mark.parametrize("text", ["w", "a", "se", "ok", "yes please", "y\ny", "", "yy", "e e"])
def test_an_answer_that_is_not_offered_is_no_yes(text: str):
    assert read_reply(text, asked()).scope is None


def test_every_answer_that_is_offered_has_its_meaning():
    question = asked(OF_PATH, rules=(OF_PATH,))
    scopes = [read_reply(it, question).scope for it in ("y", "A ", "se", "w")]
    assert scopes == ["once", "turn", "session", "always"]
    assert read_reply("e", question).edit and read_reply("s", question).stop
    assert read_reply("N", question) == Reply() and read_reply("use a", question).word == "use a"
