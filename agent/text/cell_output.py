"""A cell run as content parts: its text within a budget, then its figures.

Knows neither who runs the cell nor who reads the parts.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from ..protocol.cells import CellRun, DisplayOutput, Output
from ..protocol.items import text_part
from .images import SVG, image_or_words
from .truncation import fit, run_parts_of

MAX_SENT_IMAGES = 4
"""Most figures of one run that the model gets. They are the last ones."""

_KINDS = ("image/png", "image/jpeg", "image/gif", "image/webp", SVG)


def run_parts(run: CellRun, output_tokens: int, handle: str) -> tuple[dict[str, str], ...]:
    """The text of a run in about `output_tokens`, then its figures.

    `handle`: names the full text, from which left-out lines can be read.
    """
    shown, left_out = figures(run.outputs, MAX_SENT_IMAGES)
    text = fit(run_parts_of(run), output_tokens, handle)
    if left_out:
        text += f"\n[{left_out} earlier figures are not sent to you]"
    return (text_part(text), *shown)


def figures(outputs: Iterable[Output], most: int) -> tuple[list[dict[str, str]], int]:
    """The last `most` images as content parts, in order, and the number of images before them.

    An image that cannot be sent becomes a text that says so.
    """
    found = images_of(outputs)
    return [image_or_words(*image) for image in found[-most:]], max(0, len(found) - most)


def images_of(outputs: Iterable[Output]) -> list[tuple[str, str]]:
    """Kind and base64 of each image among outputs, in order."""
    return [image for output in outputs for image in _images(output)]


def _images(output: Output) -> Iterator[tuple[str, str]]:
    """Kind and base64 of the image that an output is."""
    if isinstance(output, DisplayOutput):
        kinds = (kind for kind in _KINDS if isinstance(output.data.get(kind), str))
        yield from ((kind, output.data[kind]) for kind in islice(kinds, 1))
