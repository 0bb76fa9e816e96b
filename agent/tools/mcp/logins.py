"""Where logins at servers are kept. Knows no protocol and no file."""

from collections.abc import Callable

from ...frozen import frozen


class LoginError(Exception):
    """A login did not succeed. The text is for the person."""


@frozen
class Logins:
    """Where logins are kept, by a server's address: as a text, which is a secret. None: no login.

    Both functions may take a while, and are called on a thread of their own.
    """

    read: Callable[[str], str | None]
    keep: Callable[[str, str], object]
