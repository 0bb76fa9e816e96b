"""What a shell makes of cells: agent cells, agent lines, and everything else."""

import ast
import asyncio
import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from IPython.testing.globalipapp import start_ipython

from inkernel.agent.errors import UsageError
from inkernel.kernel_ext.input_transform import CellTransform
from inkernel.kernel_ext.magics import register, unregister

AWAITED = "await get_ipython().run_cell_magic('agent', {!r}, None)\n"
CALLED = "get_ipython().run_line_magic('agent', {!r})\n"
WHAT = "what's in x?"


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    shell = start_ipython() or InteractiveShell.instance()
    shell.reset(new_session=False)
    register(shell)
    yield shell
    unregister(shell)
    shell.run_line_magic("autoawait", "asyncio")


@pytest.fixture
def rewritten(shell: InteractiveShell) -> Callable[[str], str]:
    """What a kernel makes of a cell, which it awaits."""

    async def transform(cell: str) -> str:
        return shell.transform_cell(cell)

    return lambda cell: asyncio.run(transform(cell))


def called_with(code: str) -> list[object]:
    """The arguments of the magic call that a cell became."""
    (statement,) = ast.parse(code).body
    assert isinstance(statement, ast.Expr)
    call = statement.value.value if isinstance(statement.value, ast.Await) else statement.value
    assert isinstance(call, ast.Call)
    return [ast.literal_eval(argument) for argument in call.args]


def test_an_agent_cell_becomes_an_awaited_call_with_its_text_unchanged(rewritten):
    cell = '%%agent -m x\nwhat is {this} $x and it\'s "that"?\n\n  indented\\n\n>>> a\n'
    assert rewritten(cell).startswith("await get_ipython().run_cell_magic(")
    assert called_with(rewritten(cell)) == ["agent", "-m x", cell.partition("\n")[2]]


@given(
    st.text(
        alphabet=st.characters(
            codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
        )
    )
)
def test_any_body_arrives_as_it_was_written(body: str):
    lines = f"%%agent\n{body}".splitlines(keepends=True)
    shell = start_ipython() or InteractiveShell.instance()
    assert called_with("".join(CellTransform(shell)(lines)))[2] == (body or "\n")


def test_a_prompt_on_the_first_line_needs_no_body(rewritten):
    assert called_with(rewritten("%%agent plot it?")) == ["agent", "plot it?", "\n"]


def test_blank_lines_and_blanks_before_it_are_as_harmless_as_for_other_magics(rewritten):
    assert called_with(rewritten("\n\n%%agent\nhello\n")) == ["agent", "", "hello\n"]
    assert called_with(rewritten("\n  %%agent\nhello\n")) == ["agent", "", "hello\n"]


@pytest.mark.parametrize(
    "cell",
    [
        "In [3]: %%agent -m x\n   ...: hello\n   ...:   you\n",
        ">>> %%agent -m x\n... hello\n...   you\n",
        "In [12]: %%agent -m x\n    ...: hello\n    ...:   you\n",
        "\ufeff%%agent -m x\nhello\n  you\n",
        "\u200b  %%agent -m x\nhello\n  you\n",
        "\n\u2060\n%%agent -m x\nhello\n  you\n",
        "%%agent -m x\r\nhello\r\n  you\r\n",
    ],
)
def test_prompts_and_what_is_not_seen_before_it_are_harmless(rewritten, cell: str):
    assert rewritten(cell).startswith("await ")
    assert called_with(rewritten(cell)) == ["agent", "-m x", "hello\n  you\n"]


@pytest.mark.parametrize("before", ["\ufeff", "\u200b", "\n\ufeff ", "In [3]: ", ">>> "])
def test_a_line_is_awaited_with_prompts_or_what_is_not_seen_before_it(rewritten, before: str):
    assert rewritten(f"{before}%agent pin 1\n").lstrip("\n") == AWAITED.format("pin 1")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%agent", ""),
        ("%agent status", "status"),
        ("  %agent status", "status"),
        ("%agent keep 1\n", "keep 1"),
        ("%agent keep \\\n 1\n", "keep   1"),
        (">>> %agent status\n", "status"),
        ("%agent what's in [x\n", "what's in [x"),
    ],
)
def test_an_agent_line_that_stands_alone_is_awaited(rewritten, line: str, said: str):
    assert rewritten(line) == AWAITED.format(said)


def test_each_agent_line_of_a_cell_is_awaited_and_the_rest_is_left_alone(rewritten):
    cell = "!echo '[\nx = 1\n%agent explain [\n%agent undo\n%time x\n"
    system, x, first, second, time = rewritten(cell).splitlines(keepends=True)
    assert system.startswith("get_ipython().system(") and x == "x = 1\n"
    assert (first, second) == (AWAITED.format("explain ["), AWAITED.format("undo"))
    assert time == "get_ipython().run_line_magic('time', 'x')\n"


@pytest.mark.parametrize(
    "above",
    [
        "if x:\n",
        "for n in (\n  1,\n):\n    # each\n\n",
        "while x:\n    def f():\n        y = 1\n",
        "with a as b:\n    class C:\n        def f(self): pass\n        x = 1\n",
        "def f():\n    async def g():\n        z = 1\n    y = 1\n\nif x:\n",
        "async def f(x):\n",
        "class C:\n  async def f(\n      self,\n  ):\n    if x:\n      y\n",
    ],
)
def test_in_a_block_of_the_cell_and_in_an_async_function_it_is_awaited(rewritten, above: str):
    assert rewritten(f"{above}    %agent pin 1\n") == f"{above}    {AWAITED.format('pin 1')}"


@pytest.mark.parametrize(
    "above",
    [
        "def f():\n",
        "def f(\n    x=1,\n):\n    '''\n    About it.\n    '''\n",
        "class C:\n",
        "async def f():\n    def g():\n        y = 1\n        if x:\n            z\n    ",
        "if x:\n    def f():\n        if y:\n            z\n    ",
    ],
)
def test_in_a_function_and_in_a_class_it_is_a_call(rewritten, above: str):
    assert rewritten(f"{above}    %agent pin 1\n") == f"{above}    {CALLED.format('pin 1')}"


def test_an_assignment_is_a_call(rewritten):
    assert rewritten("x = %agent status\n") == f"x = {CALLED.format('status')}"


@pytest.mark.parametrize(
    "cell",
    [
        "x = 1 + \\\n%agent\n",
        "x = (10\n%agent\n)\n",
        "x = [\n    10\n    %agent\n]\n",
        'f(x, """\n%agent status\n""")\n',
        "x = '''%agent\n%agent what?\n%%agent\n'''\n",
        'x = """it\'s\n\'\'\'\n%agent status\n"""\n',
        'def f():\n    r"""\n    %agent pin 1\n    """\n',
        "x = 1  # not ''' a string\ny = '''\n%agent status\n'''\n",
        "# %agent status\n",
        "!ls\nx = '%agent'\n",
        "x = 'a \\\n%agent status'\n",
    ],
)
def test_within_brackets_strings_and_comments_it_means_nothing(rewritten, shell, cell: str):
    unregister(shell)
    left_alone = shell.transform_cell(cell)
    register(shell)
    assert rewritten(cell) == left_alone


def test_a_string_above_does_not_hide_an_agent_line(rewritten):
    cell = 'x = "\'\'\'"\ny = "\\""  # it\'s """\n%agent status\n'
    assert rewritten(cell).endswith(AWAITED.format("status"))


@pytest.mark.parametrize(
    "cell", ["x = 1\n", "x = 5\n%agents\n", "%%agents\nx\n", "%agent?\n", "", "%%bash\n%%agent\n"]
)
def test_other_cells_are_left_alone(rewritten, shell, cell: str):
    unregister(shell)
    left_alone = shell.transform_cell(cell)
    register(shell)
    assert rewritten(cell) == left_alone


def test_an_agent_line_that_ends_in_a_question_mark_is_not_a_plea_for_help(rewritten):
    assert rewritten("%agent what is in df?") == AWAITED.format("what is in df?")
    assert rewritten("%agent status?\n") == AWAITED.format("status?")
    within = rewritten(f"def f():\n    %agent {WHAT}\n")
    assert within == f"def f():\n    {CALLED.format(WHAT)}"


def test_without_its_sign_a_line_is_awaited_too_where_automagic_is_on(rewritten, shell):
    assert rewritten("agent keep 1") == AWAITED.format("keep 1")
    assert rewritten("agent") == AWAITED.format("")
    assert rewritten("agent = 1\n") == "agent = 1\n"
    assert "await" not in rewritten("x = 1\nagent status\n")
    shell.user_ns["agent"] = 1
    assert rewritten("agent -1\n") == "agent -1\n"
    del shell.user_ns["agent"]
    shell.automagic = False
    assert rewritten("agent status\n") == "agent status\n"
    shell.automagic = True


@pytest.mark.parametrize("cell", ["# my question\nx = 1\n%%agent\nhello\n", "if x:\n    %%agent\n"])
def test_an_agent_cell_below_other_lines_is_refused(rewritten, cell: str):
    with pytest.raises(UsageError, match="first line"):
        rewritten(cell)


@pytest.mark.parametrize("setting", ["off", "sync", "trio"])
def test_where_the_shell_does_not_await_it_is_a_call_or_refused(rewritten, shell, setting: str):
    shell.run_line_magic("autoawait", setting)
    assert rewritten("x = 1\nif x:\n    %agent pin 1\n").endswith(CALLED.format("pin 1"))
    assert rewritten("async def f():\n    %agent pin\n").endswith(AWAITED.format("pin"))
    with pytest.raises(UsageError, match=re.escape("`%autoawait asyncio`")):
        rewritten("%%agent\nhello\n")


def test_where_a_magic_has_the_cell_transformed_it_is_a_call(shell):
    assert shell.transform_cell("%agent pin 1") == CALLED.format("pin 1")
    assert called_with(shell.transform_cell("%%agent\nhello")) == ["agent", "", "hello\n"]
