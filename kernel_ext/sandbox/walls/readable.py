"""The files outside a workspace that Python and its libraries read. Knows no walls."""

import os
import site
import sys
from collections.abc import Sequence
from contextlib import suppress

from .folders import Folders

SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt", "/nix/store"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives"),
    *("/etc/localtime", "/etc/timezone", "/etc/fonts", "/etc/ssl", "/etc/mime.types"),
    *("/etc/os-release", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts"),
    *("/etc/pki", "/etc/ca-certificates", "/etc/matplotlibrc", "/var/cache/fontconfig"),
    *("/proc", "/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm", "/run/systemd/resolve"),
)
_SYSTEM_TOO = ("/etc", "/proc", "/sys", "/dev", "/run", "/snap", "/System", "/Library")
_ROOT = os.path.abspath(f"{__file__}/../../../..")
CACHES = (".cache", ".config/matplotlib", ".config/fontconfig", ".fonts", ".local/share/fonts")
"""Below the home folder."""


def cache_folders(folders: Folders) -> Sequence[str]:
    """Folders in which libraries keep what can be made again, absolute and without links."""
    *named, settings = folders.caches
    paths = [*(it for it in named if it), *(os.path.join(folders.home, it) for it in CACHES)]
    if settings:
        paths.append(os.path.join(settings, "matplotlib"))
    return tuple(dict.fromkeys(map(os.path.realpath, paths)))


def interpreter_files(home: str) -> Sequence[str]:
    """Folders and files that exist, absolute and without links."""
    own = (sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(os.__file__))
    paths = [*own, *site.getsitepackages(), site.getusersitepackages()]
    paths += [it for it in sys.path if os.path.isabs(it) and os.path.realpath(it) != home]
    paths += [os.path.join(_ROOT, name) for name in ("agent", "kernel_ext", "widgets")]
    paths += [*SYSTEM, *(os.path.join(home, name) for name in CACHES)]
    found = (os.path.realpath(it) for it in paths if os.path.exists(it))
    return tuple(dict.fromkeys(it for it in found if it not in ("/", home)))


def read_freely(home: str) -> Sequence[str]:
    """Paths that live code reads without a question: of Python, the system, and settings.

    All other files outside the workspace are the person's.
    """
    settings: list[str] = []
    with suppress(OSError):
        settings = [it for it in os.listdir(home) if it[0] == "." and "history" not in it]
    paths = (*_SYSTEM_TOO, *(os.path.realpath(os.path.join(home, it)) for it in settings))
    return (*interpreter_files(home), *paths)
