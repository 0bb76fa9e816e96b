"""What one cell run showed, in order and bounded. Plain values; knows neither shell nor model."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

MAX_RUN_CHARS = 200_000
"""Characters kept of one run: the first half and the last half of what it showed."""
MAX_VALUE_CHARS = 50_000
"""Characters kept of the text of one display, or of one traceback."""
MAX_RUN_IMAGE_BYTES = 4_000_000
"""Bytes, or characters of base64, kept of one run's images: the newest."""
OUTPUT_COST_CHARS = 200
"""Characters that any output counts as beside its text, so that their number is bounded too."""

_HALF = MAX_RUN_CHARS // 2

StreamName = Literal["stdout", "stderr"]


@dataclass(slots=True)
class Text:
    """Text written to a stream."""

    name: StreamName
    text: str


@dataclass(slots=True)
class Bundle:
    """A MIME bundle; `result`: the cell's value. Images are bytes, or base64 already."""

    data: dict[str, Any]
    result: bool = False
    display_id: str | None = None


@dataclass(slots=True)
class Failure:
    """An exception that was shown, with the shell's lines."""

    ename: str
    evalue: str
    traceback: tuple[str, ...]


KeptOutput = Text | Bundle | Failure


class OutputBuffer:
    """Outputs as a front end has them at the end: cleared and updated ones are not there."""

    def __init__(self) -> None:
        self._clearing = False
        self._forget()

    def add(self, output: KeptOutput) -> None:
        """Keep an output, as far as the bounds allow."""
        self._clear_at_last()
        room = 0 if self._tail else max(0, _HALF - self._head_size)
        if isinstance(output, Text):
            if room:
                self._add_to_head(Text(output.name, output.text[:room]))
            if output.text[room:]:
                self._add_to_tail(Text(output.name, output.text[room:]))
            return
        output = _bounded(output)
        if size(output) <= room:
            self._add_to_head(output)
        else:
            self._add_to_tail(output)
        self._drop_images()

    def update(self, bundle: Bundle) -> None:
        """Replace what this run displayed under the same id; another run's display is not ours."""
        self._clear_at_last()
        new = _bounded_bundle(bundle)
        for each in (*self._head, *self._tail):
            if isinstance(each, Bundle) and each.display_id == bundle.display_id is not None:
                each.data = new.data
        self._tail_size = sum(map(size, self._tail))
        self._drop_images()

    def clear(self, wait: bool) -> None:
        """Forget what was shown: now, or when the next output comes."""
        self._clearing = True
        if not wait:
            self._clear_at_last()

    def all(self) -> list[KeptOutput]:
        """Every output kept, neighbours of one stream joined; what is missing is said."""
        missing: list[KeptOutput] = []
        if self._lost:
            note = f"\n[… {self._lost:,} characters or outputs are not kept …]\n"
            missing = [Text("stdout", note)]
        joined: list[KeptOutput] = []
        for name, group in groupby([*self._head, *missing, *self._tail], _stream):
            if name is None:
                joined.extend(group)
            else:
                texts = (each.text for each in group if isinstance(each, Text))
                joined.append(Text(name, "".join(texts)))
        return joined

    def _forget(self) -> None:
        self._head: list[KeptOutput] = []
        self._tail: deque[KeptOutput] = deque()
        self._head_size = self._tail_size = self._lost = 0

    def _clear_at_last(self) -> None:
        if self._clearing:
            self._clearing = False
            self._forget()

    def _drop_images(self) -> None:
        drop_images([*self._head, *self._tail], MAX_RUN_IMAGE_BYTES)

    def _add_to_head(self, output: KeptOutput) -> None:
        self._head.append(output)
        self._head_size += size(output)

    def _add_to_tail(self, output: KeptOutput) -> None:
        self._tail.append(output)
        self._tail_size += size(output)
        while (excess := self._tail_size - _HALF) > 0:
            first = self._tail.popleft()
            self._tail_size -= size(first)
            if isinstance(first, Text) and len(first.text) > excess:
                self._lost += excess
                self._tail.appendleft(Text(first.name, first.text[excess:]))
                self._tail_size += size(first) - excess
            else:
                self._lost += len(first.text) if isinstance(first, Text) else 1


def size(output: KeptOutput) -> int:
    """What an output counts as in the bounds, in characters; images are counted apart."""
    match output:
        case Text():
            return OUTPUT_COST_CHARS + len(output.text)
        case Failure():
            return OUTPUT_COST_CHARS + len(output.evalue) + sum(map(len, output.traceback))
        case Bundle():
            texts = (value for kind, value in output.data.items() if not _is_image(kind))
            return OUTPUT_COST_CHARS + sum(map(len, texts))


def image_bytes(output: KeptOutput) -> int:
    """Bytes, or characters of base64, of an output's images."""
    if not isinstance(output, Bundle):
        return 0
    return sum(len(value) for kind, value in output.data.items() if _is_image(kind))


def drop_images(outputs: Sequence[KeptOutput], most: int) -> None:
    """Of the images keep the newest that fit in `most`."""
    for output in reversed(outputs):
        most -= image_bytes(output)
        if most < 0 and isinstance(output, Bundle) and image_bytes(output):
            output.data = {"text/plain": "[an image that is not kept]"} | {
                kind: value for kind, value in output.data.items() if not _is_image(kind)
            }


def _bounded(output: Bundle | Failure) -> Bundle | Failure:
    if isinstance(output, Bundle):
        return _bounded_bundle(output)
    lines = output.traceback
    if sum(map(len, lines)) > MAX_VALUE_CHARS:
        lines = tuple(_short("\n".join(lines), MAX_VALUE_CHARS).split("\n"))
    return Failure(output.ename, _short(output.evalue, MAX_VALUE_CHARS // 2), lines)


def _bounded_bundle(bundle: Bundle) -> Bundle:
    """Its texts share the bound, the plain one first; what is neither text nor image is named."""
    data: dict[str, Any] = {}
    room = MAX_VALUE_CHARS
    for kind in sorted(bundle.data, key="text/plain".__ne__):
        value = bundle.data[kind]
        if not _is_image(kind):
            value = _short(value, room) if isinstance(value, str) else ""
            room -= len(value)
        data[kind] = value
    return replace(bundle, data=data)


def _short(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = max(0, most // 2)
    note = f"\n[… {len(text) - 2 * half:,} characters are not kept …]\n"
    return f"{text[:half]}{note}{text[len(text) - half :]}"


def _is_image(kind: str) -> bool:
    return kind.startswith("image/") and kind != "image/svg+xml"


def _stream(output: KeptOutput) -> StreamName | None:
    return output.name if isinstance(output, Text) else None
