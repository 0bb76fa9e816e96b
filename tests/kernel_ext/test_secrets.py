"""Secrets of the environment, of `.env` and of cells are masked, and the person can allow one."""

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel

OF_ENVIRON, OF_FILE, OF_CELL = "hunter2-environ", "hunter2-dotenv", "hunter2-incell"
TOKEN = "ghp_" + "Zk81Ve0tQ7mGh7cXy2LwRb5NdJ9fKsAo3PiE"
CODE = (
    "import os\nprint(os.environ['DB_PASSWORD'], open('.env').read(), password)\n"
    f"print('{TOKEN[:20]}' + '{TOKEN[20:]}')\nprint(open('/proc/self/environ').read())"
)
SCRIPT = f"""
model = "scripted/test"
[[turn]]
on = "Go."
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
[turn.response.call.arguments]
title = "a step"
code = {json.dumps(CODE)}
[[turn.response]]
say = "Done."
"""


def test_secrets_that_are_no_keys_of_ours_are_masked(agent: Any, tmp_path: Path):
    (tmp_path / ".env").write_text(f"export APP_SECRET='{OF_FILE}'\nCOLOR=blue\n")
    kernel, server = agent(SCRIPT, DB_PASSWORD=OF_ENVIRON, INKERNEL_POLICY="full")
    kernel.run(f"password = '{OF_CELL}'")
    ran = kernel.run("%%agent\nGo.")
    assert ran.status == "ok"
    records = "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
    sent = b"".join(server.requests).decode()
    for text in (str(ran.outputs), sent, records):
        for secret in (OF_ENVIRON, OF_FILE, OF_CELL, TOKEN):
            assert secret not in text
    assert "COLOR=blue" in sent
    card = str(kernel.run("%agent secrets").outputs)
    for name in ("DB_PASSWORD", "APP_SECRET", "password", "In [2]", "github-token"):
        assert name in card
    assert "hunter2" not in card
    kernel.run("%agent secrets allow APP_SECRET")
    kernel.run("%%agent --new\nGo.")
    sent = server.requests[-1].decode()
    assert OF_FILE in sent and OF_ENVIRON not in sent


def test_a_step_cannot_allow_a_secret(agent: Any):
    code = "get_ipython().run_line_magic('agent', 'secrets allow github-token')"
    script = SCRIPT.replace(json.dumps(CODE), json.dumps(code))
    kernel, server = agent(script, INKERNEL_POLICY="full")
    kernel.run("%%agent\nGo.")
    assert "Only the person can" in server.requests[-1].decode()
    assert "allowed" not in str(kernel.run("%agent secrets").outputs)


def test_a_folder_is_no_password(agent: Any, tmp_path: Path):
    """A shell keeps its folder in PWD, and the path of a key file in a variable of that name."""
    key = tmp_path / "key.json"
    key.touch()
    paths = {"PWD": str(tmp_path), "OLDPWD": "/nowhere/at-all/1", "CLOUD_CREDENTIALS": str(key)}
    kernel, server = agent(SCRIPT, **paths)
    kernel.run("%%agent\nGo.")
    assert f"cwd: {tmp_path}".encode() in server.requests[0]
    assert "PWD" not in str(kernel.run("%agent secrets").outputs)
    assert "CLOUD_CREDENTIALS" not in str(kernel.run("%agent secrets").outputs)
