"""A person who turns logging on sees the lines of their own requests, and none of ours."""

import json

import pytest

pytestmark = pytest.mark.kernel

LOG = "import logging\nlogging.basicConfig(level=logging.DEBUG)"
THEIRS = (
    "import httpx, markdown_it\nanswer = httpx.MockTransport(lambda request: httpx.Response(200))\n"
    "httpx.Client(transport=answer).get('http://theirs/')\nmarkdown_it.MarkdownIt().render('a')\n"
    "logging.getLogger('mine').debug('my own line')"
)
SCRIPT = f"""
model = "scripted/test"
[[turn]]
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
[turn.response.call.arguments]
title = "a step"
code = {json.dumps(THEIRS)}
[[turn.response]]
say = "**Bold**, and `code`."
"""
LINES = ("http://theirs/", "markdown_it.rules_block", "my own line")
FAMILIES = """
from inkernel.kernel_ext.execution.quiet import LOGGERS
families = {name.partition('.')[0] for name in LOGGERS} - {'asyncio', 'urllib3'}
found = [name for name, it in logging.root.manager.loggerDict.items()
         if name.partition('.')[0] in families and isinstance(it, logging.Logger)]
sorted(set(found) - set(LOGGERS)), sum(bool(logging.getLogger(name).filters) for name in found)
"""


@pytest.mark.parametrize("transport", ["http", "websocket"])
@pytest.mark.parametrize("allow_stdin", [False, True], ids=["headless", "a front end"])
def test_our_requests_log_nothing_into_the_cell_and_theirs_do(agent, transport, allow_stdin):
    kernel, server = agent(INKERNEL_TRANSPORT=transport, INKERNEL_API_KEY_ENV="MINE", MINE="sk-1")
    kernel.run(LOG)
    ran = kernel.run("%%agent\nGo **on**.", allow_stdin=allow_stdin)
    assert ran.status == "ok"
    assert [o for o in ran.outputs if o["output_type"] == "stream"] == []
    step = json.loads(server.requests[-1])["input"][-1]["output"]
    assert all(line in step for line in LINES) and "/v1/responses" not in step
    assert kernel.run("%agent models").text.count("\n") < 5
    theirs = kernel.run(THEIRS).text
    assert all(line in theirs for line in LINES)


def test_no_logger_of_our_libraries_is_forgotten_and_unloading_leaves_them_as_they_were(agent):
    kernel, _ = agent()
    kernel.run(f"{LOG}\nlogging.getLogger().setLevel(logging.WARNING)")
    kernel.run("%%agent\nGo.")
    assert kernel.run(FAMILIES).text not in ("([], 0)", "")
    assert kernel.run(FAMILIES).text.startswith("([], ")
    kernel.run("%unload_ext inkernel")
    assert kernel.run(FAMILIES).text == "([], 0)"
