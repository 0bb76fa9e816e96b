"""Measures the checks around a step by themselves: a verdict, reading its code, our own code.

In one process, without a kernel and without load. The least of many runs each.
"""

import ast
import time
from collections.abc import Callable

import inkernel.kernel_ext.commands.dispatch
import inkernel.kernel_ext.host  # noqa: F401  the modules that a turn has
from inkernel.agent.permissions.code.findings import Surroundings
from inkernel.agent.permissions.judge import Seen, Terms, judge
from inkernel.agent.permissions.reading import read_code
from inkernel.agent.protocol.actions import Action
from inkernel.agent.protocol.trials import Walls
from inkernel.kernel_ext.integrity.own_code import OwnCode, watched_modules

from .ordinary import STEPS

LINES, RUNS = 20, 300
WALLS = Walls(workspace=("/ws",), protected=("/ws/.git",), secret=("/home/a/.ssh",))
AROUND = Surroundings("/ws", "/home/a")


def measure(quick: bool) -> dict[str, float]:
    """Milliseconds, and the names and functions of ours that a check looks at."""
    runs = 3 if quick else RUNS
    code = _code()
    found = read_code(code, WALLS, AROUND)
    seen = Seen(plain=found.plain, concerns=found.concerns)
    action = Action(tool="run_cell", arguments={}, effects=frozenset(("run_code",)), code=code)
    own = OwnCode(watched_modules(), lambda: 0)
    return {
        "judge": _least(lambda: judge(action, seen, Terms(can_try=True)), runs),
        "read": _least(lambda: read_code(code, WALLS, AROUND), runs),
        "parse": _least(lambda: ast.parse(code), runs),
        "own code": _least(lambda: list(own.changed()), runs),
        "modules": len(watched_modules()),
    }


def _code() -> str:
    """The first statements of a notebook of frames, in 20 lines or a few more."""
    text = (STEPS / "frames.txt").read_text(encoding="utf-8").replace("# %%\n", "")
    lines: list[str] = []
    for statement in ast.parse(text).body:
        lines += ast.unparse(statement).splitlines()
        if len(lines) >= LINES:
            break
    return "\n".join(lines)


def _least(run: Callable[[], object], runs: int) -> float:
    least = float("inf")
    for _ in range(runs):
        started = time.perf_counter()
        run()
        least = min(least, 1e3 * (time.perf_counter() - started))
    return least
