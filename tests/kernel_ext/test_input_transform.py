"""What the cell transformer makes of cells: agent cells, agent lines, and everything else."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.errors import UsageError
from inkernel.kernel_ext.input_transform import transform


def lines(cell: str) -> list[str]:
    return cell.splitlines(keepends=True)


def called_with(cell: str) -> list[object]:
    """The arguments of the magic call that a cell becomes."""
    (statement,) = ast.parse("".join(transform(lines(cell)))).body
    assert isinstance(statement, ast.Expr)
    call = statement.value.value if isinstance(statement.value, ast.Await) else statement.value
    assert isinstance(call, ast.Call)
    return [ast.literal_eval(argument) for argument in call.args]


def test_an_agent_cell_becomes_an_awaited_call_with_its_text_unchanged():
    cell = '%%agent -m x\nwhat is {this} $x and it\'s "that"?\n\n  indented\\n\n'
    rewritten = "".join(transform(lines(cell)))
    assert rewritten.startswith("await get_ipython().run_cell_magic(")
    assert called_with(cell) == ["agent", "-m x", cell.partition("\n")[2]]


@given(
    st.text(
        alphabet=st.characters(
            codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
        )
    )
)
def test_any_body_arrives_as_it_was_written(body: str):
    assert called_with(f"%%agent\n{body}")[2] == (body or "\n")


def test_a_prompt_on_the_first_line_needs_no_body():
    assert called_with("%%agent plot it?") == ["agent", "plot it?", "\n"]


def test_blank_lines_above_are_as_harmless_as_for_other_magics():
    assert called_with("\n\n%%agent\nhello\n") == ["agent", "", "hello\n"]


def rewritten(cell: str, **how: bool) -> str:
    return "".join(transform(lines(cell), **how))


@pytest.mark.parametrize("line", ["%agent", "%agent status", "  %agent status", "%agent keep 1\n"])
def test_an_agent_line_that_stands_alone_is_awaited(line: str):
    said = line.strip().removeprefix("%agent").strip()
    indent = " " * (len(line) - len(line.lstrip()))
    assert rewritten(line) == (
        f"{indent}await get_ipython().run_cell_magic('agent', {said!r}, None)\n"
    )


def test_each_agent_line_of_a_cell_is_awaited_and_the_rest_is_left_alone():
    first, second, third = transform(lines("x = 1\n%agent pin 1\n%agent undo\n"))
    assert first == "x = 1\n"
    assert second.startswith("await ") and third.startswith("await ")


@pytest.mark.parametrize(
    "cell",
    [
        "if x:\n    %agent pin 1\n",
        "def f():\n    %agent status\n",
        "x = %agent status\n",
        "x = 1 + \\\n%agent status\n",
        "%agents\n",
    ],
)
def test_what_does_not_stand_alone_is_not_awaited(cell: str):
    assert rewritten(cell) == cell


def test_where_nobody_awaits_a_line_is_a_magic_like_others():
    assert rewritten("x = 1\n%agent pin 1\n", awaits=False) == "x = 1\n%agent pin 1\n"
    asked = rewritten("%agent what's in x?\n", awaits=False)
    assert asked == "get_ipython().run_line_magic('agent', \"what's in x?\")\n"


def test_an_agent_line_that_ends_in_a_question_mark_is_not_a_plea_for_help():
    assert called_with("%agent what is in df?") == ["agent", "what is in df?", None]
    assert called_with("%agent status?\n") == ["agent", "status?", None]
    cell = "x = 1\nif x:\n    %agent what's in x?\n%time x\n"
    first, second, third, fourth = transform(lines(cell))
    assert (first, second, fourth) == ("x = 1\n", "if x:\n", "%time x\n")
    assert third == "    get_ipython().run_line_magic('agent', \"what's in x?\")\n"


@pytest.mark.parametrize("cell", ["x = 1\n", "%agents\n", "%%agents\nx\n", "", "\n"])
def test_other_cells_are_left_alone(cell: str):
    assert transform(lines(cell)) == lines(cell)


def test_below_the_first_line_it_is_refused_with_the_line_it_stands_on():
    with pytest.raises(UsageError, match="line 3"):
        transform(lines("# my question\nx = 1\n%%agent\nhello\n"))


def test_in_a_string_or_below_another_cell_magic_it_means_nothing():
    strings = ('text = """\n%%agent\n"""\n', 'text = """\n%agent what?\n"""\n')
    for cell in (
        *strings,
        "!ls\n" + strings[0],
        "%time 1\n" + strings[1],
        "%%bash\necho\n%%agent\n",
    ):
        assert transform(lines(cell)) == lines(cell)
