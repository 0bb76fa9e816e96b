"""Keeps the user's cell runs, in order and bounded. Knows neither the log nor any reader."""

import re
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

from ...agent.protocol.cells import DisplayOutput, Output, StreamOutput
from .buffer import drop_images, image_bytes, size

if TYPE_CHECKING:
    from ...agent.protocol.observed import UserCellRun

MAX_RUNS = 1_000
"""Runs that are kept, at most."""
MAX_ALL_CHARS = 20_000_000
"""Characters of the outputs of all runs. The oldest runs lose theirs first."""
MAX_ALL_IMAGE_BYTES = 8_000_000
"""Bytes or base64 characters of the images of all runs. The oldest go first."""

_NOT_KEPT = StreamOutput(name="stdout", text="[the outputs of this run are not kept]")
_HIDE = re.compile(r"\s*#\s*agent:\s*hide\b")


@dataclass(slots=True)
class UserRun:
    """A run that is over, as in `UserCellRun`. `code`: the transformed cell, if it is known."""

    cell: str | None
    count: int | None
    source: str
    code: str | None
    status: Literal["ok", "error", "interrupted"]
    shown: list[Output]
    bound: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    seconds: float = 0.0
    number: int = 0
    supersedes: int | None = None
    reads: tuple[str, ...] | None = None  # computed at the first use
    text: int = 0
    images: int = 0

    @property
    def key(self) -> str:
        """Equal for runs of the same cell."""
        return self.cell or self.source


class UserCellRuns:
    """The last runs. `transform` makes Python of a cell as typed."""

    def __init__(self, transform: Callable[[str], str]) -> None:
        self.last = 0
        self._transform = transform
        self._runs: deque[UserRun] = deque()
        self._latest: dict[str, int] = {}
        self._text = self._images = 0

    def append(self, run: UserRun) -> None:
        """Number the run and keep it. Drops runs and outputs beyond the limits."""
        self.last += 1
        run.number, run.supersedes = self.last, self._latest.get(run.key)
        self._latest[run.key] = run.number
        self._runs.append(run)
        self._measure(run)
        if len(self._runs) > MAX_RUNS:
            self._forget(self._runs.popleft())
        for old in self._runs:
            if self._text > MAX_ALL_CHARS and old.text:
                old.shown = [_NOT_KEPT]
            elif self._images > MAX_ALL_IMAGE_BYTES and old.images:
                drop_images(old.shown, 0)
            elif self._text <= MAX_ALL_CHARS and self._images <= MAX_ALL_IMAGE_BYTES:
                break
            self._measure(old)

    def since(self, number: int) -> "tuple[UserCellRun, ...]":
        """The kept runs after that number."""
        new = list(takewhile(lambda run: run.number > number, reversed(self._runs)))
        return tuple(map(self._seen, reversed(new)))

    def _measure(self, run: UserRun) -> None:
        text, images = sum(map(size, run.shown)), sum(map(image_bytes, run.shown))
        self._text += text - run.text
        self._images += images - run.images
        run.text, run.images = text, images

    def _forget(self, run: UserRun) -> None:
        run.shown = []
        self._measure(run)
        if self._latest[run.key] == run.number:
            del self._latest[run.key]

    def _seen(self, run: UserRun) -> "UserCellRun":
        from ...agent.protocol.observed import UserCellRun

        if run.reads is None:
            run.reads = self._reads(run)
        return UserCellRun(
            number=run.number,
            cell=run.cell,
            count=run.count,
            source=run.source,
            status=run.status,
            outputs=tuple(map(_output, run.shown)),
            bound=run.bound,
            changed=run.changed,
            deleted=run.deleted,
            reads=run.reads,
            seconds=run.seconds,
            supersedes=run.supersedes,
            hidden=_HIDE.match(run.source) is not None,
        )

    def _reads(self, run: UserRun) -> tuple[str, ...]:
        from .names_read import reads

        return reads(run.source if run.code is None else run.code, self._transform)


def _output(shown: Output) -> Output:
    """The output with images as base64, and without its display id, as no update can come."""
    if not isinstance(shown, DisplayOutput):
        return shown
    data = {kind: _textual(value) for kind, value in shown.data.items()}
    return replace(shown, data=data, display_id=None)


def _textual(value: Any) -> Any:
    return b64encode(value).decode("ascii") if isinstance(value, bytes) else value
