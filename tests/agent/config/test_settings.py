"""Settings come from layers, and a wrong one is told with the place it came from."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from inkernel.agent.config.rules import ANY, EFFORTS, RULES, Rule
from inkernel.agent.config.settings import (
    FILE_NAME,
    Effort,
    Layer,
    Settings,
    approved,
    choose,
    nearest,
    read_environment,
    read_file,
    read_layers,
)
from inkernel.agent.errors import SettingsError

VALUES: dict[str, tuple[Any, Any]] = {
    "model": ("lmstudio:x", "scripted:x.toml"),
    "project_models": ("x", "lmstudio:x"),
    "base_url": ("http://127.0.0.1:1/v1", "https://evil.example/v1"),
    "provider": ("lmstudio", "openrouter"),
    "dialect": ("responses", "chat"),
    "api_key_env": ("A", "AWS_SECRET_ACCESS_KEY"),
    "api_key_command": ("x", "curl evil.example"),
    "transport": ("http", "websocket"),
    "tool_search": ("never", "always"),
    "store": ("false", True),
    "cache_ttl": ("5m", "1h"),
    "omit": ("instructions", ["instructions", "tools"]),
    "compress": (True, True),
    "effort": ("low", "max"),
    "summary": ("none", "detailed"),
    "policy": ("deny", "auto"),
    "trial": ("always", "never"),
    "approve": ("rules.toml", "other.toml"),
    "max_samples": (1, 100_000),
    "response_calls": (1, 10**9),
    "turn_tokens": (1, 10**9),
    "turn_cost": (1, 10**9),
    "turn_steps": (1, 10**9),
    "turn_seconds": (1, 10**9),
    "turn_sent": (1, 10**9),
    "session_tokens": (1, 10**9),
    "session_cost": (1, 10**9),
    "session_steps": (1, 10**9),
    "session_seconds": (1, 10**9),
    "session_sent": (1, 10**9),
    "max_attempts": (1, 1_000),
    "connect_timeout": (1e-9, 1e9),
    "first_event_timeout": (1e-9, 1e9),
    "idle_timeout": (1e-9, 1e9),
    "step_timeout": (1, 1e9),
    "step_timeout_max": (1, float("inf")),
    "undo": (True, False),
    "output_tokens": (100, 10**9),
    "cells_tokens": (0, 10**9),
    "names_tokens": (0, 10**9),
    "docs_bytes": (0, 10**9),
    "window": (1, 10**9),
    "compact_at": (0.01, 1),
    "compaction": ("provider", "server"),
    "compact_to": (0.01, 0.99),
    "price_input": (0, 1),
    "price_cached": (0, 1),
    "price_written": (0, 1),
    "price_output": (0, 1),
    "view": ("plain", "static"),
    "timing": (False, "no"),
    "data_dir": ("/tmp", "."),
    "events": (True, True),
    "mcp_files": (".mcp.json", ".mcp.json, ~/.codex/config.toml"),
}
"""A stricter and a looser value of each setting, where it has a direction, else any two."""
LOOSE = {"policy": "auto", "trial": "never", "store": True, "undo": False}
STRICT = {"policy": "deny", "trial": "always", "store": False, "undo": True, "turn_seconds": 1}
STRICT |= {f"session_{what}": 1 for what in ("tokens", "cost", "steps", "seconds", "sent")}


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
    second = write(project, 'model = "b"\neffort = "high"\nmax_samples = 2')
    environ = {"INKERNEL_MODEL": "c", "INKERNEL_EFFORT": "max"}
    chosen = choose([*read_layers(project, own, environ), Layer("typed", {"model": "d"})])
    assert chosen.settings == Settings(model="d", effort="max", max_samples=2, view="plain")
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


@pytest.mark.parametrize(("name", "rule"), RULES.items())
def test_each_setting_is_taken_of_a_project_only_in_its_direction(name: str, rule: Rule):
    for mine, value in zip((LOOSE, STRICT), VALUES[name], strict=True):
        you = Layer("yours", {key: it for key, it in mine.items() if key == name})
        theirs = Layer("theirs", {name: value}, limits=True)
        chosen = choose([you, theirs])
        if rule is ANY or (rule.limits and value == VALUES[name][0]):
            assert (chosen.origins, chosen.refused) == ({name: "theirs"}, ())
        else:
            assert chosen == replace(choose([you]), refused=chosen.refused)
            (text,) = chosen.refused
            assert text.startswith(f"theirs sets {name}") and rule.words in text
        typed = choose([theirs, Layer("typed", {name: value})])
        assert (typed.origins[name], typed.refused) == ("typed", ())


def test_every_setting_has_a_rule_and_values_to_try():
    assert set(RULES) == set(VALUES) == set(Settings.model_fields)
    assert get_args(Effort) == EFFORTS


@pytest.mark.parametrize(
    ("mine", "theirs", "taken"),
    [
        ({}, "gpt-5.5", False),
        ({}, "lmstudio:x", False),
        ({"model": "gpt-5.5"}, "openrouter:x", False),
        ({"project_models": "gpt-5.5, lmstudio:x"}, "lmstudio:x", True),
        ({"project_models": ["gpt-5.5"]}, "gpt-5.5", True),
        ({"project_models": ["gpt-5.5"]}, "gpt-5.5-pro", False),
        ({"project_models": ["scripted:x.toml"]}, "scripted:x.toml", False),
    ],
)
def test_a_project_chooses_only_among_the_models_that_you_list(
    mine: dict[str, Any], theirs: str, taken: bool
):
    project = Layer("theirs", {"model": theirs}, limits=True)
    chosen = choose([Layer("mine", mine), project])
    assert (chosen.settings.model == theirs) is taken
    assert bool(chosen.refused) is not taken
    listed_later = choose([project, Layer("typed", mine)])
    assert (listed_later.settings.model == theirs) is taken


def test_the_value_that_you_have_is_no_news(own: Path, project: Path):
    for folder in (own, project):
        write(folder, 'model = "gpt-5.5"\npolicy = "ask"\nmax_samples = 5')
    assert choose(read_layers(project, own, {})).refused == ()


def test_a_long_value_is_named_by_its_beginning():
    (text,) = choose([Layer("theirs", {"model": "x" * 10_000}, limits=True)]).refused
    assert len(text) < 250


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


def test_a_file_does_not_set_the_policy_without_walls(own: Path, project: Path):
    write(own, 'policy = "full, never"\neffort = "low"')
    chosen = choose(read_layers(project, own, {}))
    assert chosen.settings.policy == "auto" and chosen.settings.effort == "low"
    assert "it must be typed" in chosen.refused[0] and "`%agent policy full`" in chosen.refused[0]
    assert choose(read_layers(project, own, {"INKERNEL_POLICY": "full"})).settings.policy == "full"


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("POLICY", "full", False),
        ("POLICY", "deny", True),
        ("MAX_SAMPLES", "1000", False),
        ("MAX_SAMPLES", "3", True),
        ("BASE_URL", "http://127.0.0.1:9/v1", False),
        ("API_KEY_COMMAND", "curl x", False),
        ("MODEL", "other", False),
    ],
)
def test_a_variable_that_changed_since_the_session_began_only_limits(
    own: Path, project: Path, name: str, value: str, taken: bool
):
    began = {"INKERNEL_EFFORT": "low", "INKERNEL_MAX_SAMPLES": "10"}
    now = {**began, f"INKERNEL_{name}": value}
    chosen = choose(read_layers(project, own, now, began))
    assert (str(getattr(chosen.settings, name.lower())) == value) is taken
    assert chosen.settings.effort == "low"
    assert ("since the session began" in " ".join(chosen.refused)) is not taken
    gone = choose(read_layers(project, own, {}, began))
    assert (gone.settings.max_samples, gone.settings.effort) == (10, "low")


def test_a_file_of_rules_answers_and_has_rules_alone(own: Path, project: Path):
    (own / "mine.toml").write_text('[[rules]]\ndecision = "allow"\npath = "out"')
    chosen = choose([Layer("typed", {"approve": "../own/mine.toml"})])
    (rule,) = approved(chosen, project.joinpath).rules
    assert (rule.decision, rule.path) == ("allow", str(own / "out"))
    (own / "mine.toml").write_text('policy = "ask"\n[[rules]]\ndecision = "allow"\nhost = "x"')
    with pytest.raises(SettingsError, match="more than rules"):
        approved(chosen, project.joinpath)
    (own / "mine.toml").unlink()
    with pytest.raises(SettingsError, match="is missing"):
        approved(chosen, project.joinpath)
