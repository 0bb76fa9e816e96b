"""What a step leaves behind cannot loosen anything later. Real kernels, policy full."""

import time
from typing import Any

import pytest

from tests.kernel_ext.approval.test_questions import steps

LOOSEN = "get_ipython().run_line_magic('agent', 'policy full')"
LATER = {
    "a callback": f"import asyncio; asyncio.get_running_loop().call_later(0.3, lambda: {LOOSEN})",
    "a task": f"import asyncio\nasync def later():\n    await asyncio.sleep(0.3)\n    {LOOSEN}\n"
    "t = asyncio.create_task(later())",
    "a thread": f"import threading; threading.Timer(0.3, lambda: {LOOSEN}).start()",
    "a hook": f"get_ipython().events.register('post_execute', lambda: {LOOSEN})",
    "a cell of a hook": "ip = get_ipython()\ndef loosen(_):\n"
    "    ip.events.unregister('post_run_cell', loosen)\n"
    "    ip.run_cell('%agent policy full')\n"
    "ip.events.register('post_run_cell', loosen)",
    "a cell of a callback": "import asyncio\nasyncio.get_running_loop().call_later("
    "0.3, lambda: get_ipython().run_cell('%agent policy full'))",
    "a cell of a thread": "import threading\nthreading.Timer("
    "0.3, lambda ip: ip.run_cell('%agent policy full'), (get_ipython(),)).start()",
    "a variable": "import threading, os\ndef loosen():\n"
    "    os.environ['INKERNEL_POLICY'] = 'full'\n"
    "threading.Timer(0.3, loosen).start()",
    "a model": "import threading, os\ndef loosen():\n"
    "    os.environ['INKERNEL_BASE_URL'] = 'http://127.0.0.1:9/v1'\n"
    "threading.Timer(0.3, loosen).start()",
}


@pytest.mark.parametrize("kind", LATER)
def test_nothing_that_a_step_leaves_behind_loosens_the_policy(agent: Any, kind: str):
    kernel, server = agent(steps(LATER[kind]))
    kernel.run("%%agent --policy full\nGo.")
    asked = len(server.requests)
    time.sleep(0.6)
    kernel.run("pass")
    assert "full" not in kernel.run("%agent policy").text.splitlines()[1]
    assert "127.0.0.1:9" not in kernel.run("%agent config base_url").text.splitlines()[1]
    assert asked == 2


@pytest.mark.parametrize("what", ["unload", "reload"])
def test_a_thread_or_a_callback_of_a_step_does_not_unload_the_agent(agent: Any, what: str):
    line = f"ip.run_line_magic('{what}_ext', 'inkernel')"
    code = (
        f"import asyncio, threading\nip = get_ipython()\n"
        f"threading.Timer(0.2, lambda: {line}).start()\n"
        f"asyncio.get_running_loop().call_later(0.3, lambda: {line})"
    )
    kernel, _ = agent(steps(code))
    kernel.run("%%agent --policy full\nGo.")
    time.sleep(0.6)
    kernel.run("pass")
    assert "completed" in kernel.run("%agent history").text
    assert kernel.run(f"%{what}_ext inkernel").status == "ok"
    assert (
        kernel.run(
            "%load_ext inkernel\nget_ipython().extension_manager.reload_extension('inkernel')"
        ).status
        == "ok"
    )


def test_a_line_of_the_running_cell_may_loosen_it_in_any_form(agent: Any):
    kernel, _ = agent(steps("x = 1"))
    for cell in (
        "%agent policy full",
        "for _ in range(1):\n    %agent policy full",
        "get_ipython().run_line_magic('agent', 'policy full')",
    ):
        kernel.run("%agent policy ask")
        assert "full" in kernel.run(cell).text, cell
        assert "policy         full" in kernel.run("%agent policy").text


def test_a_helper_of_the_person_says_where_the_line_belongs(agent: Any):
    kernel, _ = agent(steps("x = 1"))
    kernel.run("def loose():\n    get_ipython().run_line_magic('agent', 'policy full')")
    ran = kernel.run("loose()")
    assert ran.ename == "UsageError" and "Type it in a cell" in ran.traceback
