"""Keys: from a variable, a command or the keyring, never shown."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.errors import AuthError, UsageError
from inkernel.agent.providers import keys as keys_module
from inkernel.agent.providers.keys import SERVICE, Key, Keys, keep_in_keyring


def printing(text: str) -> str:
    return f'"{sys.executable}" -c "print({text!r})"'


@pytest.fixture
def ring() -> Iterator[dict[tuple[str, str], str]]:
    """A keyring of the test's own, in memory."""
    keyring = pytest.importorskip("keyring")
    held: dict[tuple[str, str], str] = {}

    class Memory(keyring.backend.KeyringBackend):
        priority = 0  # never chosen by itself

        def get_password(self, service: str, username: str) -> str | None:
            return held.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            held[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del held[service, username]

    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    yield held
    keyring.set_keyring(before)


async def test_a_variable_goes_before_a_command_and_a_command_before_the_keyring(ring: Any):
    ring[SERVICE, "openai"] = "ring"
    command = printing("printed")
    with_variable = Keys({"A_KEY": " own\n"})
    assert await with_variable.find("openai", "A_KEY", command) == Key("own", "A_KEY")
    without = Keys({"A_KEY": ""})
    assert await without.find("openai", "A_KEY", command) == Key("printed", "api_key_command")
    assert await without.find("openai", "A_KEY") == Key("ring", "the keyring")
    assert await without.find("azure", "A_KEY") is None


async def test_a_command_is_asked_once_until_its_key_is_refused(tmp_path: Path):
    counter = tmp_path / "asked"
    code = f"open({str(counter)!r}, 'a').write('x'); print('k')"
    command = f'"{sys.executable}" -c "{code}"'
    keys = Keys({})
    for _ in range(3):
        assert await keys.find("openai", None, command)
    assert counter.read_text() == "x"
    keys.forget()
    assert await keys.find("openai", None, command)
    assert counter.read_text() == "xx"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("no-such-program-here", "No such file"),
        (f'"{sys.executable}" -c "raise SystemExit(3)"', "code 3"),
        ('"unclosed', "not a command"),
        ("", "not a command"),
        (f'"{sys.executable}" -c "pass"', "holds no key"),
        (printing("sk-ü"), "holds characters no key has"),
    ],
)
async def test_a_command_that_gives_no_key_is_named_without_what_it_printed(command: str, why: str):
    with pytest.raises(AuthError, match=why) as raised:
        await Keys({}).find("openai", None, command or " ")
    assert "sk-" not in str(raised.value)
    assert raised.value.hint


async def test_a_command_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(keys_module, "COMMAND_TIMEOUT", 0.2)
    command = f'"{sys.executable}" -c "import time; time.sleep(3600)"'
    with pytest.raises(AuthError, match=r"longer than 0\.2 s"):
        await Keys({}).find("openai", None, command)


async def test_no_shell_reads_the_command(tmp_path: Path):
    command = f'{printing("k")} ; touch "{tmp_path / "pwned"}"'
    assert await Keys({}).find("openai", None, command) == Key("k", "api_key_command")
    assert not list(tmp_path.iterdir())


def test_a_key_is_kept_in_the_keyring_and_removed(ring: Any):
    keep_in_keyring("openai", "sk-1")
    assert ring == {(SERVICE, "openai"): "sk-1"}
    keep_in_keyring("openai", "")
    keep_in_keyring("openai", "")
    assert ring == {}


def test_without_the_package_keyring_the_other_ways_are_named():
    code = (
        "import sys; sys.modules['keyring'] = None\n"
        "from inkernel.agent.providers import keys\n"
        "import asyncio; print(asyncio.run(keys.Keys({}).find('openai', 'X')))\n"
        "keys.keep_in_keyring('openai', 'k')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout == "None\n"
    assert "pip install 'keyring>=" in ran.stderr
    assert UsageError.__name__ in ran.stderr


def test_a_key_is_not_in_its_repr():
    assert "sk-1" not in repr(Key("sk-1", "A_KEY"))


async def test_only_the_first_line_of_what_a_command_prints_is_the_key():
    assert await Keys({}).find("openai", None, printing("k\nand more")) == Key(
        "k", "api_key_command"
    )


def test_a_keyring_that_hangs_holds_no_key_and_nobody_waits_for_it(
    ring: Any, monkeypatch: pytest.MonkeyPatch
):
    import keyring

    monkeypatch.setattr(keys_module, "COMMAND_TIMEOUT", 0.1)
    answered, asked = threading.Event(), list[str]()

    def hang(_service: str, name: str) -> str | None:
        asked.append(name)
        answered.wait(60)
        return "late"

    monkeypatch.setattr(keyring, "get_password", hang)
    keys = Keys({})
    try:
        assert asyncio.run(keys.find("openai", None)) is None
        assert asyncio.run(keys.find("openai", None)) is None
        assert asked == ["openai"]
    finally:
        answered.set()


async def test_that_the_keyring_has_no_key_is_known_until_it_may_have_changed(ring: Any):
    keys = Keys({})
    assert await keys.find("openai", None) is None
    ring[SERVICE, "openai"] = "new"
    assert await keys.find("openai", None) is None
    keys.forget()
    assert await keys.find("openai", None) == Key("new", "the keyring")


async def test_a_keyring_that_refuses_holds_no_key_and_keeps_none(
    ring: Any, monkeypatch: pytest.MonkeyPatch
):
    import keyring
    from keyring.errors import KeyringLocked

    def refuse(*_: str) -> None:
        raise KeyringLocked("locked")

    for name in ("get_password", "set_password"):
        monkeypatch.setattr(keyring, name, refuse)
    assert await Keys({}).find("openai", None) is None
    with pytest.raises(UsageError, match="keyring refused: locked"):
        keep_in_keyring("openai", "k")


async def test_a_key_in_the_keyring_that_cannot_be_sent_is_an_error(ring: Any):
    ring[SERVICE, "openai"] = "sk-ü"
    with pytest.raises(AuthError, match="the keyring holds characters"):
        await Keys({}).find("openai", None)


@pytest.mark.parametrize(
    "copied",
    ['"sk-1"', "'sk-1'", " \u201csk-1\u201d", "Bearer sk-1", "bearer  sk-1", "`sk-1`"],
)
async def test_what_is_copied_with_a_key_is_taken_off(copied: str):
    assert await Keys({"A_KEY": copied}).find("openai", "A_KEY") == Key("sk-1", "A_KEY")


async def test_a_whole_header_is_read_as_its_key():
    keys = Keys({"A_KEY": "Authorization: Bearer sk-1"})
    assert await keys.find("openai", "A_KEY") == Key("sk-1", "A_KEY")
