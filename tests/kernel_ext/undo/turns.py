"""A turn's code between a checkpoint and its restore; a look at the process that remembers."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from inkernel.kernel_ext.undo.checkpoint import Restored, take


class Basket:
    """A class of the person's."""

    def __init__(self, *fruits: str) -> None:
        self.fruits = [*fruits]


Basket.__module__ = "__main__"


def undo(
    names: dict[str, Any], code: str | Callable[[], object], fork: bool = True, **how: Any
) -> Restored:
    """Take a checkpoint, let the turn's code run, give everything back."""
    checkpoint = take(names, fork)
    try:
        if isinstance(code, str):
            exec(code, {"names": names, "np": np, "pd": pd}, names)
        else:
            code()
        return checkpoint.restore(names, lambda name: not name.startswith("_"), **how)
    finally:
        checkpoint.drop()


def changed(restored: Restored) -> dict[str, bool]:
    return {each.name: each.same for each in restored.changed_in_place}


def gone(pid: int) -> bool:
    """The process is no more, not even as a zombie."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.02)
    return False


def descriptors(pid: int) -> set[str]:
    """What a copy has open, once it has let go of the rest."""
    until = time.monotonic() + 20
    held: set[str] = set()
    while time.monotonic() < until:
        try:
            held = {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()}
        except FileNotFoundError:  # it was closed just then
            continue
        if len(held) == 2:
            break
    return held
