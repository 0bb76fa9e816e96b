"""A file that a project brings is read only if it is a plain file of that project."""

import codecs
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from inkernel.agent.config.planted import RefusedFile, read_planted, read_planted_text
from inkernel.agent.config.project import project_folders, read_docs
from inkernel.agent.config.settings import FILE_NAME, choose, read_layers
from inkernel.agent.errors import SettingsError
from inkernel.agent.scripted.script import load_script

PLENTY = 32 * 1024


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project, beside a private file of each kind and a folder of settings."""
    for suffix in (".md", ".toml", ".pem"):
        (tmp_path / f"private{suffix}").write_text("SECRET = 1")
    (tmp_path / "own").mkdir()
    folder = tmp_path / "root"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text("SECRET")
    (folder / "a").mkdir()
    return folder


def pipe(path: Path) -> None:
    os.mkfifo(path)


def sock(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


PLANTED = [
    (pipe, "no regular file"),
    (sock, "No such device"),
    (Path.mkdir, "no regular file"),
    (link("/dev/zero"), "out of the project"),
    (link("/dev/tty"), "out of the project"),
    (link("/proc/self/environ"), "out of the project"),
    (link("../../private.md"), "out of the project"),
    (link("../../private.toml"), "out of the project"),
    (link("../../private.pem"), "out of the project"),
    (link("../../missing"), "out of the project"),
    (link("../.git/config"), "another kind of file"),
]
each = pytest.mark.parametrize(("plant", "words"), PLANTED)


@each
@pytest.mark.parametrize("name", ["AGENTS.md", "AGENTS.override.md"])
def test_instructions_that_are_no_file_of_the_project_are_refused_and_named(
    root: Path, plant: Callable[[Path], None], words: str, name: str
):
    (root / "AGENTS.md").write_text("plain")
    plant(root / "a" / name)
    found = read_docs(root / "a", root.parent / "own", PLENTY)
    assert [doc.text for doc in found.docs] == ["plain"]
    (notice,) = found.notices
    assert notice.startswith(f"{root / 'a' / name} is not read: ")
    assert words in notice


@each
def test_settings_that_are_no_file_of_the_project_are_refused_and_those_above_hold(
    root: Path, plant: Callable[[Path], None], words: str
):
    (root / FILE_NAME).write_text('policy = "deny"')
    plant(root / "a" / FILE_NAME)
    chosen = choose(read_layers(root / "a", root.parent / "own", {}))
    assert chosen.origins == {"policy": str(root / FILE_NAME)}
    (notice,) = chosen.refused
    assert notice.startswith(f"{root / 'a' / FILE_NAME} is not read: ")


@each
def test_a_script_that_is_no_file_of_the_project_is_refused(
    root: Path, plant: Callable[[Path], None], words: str
):
    plant(root / "a" / "steps.toml")
    with pytest.raises(SettingsError, match=r"steps\.toml cannot be read: "):
        load_script(root / "a" / "steps.toml")


def test_a_link_within_the_project_and_one_of_your_own_are_followed(root: Path):
    (root / "CLAUDE.md").write_text("shared")
    (root / "a" / "AGENTS.md").symlink_to("../CLAUDE.md")
    own = root.parent / "own"
    (own / "AGENTS.md").symlink_to("../private.md")
    found = read_docs(root / "a", own, PLENTY)
    assert [doc.text for doc in found.docs] == ["SECRET = 1", "shared"]
    assert found.notices == ()


@pytest.mark.parametrize("kind", [pipe, sock, link("/dev/zero")])
def test_your_own_file_may_be_a_link_but_no_device(root: Path, kind: Callable[[Path], None]):
    own = root.parent / "own"
    kind(own / "AGENTS.md")
    found = read_docs(root, own, PLENTY)
    assert found.docs == ()
    assert len(found.notices) == 1


def test_no_more_than_the_bound_is_read_of_a_file_of_any_size(root: Path):
    path = root / "AGENTS.md"
    path.write_text("x")
    os.truncate(path, 1 << 40)
    assert len(read_planted(path, 100)) == 101
    with pytest.raises(RefusedFile, match="larger than 100 bytes"):
        read_planted_text(path, 100)
    os.truncate(path, 100)
    assert len(read_planted_text(path, 100)) == 100
    (root / FILE_NAME).write_text("#" * (1 << 19))
    assert "larger" in choose(read_layers(root, root.parent / "own", {})).refused[0]


def test_a_file_that_does_not_open_is_named(root: Path):
    (root / "AGENTS.md").symlink_to("AGENTS.md")
    found = read_docs(root, root.parent / "own", PLENTY)
    assert found.docs == ()
    assert "Too many levels of symbolic links" in found.notices[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to another user")
@pytest.mark.parametrize("whose", ["root", "root/.git", "root/a"])
def test_folders_above_count_only_if_they_are_ours(root: Path, whose: str):
    cwd = root / "a" / "b"
    cwd.mkdir()
    for folder in (root, root / "a", cwd):
        (folder / "AGENTS.md").write_text(folder.name)
    (root / FILE_NAME).write_text('policy = "deny"')
    assert project_folders(cwd) == (root, root / "a", cwd)
    os.chown(root.parent / whose, 12345, 12345)
    assert project_folders(cwd) == (cwd,)
    found = read_docs(cwd, root.parent / "own", PLENTY)
    assert [doc.text for doc in found.docs] == ["b"]
    (notice,) = found.notices
    assert f"{root.parent / whose} belongs to another user" in notice
    assert choose(read_layers(cwd, root.parent / "own", {})).settings.policy == "auto"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to another user")
def test_the_working_folder_counts_whoever_it_belongs_to(root: Path):
    (root / "AGENTS.md").write_text("here")
    os.chown(root, 12345, 12345)
    found = read_docs(root, root.parent / "own", PLENTY)
    assert ([doc.text for doc in found.docs], found.notices) == (["here"], ())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_instructions_are_read_in_the_encoding_that_their_mark_names(root: Path, encoding: str):
    (root / "AGENTS.md").write_bytes("Größe in °C.\r\n".encode(encoding))
    found = read_docs(root, root.parent / "own", PLENTY)
    assert ([doc.text for doc in found.docs], found.notices) == (["Größe in °C.\r\n"], ())


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_either_order_of_bytes_is_read(root: Path, mark: bytes):
    name = "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-16-be"
    (root / "AGENTS.md").write_bytes(mark + "°C".encode(name))
    assert read_docs(root, root.parent / "own", PLENTY).docs[0].text == "°C"


@pytest.mark.parametrize("raw", [b"a\xff", "Größe".encode("latin-1"), b"\xff\xfea"])
def test_wrong_bytes_are_read_as_such_and_named(root: Path, raw: bytes):
    (root / "AGENTS.md").write_bytes(raw)
    found = read_docs(root, root.parent / "own", PLENTY)
    assert "\ufffd" in found.docs[0].text
    assert found.notices == (
        f"{root / 'AGENTS.md'} has bytes that are no text: they are read as \ufffd.",
    )


@pytest.mark.parametrize("raw", ["text".encode("utf-16-le"), b"\x7fELF\0", b"PK\x03\x04\0"])
def test_a_file_that_is_no_text_is_refused_and_named(root: Path, raw: bytes):
    (root / "AGENTS.md").write_bytes(raw)
    found = read_docs(root, root.parent / "own", PLENTY)
    assert found == ((), (f"{root / 'AGENTS.md'} is not read: it is no text.",))


def test_a_cut_within_a_character_is_no_wrong_byte(root: Path):
    (root / "AGENTS.md").write_text("é" * 10, encoding="utf-8")
    found = read_docs(root, root.parent / "own", 5)
    assert found.docs[0].cut and found.notices == ()


def test_settings_and_scripts_may_begin_with_a_mark(root: Path):
    (root / FILE_NAME).write_text('policy = "deny"', encoding="utf-8-sig")
    (root.parent / "own" / FILE_NAME).write_text("max_samples = 7", encoding="utf-8-sig")
    settings = choose(read_layers(root, root.parent / "own", {})).settings
    assert (settings.policy, settings.max_samples) == ("deny", 7)
    script = '[[turn]]\n[[turn.response]]\nsay = "Yes."\n'
    (root / "steps.toml").write_text(script, encoding="utf-8-sig")
    assert load_script(root / "steps.toml").turn[0].response[0].say == "Yes."
