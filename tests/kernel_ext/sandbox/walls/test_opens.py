"""The paths of system calls as the process that hears a copy reads them."""

import ctypes
import os
from pathlib import Path

import pytest

from inkernel.agent.protocol.trials import Deed
from inkernel.kernel_ext.sandbox.walls.opens import _deeds

NO_FOLDER = 2**64 - 1
HERE = 2**64 - 100


def heard(call: str, *given: int) -> list[Deed]:
    return list(_deeds(os.getpid(), call, [*given, *[0] * 6][:6]))


def test_a_whole_path_needs_no_folder_that_is_open(tmp_path: Path):
    text = ctypes.create_string_buffer(os.fsencode(tmp_path / "a"))
    at = ctypes.addressof(text)
    wanted = [Deed("read", str(tmp_path / "a"), "open")]
    assert heard("openat", NO_FOLDER, at) == wanted == heard("openat", HERE, at)
    assert heard("open", at) == wanted


def test_a_relative_path_begins_in_its_folder(tmp_path: Path):
    text = ctypes.create_string_buffer(b"a/../b")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        found = heard("openat", folder, ctypes.addressof(text), os.O_WRONLY)
        assert found == [Deed("write", str(tmp_path / "b"), "open")]
        assert heard("unlinkat", folder, ctypes.addressof(text))[0].kind == "remove"
    finally:
        os.close(folder)
    with pytest.raises(OSError, match="No such file"):
        heard("openat", 9999, ctypes.addressof(text))


def test_a_path_over_pages_is_read_whole_and_a_folder_is_none(tmp_path: Path):
    long = "/".join([str(tmp_path), *["x" * 200] * 15])
    text = ctypes.create_string_buffer(b"." * 3000 + os.fsencode(long))
    assert heard("open", ctypes.addressof(text) + 3000)[0].target == long
    assert heard("open", ctypes.addressof(text) + 3000, os.O_DIRECTORY) == []
    made = heard("open", ctypes.addressof(text) + 3000, os.O_TMPFILE | os.O_RDWR)
    assert made[0].kind == "write"
