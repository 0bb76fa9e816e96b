"""Code of a step that changes parts of ours ends the turn, and what it changed is put back.

In real kernels: each change as a step of a scripted turn, which two more turns follow.
"""

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel

OURS = (
    "import gc\nagent = next(it for it in gc.get_objects() if type(it).__name__ == 'KernelAgent')\n"
)
SESSION = "session = agent_tools._AgentTools__lender.session\n"
TURN = (
    "import gc\nfound = [it for it in gc.get_objects() if type(it).__name__ == 'Session']\n"
    "session = next(it for it in found if getattr(it, 'tools', ()))\n"
)
SCRIPT = """
model = "scripted/test"
[[turn]]
on = "Go."
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
[turn.response.call.arguments]
title = "a step"
code = {code}
[[turn.response]]
say = "Unseen."
[[turn]]
on = "Again."
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
[turn.response.call.arguments]
title = "a step"
code = "print(6 * 7)"
[[turn.response]]
expect = "42"
say = "All is well."
"""

CHANGES: dict[str, tuple[str, str]] = {
    "the judge": (
        "import sys\nfor name, m in list(sys.modules.items()):\n"
        "    if name.startswith('inkernel.agent') and hasattr(m, 'judge'):\n"
        "        m.judge = lambda *a, **k: None",
        "judge",
    ),
    "the code of the judge": (
        "from inkernel.agent.permissions.judge import judge\n"
        "judge.__code__ = (lambda *a, **k: None).__code__",
        "judge",
    ),
    "the defaults of a function": (
        "from inkernel.agent.permissions import judge\n"
        "found = (it for it in vars(judge).values() if hasattr(it, '__defaults__'))\n"
        "next(found).__defaults__ = (True,)",
        "judge",
    ),
    "the gate": (
        "from inkernel.agent.dispatch.gate import GatedCall\nGatedCall.admit = lambda self: None",
        "GatedCall.admit",
    ),
    "the approval": (
        TURN + "async def yes(*_):\n    return None\n"
        "object.__setattr__(session.seams, 'approve', yes)",
        "approve",
    ),
    "the policy of the session": (
        SESSION + "session.settings.__dict__['policy'] = 'deny'",
        "settings (policy)",
    ),
    "the settings object": (
        TURN + "object.__setattr__(session, 'settings', session.settings.model_copy())",
        "the session (settings)",
    ),
    "typed settings": (OURS + "agent._typed['effort'] = 'high'", "typed (effort)"),
    "a variable": ("import os\nos.environ['INKERNEL_EFFORT'] = 'high'", "INKERNEL_EFFORT"),
    "the policy for calls of code": (
        SESSION + "object.__setattr__(session, 'settings', None)",
        "the session (settings)",
    ),
    "a tool": (
        TURN + "object.__setattr__(session.tools[0], 'run', session.tools[1].run)",
        "the tool run_cell (run)",
    ),
    "the toolset": (TURN + "object.__setattr__(session, 'tools', ())", "session (tools)"),
    "the magic": (
        "get_ipython().magics_manager.magics['cell'].pop('agent')",
        "the cell magic (agent)",
    ),
    "the magic replaced": (
        "get_ipython().register_magic_function(lambda *_: None, 'line', 'agent')",
        "the line magic (agent)",
    ),
    "a hook": (
        "get_ipython().events.callbacks['pre_run_cell'].clear()",
        "our hook at pre_run_cell",
    ),
    "a transform": (
        "get_ipython().input_transformer_manager.line_transforms.clear()",
        "our input transform",
    ),
    "the question of the kernel": (
        "get_ipython().kernel.raw_input = lambda *_: 'y'",
        "question to you (raw_input)",
    ),
    "the history": (
        SESSION + "history = session.conversation.history\n"
        "history._wire[:] = history._wire.replace(b'Go.', b'No.')",
        "history",
    ),
    "an item of the history": (
        SESSION + "history = session.conversation.history\nhistory.entries.reverse()",
        "history",
    ),
    "the record deleted": (
        SESSION + "session.journal.record.path.unlink()",
        "was deleted or moved",
    ),
    "the record cut": (
        SESSION + "import os\nos.truncate(session.journal.record.path, 50)",
        "was cut",
    ),
    "the record replaced": (
        SESSION + "import os, shutil\npath = session.journal.record.path\n"
        "shutil.copy(path, 'copy')\nos.replace('copy', path)",
        "was replaced",
    ),
    "a forged line": (
        SESSION + "with open(session.journal.record.path, 'a') as file:\n"
        '    file.write(\'{"at":1.0,"kind":"rewind","turn":1}\\n\')',
        "was written to by others",
    ),
    "a changed line": (
        SESSION + "path = session.journal.record.path\ndata = path.read_bytes()\n"
        "with path.open('r+b') as file:\n    file.write(data.replace(b'Go.', b'No.'))",
        "was changed",
    ),
}
CHANGES |= {
    "an answer": (
        SESSION + "from inkernel.agent.protocol.actions import ActionRule\n"
        "rule = ActionRule(decision='allow', effect='write_files')\n"
        "session.seams.rules.__self__.home.session.append(rule)",
        "rules and answers that hold",
    ),
    "an answer for the turn": (
        SESSION + "from inkernel.agent.protocol.actions import ActionRule\n"
        "session.seams.rules.__self__._turn.append(ActionRule(decision='allow', path='/'))",
        "rules and answers that hold",
    ),
    "the rules of files": (
        SESSION + "from inkernel.agent.protocol.actions import ActionRule\n"
        "session.seams.rules.__self__.rules = (ActionRule(decision='allow', path='/'),)",
        "rules and answers that hold",
    ),
    "the policy of the guard": (
        SESSION + "from inkernel.agent.protocol.policy import read_policy\n"
        "object.__setattr__(session.seams.read.__self__, 'policy', read_policy('deny'))",
        "TurnProtection of the turn (policy)",
    ),
    "the level of the policy": (
        SESSION + "p = session.seams.read.__self__\n"
        "object.__setattr__(p.policy, 'level', 'read-only')",
        "Policy of the turn (level)",
    ),
    "the walls": (
        SESSION + "p = session.seams.read.__self__\n"
        "object.__setattr__(p.walls, 'workspace', ('/',))",
        "Walls of the turn (workspace)",
    ),
    "the folders that hold": (
        OURS + "import copy\nagent.folders.now = copy.copy(agent.folders.now)",
        "folders of the walls (now)",
    ),
    "the one who asks": (
        OURS + "agent.approvals.person._kernel = None",
        "Person of the turn (kernel)",
    ),
}
GONE = ("the record deleted", "the record cut", "the record replaced")


@pytest.mark.parametrize("name", CHANGES)
def test_a_step_that_changes_parts_of_ours_ends_the_turn(name: str, agent: Any):
    code, named = CHANGES[name]
    kernel, server = agent(SCRIPT.format(code=json.dumps(code)))
    ran = kernel.run("%%agent\nGo.")
    said = "\n".join(str(it) for it in ran.outputs)
    assert ran.status == "error"
    assert "TamperedError" in said or name == "the record deleted"
    assert named in said
    assert len(server.requests) == 1
    if name in GONE:
        kernel.run("%agent new")
    again = kernel.run("%%agent\nAgain.")
    assert again.status == "ok", again.outputs
    assert "All is well." in str(again.outputs)


def test_a_forged_line_is_named_when_the_session_is_resumed(agent: Any, tmp_path: Path):
    kernel, _ = agent(SCRIPT.format(code=json.dumps(CHANGES["a forged line"][0])))
    kernel.run("%%agent\nGo.")
    kernel.run("%agent new")
    ran = kernel.run("%agent resume")
    assert "was changed, removed or put in" in str(ran.outputs)


def test_ordinary_steps_change_nothing_of_ours(agent: Any):
    code = (
        "import os, sys, json, logging, threading, builtins, getpass\n"
        "os.environ['MY_SETTING'] = '1'\nlogging.basicConfig()\n"
        "get_ipython().events.register('post_run_cell', lambda *_: None)\n"
        "get_ipython().register_magic_function(lambda line: None, 'line', 'mine')\n"
        "kept, builtins.input = builtins.input, lambda *_: '7'\nx = input()\n"
        "builtins.input = kept\nprint(await agent_tools.inspect(names=['x']))"
    )
    kernel, _ = agent(SCRIPT.format(code=json.dumps(code)))
    ran = kernel.run("%%agent\nGo.")
    assert ran.status == "ok", ran.evalue + ran.traceback
    assert "Unseen." in str(ran.outputs)


def test_a_question_that_code_replaced_for_good_is_put_back_and_told(agent: Any):
    code = "import builtins\nbuiltins.input = lambda *_: 'y'"
    kernel, server = agent(SCRIPT.format(code=json.dumps(code)))
    ran = kernel.run("%%agent\nGo.")
    assert ran.status == "ok"
    assert "input() is put back" in json.loads(server.requests[1])["input"][-1]["output"]
    assert "lambda" not in kernel.run("import builtins, inspect\nbuiltins.input").text
