"""MCP servers are configured in files, and a project's file decides neither keys nor trust."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.config.mcp_servers import (
    YOURS_OF_SERVER,
    McpServer,
    filled,
    first_of_each,
    server_fingerprint,
    servers_in,
)
from inkernel.agent.config.settings import FILE_NAME, choose, read_file, read_layers
from inkernel.agent.errors import SettingsError

FILE = Path("/home/me/inkernel.toml")
HERE = Path("/work/here")

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)
keys = st.sampled_from([*McpServer.model_fields, "comand"])


def server(**given: Any) -> McpServer:
    """The one server that a table configures in your own file."""
    (found,), _ = servers_in({"mcp": {"git": given}}, FILE, own=True)
    return found


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (folder := tmp_path / "own").mkdir()
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (folder := tmp_path / "project").mkdir()
    (folder / ".git").mkdir()
    return folder


def test_a_program_and_an_address_are_servers():
    program = server(command="uvx", args=["mcp-server-git"], env={"A": "b"}, tool_timeout=5)
    assert (program.command, program.args, program.tool_timeout) == ("uvx", ("mcp-server-git",), 5)
    assert (program.origin, program.own, program.expose) == (str(FILE), True, "auto")
    address = server(url="https://example.org/mcp", headers={"X": "y"}, bearer_token="example")
    assert (address.url, address.startup_timeout, address.trusted) == (
        *("https://example.org/mcp", 30),
        False,
    )
    assert "'y'" not in repr(address) and "'b'" not in repr(program)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({}, "it needs either a command or a url"),
        ({"command": "x", "url": "http://a.example"}, "it needs either a command or a url"),
        ({"command": ""}, "command: String should have at least 1 character"),
        ({"command": "x", "comand": 1}, "there is no key 'comand'"),
        ({"command": "x", "own": True}, "there is no key 'own'"),
        ({"command": "x", "headers": {"A": "b"}}, "headers has no meaning beside command"),
        ({"url": "http://a.example", "args": ["b"]}, "args has no meaning beside url"),
        ({"url": "ftp://a.example"}, "url is an address"),
        ({"url": "https://me:secret@a.example"}, "url is an address"),
        ({"command": "x", "env": {"TOKEN": 1234}}, "env.TOKEN: Input should be a valid string"),
        ({"command": "x", "expose": "all"}, "expose: Input should be 'auto'"),
        ({"command": "x", "tool_timeout": 0}, "tool_timeout: Input should be greater than 0"),
        (
            {"url": "http://a.example", "bearer_token_env": "sk-12"},
            "bearer_token_env: String should match",
        ),
        (5, "is no table"),
    ],
)
def test_a_wrong_server_is_told_with_file_server_and_key_and_never_its_value(table: Any, told: str):
    with pytest.raises(SettingsError) as caught:
        servers_in({"mcp": {"git": table}}, FILE, own=True)
    message = caught.value.message
    assert message.startswith(f"{FILE}: the MCP server 'git'") and told in message
    assert not any(secret in message for secret in ("1234", "secret", "sk-12"))
    if "bearer_token_env" not in message:
        found, (sentence,) = servers_in({"mcp": {"git": table}}, FILE, own=False)
        assert found == () and told in sentence


def test_of_a_project_one_wrong_server_leaves_the_others():
    tables = {"a": {"command": "x"}, "b": {"comand": "x"}, "\x1b\n": {"command": "x"}}
    found, refused = servers_in({"mcp": tables}, FILE, own=False)
    assert [it.name for it in found] == ["a"] and len(refused) == 2
    assert all(it.isprintable() for it in refused)
    assert servers_in({"mcp": 5}, FILE, own=False)[1]
    assert servers_in({}, FILE, own=True) == ((), ())


@pytest.mark.parametrize("key", YOURS_OF_SERVER)
def test_a_project_decides_neither_where_a_key_goes_nor_whom_to_trust(key: str):
    kinds = {"bearer": "OPENAI_API_KEY", "client": "OPENAI_API_KEY", "redirect": 8080}
    value = kinds.get(key.split("_")[0], True)
    table = {"url": "https://evil.example", key: value}
    (theirs,), (sentence,) = servers_in({"mcp": {"x": table}}, FILE, own=False)
    assert f"sets {key}, which is not taken: only you" in sentence
    assert not theirs.own and getattr(theirs, key) in (None, False)
    assert getattr(servers_in({"mcp": {"x": table}}, FILE, own=True)[0][0], key) == value


@given(st.dictionaries(st.text(max_size=5), st.dictionaries(keys, values) | values) | values)
def test_any_table_of_a_project_is_read_or_told(tables: Any):
    found, refused = servers_in({"mcp": tables}, FILE, own=False)
    assert all(it.isprintable() for it in refused)
    for it in found:
        assert not (it.own or it.trusted or it.sampling or it.required)
        assert it.bearer_token is it.bearer_token_env is None


def test_tools_are_offered_by_two_lists():
    assert server(command="x").offers("a")
    some = server(command="x", enabled_tools=["a", "b"], disabled_tools=["b"])
    assert [some.offers(it) for it in "abc"] == [True, False, False]


def test_places_are_filled():
    given = server(
        command="${HOME_BIN:-/usr/bin}/run",
        args=["--at", "${workspaceFolder}/data", "${env:WHERE}", "$HOME {x}"],
        env={"TOKEN": "${TOKEN}", "EMPTY": "${NONE:-}"},
        cwd="sub",
    )
    found = filled(given, {"TOKEN": "t", "WHERE": "w ${TOKEN}", "HOME_BIN": ""}, HERE)
    assert found.command == "/usr/bin/run"
    assert found.args == ("--at", "/work/here/data", "w ${TOKEN}", "$HOME {x}")
    assert found.env == {"TOKEN": "t", "EMPTY": ""}
    assert found.cwd == "/work/here/sub"
    assert filled(server(command="x"), {}, HERE).cwd == "/work/here"
    theirs = server(command="x", cwd="sub").model_copy(update={"folder": "/work/project"})
    assert filled(theirs, {}, HERE).cwd == "/work/project/sub"
    address = server(url="${BASE}/mcp", headers={"Authorization": "Bearer ${TOKEN}"})
    found = filled(address, {"BASE": "https://a.example", "TOKEN": "t"}, HERE)
    assert (found.url, found.headers) == (
        *("https://a.example/mcp", {"Authorization": "Bearer t"}),
    )
    assert found.cwd is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"env": {"KEY": "${GITHUB_TOKEN}"}}, "env.KEY needs the variable GITHUB_TOKEN, which is"),
        ({"args": ["${env:A}"]}, "args needs the variable A, which is not set"),
        ({"args": ["${input:token}"]}, "args has '${input:token}', for which there is no value"),
        ({"args": ["${}"]}, "args has '${}'"),
        ({"cwd": "${a b}"}, "cwd has '${a b}'"),
    ],
)
def test_a_place_without_a_value_is_told(given: dict[str, Any], told: str):
    with pytest.raises(SettingsError) as caught:
        filled(server(command="x", **given), {"OTHER": "1"}, HERE)
    assert f"{FILE}: the MCP server 'git': {told}" in caught.value.message


def test_an_address_that_is_none_once_it_is_filled_is_told_without_its_value():
    with pytest.raises(SettingsError) as caught:
        filled(server(url="${BASE}/mcp"), {"BASE": "secret://x"}, HERE)
    assert "is not valid" in caught.value.message and "secret" not in caught.value.message


def test_a_fingerprint_changes_with_all_that_would_run():
    program = {"command": "x", "args": ["a", "b"], "env": {"A": "1"}, "cwd": "c"}
    address = {"url": "https://a.example", "headers": {"A": "${T}"}, "bearer_token_env": "B"}
    changed = [
        *({"command": "y"}, {"args": ["a b"]}, {"args": ["b", "a"]}, {"env": {"A": "2"}}),
        *({"env": {"A": "1", "LD_PRELOAD": "x"}}, {"cwd": "d"}),
    ]
    asked = [
        *({"url": "https://b.example"}, {"headers": {"B": "${T}"}}, {"headers": {"A": "${U}"}}),
        *({"headers": {"A": "x${T}"}}, {"bearer_token_env": "C"}),
    ]
    found = [server(**{**program, **it}) for it in [{}, *changed]]
    found += [server(**{**address, **it}) for it in [{}, *asked]]
    assert len(set(map(server_fingerprint, found))) == len(found)


def test_a_fingerprint_stays_when_other_keys_change():
    first = server(url="https://a.example", headers={"A": "one", "B": "2"})
    same = server(url="https://a.example", headers={"B": "2", "A": "one"}, tool_timeout=5)
    assert server_fingerprint(first) == server_fingerprint(same)
    assert server_fingerprint(server(command="x", env={"A": "1", "B": "2"})) == server_fingerprint(
        server(command="x", env={"B": "2", "A": "1"})
    )


def test_the_first_server_of_a_name_is_taken_and_the_others_are_named():
    mine, theirs = server(command="x"), server(command="evil").model_copy(update={"origin": "p"})
    other = theirs.model_copy(update={"name": "other"})
    found, refused = first_of_each([mine, theirs, other])
    assert found == (mine, other)
    assert refused == (f"p: the MCP server 'git' is not taken: {FILE} has one of this name.",)


def test_servers_and_settings_of_one_file_do_not_disturb_each_other(own: Path, project: Path):
    (own / FILE_NAME).write_text(
        'effort = "low"\n[mcp.git]\ncommand = "x"\n[mcp."my tool"]\nurl = "https://a.example"'
    )
    (project / FILE_NAME).write_text(
        'timing = false\n[mcp.git]\ncommand = "evil"\n[mcp.db]\ncommand = "y"\ntrusted = true'
    )
    chosen = choose(read_layers(project, own, {}))
    assert (chosen.settings.effort, chosen.settings.timing) == ("low", False)
    assert [(it.name, it.own, it.trusted) for it in chosen.servers] == [
        ("git", True, False),
        ("my tool", True, False),
        ("db", False, False),
    ]
    assert chosen.servers[2].folder == str(project)
    assert [it for it in chosen.refused if "'git' is not taken" in it]
    assert [it for it in chosen.refused if "'db' sets trusted" in it]


def test_a_file_of_rules_has_no_servers(own: Path, tmp_path: Path):
    (own / "rules.toml").write_text('[mcp.git]\ncommand = "x"')
    assert choose(read_layers(tmp_path, own, {})).servers == ()


def test_a_wrong_server_in_your_own_file_is_an_error(tmp_path: Path):
    (tmp_path / FILE_NAME).write_text('[mcp.git]\ncomand = "x"')
    with pytest.raises(SettingsError, match="there is no key 'comand'"):
        read_file(tmp_path / FILE_NAME)
