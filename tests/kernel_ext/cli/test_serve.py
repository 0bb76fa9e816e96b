"""The command `inkernel serve`, as a user calls it: a real process, asked over real HTTP."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

SCRIPT = 'model = "scripted/test"\n[[turn]]\n[[turn.response]]\nsay = "Hello."\n'
COMMAND = [sys.executable, "-m", "inkernel", "serve"]
ASK = {"model": "m", "input": "Hello?"}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.toml"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


@contextlib.contextmanager
def served(*arguments: str, **environ: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The running command, and the base URL that it prints first."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | environ,
    )
    assert process.stdout
    with process:
        try:
            yield process, process.stdout.readline().split()[0]
        finally:
            process.kill()


def interrupted(process: subprocess.Popen[str]) -> str:
    """What the command had still to say before Ctrl-C ended it."""
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    assert process.stdout
    return process.stdout.read()


def test_it_answers_logs_each_request_and_ends_cleanly(script: Path):
    with served(str(script)) as (process, base_url):
        assert httpx.post(f"{base_url}/responses", json=ASK).json()["status"] == "completed"
        assert httpx.get(f"{base_url}/nothing?key=secret").status_code == 404
        told = interrupted(process)
    assert process.returncode == 0
    assert f"%agent config base_url {base_url}" in told
    assert "POST /v1/responses 200 turn 0 response 0\nGET /v1/nothing 404" in told
    assert "secret" not in told


def test_the_key_it_asks_for_is_never_shown(script: Path):
    with served(str(script), "--key-env", "A_KEY", A_KEY="sk-quiet") as (process, base_url):
        headers = {"authorization": "Bearer sk-quiet"}
        statuses = [
            httpx.post(f"{base_url}/responses", json=ASK, headers=sent).status_code
            for sent in ({}, headers)
        ]
        told = interrupted(process)
    assert statuses == [401, 200]
    assert "%agent config api_key_env A_KEY" in told
    assert "sk-quiet" not in told


@pytest.mark.parametrize("arguments", [["--port", "70000"], ["--key-env", "NOT_SET"]])
def test_what_cannot_be_served_is_told(script: Path, arguments: list[str]):
    ran = subprocess.run(
        [*COMMAND, str(script), *arguments], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 2
    assert arguments[1] in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_port_in_use_is_told(script: Path):
    with served(str(script)) as (_, base_url):
        port = str(httpx.URL(base_url).port)
        ran = subprocess.run(
            [*COMMAND, str(script), "--port", port], capture_output=True, text=True, timeout=60
        )
    assert ran.returncode == 2
    assert port in ran.stderr


def test_it_goes_on_when_nobody_reads_its_log(script: Path):
    with served(str(script)) as (process, base_url):
        assert process.stdout
        process.stdout.close()
        for _ in range(3):
            assert httpx.post(f"{base_url}/responses", json=ASK).status_code == 200
