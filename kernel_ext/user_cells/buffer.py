"""Keeps the outputs of one cell run, in order and bounded. Knows neither shell nor model.

Images are bytes or base64.
"""

from collections import deque
from collections.abc import MutableSequence
from dataclasses import replace

from ...agent.protocol.cells import DisplayOutput, ErrorOutput, Output, StreamOutput
from ..output_hooks import joined, put_update

MAX_RUN_CHARS = 200_000
"""Characters kept of one run. Half of them are its first, half its last."""
MAX_VALUE_CHARS = 50_000
"""Characters kept of the text of one display or of one traceback, at most."""
MAX_RUN_IMAGE_BYTES = 4_000_000
"""Bytes or base64 characters kept of one run's images. The newest ones stay."""
OUTPUT_COST_CHARS = 200
"""Characters that each output counts besides its text, so that their number is bounded, too."""

_HALF = MAX_RUN_CHARS // 2


class OutputBuffer:
    """Outputs as a front end shows them at the end, without cleared and updated ones."""

    def __init__(self) -> None:
        self._clearing = False
        self._forget()

    def add(self, output: Output) -> None:
        """Keep an output, as far as the limits allow."""
        self._clear_at_last()
        room = 0 if self._tail else max(0, _HALF - self._head_size)
        if isinstance(output, StreamOutput):
            if room:
                self._add_to_head(replace(output, text=output.text[:room]))
            if output.text[room:]:
                self._add_to_tail(replace(output, text=output.text[room:]))
            return
        output = _bounded(output)
        if size(output) <= room:
            self._add_to_head(output)
        else:
            self._add_to_tail(output)
        self._drop_images()

    def update(self, output: DisplayOutput) -> None:
        """Replace the displays of this run with the same id. Those of other runs are not here."""
        self._clear_at_last()
        output = _bounded_display(output)
        for outputs in (self._head, self._tail):
            put_update(outputs, output)
        self._tail_size = sum(map(size, self._tail))
        self._drop_images()

    def clear(self, wait: bool) -> None:
        """Forget all outputs: now, or when the next output comes."""
        self._clearing = True
        if not wait:
            self._clear_at_last()

    def all(self) -> list[Output]:
        """The kept outputs, with neighbours of one stream joined, and a note if any is missing."""
        note = f"\n[… {self._lost:,} characters or outputs are not kept …]\n"
        missing = [StreamOutput(name="stdout", text=note)] if self._lost else []
        return joined([*self._head, *missing, *self._tail])

    def _forget(self) -> None:
        self._head: list[Output] = []
        self._tail: deque[Output] = deque()
        self._head_size = self._tail_size = self._lost = 0

    def _clear_at_last(self) -> None:
        if self._clearing:
            self._clearing = False
            self._forget()

    def _drop_images(self) -> None:
        drop_images(self._head, drop_images(self._tail, MAX_RUN_IMAGE_BYTES))

    def _add_to_head(self, output: Output) -> None:
        self._head.append(output)
        self._head_size += size(output)

    def _add_to_tail(self, output: Output) -> None:
        self._tail.append(output)
        self._tail_size += size(output)
        while (excess := self._tail_size - _HALF) > 0:
            first = self._tail.popleft()
            self._tail_size -= size(first)
            if isinstance(first, StreamOutput) and len(first.text) > excess:
                self._lost += excess
                self._tail.appendleft(replace(first, text=first.text[excess:]))
                self._tail_size += size(first) - excess
            else:
                self._lost += len(first.text) if isinstance(first, StreamOutput) else 1


def size(output: Output) -> int:
    """The characters that an output counts in the limits. Images are counted separately."""
    match output:
        case StreamOutput():
            return OUTPUT_COST_CHARS + len(output.text)
        case ErrorOutput():
            return OUTPUT_COST_CHARS + len(output.evalue) + sum(map(len, output.traceback))
        case DisplayOutput():
            texts = (value for kind, value in output.data.items() if not _is_image(kind))
            return OUTPUT_COST_CHARS + sum(map(len, texts))


def image_bytes(output: Output) -> int:
    """Bytes or base64 characters of an output's images."""
    if not isinstance(output, DisplayOutput):
        return 0
    return sum(len(value) for kind, value in output.data.items() if _is_image(kind))


def drop_images(outputs: MutableSequence[Output], most: int) -> int:
    """Keep the newest images that fit in `most`. Returns the room that is left."""
    for place in reversed(range(len(outputs))):
        output = outputs[place]
        most -= image_bytes(output)
        if most < 0 and isinstance(output, DisplayOutput) and image_bytes(output):
            texts = {kind: value for kind, value in output.data.items() if not _is_image(kind)}
            data = {"text/plain": "[an image that is not kept]"} | texts
            outputs[place] = replace(output, data=data)
    return most


def _bounded(output: DisplayOutput | ErrorOutput) -> DisplayOutput | ErrorOutput:
    if isinstance(output, DisplayOutput):
        return _bounded_display(output)
    lines = output.traceback
    if sum(map(len, lines)) > MAX_VALUE_CHARS:
        lines = tuple(_short("\n".join(lines), MAX_VALUE_CHARS).split("\n"))
    return replace(output, evalue=_short(output.evalue, MAX_VALUE_CHARS // 2), traceback=lines)


def _bounded_display(output: DisplayOutput) -> DisplayOutput:
    """A display's images, and in place of its other data the text that a model reads of it.

    Code may show data of any form: an image or a text may be None or a number.
    """
    given = {str(kind): value for kind, value in output.data.items()}
    images = {
        kind: value
        for kind, value in given.items()
        if _is_image(kind) and isinstance(value, str | bytes)
    }
    texts = {kind: value for kind, value in given.items() if kind not in images}
    bare = not texts or (texts.keys() == {"text/plain"} and isinstance(texts["text/plain"], str))
    if not bare or "image/svg+xml" in images:
        from ...agent.text.displays.display_text import display_text

        texts = {"text/plain": display_text(given)}
    data = {kind: _short(value, MAX_VALUE_CHARS) for kind, value in texts.items()}
    return replace(output, data=data | images, metadata={})


def _short(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = max(0, most // 2)
    note = f"\n[… {len(text) - 2 * half:,} characters are not kept …]\n"
    return f"{text[:half]}{note}{text[len(text) - half :]}"


def _is_image(kind: str) -> bool:
    return kind.startswith("image/")
