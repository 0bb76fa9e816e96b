"""Settings come from layers, and a wrong one is told with the place it came from."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from inkernel.agent.config.settings import (
    FILE_NAME,
    PRIVATE,
    Layer,
    Settings,
    choose,
    nearest,
    read_environment,
    read_file,
    read_layers,
)
from inkernel.agent.errors import SettingsError


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The user's settings folder."""
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's root."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    return folder


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / FILE_NAME
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_without_any_layer_all_is_default():
    chosen = choose([])
    assert chosen.settings == Settings()
    assert chosen.origins == {}


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().model = "x"


def test_the_later_layer_wins_and_each_value_has_its_origin(own: Path, project: Path):
    first = write(own, 'model = "a"\neffort = "low"\nmax_samples = 3\nview = "plain"')
    second = write(project, 'model = "b"\neffort = "high"\nmax_samples = 4')
    environ = {"INKERNEL_MODEL": "c", "INKERNEL_EFFORT": "max"}
    chosen = choose([*read_layers(project, own, environ), Layer("typed", {"model": "d"})])
    assert chosen.settings == Settings(model="d", effort="max", max_samples=4, view="plain")
    assert chosen.origins == {
        "model": "typed",
        "effort": "INKERNEL_* in the environment",
        "max_samples": str(second),
        "view": str(first),
    }


def test_the_nearest_file_of_the_project_holds(own: Path, project: Path):
    inner = project / "a" / "b"
    inner.mkdir(parents=True)
    write(project, "max_samples = 1")
    write(project / "a", "max_samples = 2")
    assert choose(read_layers(inner, own, {})).settings.max_samples == 2
    assert choose(read_layers(project, own, {})).settings.max_samples == 1


def test_variables_are_parsed_as_what_they_set():
    environ = {
        "INKERNEL_MAX_SAMPLES": "7",
        "INKERNEL_TIMING": "false",
        "INKERNEL_IDLE_TIMEOUT": "1.5",
        "INKERNEL_DATA_DIR": "/data",
        "INKERNEL_MODEL": "",
        "HOME": "/home/ada",
    }
    settings = choose([read_environment(environ)]).settings
    assert settings == Settings(
        max_samples=7, timing=False, idle_timeout=1.5, data_dir=Path("/data")
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"polcy": "ask"}, "there: there is no setting 'polcy'. Did you mean policy?"),
        ({"xyzzy": 1}, "there: there is no setting 'xyzzy'."),
        ({"policy": "yolo"}, "there: policy = 'yolo' is not valid: "),
        ({"max_samples": 0}, "there: max_samples = 0 is not valid: "),
        ({"max_samples": "many"}, "there: max_samples = 'many' is not valid: "),
        ({"model": {"name": "x"}}, "there: model = {'name': 'x'} is not valid: "),
        ({"base_url": "localhost:8000"}, "there: base_url = 'localhost:8000' is not valid: "),
        ({"base_url": "http://[::1"}, "there: base_url = 'http://[::1' is not valid: "),
        ({"base_url": "http://"}, "there: base_url = 'http://' is not valid: "),
        ({"base_url": "http://host/v1#x"}, "there: base_url = 'http://host/v1#x' is not valid: "),
        ({"api_key_env": "MY KEY"}, "there: api_key_env = […] is not valid: "),
        (
            {"base_url": "https://me:pw@host/v1"},
            "there: base_url = 'https://[…]@host/v1' is not valid: ",
        ),
    ],
)
def test_a_wrong_setting_names_its_place(values: dict[str, Any], words: str):
    with pytest.raises(SettingsError) as raised:
        choose([Layer("elsewhere", {"model": "x"}), Layer("there", values)])
    assert raised.value.message.startswith(words)
    assert raised.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1",
        "https://api.example.org/v1",
        "http://[::1]:80/v1",
        "https://r.openai.azure.com/openai/v1?api-version=preview",
    ],
)
def test_any_address_of_a_server_will_do(url: str):
    assert choose([Layer("there", {"base_url": url})]).settings.base_url == url


def test_a_value_is_judged_where_it_is_even_when_a_later_layer_replaces_it():
    with pytest.raises(SettingsError, match="first: max_samples"):
        choose([Layer("first", {"max_samples": 0}), Layer("second", {"max_samples": 5})])


@pytest.mark.parametrize("text", ["model = ", b"\xff\xfe", "model = 'a'\nmodel = 'b'"])
@pytest.mark.parametrize("whose", ["own", "project"])
def test_a_corrupt_file_is_named(own: Path, project: Path, whose: str, text: str | bytes):
    path = write(own if whose == "own" else project, text)
    with pytest.raises(SettingsError) as raised:
        read_layers(project, own, {})
    assert raised.value.message.startswith(f"{path} cannot be read: ")


def test_a_folder_in_place_of_the_file_is_named(own: Path):
    (own / FILE_NAME).mkdir()
    with pytest.raises(SettingsError, match="cannot be read: "):
        read_file(own / FILE_NAME)


@pytest.mark.parametrize("key", PRIVATE)
def test_a_project_may_not_say_where_keys_are_sent(own: Path, project: Path, key: str):
    path = write(project, f'{key} = "http://evil.example/v1"')
    with pytest.raises(SettingsError) as raised:
        read_layers(project, own, {})
    assert raised.value.message.startswith(f"{path} sets {key}, which a project may not")
    assert f"INKERNEL_{key.upper()}" in raised.value.hint
    mine = {"store": "true", "api_key_env": '"A_KEY"'}.get(key, '"http://mine.example/v1"')
    write(own, f"{key} = {mine}")
    (project / FILE_NAME).unlink()
    assert choose(read_layers(project, own, {})).origins[key] == str(own / FILE_NAME)


@pytest.mark.parametrize(
    ("ours", "theirs", "policy", "whose"),
    [
        ("ask", "auto", "ask", "own"),
        ("deny", "ask", "deny", "own"),
        ("auto", "ask", "ask", "project"),
        ("ask", "deny", "deny", "project"),
        (None, "deny", "deny", "project"),
        ("ask", None, "ask", "own"),
    ],
)
def test_a_project_may_make_the_policy_stricter_never_looser(
    own: Path, project: Path, ours: str | None, theirs: str | None, policy: str, whose: str
):
    paths = {
        "own": write(own, f'policy = "{ours}"' if ours else ""),
        "project": write(project, f'policy = "{theirs}"' if theirs else ""),
    }
    chosen = choose(read_layers(project, own, {}))
    assert chosen.settings.policy == policy
    assert chosen.origins["policy"] == str(paths[whose])


def test_what_the_person_says_later_may_loosen_the_policy(own: Path, project: Path):
    write(project, 'policy = "deny"')
    layers = read_layers(project, own, {"INKERNEL_POLICY": "ask"})
    assert choose(layers).settings.policy == "ask"
    assert choose([*layers, Layer("typed", {"policy": "auto"})]).settings.policy == "auto"


def test_a_wrong_policy_of_a_project_is_told_not_hidden(own: Path, project: Path):
    write(own, 'policy = "ask"')
    write(project, "policy = ['auto']")
    with pytest.raises(SettingsError, match="policy = "):
        choose(read_layers(project, own, {}))


def test_the_nearest_word_is_offered_or_none():
    assert nearest("modle", ["model", "view"]) == " Did you mean model?"
    assert nearest("xyzzy", ["model", "view"]) == ""


def test_a_project_may_not_choose_a_script_to_play_as_the_model(own: Path, project: Path):
    path = write(project, 'model = "scripted:steps.toml"')
    with pytest.raises(SettingsError, match="scripted") as raised:
        read_layers(project, own, {})
    assert str(path) in raised.value.message
    write(own, 'model = "scripted:steps.toml"')
    (project / FILE_NAME).unlink()
    assert choose(read_layers(project, own, {})).settings.model == "scripted:steps.toml"


def test_the_scheme_of_an_address_is_read_in_any_case():
    assert Settings(base_url="HTTPS://api.example.org/V1").base_url == "https://api.example.org/V1"


@pytest.mark.parametrize("key", ["sk-proj-1", "1KEY", "A_KEY\n", "", "sk_ü"])
def test_a_key_given_for_the_name_of_its_variable_is_not_shown(key: str):
    with pytest.raises(SettingsError) as raised:
        choose([Layer("there", {"api_key_env": key})])
    assert "the name of the variable" in raised.value.message
    assert not key.strip() or key.strip() not in str(raised.value)


@pytest.mark.parametrize("key", ["api_key_env", "api_key_command"])
@pytest.mark.parametrize("server", [{"base_url": "http://b.example/v1"}, {"provider": "vllm"}])
def test_a_key_goes_only_to_the_server_it_was_named_with(key: str, server: dict[str, str]):
    first = Layer("first", {"base_url": "http://a.example/v1", key: "CORP"})
    other = choose([first, Layer("second", server)])
    assert getattr(other.settings, key) is None
    assert key not in other.origins
    anew = choose([first, Layer("second", {**server, key: "OWN"})])
    assert (getattr(anew.settings, key), anew.origins[key]) == ("OWN", "second")
    same = choose([first, Layer("second", {"model": "m"})])
    assert getattr(same.settings, key) == "CORP"


def test_a_key_named_with_another_server_takes_the_place_of_both_ways_to_find_one():
    first = Layer("first", {"base_url": "http://a.example/v1", "api_key_command": "corp"})
    second = Layer("second", {"base_url": "http://b.example/v1", "api_key_env": "OWN"})
    assert choose([first, second]).settings.api_key_command is None
