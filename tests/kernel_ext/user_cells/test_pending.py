"""A turn runs, or its cell says why not: nothing reads "ok" and did nothing."""

import pytest

SCRIPT = """
model = "scripted/test"
[[turn]]
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
arguments = { title = "Look", code = "import gc; gc.collect()" }
[[turn.response]]
say = "Yes."
"""
CALL = "get_ipython().run_cell_magic('agent', '', 'Is it?')"


@pytest.mark.parametrize(
    "code",
    [
        CALL,
        f"x = {CALL}",
        f"def ask():\n    return {CALL}\nask()",
        f"def ask():\n    {CALL}\nask()",
        f"for _ in range(2):\n    {CALL}",
        f"import asyncio\nawait asyncio.sleep(0)\n{CALL}",
    ],
)
def test_a_call_that_nothing_awaits_is_an_error_in_words(agent, code):
    kernel, server = agent()
    failed = kernel.run(code)
    assert (failed.status, failed.ename) == ("error", "UsageError")
    assert "nothing awaits it" in failed.evalue
    assert "never awaited" not in failed.text
    assert server.requests == []
    assert kernel.run("%%agent\nIs it?").status == "ok"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "code",
    [
        "%%agent\nIs it?",
        f"await {CALL}",
        f"x = {CALL}\nawait x",
        f"import asyncio\nawait asyncio.create_task({CALL})",
        f"import asyncio\nawait asyncio.gather({CALL})",
        f"import asyncio\nasync with asyncio.timeout(60):\n    await {CALL}",
        f"async def ask():\n    await {CALL}\nawait ask()",
    ],
)
def test_a_call_that_is_awaited_runs(agent, code):
    kernel, server = agent()
    ran = kernel.run(code)
    assert ran.status == "ok", ran.evalue
    assert "ignored" not in ran.text
    assert len(server.requests) == 2


def test_a_turn_that_was_kept_can_be_awaited_in_the_next_cell(agent):
    kernel, server = agent()
    kernel.run(f"x = {CALL}")
    assert kernel.run("await x").status == "ok"
    assert len(server.requests) == 2


def test_an_error_of_the_cell_itself_stays_its_error(agent):
    kernel, _ = agent()
    assert kernel.run(f"x = {CALL}\n1 / 0").ename == "ZeroDivisionError"
