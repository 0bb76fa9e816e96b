"""Which values are secret, in the environment and in settings. Does no I/O, and shows nothing."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from ..config.settings import Settings
from .catalog import PROVIDERS
from .keys import bare

_JUPYTER = re.compile(r"(JUPYTER|JPY_)\w*(TOKEN|KEY|SECRET|PASSWORD)")
_PROXY = re.compile(r"\w+_proxy", re.IGNORECASE)
_NAME = re.compile("key|token|secret|pass|auth|sig|code", re.IGNORECASE)
"""The name in an address's query of a value that lets one in."""


def secrets_of(settings: Settings, environ: Mapping[str, str]) -> frozenset[str]:
    """The keys of all providers and the tokens of Jupyter, where variables or addresses hold them.

    Also the passwords of proxies.
    """
    named = {settings.api_key_env, *(provider.key_env for provider in PROVIDERS.values())}
    found = {bare(it) for name, it in environ.items() if name in named or _JUPYTER.fullmatch(name)}
    addresses = [it for name, it in environ.items() if _PROXY.fullmatch(name)]
    for address in (*addresses, settings.base_url or ""):
        found.update(_secrets_in(address))
    return frozenset(found)


def _secrets_in(address: str) -> Iterator[str]:
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
    except ValueError:
        return
    if parts.password:
        yield parts.password
        yield unquote(parts.password)
    yield from (value for name, value in parse_qsl(parts.query) if _NAME.search(name))
