"""Script files: what they may say, and how a bad one is refused."""

import inspect
import textwrap
from pathlib import Path

import pytest
from pydantic import ValidationError

from inkernel.agent.errors import SettingsError
from inkernel.agent.scripted import script
from inkernel.agent.scripted.script import load_script

TURN = "[[turn]]\n[[turn.response]]\n"


def test_the_documented_example_loads(tmp_path: Path):
    documentation = inspect.getdoc(script) or ""
    example = textwrap.dedent(documentation[documentation.index("    model =") :])
    path = tmp_path / "demo.toml"
    path.write_text(example)
    loaded = load_script(path)
    assert loaded.model == "scripted/quickstart"
    assert loaded.turn[0].on == "wettest"
    first, second = loaded.turn[0].response
    assert first.call[0].arguments == {"names": ["weather"]}
    assert second.expect == "weather: DataFrame"


def test_code_in_a_multi_line_literal_string_is_kept_as_written(tmp_path: Path):
    path = tmp_path / "code.toml"
    path.write_text(
        TURN + "[[turn.response.call]]\nname = 'run_cell'\n[turn.response.call.arguments]\n"
        "code = '''\nprint(\"a\\tb\")\n'''\n"
    )
    call = load_script(path).turn[0].response[0].call[0]
    assert call.arguments == {"code": 'print("a\\tb")\n'}


def test_a_script_cannot_be_changed(tmp_path: Path):
    path = tmp_path / "s.toml"
    path.write_text(TURN + "say = 'hi'")
    with pytest.raises(ValidationError, match="frozen"):
        load_script(path).model = "other"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("model = \n[[turn]]", "line 1"),
        ("", "turn: "),
        ("turn = []", "turn: "),
        ("[[turn]]", "turn[0].response: "),
        ("[[turn]]\nresponse = []", "turn[0].response: "),
        (TURN, "turn[0].response[0]: "),
        (TURN + "[turn.response.fault]", "turn[0].response[0]: "),
        (TURN + "expect = 'x'", "turn[0].response[0]: "),
        ("modle = 'x'\n" + TURN + "say = ''", "modle: there is no such key"),
        (TURN + "sya = 'x'\nsay = 'x'", "turn[0].response[0].sya: there is no such key"),
        (TURN + "say = 'a'\n[[turn]]\non = ''", "turn[1].on: "),
        (
            TURN + "[[turn.response.call]]\nnam = 'x'",
            "turn[0].response[0].call[0].nam: there is no",
        ),
        (
            TURN + "[[turn.response.call]]\nname = 'x'\narguments = {when = 2024-01-01}",
            "turn[0].response[0].call[0].arguments",
        ),
        ("pace = -1\n" + TURN + "say = 'x'", "pace: "),
        ("pace = inf\n" + TURN + "say = 'x'", "pace: "),
        (TURN + "fault = {after = -1}", "turn[0].response[0].fault.after: "),
        (TURN + "fault = {status = 99}", "turn[0].response[0].fault.status: "),
        (TURN + "fault = {event = 'odd'}", "turn[0].response[0].fault.event: "),
        (TURN + "fault = {headers = {x = 'a\\nb'}}".replace("'", '"'), "fault.headers.x"),
        (TURN + "fault = {content_type = ''}", "fault.content_type: "),
        (TURN + "fault = {close = 1006}", "fault.close: "),
        (TURN + "fault = {over = 'pigeon'}", "fault.over: "),
        ("websocket = {status = 101}\n" + TURN + "say = 'x'", "websocket.status: "),
        ("deviations = ['no_dnoe']\n" + TURN + "say = 'x'", "'no_dnoe'; near it: no_done"),
    ],
)
def test_a_bad_script_is_refused_with_the_file_and_the_place(tmp_path: Path, text: str, place: str):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_script(path)
    assert str(path) in caught.value.message
    assert place in caught.value.message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"model = '\xe9'")
    for path in (tmp_path / "missing.toml", tmp_path, latin):
        with pytest.raises(SettingsError, match="cannot be read") as caught:
            load_script(path)
        assert str(path) in caught.value.message


def test_a_script_beside_the_project_is_read_by_a_path_with_dots(tmp_path: Path):
    (tmp_path / "project" / ".git").mkdir(parents=True)
    (tmp_path / "demo.toml").write_text("[[turn]]\n[[turn.response]]\nsay = 'x'\n")
    assert load_script(tmp_path / "project" / ".." / "demo.toml").turn
