"""A headless run from its first event to its last: all of them, in order, and how it ends."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import v4

from inkernel.agent.protocol.event_json import event_values

from .playing import COMMAND, inkernel, run_cell, script

CALLS = "x = 1\nfor _ in range(250): await agent_tools.inspect(names=['x'])"
DISPLAYS = "for n in range(900): display(n)"
WORDS = " ".join(map(str, range(3000)))
MANY = {
    "calls of code": (script(run_cell(CALLS)), "tool_called", 250),
    "displays": (script(*[run_cell(DISPLAYS)] * 4), "output_shown", 3600),
    "deltas": (script(say=WORDS), "text_delta", 0),
}


def settings(server: Any) -> tuple[str, ...]:
    return ("--base-url", server.base_url, "--model", "scripted/test")


@pytest.mark.parametrize(("text", "kind", "many"), MANY.values(), ids=MANY)
def test_of_a_burst_of_events_each_arrives_in_order(
    scripted, tmp_path: Path, text: str, kind: str, many: int
):
    ran = inkernel("exec", *settings(scripted(text)), "--json", "Go.", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    shown = [event for event in events if event["event"] == kind]
    assert len(shown) == (many or len(shown))
    if kind == "output_shown":
        numbers = [int(event["output"]["data"]["text/plain"]) for event in shown]
        assert numbers == [*range(900)] * 4
    if kind == "text_delta":
        assert "".join(event["text"] for event in shown) == events[-1]["answer"] == WORDS
    assert [event["event"] for event in events][-1] == "turn_ended"


def test_a_burst_of_a_persons_outputs_is_saved_whole(tmp_path: Path):
    notebook = v4.new_notebook(
        cells=[v4.new_code_cell("for n in range(3000): display(n)", id="many")]
    )
    nbformat.write(notebook, tmp_path / "in.ipynb")
    ran = inkernel("run", "in.ipynb", "--output", "out.ipynb", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    outputs = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[0].outputs
    assert [output.data["text/plain"] for output in outputs] == [str(n) for n in range(3000)]


def test_an_event_that_does_not_arrive_is_told_and_the_run_fails(capsys):
    from inkernel.agent.protocol.events import Notice
    from inkernel.kernel_ext.cli.listener import Listener
    from inkernel.kernel_ext.cli.notebook_runner import _Comm  # pyright: ignore

    for numbers in ([2], [1, 3], [1, 2, 5]):
        listener = Listener(True)
        comm = _Comm(listener.hear)
        data = event_values(Notice(text="Look."))
        for number in numbers:
            comm.handle_msg({"content": {"data": data}, "metadata": {"number": number}})
        assert not listener.end(None, False)
        assert "lost" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_any_standard_output_can_show_any_answer(scripted, tmp_path: Path, encoding: str):
    server = scripted(script(run_cell("print('Zürich → 東京 😀')"), say="Ω is not é."))
    environ = {**os.environ, "PYTHONIOENCODING": encoding}
    plain = inkernel("exec", *settings(server), "Go → é.", cwd=tmp_path, env=environ, text=False)
    assert plain.returncode == 0, plain.stderr
    assert ("Ω" if encoding == "utf-8" else "\\u03a9") in plain.stdout.decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_events_are_json_on_any_standard_output(scripted, tmp_path: Path, encoding: str):
    server = scripted(script(say="Ω is not é."))
    environ = {**os.environ, "PYTHONIOENCODING": encoding}
    arguments = ("exec", *settings(server), "--json", "-")
    ran = inkernel(*arguments, cwd=tmp_path, env=environ, text=False, input="Où est 東京?".encode())
    assert ran.returncode == 0, ran.stderr
    events = [json.loads(line) for line in ran.stdout.decode(encoding).splitlines()]
    assert events[-1]["answer"] == "Ω is not é."
    assert "Où est 東京?" in server.requests[0].decode()


def test_a_turn_goes_on_when_nobody_reads_its_events_and_the_run_fails(scripted, tmp_path: Path):
    server = scripted(script(run_cell("print(1)")))
    arguments = (*settings(server), "--json", "--output", "out.ipynb", "Go.")
    with subprocess.Popen(
        [*COMMAND, "exec", *arguments], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read().decode()
    assert process.returncode == 1
    assert "Not everything could be written" in told and "Traceback" not in told
    assert "Done." in (tmp_path / "out.ipynb").read_text("utf-8")


WAITS = {
    "code that computes": "print('begun', flush=True)\nwhile True: pass",
    "code that sleeps": "import time\nprint('begun', flush=True)\ntime.sleep(100)",
    "code that swallows it": (
        "import time\nprint('begun', flush=True)\n"
        "try: time.sleep(100)\nexcept KeyboardInterrupt: pass"
    ),
}


STOPPED = [*zip((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), WAITS.values(), strict=True)]


@pytest.mark.parametrize(("number", "code"), STOPPED, ids=WAITS)
def test_a_signal_ends_a_run_with_one_line_and_its_own_exit_code(
    tmp_path: Path, number: signal.Signals, code: str
):
    mark = tmp_path / "mark"
    cells = ["before = 1\nbefore", f"open({str(mark)!r}, 'w').close()\n{code}", "after = 2"]
    notebook = v4.new_notebook(cells=[v4.new_code_cell(each) for each in cells])
    nbformat.write(notebook, tmp_path / "in.ipynb")
    with subprocess.Popen(
        [*COMMAND, "run", "in.ipynb", "--output", "out.ipynb"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not mark.exists():
            assert process.poll() is None
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (128 + number, f"Ended by {number.name}.\n")
    saved = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    nbformat.validate(saved)
    assert saved.cells[0].outputs[0].data["text/plain"] == "1"
    assert saved.cells[2].execution_count is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_turn_and_saves_what_there_is(
    scripted, tmp_path: Path, number: signal.Signals
):
    server = scripted('[[turn]]\n[[turn.response]]\nsay = "x"\nfault = {first = 60}\n')
    arguments = (*settings(server), "--output", "out.ipynb", "--json", "Go.")
    with subprocess.Popen(
        [*COMMAND, "exec", *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        while "sample_started" not in process.stdout.readline():
            pass
        process.send_signal(number)
        out, told = process.communicate(timeout=60)
    assert json.loads(out.splitlines()[-1])["status"] == "interrupted"
    assert (process.returncode, told) == (128 + number, f"Ended by {number.name}.\n")
    nbformat.validate(nbformat.read(tmp_path / "out.ipynb", as_version=4))


def test_a_second_signal_ends_code_that_ignores_the_first(tmp_path: Path):
    mark = tmp_path / "mark"
    code = (
        f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"open({str(mark)!r}, 'w').close()\nwhile True: pass"
    )
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(code)]), tmp_path / "in.ipynb")
    with subprocess.Popen(
        [*COMMAND, "run", "in.ipynb"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        while not mark.exists():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode in (130, 143) and told.count("\n") == 1
