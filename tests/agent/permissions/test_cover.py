"""Which deeds a verdict covers."""

from typing import Any

import pytest

from inkernel.agent.permissions.cover import is_covered
from inkernel.agent.protocol.trials import Cover, Deed, Walls

WALLS = Walls(
    workspace=("/ws", "/tmp/own"), protected=("/ws/.git",), secret=("/home/a/.ssh", "/ws/.env")
)


def covered(kind: Any, target: str, *allowed: tuple[Any, str]) -> bool:
    deeds = tuple(Deed(*it) for it in allowed)
    cover = Cover(walls=WALLS, caches=("/home/a/.cache",), allowed=deeds)
    return is_covered(Deed(kind, target, "open"), cover)


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("write", "/ws/out.csv"),
        ("remove", "/tmp/own/x"),
        ("write", "/home/a/.cache/x"),
        ("read", "/etc/hosts"),
        ("remove", "/ws/data"),
    ],
)
def test_what_lies_within_the_walls_is_covered(kind: Any, target: str):
    assert covered(kind, target)


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("write", "/etc/x"),
        ("write", "/ws/.git/HEAD"),
        ("write", "/ws/sub/.git"),
        ("write", "/ws/sub/AGENTS.md"),
        ("remove", "/ws/a/b/inkernel.toml"),
        ("write", "/wsx"),
        ("remove", "/ws"),
        ("remove", "/"),
        ("remove", "/ws/.git"),
        ("read", "/home/a/.ssh/id_rsa"),
        ("read", "/ws/.env"),
        ("network", "a.b:443"),
        ("command", "ls"),
        ("native", "ctypes.dlopen"),
        ("kernel", "x"),
        ("process", "os.fork"),
    ],
)
def test_all_else_is_not_covered_until_it_is_allowed(kind: Any, target: str):
    assert not covered(kind, target)
    assert covered(kind, target, (kind, target))


def test_what_was_allowed_covers_that_and_no_more():
    assert covered("command", "/bin/bash -c ls -l", ("command", "ls -l"))
    assert covered("command", "bash", ("command", "bash\nrm x"))
    assert not covered("command", "/bin/sh -c ls -l; rm x", ("command", "ls -l"))
    assert covered("network", "a.b", ("network", "a.b:443"))
    assert covered("network", "a.b:443", ("network", "a.b"))
    assert not covered("network", "a.b:80", ("network", "a.b:443"))
    assert not covered("network", "b.a.b:443", ("network", "a.b:443"))
    assert covered("network", "/run/a.sock", ("network", "/run/a.sock"))
    assert not covered("network", "/run/a.sock", ("network", ""))
    assert not covered("network", "/run/a.sock", ("network", "/run/b.sock"))
    assert covered("read", "/home/a/.ssh/x", ("write", "/home/a/.ssh/x"))
    assert not covered("write", "/home/a/.ssh/x", ("read", "/home/a/.ssh/x"))
    assert not covered("remove", "/etc/x", ("write", "/etc/x"))
    assert not covered("write", "/etc/x/y", ("write", "/etc/x"))


def test_a_library_reads_what_it_keeps_in_its_cache_wherever_that_is():
    cover = Cover(walls=WALLS, caches=("/fast/cache",), readable=("/usr",))
    for path, is_free in (("/fast/cache/fonts.json", True), ("/fast/other.json", False)):
        assert is_covered(Deed("read", path, "open"), cover) == is_free
