"""`%agent` lines where nobody awaits them: in blocks, assignments, functions, other magics."""

import pytest

pytestmark = pytest.mark.kernel

SCRIPT = '[[turn]]\n[[turn.response]]\nsay = "Hello."\n'


def test_what_needs_no_wait_works_where_nobody_awaits_it(agent):
    kernel, _ = agent(SCRIPT)
    assert "scripted/test" in kernel.run("%agent").text  # which asks the keyring, once
    assert "A new session" in kernel.run("for _ in range(1):\n    %agent new").text
    assert "scripted/test" in kernel.run("if True:\n    %agent status").text
    assert "no turns yet" in kernel.run("shown = %agent history").text
    assert "no turns yet" in kernel.run("%%time\n%agent history").text
    assert kernel.run("%%capture out\n%agent model other").status == "ok"
    assert "other" in kernel.run("out.show()").text
    assert "no turns yet" in kernel.run("get_ipython().run_line_magic('agent', 'history')").text


@pytest.mark.parametrize("cell", ["if True:\n    %agent models", "x = %agent models"])
def test_what_must_wait_says_where_to_write_it_and_loses_nothing(agent, cell):
    kernel, server = agent(SCRIPT)
    ran = kernel.run(cell)
    assert ran.ename == "UsageError" and "Write it on a line of its own." in ran.traceback
    assert not ran.text and not server.requests
    assert "lists 1" in kernel.run("x = 1\n%agent models").text


def test_without_autoawait_what_needs_no_wait_works(agent):
    kernel, _ = agent(SCRIPT)
    kernel.run("%autoawait off")
    assert "no turns yet" in kernel.run("%agent history").text
    assert "%autoawait on" in kernel.run("%agent models").traceback
