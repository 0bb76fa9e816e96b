"""Reaches the person through the shell's own `input()`, as it was before code of the agent ran.

Knows neither question nor answer.
"""

import builtins
import getpass
import inspect
import os
import sys
from typing import Any

from ..execution.interrupts import Interruption, raised_by_sigint
from ..execution.stdin import Waiting
from ..frontend import can_ask
from ..shell import Shell

_OF_KERNEL = ("raw_input", "getpass", "_input_request")
_OF_SESSION = ("recv",)


class ForgedInputError(Exception):
    """Code has replaced a function through which the person answers."""


class Person:
    """Takes the functions that ask when it is made, and asks through them alone.

    Each question checks that they are the same ones still. Code that shares the process can do more
    than that (docs/permissions.md).
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._kernel: Any = getattr(shell, "kernel", None)
        self._input, self._getpass = builtins.input, getpass.getpass
        self._client: _Client = ([], {})
        self.listen()
        self._stdin = sys.stdin, _terminal()
        self._parts = [(owner, name, _part(owner, name)) for owner, name in self._owned()]

    def listen(self) -> None:
        """Take the answers of a turn from the client alone that sent its cell, and no other."""
        if self._kernel is not None:
            self._client = _client_of(self._kernel)

    @property
    def is_there(self) -> bool:
        """Whether somebody can answer."""
        return can_ask(self._shell)

    def ask(self, text: str, interruption: Interruption, waiting: Waiting) -> str:
        """The person's answer. Raises ForgedInputError, KeyboardInterrupt, EOFError."""
        self._check()
        with raised_by_sigint(interruption):
            return waiting.put(self._read, text).strip()

    def ask_secretly(self, text: str) -> str:
        """The answer, which nothing shows. Raises ForgedInputError, KeyboardInterrupt, EOFError."""
        self._check()
        if self._kernel is None:
            return self._getpass(text)
        return str(self._part_named("getpass")(self._kernel, text))

    def _part_named(self, name: str) -> Any:
        return next(function for _, known, (function, _) in self._parts if known == name)

    def _read(self, text: str) -> str:
        if self._kernel is None:
            return self._input(text)
        asks = _OneClient(self._kernel, self._client)
        return str(self._part_named("_input_request")(asks, text, *self._client))

    def _owned(self) -> list[tuple[Any, str]]:
        if self._kernel is None:
            return []
        session = self._kernel.session
        return [
            *((type(self._kernel), name) for name in _OF_KERNEL),
            *((type(session), name) for name in _OF_SESSION),
        ]

    def _check(self) -> None:
        if self._kernel is None:
            same = (sys.stdin, _terminal()) == self._stdin
        else:
            own: set[str] = {*vars(self._kernel), *vars(self._kernel.session)}
            same = own.isdisjoint((*_OF_KERNEL, *_OF_SESSION)) and all(
                _part(owner, name) == part for owner, name, part in self._parts
            )
        if not same:
            raise ForgedInputError


_Client = tuple[list[bytes], dict[str, Any]]
"""The identity of a client's sockets, and the request that it sent."""


def _client_of(kernel: Any) -> _Client:
    return kernel._parent_ident["shell"], kernel.get_parent("shell")


class _OneClient:
    """A kernel as the function that asks sees it: it hears the answer of one client alone.

    Anybody may send an `input_reply` who knows the kernel's key, and so may code in this process.
    """

    def __init__(self, kernel: Any, client: _Client) -> None:
        self._kernel, self._client = kernel, client

    @property
    def session(self) -> "_OneClient":
        """Its session, too: it sends as the kernel's own does."""
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernel.session if name == "send" else self._kernel, name)

    def recv(self, socket: Any) -> tuple[Any, Any]:
        """A message of the client. Two None for one of others."""
        sender, message = self._kernel.session.recv(socket)
        return (sender, message) if sender == self._client[0] else (None, None)


def _part(owner: Any, name: str) -> tuple[Any, Any]:
    """A function, and its code, which can be replaced within it."""
    function = inspect.getattr_static(owner, name)
    return function, getattr(function, "__code__", None)


def _terminal() -> tuple[int, int] | None:
    """The device and file behind descriptor 0."""
    try:
        found = os.fstat(0)
    except OSError:
        return None
    return found.st_dev, found.st_ino
