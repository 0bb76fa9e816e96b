"""The command `inkernel`, as a user calls it: real processes, real kernels."""

import contextlib
import io
import json
import subprocess
import sys
from typing import Any

import nbformat
import pytest
from nbformat import v4

from inkernel.kernel_ext.cli.main import main
from inkernel.kernel_ext.cli.shell_words import in_shell

from .playing import inkernel

SCRIPT = """
model = "scripted/test"
[[turn]]
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
[turn.response.call.arguments]
title = "Look"
code = "answer = 6 * 7; print(answer)"
[[turn.response]]
say = "It is 42."
"""


@pytest.fixture
def model(scripted, monkeypatch) -> Any:
    server = scripted(SCRIPT)
    monkeypatch.setenv("INKERNEL_BASE_URL", server.base_url)
    monkeypatch.setenv("INKERNEL_MODEL", "scripted/test")
    return server


def test_exec_runs_a_turn_and_shows_it(model, tmp_path):
    ran = inkernel("exec", "What is 6 * 7?", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "Look" in ran.stdout and "42" in ran.stdout and "It is 42." in ran.stdout


def test_exec_json_prints_one_event_a_line_and_nothing_else(model, tmp_path):
    from pydantic import TypeAdapter

    from inkernel.agent.protocol.events import Event, TurnEnded, TurnStarted

    ran = inkernel("exec", "--json", "-", cwd=tmp_path, input="What is 6 * 7?")
    events = [TypeAdapter(Event).validate_json(line) for line in ran.stdout.splitlines()]
    assert isinstance(events[0], TurnStarted) and isinstance(events[-1], TurnEnded)
    assert events[-1].status == "completed" and ran.returncode == 0


def test_exec_runs_a_notebooks_cells_first_and_saves_the_whole(model, tmp_path):
    notebook = v4.new_notebook(cells=[v4.new_code_cell("base = 40", id="base")])
    nbformat.write(notebook, tmp_path / "in.ipynb")
    ran = inkernel(
        "exec", "--notebook", "in.ipynb", "--output", "sub/out.ipynb", "Go.", cwd=tmp_path
    )
    assert ran.returncode == 0, ran.stderr
    saved = nbformat.read(tmp_path / "sub" / "out.ipynb", as_version=4)
    nbformat.validate(saved)
    assert [cell.source for cell in saved.cells] == [
        "base = 40",
        "%load_ext inkernel",
        "%%agent\nGo.",
    ]
    assert "It is 42." in saved.cells[-1].outputs[0]["data"]["text/markdown"]


def test_flags_are_stronger_than_the_environment(model, tmp_path):
    assert inkernel("exec", "--model", "another", "Go.", cwd=tmp_path).returncode == 0
    assert json.loads(model.requests[0])["model"] == "another"


def test_a_failed_turn_gives_exit_code_1_and_its_cause(scripted, tmp_path):
    server = scripted('[[turn]]\n[[turn.response]]\nsay = "x"\nfault = {status = 404}\n')
    arguments = ("--base-url", server.base_url, "--model", "missing")
    ran = inkernel("exec", *arguments, "--json", "Go.", cwd=tmp_path)
    ended = json.loads(ran.stdout.splitlines()[-1])
    assert (ran.returncode, ended["event"], ended["status"]) == (1, "turn_ended", "failed")
    assert "'missing'" in ended["error"] and ended["hint"]


def test_a_turn_that_never_began_is_told_as_an_event_too(tmp_path):
    arguments = ("--base-url", "http://127.0.0.1:9/v1", "--json", "Go.")
    ran = inkernel("exec", *arguments, cwd=tmp_path)
    assert ran.returncode == 1
    assert json.loads(ran.stdout)["status"] == "failed" and "127.0.0.1:9" in ran.stdout


@pytest.mark.parametrize(
    ("advice", "told"),
    [
        ("Set it: `%agent config base_url URL`.", "Set it: `--base-url URL`."),
        ("Choose another model: `%agent model`.", "Choose another model: `--model MODEL`."),
        ("`%agent config dialect NAME` names it.", "`--dialect NAME` names it."),
        ("`%agent config window N` sets it.", "`INKERNEL_WINDOW=N` sets it."),
        ("`%agent config` lists all.", "`%agent config` lists all."),
        ("Set it for this kernel alone: `%env A_KEY=KEY`.", "Set it: `export A_KEY=KEY`."),
        ("`%agent key openai` asks for it.", "`keyring set inkernel openai` asks for it."),
        ("`%agent demo` shows a turn.", "`inkernel demo` shows a turn."),
    ],
)
def test_advice_is_in_words_for_a_shell(advice: str, told: str):
    assert in_shell(advice) == told


def test_exec_without_a_model_names_its_flags_and_a_misspelt_provider(tmp_path):
    ran = inkernel("exec", "--model", "olama:qwen3", "Go.", cwd=tmp_path)
    assert "There is no provider 'olama'. Did you mean ollama?" in ran.stderr
    assert "`--base-url URL` and `--model NAME`" in ran.stderr and "%agent" not in ran.stderr


def test_run_executes_a_notebook_elsewhere_and_two_runs_are_equal(model, tmp_path):
    cells = ["%load_ext inkernel", "%%agent\nGo.", "assert answer == 42\nanswer"]
    notebook = v4.new_notebook(
        cells=[v4.new_code_cell(source, id=f"c{n}") for n, source in enumerate(cells)]
    )
    (tmp_path / "books").mkdir()
    nbformat.write(notebook, tmp_path / "books" / "book.ipynb")
    saved = []
    for run in ("one", "two"):
        out = f"{run}.ipynb"
        ran = inkernel("run", "books/book.ipynb", "--output", out, "--html", "x.html", cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
        saved.append(nbformat.read(tmp_path / out, as_version=4))
    for book in saved:
        for cell in book.cells:
            for output in cell.outputs:
                output.get("metadata", {}).clear()
    assert saved[0] == saved[1]
    assert "It is 42." in (tmp_path / "x.html").read_text()


def test_run_keeps_the_order_in_which_a_cell_shows_things(scripted, tmp_path):
    server = scripted(SCRIPT + '[[turn]]\n[[turn.response]]\nsay = "Still 42."\n')
    shows = (
        "import sys\nprint('a'); print('b', file=sys.stderr)\n"
        "h = display('one', display_id='d'); print('c'); print('10 %\\r20 %', flush=True)\n"
        "display('two')\nprint('d'); print('e')"
    )
    turns = "ask = get_ipython().run_cell_magic\nprint('before')\n" + "\n".join(
        f"await ask('agent', '', 'Go.')\nprint('after {n}')" for n in (1, 2)
    )
    cells = ["%load_ext inkernel", shows, turns, "h.update('three')"]
    book = v4.new_notebook(cells=[v4.new_code_cell(it, id=f"c{n}") for n, it in enumerate(cells)])
    nbformat.write(book, tmp_path / "book.ipynb")
    where = ("--base-url", server.base_url, "--model", "scripted/test")
    ran = inkernel("run", "book.ipynb", *where, "--output", "out.ipynb", cwd=tmp_path)
    saved = nbformat.read(tmp_path / "out.ipynb", as_version=4)

    def said(cell: Any) -> list[str]:
        return [it.get("text") or it["data"].get("text/plain", "") for it in cell.outputs]

    assert said(saved.cells[1]) == ["a\n", "b\n", "'three'", "c\n20 %\n", "'two'", "d\ne\n"]
    first, *turn, last = said(saved.cells[2])
    assert (first, last) == ("before\n", "after 2\n") and "after 1\n" in turn, ran.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("exec", " "), "The prompt is empty"),
        (("run", "missing.ipynb"), "missing.ipynb"),
        (("exec", "--policy", "yolo", "Go."), "the command line: policy = 'yolo'"),
        (("exec", "--polic", "ask", "Go."), "--polic"),
    ],
)
def test_wrong_usage_is_said_in_a_sentence(arguments, says, tmp_path):
    ran = inkernel(*arguments, cwd=tmp_path)
    assert ran.returncode == 2
    assert says in ran.stderr and "Traceback" not in ran.stderr


def test_a_kernel_that_crashes_is_told_with_its_last_words(tmp_path):
    crash = "import ctypes, faulthandler\nfaulthandler.enable()\nctypes.string_at(0)"
    notebook = v4.new_notebook(cells=[v4.new_code_cell(crash, id="crash")])
    nbformat.write(notebook, tmp_path / "crash.ipynb")
    ran = inkernel("run", "crash.ipynb", cwd=tmp_path)
    assert ran.returncode == 1 and "The kernel died." in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_file_that_is_no_notebook_is_named(tmp_path):
    (tmp_path / "bad.ipynb").write_text("not json")
    ran = inkernel("run", "bad.ipynb", cwd=tmp_path)
    assert ran.returncode == 2 and "bad.ipynb" in ran.stderr and "Traceback" not in ran.stderr


def test_without_the_extra_it_says_how_to_install_it(tmp_path):
    hide = "import sys; sys.modules['nbclient'] = None; sys.argv = ['inkernel', 'exec', 'Go.']\n"
    code = hide + "from inkernel.kernel_ext.cli.main import main; sys.exit(main())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 2 and "pip install 'jupyter-client>=" in ran.stderr


def test_demo_shows_turns_without_a_key_and_leaves_nothing(tmp_path):
    ran = inkernel("demo", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "scripted model" in ran.stdout and "wettest" in ran.stdout
    assert "OPENAI_API_KEY" in ran.stdout.splitlines()[-1]
    assert not list(tmp_path.rglob("*.ipynb"))


def test_demo_keeps_its_notebook_where_one_asks_and_overwrites_nothing(tmp_path):
    assert inkernel("demo", "--folder", "demo", cwd=tmp_path).returncode == 0
    kept = nbformat.read(tmp_path / "demo" / "quickstart.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in kept.cells)
    (tmp_path / "demo" / "quickstart.ipynb").unlink()
    again = inkernel("demo", "--folder", "demo", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "is there already" in again.stderr
    assert not (tmp_path / "demo" / "quickstart.ipynb").exists(), "nothing is written in part"


def test_the_command_runs_where_standard_output_is_no_file():
    with contextlib.redirect_stdout(io.StringIO()) as said, pytest.raises(SystemExit):
        main(["--help"])
    assert "demo" in said.getvalue()


def test_rules_of_a_file_answer_where_nobody_can(scripted, tmp_path, monkeypatch):
    folders = [tmp_path / name for name in ("work", "tmp", "out")]
    for folder in folders:
        folder.mkdir()
    work, temporary, out = folders
    code = f"open('{out}/x', 'w').write('x')"
    server = scripted(SCRIPT.replace("answer = 6 * 7; print(answer)", code))
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("INKERNEL_BASE_URL", server.base_url)
    (work / "mine.toml").write_text('[[rules]]\ndecision = "allow"\npath = "../out"')
    asked = ("exec", "--model", "scripted/test", "Write.")
    assert inkernel(*asked, cwd=work).returncode == 0 and not (out / "x").exists()
    server = scripted(SCRIPT.replace("answer = 6 * 7; print(answer)", code))
    monkeypatch.setenv("INKERNEL_BASE_URL", server.base_url)
    ran = inkernel(*asked, "--approve", "mine.toml", cwd=work)
    assert (out / "x").read_text() == "x", ran.stdout + ran.stderr
    ran = inkernel(*asked, "--approve", "none.toml", cwd=work)
    assert ran.returncode == 2 and "none.toml is missing" in ran.stderr
