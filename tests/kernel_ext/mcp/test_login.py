"""`%agent mcp login` in a real kernel, at a real authorization server."""

import json
import stat
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.kernel_ext.mcp.turns import bodies, call_of, outputs, over_http, script

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(find_spec("mcp") is None, reason="needs the package mcp"),
]
LOCKED = Path(__file__).with_name("locked.py")
call = partial(call_of, "locked")
Start = Callable[..., Any]
TURNS = script(("go", []), ("again", [call("renewed")]), ("at last", [call("renewed")]))


@pytest.fixture
def locked(request: pytest.FixtureRequest) -> Iterator[str]:
    """The table of a server whose tokens hold for so many seconds."""
    with over_http(LOCKED, str(getattr(request, "param", 3600))) as url:
        yield f'[mcp.locked]\nurl = "{url}"\n'


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def logged_in(kernel: Any, *, remote: bool = False) -> Any:
    """The run of a login, by a browser on this machine or on another one."""
    cell = kernel.start("%agent mcp login locked", allow_stdin=True)
    printed = kernel.wait_for(cell, "stream")["text"]
    kernel.wait_for_question()
    address = next(it for it in printed.split() if it.startswith("http"))
    browser = urllib.request.build_opener(*([NoRedirect] if remote else []))
    try:
        browser.open(address).read()
        kernel.client.input("")
    except urllib.error.HTTPError as error:
        kernel.client.input(error.headers["location"])
    return kernel.finish(cell)


@pytest.mark.parametrize("remote", [False, True], ids=["here", "elsewhere"])
def test_a_login_lets_the_server_in_for_good_and_is_kept_for_the_person_alone(
    serving: Start, locked: str, tmp_path: Path, remote: bool
):
    kernel, server = serving(TURNS, locked, INKERNEL_DATA_DIR=str(tmp_path / "data"))
    told = kernel.run("%%agent\ngo")
    assert told.status == "ok" and "%agent mcp login locked" in json.dumps(bodies(server)[0])
    assert logged_in(kernel, remote=remote).status == "ok"
    assert kernel.run("%agent new").status == "ok"
    assert kernel.run("%%agent\nagain").status == "ok"
    assert outputs(server)[0].startswith('{"result":0') or outputs(server)[0] == "0"
    kept = tmp_path / "data" / "mcp_logins.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and "tk-" in kept.read_text()
    assert "tk-" not in json.dumps(bodies(server))
    other, server = serving(TURNS, locked, INKERNEL_DATA_DIR=str(tmp_path / "data"))
    assert other.run("%%agent\nagain").status == "ok"
    assert outputs(server)[0].startswith('{"result":0') or outputs(server)[0] == "0"


@pytest.mark.parametrize("locked", [31], indirect=True)
def test_a_token_is_renewed_before_its_end_unasked(serving: Start, locked: str, tmp_path: Path):
    kernel, server = serving(TURNS, locked, INKERNEL_DATA_DIR=str(tmp_path / "data"))
    assert logged_in(kernel).status == "ok"
    kernel.run("import time; time.sleep(1.5)")
    assert kernel.run("%%agent\nagain").status == "ok"
    assert "0" not in outputs(server)[0]


def test_a_login_that_was_taken_back_is_said_and_opens_nothing(
    serving: Start, locked: str, tmp_path: Path
):
    turns = script(("go", [call("lose_all"), call("renewed")]))
    kernel, server = serving(turns, locked, INKERNEL_DATA_DIR=str(tmp_path / "data"))
    assert logged_in(kernel).status == "ok"
    assert kernel.run("%%agent\ngo").status == "ok"
    assert "it wants you to log in: `%agent mcp login locked`" in outputs(server)[1]


def test_a_login_gets_more_rights_once_a_call_has_missed_them(
    serving: Start, locked: str, tmp_path: Path
):
    turns = script(("go", [call("write")]), ("again", [call("write"), call("renewed")]))
    kernel, server = serving(turns, locked, INKERNEL_DATA_DIR=str(tmp_path / "data"))
    assert logged_in(kernel).status == "ok"
    assert kernel.run("%%agent\ngo").status == "ok"
    assert "it wants you to log in: `%agent mcp login locked`" in outputs(server)[0]
    assert logged_in(kernel).status == "ok"
    assert kernel.run("%%agent\nagain").status == "ok"
    assert "written" in outputs(server)[1] and "0" in outputs(server)[2]


def test_a_login_that_the_person_ends_is_none(serving: Start, locked: str):
    kernel, _ = serving(TURNS, locked)
    cell = kernel.start("%agent mcp login locked", allow_stdin=True)
    kernel.wait_for_question()
    kernel.client.input("n")
    ran = kernel.finish(cell)
    assert ran.ename == "UsageError" and "you ended it" in ran.evalue


def test_nobody_logs_in_where_nobody_can_answer(serving: Start, locked: str):
    kernel, _ = serving(TURNS, locked)
    assert "Nobody can log in here" in kernel.run("%agent mcp login locked").evalue
