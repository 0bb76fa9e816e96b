"""Finds a key: in a variable, from a command, or in the system's keyring.

A key is never shown, recorded or put into a message. A message names only its source.
"""

import asyncio
import re
import shlex
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from importlib.util import find_spec

from ..config.extras import install_command
from ..errors import AuthError, UsageError
from ..frozen import frozen

SERVICE = "inkernel"
"""The service name of keys in a keyring. The user name there is the provider's name."""

COMMAND_TIMEOUT = 20.0
"""Seconds. They are many because a password manager or a keyring may ask you something."""

IN_KERNEL = "`%env NAME=KEY`"
"""The line that sets a variable of a running kernel."""

_COPIED = re.compile(
    r"^(?:[\s\"'\u2018-\u201f`]|authorization:|bearer\s)+|[\s\"'\u2018-\u201f`]+$", re.IGNORECASE
)


@frozen
class Key:
    """A key and, for messages, where it is from."""

    value: str
    source: str

    def __repr__(self) -> str:
        return f"Key(from {self.source})"


class Keys:
    """Finds keys. It keeps the answer of a command or the keyring, so that neither asks you twice.

    It also keeps that there was none.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._kept: dict[tuple[str, str | None], Key | None] = {}
        self.found = set[str]()
        """The values of all keys that were found. They stay secret when others take their place."""

    async def find(
        self, provider: str, variable: str | None, command: str | None = None
    ) -> Key | None:
        """The key for `provider`: from `variable`, else what `command` prints, else the keyring.

        None when there is none. Raises AuthError when the command fails, or gives no key.
        """
        key = await self._find(provider, variable, command)
        if key is not None:
            self.found.add(key.value)
        return key

    def is_set(self, variable: str | None) -> bool:
        """True if the variable holds something. Asks neither a command nor the keyring."""
        return bool(self._environ.get(variable or "", "").strip())

    def forget(self) -> None:
        """Ask again the next time, because a key was refused."""
        self._kept.clear()

    async def _find(self, provider: str, variable: str | None, command: str | None) -> Key | None:
        value = self._environ.get(variable or "", "").strip()
        if variable and value:
            return _checked(value, variable)
        name = (provider, command)
        if name not in self._kept:
            self._kept[name] = await _ask(provider, command)
        return self._kept[name]


def require_keyring() -> None:
    """Raises UsageError if the package keyring is not installed."""
    if find_spec("keyring") is None:
        raise UsageError(
            "The package keyring stores keys, and it is not installed.",
            f"{install_command('keyring')}. Or set the key for this kernel alone: {IN_KERNEL}.",
        )


def keep_in_keyring(provider: str, value: str) -> None:
    """Store a key. An empty one removes the stored key. Raises UsageError, AuthError."""
    require_keyring()
    import keyring
    from keyring.errors import KeyringError

    try:
        if value:
            keyring.set_password(SERVICE, provider, _checked(value, "The typed key").value)
        elif keyring.get_password(SERVICE, provider) is not None:
            keyring.delete_password(SERVICE, provider)
    except KeyringError as error:
        raise UsageError(
            f"The system's keyring refused: {error}.",
            f"Set the key for this kernel alone: {IN_KERNEL}. Or `%agent config api_key_command"
            " COMMAND` names a command that prints it.",
        ) from None


async def _ask(provider: str, command: str | None) -> Key | None:
    """A keyring that does not answer in time holds no key."""
    if command:
        return await asyncio.to_thread(_from_command, command)
    if find_spec("keyring") is None:  # then nothing waits
        return None
    try:
        return await asyncio.wait_for(asyncio.wrap_future(_asked(provider)), COMMAND_TIMEOUT)
    except TimeoutError:
        return None


def _asked(provider: str) -> Future[Key | None]:
    """The keyring's answer, from a thread that does not hold up the end of the event loop."""
    answer = Future[Key | None]()
    answer.set_running_or_notify_cancel()

    def ask() -> None:
        try:
            answer.set_result(_from_keyring(provider))
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    return answer


def _from_command(command: str) -> Key:
    """The first line it prints. No shell reads the command."""
    try:
        ran = subprocess.run(
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_TIMEOUT,
            check=True,
        )
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        raise AuthError(
            f"The command in api_key_command gave no key: {_why(error)}.",
            "Run it in a terminal: it must print the key and end with code 0.",
        ) from None
    first = ran.stdout.decode(errors="replace").strip().partition("\n")[0].strip()
    return _checked(first, "api_key_command")


def _from_keyring(provider: str) -> Key | None:
    import keyring
    from keyring.errors import KeyringError

    try:
        value = keyring.get_password(SERVICE, provider)
    except KeyringError:
        return None
    return _checked(value, "the keyring") if value else None


def stored_secret(name: str) -> str | None:
    """The secret of an MCP server that the keyring has as `mcp NAME`. Raises AuthError."""
    if find_spec("keyring") is None:
        return None
    found = _from_keyring(f"mcp {name}")
    return found.value if found else None


def bare(value: str) -> str:
    """The key alone, without what people copy with it: quotes, and the word `Bearer` before it."""
    return _COPIED.sub("", value)


def _checked(value: str, source: str) -> Key:
    """The key, if a header can carry it. Otherwise an error of the HTTP library would show it."""
    value = bare(value)
    if value and value.isascii() and value.isprintable():
        return Key(value, source)
    what = "holds characters no key has" if value else "holds no key"
    raise AuthError(f"{source} {what}.", "Set it again, or choose another model: `%agent model`.")


def _why(error: Exception) -> str:
    match error:
        case subprocess.CalledProcessError():
            return f"it ended with code {error.returncode}"
        case subprocess.TimeoutExpired():
            return f"it took longer than {COMMAND_TIMEOUT:g} s"
        case OSError():
            return str(error.strerror)
        case _:
            return "it is not a command"
