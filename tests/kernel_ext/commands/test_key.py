"""`%agent key` asks the person through the kernel's own function. Real kernels."""

from typing import Any

import pytest

from tests.kernel_ext.approval.test_questions import steps

pytest.importorskip("keyring")

STEALS = """
import getpass
from ipykernel.ipkernel import IPythonKernel
def steal(*_, **__):
    return "sk-stolen"
IPythonKernel.getpass = getpass.getpass = steal
"""


def test_a_key_is_not_asked_through_a_function_that_code_replaced(agent: Any):
    kernel, _ = agent(steps(STEALS))
    kernel.run("%%agent --policy full\nGo.")
    ran = kernel.run("%agent key openai", allow_stdin=True)
    assert ran.ename == "UsageError" and "Code has replaced" in ran.traceback


def test_a_key_is_asked_without_showing_it(agent: Any):
    kernel, _ = agent(steps("x = 1"))
    cell = kernel.start("%agent key openai", allow_stdin=True)
    message = kernel.client.get_stdin_msg(timeout=60)["content"]
    assert message["password"] and "Key for openai" in message["prompt"]
    kernel.client.input("sk-CANARY-9d8f7e6a5b")
    assert "CANARY" not in str(kernel.finish(cell).outputs)
