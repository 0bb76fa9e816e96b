"""An output as the model gets it: within its budget, the whole kept by handle. Knows no tool."""

from dataclasses import replace

from ..protocol.items import text_part
from ..session import Session
from ..text.cell_output import MAX_SENT_IMAGES
from ..text.tokens import estimate
from ..text.truncation import OutputPart, fit
from ..tools.tool import ToolOutput

_SLACK = 1.25
"""How far an output may exceed the budget. Some tools fit theirs, and come out a little over."""


def bounded(output: ToolOutput, session: Session) -> ToolOutput:
    """The same output, if it has at most about `output_tokens` of text and few images.

    Else its long texts are cut, and the model can read the left-out lines. Raises RecordError.
    """
    if output.run is not None:  # it was fitted part by part
        return output
    limit = session.settings.output_tokens
    texts = [part["text"] for part in output.parts if "text" in part]
    images = [part for part in output.parts if "text" not in part]
    if estimate("\n".join(texts)) > limit * _SLACK:
        handle = session.outputs.keep("\n".join(texts))
        texts = [fit(list(map(OutputPart, texts)), limit, handle)]
    elif len(images) <= MAX_SENT_IMAGES:
        return output
    if left_out := len(images[:-MAX_SENT_IMAGES]):
        texts.append(f"[{left_out} earlier images are not sent to you]")
    return replace(output, parts=(*map(text_part, texts), *images[-MAX_SENT_IMAGES:]))
