"""The first line of an agent cell, and the magics in a real shell without a model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.errors import UsageError
from inkernel.kernel_ext.magics import AgentLine, parse_line, without_comment


@pytest.mark.parametrize(
    ("line", "parsed"),
    [
        ("", AgentLine({}, False, "")),
        ("plot it, don't ask", AgentLine({}, False, "plot it, don't ask")),
        ("-m gpt-5.5 --new why?", AgentLine({"model": "gpt-5.5"}, True, "why?")),
        ("--model=qwen3:8b hi", AgentLine({"model": "qwen3:8b"}, False, "hi")),
        ("--policy ask --effort high", AgentLine({"policy": "ask", "effort": "high"}, False, "")),
        ("-- -5 is negative", AgentLine({}, False, "-5 is negative")),
        ("what does -m do", AgentLine({}, False, "what does -m do")),
        ("-m 'scripted:a b.toml' go", AgentLine({"model": "scripted:a b.toml"}, False, "go")),
        ('--model="a b" it\'s', AgentLine({"model": "a b"}, False, "it's")),
        ("--new  # afresh", AgentLine({}, True, "")),
        ("-m qwen3:8b # small, --new", AgentLine({"model": "qwen3:8b"}, False, "")),
        ("--new -- # Rain", AgentLine({}, True, "# Rain")),
        ("-- # Rain", AgentLine({}, False, "# Rain")),
        ("# Rain", AgentLine({}, False, "# Rain")),
        ("--new plot it # soon", AgentLine({}, True, "plot it # soon")),
    ],
)
def test_flags_come_first_and_the_rest_is_the_prompt(line: str, parsed: AgentLine):
    assert parse_line(line) == parsed


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("", ""),
        ("# status: model", ""),
        ("config effort high  # for this session; `%agent config` lists all", "config effort high"),
        ("model ollama:qwen3:8b\t#", "model ollama:qwen3:8b"),
        ("explain #3 # the plot", "explain #3"),
        ("keep a#b", "keep a#b"),
        ("compact 'keep # 3' # shorter", "compact 'keep # 3'"),
        ('config api_key_command="pass a # b"', 'config api_key_command="pass a # b"'),
        ("compact don't ask # it's late", "compact don't ask"),
    ],
)
def test_a_comment_is_no_part_of_an_agent_line(line: str, left: str):
    assert without_comment(line) == left


def test_an_unknown_flag_names_the_nearest_known_one():
    with pytest.raises(UsageError, match="Did you mean --model"):
        parse_line("--modle x")


def test_a_flag_without_its_value_says_so():
    with pytest.raises(UsageError, match="--policy needs a value"):
        parse_line("--policy")


@given(st.text())
def test_any_line_parses_or_is_refused_in_a_sentence(line: str):
    try:
        parse_line(line)
    except UsageError as error:
        assert error.message.endswith((".", "?")) and error.hint
