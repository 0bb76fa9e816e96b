"""MCP servers of other programs' files are read on request, as data."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inkernel.agent.config.mcp_files import MAX_MCP_FILE_BYTES, read_mcp_files, with_mcp_files
from inkernel.agent.config.mcp_servers import McpServer
from inkernel.agent.config.settings import Layer, choose

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("mcpServers", "servers", "command", "args", "env", "env_vars", "url", "type"),
                    *("headers", "env_http_headers", "disabled", "x"),
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (folder := tmp_path / "project").mkdir()
    (folder / ".git").mkdir()
    (folder / ".vscode").mkdir()
    (folder / "notebooks").mkdir()
    return folder


def plant(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(project: Path, *names: str) -> tuple[dict[str, McpServer], tuple[str, ...]]:
    servers, refused = read_mcp_files(names, project / "notebooks")
    return {it.name: it for it in servers}, refused


def test_claude_and_cursor_write_one_form(project: Path):
    git = {"command": "uvx", "args": ["mcp-server-git"], "env": {"DEPTH": 3, "A": None}}
    remote = {"type": "http", "url": "https://a.example/mcp", "headers": {"X": "${T}"}}
    path = plant(project / ".mcp.json", {"mcpServers": {"git": git, "remote": remote}})
    found, refused = read(project, ".mcp.json", ".cursor/mcp.json")
    assert refused == ()
    assert found["git"].args == ("mcp-server-git",) and found["git"].env == {"DEPTH": "3"}
    assert found["remote"].headers == {"X": "${T}"}
    assert {(it.own, it.origin, it.folder) for it in found.values()} == {
        (False, str(path), str(project))
    }


def test_vs_code_writes_another(project: Path):
    inputs = [{"id": "key", "type": "promptString"}]
    server = {"type": "stdio", "command": "x", "env": {"K": "${input:key}"}, "envFile": ".env"}
    plant(project / ".vscode/mcp.json", {"inputs": inputs, "servers": {"a": server}})
    found, _ = read(project, ".vscode/mcp.json")
    assert found["a"].env == {"K": "${input:key}"} and found["a"].folder == str(project)


def test_codex_writes_toml(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    plant(
        tmp_path / "home/.codex/config.toml",
        """
        model = "x"
        [mcp_servers.docs]
        command = "docs"
        env_vars = ["LANG"]
        startup_timeout_sec = 5
        tool_timeout_sec = 6
        enabled_tools = ["search"]
        default_tools_approval_mode = "auto"
        [mcp_servers.figma]
        url = "https://figma.example/mcp"
        bearer_token_env_var = "FIGMA"
        http_headers = { A = "b" }
        env_http_headers = { C = "D" }
        enabled = false
        """,
    )
    found, refused = read(project, "~/.codex/config.toml")
    docs, figma = found["docs"], found["figma"]
    assert refused == ()
    assert (docs.own, docs.startup_timeout, docs.tool_timeout) == (True, 5, 6)
    assert (docs.env, docs.enabled_tools) == ({"LANG": "${LANG:-}"}, ("search",))
    assert (figma.bearer_token_env, figma.headers) == ("FIGMA", {"A": "b", "C": "${D}"})
    assert figma.expose == "off" and figma.folder is None


def test_a_file_in_any_project_is_not_your_own(project: Path, tmp_path: Path):
    other = tmp_path / "other"
    (other / ".git").mkdir(parents=True)
    table = {"mcpServers": {"a": {"command": "x"}}}
    plain = plant(tmp_path / "plain/mcp.json", table)
    paths = [plant(project / ".mcp.json", table), plant(other / "sub/mcp.json", table), plain]
    (tmp_path / "link.json").symlink_to(paths[1])
    names = [*map(str, paths), str(tmp_path / "link.json")]
    assert [it.own for it in read_mcp_files(names, project)[0]] == [False, False, True, False]


def test_the_nearest_file_of_the_project_is_read(project: Path):
    plant(project / ".mcp.json", {"mcpServers": {"far": {"command": "x"}}})
    plant(project / "notebooks/.mcp.json", {"mcpServers": {"near": {"command": "x"}}})
    assert set(read(project, ".mcp.json")[0]) == {"near"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "it is no JSON"),
        ("// a comment\n{}", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ("\x00", "it is no JSON"),
        (" " * (MAX_MCP_FILE_BYTES + 1), "it is larger than 1,048,576 bytes"),
        ({"mcpServers": {"a": {"comand": "x"}}}, "it needs either a command or a url"),
        ({"mcpServers": {"a": 5}}, "it needs either a command or a url"),
        ({"mcpServers": {"a": {"type": "sse", "url": "https://a.example"}}}, "(sse)"),
        ({"mcpServers": {"a": {"command": ["x"]}}}, "command: Input should be a valid string"),
    ],
)
def test_a_file_or_server_that_is_wrong_is_told_and_the_others_are_read(
    project: Path, content: Any, told: str
):
    path = plant(project / "bad.json", content)
    plant(project / ".mcp.json", {"mcpServers": {"good": {"command": "x"}}})
    found, (sentence,) = read(project, "bad.json", ".mcp.json")
    assert set(found) == {"good"}
    assert sentence.startswith(str(path)) and told in sentence and len(sentence) < 300


@pytest.mark.parametrize("content", [[], None, "x", {}, {"mcpServers": []}, {"servers": None}])
def test_a_file_without_servers_is_no_news(project: Path, content: Any):
    plant(project / ".mcp.json", json.dumps(content))
    missing = ("missing.json", "/nowhere/mcp.json", "~nobody/mcp.json")
    assert read(project, ".mcp.json", *missing) == ({}, ())


def test_a_link_out_of_the_project_is_not_followed(project: Path, tmp_path: Path):
    plant(tmp_path / "mine.json", {"mcpServers": {"a": {"command": "x"}}})
    (project / ".mcp.json").symlink_to(tmp_path / "mine.json")
    found, (sentence,) = read(project, ".mcp.json")
    assert found == {} and "a link that leads out of the project" in sentence
    assert read(project, "../mine.json")[1]


@given(values)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_read_or_told(project: Path, content: Any):
    plant(project / ".mcp.json", {"mcpServers": content, "servers": {"a": content}})
    found, _ = read(project, ".mcp.json")
    assert not any(it.own or it.trusted for it in found.values())


def test_a_held_file_is_read_as_it_was(project: Path):
    path = plant(project / ".mcp.json", {"mcpServers": {"new": {"command": "x"}}})
    old = json.dumps({"mcpServers": {"old": {"command": "x"}}}).encode()
    assert [it.name for it in read_mcp_files([".mcp.json"], project, {path: old})[0]] == ["old"]
    assert read_mcp_files([".mcp.json"], project, {path: None}) == ((), ())


def test_the_setting_names_the_files_and_they_come_last(project: Path):
    table = {"mcpServers": {"git": {"command": "evil"}, "other": {"command": "x"}}}
    plant(project / ".mcp.json", table)
    mine = McpServer(name="git", command="mine", origin="mine")
    layer = Layer("mine", {"mcp_files": ".mcp.json, .vscode/mcp.json"}, servers=(mine,))
    assert with_mcp_files(choose([Layer("mine", {}, servers=(mine,))]), project).servers == (mine,)
    chosen = with_mcp_files(choose([layer]), project)
    assert [(it.name, it.command) for it in chosen.servers] == [("git", "mine"), ("other", "x")]
    assert "'git' is not taken: mine has one of this name" in chosen.refused[0]
