"""Reads the code of a step before it runs: is it plain computing, and what else does it do? Pure.

It never runs code, and raises no verdict by itself. Code can hide anything from a reader, so what
it finds plain still runs under the guard.
"""

from ..frozen import frozen
from ..protocol.trials import Deed, Walls
from .code.findings import Findings, Surroundings
from .code.reader import CodeReader

ANYWHERE = Surroundings()


@frozen(kw_only=True)
class CodeReading:
    """The result of reading code.

    `plain`: it only computes, reads and writes files within the walls, in ways that the guard sees.
    `concerns`: what it does beyond the walls, as its text has it. `unread`: the first thing because
    of which it is not plain, in words. `unheard`: the first one of which the guard of a live run
    would hear nothing. `writer`: the first that writes so, where only a run shows.
    """

    plain: bool
    concerns: tuple[Deed, ...] = ()
    unread: str = ""
    unheard: str = ""
    writer: str = ""


def read_code(code: str, walls: Walls, around: Surroundings = ANYWHERE) -> CodeReading:
    """Read code, as IPython would run it. Takes any text. Never raises.

    Targets of concerns have `…` for parts that only the running code knows.
    """
    findings = Findings(walls, around)
    try:
        CodeReader(findings).read(code)
    except RecursionError:
        findings.not_plain("code that is nested too deeply")
    return CodeReading(
        plain=not findings.unread,
        concerns=tuple(findings.concerns),
        unread=findings.unread,
        unheard=findings.unheard,
        writer=findings.writer,
    )
