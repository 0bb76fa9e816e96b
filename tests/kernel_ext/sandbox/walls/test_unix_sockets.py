"""Addresses of Unix sockets in a process's memory, and the calls that are made for it."""

import ctypes
import os
import socket
import threading
from pathlib import Path

from inkernel.kernel_ext.sandbox.walls.unix_sockets import UnixAddress, act_for, read_address

HERE = threading.get_native_id()


def read(raw: bytes, size: int | None = None) -> UnixAddress | None:
    held = ctypes.create_string_buffer(raw, len(raw))
    with open("/proc/self/mem", "rb", 0) as memory:
        start = ctypes.addressof(held)
        size = len(raw) if size is None else size
        return read_address(memory.fileno(), start, size, lambda path: os.path.join("/cwd", path))


def test_an_address_is_read_as_the_system_reads_it(tmp_path: Path):
    unix = b"\1\0"
    (tmp_path / "link").symlink_to("/etc")
    path = os.fsencode(tmp_path / "link" / "x")
    assert read(unix + path) == UnixAddress(os.fsdecode(path), "/etc/x")
    assert read(unix + b"a\0b\0\0") == UnixAddress("/cwd/a", "/cwd/a")
    assert read(unix + b"\0a\0b") == UnixAddress("", "@a\0b")
    assert read(unix) == UnixAddress("", "@")
    assert read(unix + b"a" * 300).target == f"/cwd/{'a' * 108}"
    assert read(b"\2\0" + bytes(14)) is None
    assert read(b"\1") is None


def test_a_call_is_made_below_the_folder_alone(tmp_path: Path):
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir(), other.mkdir()
    (own / "out").symlink_to(other)

    def act(call: str, path: Path, one: socket.socket) -> int | None:
        return act_for(HERE, call, one.fileno(), UnixAddress(str(path), ""), str(own))

    with socket.socket(1) as a, socket.socket(1) as b, socket.socket(1) as theirs:
        theirs.bind(str(other / "theirs"))
        theirs.listen()
        assert act("bind", own / "out" / "mine", a) is None
        assert not (other / "mine").exists()
        assert act("bind", own / "missing" / "mine", a) < 0
        assert act("bind", own / "mine", a) == 0
        assert a.getsockname() == str(own / "mine")
        a.listen()
        assert act("connect", own / "out" / "theirs", b) is None
        assert act("connect", own / "missing", b) < 0
        assert act("connect", own / "mine", b) == 0
        with a.accept()[0] as accepted:
            b.send(b"x")
            assert accepted.recv(1) == b"x"
        assert act_for(HERE, "connect", b.fileno(), UnixAddress("", "@x"), str(own)) is None
        assert act("connect", own / "mine", b) < 0  # it is connected
