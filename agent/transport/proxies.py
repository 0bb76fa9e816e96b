"""Finds the proxy of the environment between us and a server. Knows no HTTP library."""

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ..providers.resolve import Target


def proxy_of(target: Target) -> str | None:
    """Host and port of the proxy on the way, without its password. None if there is none."""
    parts, proxies = urlsplit(target.base_url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or target.is_loopback or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return urlsplit(proxy if "://" in proxy else f"//{proxy}").netloc.rpartition("@")[2]
