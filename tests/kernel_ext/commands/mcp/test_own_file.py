"""`%agent mcp add` and `remove` in the person's settings file, typed in a real kernel."""

from pathlib import Path
from typing import Any

import pytest

SCRIPT = 'model = "scripted/test"\n[[turn]]\n[[turn.response]]\nsay = "Done."'
FILE = """# Mine.
effort = "low"  # enough

[mcp.git]  # of the team
command = "uvx"
args = ["mcp-server-git"]
[mcp.git.env]
A = "1"

# A search.
[mcp."my server"]
url = "https://example.org/mcp"
"""


@pytest.fixture
def here(agent: Any, tmp_path: Path) -> Any:
    """A kernel, and the file of its person."""
    path = tmp_path / "own" / "inkernel" / "inkernel.toml"
    path.parent.mkdir(parents=True)
    path.write_text(FILE)
    kernel, _ = agent(XDG_CONFIG_HOME=str(tmp_path / "own"))
    return kernel, path


def test_a_server_is_added_behind_all_and_removed_again(here: Any):
    kernel, path = here
    assert kernel.run("%agent mcp add time uvx mcp-server-time '--zone=Europe/My Town'").text
    added = '[mcp.time]\ncommand = "uvx"\nargs = ["mcp-server-time", "--zone=Europe/My Town"]\n'
    assert path.read_text() == f"{FILE}\n{added}"
    assert "starts with the next" in kernel.run("%agent mcp").text
    assert kernel.run("%agent mcp add docs https://example.org/docs").status == "ok"
    assert path.read_text().endswith('[mcp.docs]\nurl = "https://example.org/docs"\n')
    for name in ("time", "docs"):
        assert kernel.run(f"%agent mcp remove {name}").status == "ok"
    assert path.read_text().strip() == FILE.strip()


def test_comments_of_other_tables_stay(here: Any):
    kernel, path = here
    assert kernel.run("%agent mcp remove git").status == "ok"
    url = 'url = "https://example.org/mcp"'
    left = f'# Mine.\neffort = "low"  # enough\n\n# A search.\n[mcp."my server"]\n{url}\n'
    assert path.read_text() == left
    assert kernel.run("%agent mcp remove my server").status == "ok"
    assert path.read_text() == '# Mine.\neffort = "low"  # enough\n\n# A search.\n'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("add git uvx other", "has a server 'git'"),
        ("add lone", "needs a command or an address"),
        ("add bad https://a:b@example.org/", "url is an address"),
        ("remove nobody", "has no server 'nobody'"),
    ],
)
def test_a_line_that_cannot_be_done_changes_nothing(here: Any, line: str, words: str):
    kernel, path = here
    ran = kernel.run(f"%agent mcp {line}")
    assert ran.ename == "UsageError" and words in ran.evalue
    assert path.read_text() == FILE


def test_a_file_in_another_form_is_left_alone(here: Any):
    kernel, path = here
    path.write_text('mcp = { git = { command = "x" } }\n')
    for line in ("add time uvx", "remove git"):
        assert "Edit it by hand" in kernel.run(f"%agent mcp {line}").evalue
    assert path.read_text() == 'mcp = { git = { command = "x" } }\n'


def test_code_cannot_add_one(here: Any):
    kernel, path = here
    code = "get_ipython().run_line_magic('agent', 'mcp a' + 'dd evil touch x')"
    assert kernel.run(code).status == "error"
    assert path.read_text() == FILE
