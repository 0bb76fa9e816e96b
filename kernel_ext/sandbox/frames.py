"""The report of a copy: lines of JSON over a pipe, bounded. Nothing in them is ever unpickled.

The copy may send anything. The reader takes what has the right form, and drops the rest.
"""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, cast, get_args

from ...agent.protocol.cells import DisplayOutput, ErrorOutput, Output, StreamOutput
from ...agent.protocol.trials import Deed, DeedKind

MAX_FRAME_BYTES = 8 << 20
"""Bytes of one frame. A larger output is left out."""
MAX_REPORT_BYTES = 32 << 20
"""Bytes of one report. After them, nothing more is read."""
MAX_OUTPUT_BYTES = 24 << 20
"""Bytes of outputs that a copy sends. The rest of a report is for deeds and for its end."""
MAX_NAMES = 2_000
"""Names, deeds and outputs of each kind that a report keeps."""
MAX_WORDS = 4_000
"""Characters of one name, target, error or reason."""
_KINDS = frozenset(get_args(DeedKind))


class Sender:
    """The copy's end. Frames of several threads do not mix. Outputs leave room for the end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._for_outputs = MAX_OUTPUT_BYTES

    def send(self, kind: str, value: object) -> None:
        """Send one frame. One that is too large, or that JSON cannot hold, is left out."""
        with suppress(TypeError, ValueError, OSError, RecursionError):
            body = json.dumps([kind, value], default=str).encode("utf-8", "replace")
            if len(body) < MAX_FRAME_BYTES:
                with self._lock:
                    if kind == "output":
                        self._for_outputs -= len(body)
                        if self._for_outputs < 0:
                            return
                    rest = memoryview(body + b"\n")
                    while rest:
                        rest = rest[os.write(self._descriptor, rest) :]


class Receiver:
    """The kernel's end: the frames in the bytes that came."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._left = MAX_REPORT_BYTES

    def feed(self, data: bytes) -> Iterator[tuple[str, Any]]:
        """The frames that these bytes complete."""
        taken = data[: max(0, self._left)]
        self._left -= len(taken)
        self._held += taken
        while (end := self._held.find(b"\n")) >= 0:
            line = bytes(self._held[:end])
            del self._held[: end + 1]
            with suppress(ValueError, RecursionError):
                match json.loads(line):
                    case [str(kind), value]:
                        yield kind, value
                    case _:
                        pass


def packed(output: Output) -> dict[str, Any]:
    """An output as a frame carries it."""
    match output:
        case StreamOutput():
            return {"stream": output.name, "text": output.text}
        case DisplayOutput():
            return {"data": output.data, "metadata": output.metadata, "result": output.result}
        case ErrorOutput():
            traceback = list(output.traceback)
            return {"ename": output.ename, "evalue": output.evalue, "traceback": traceback}


def unpacked(value: Any) -> Output | None:
    """The output of a frame. None if it has another form."""
    match value:
        case {"stream": "stdout" | "stderr" as name, "text": str(text)}:
            return StreamOutput(name=name, text=text)
        case {"data": dict(), "metadata": dict(), "result": bool(result)}:
            return DisplayOutput(data=value["data"], metadata=value["metadata"], result=result)
        case {"ename": str(ename), "evalue": str(evalue), "traceback": list()}:
            texts = tuple(map(str, value["traceback"]))
            return ErrorOutput(ename=ename, evalue=evalue, traceback=texts)
        case _:
            pass
    return None


def deed_in(value: Any) -> Deed | None:
    """The deed of a frame. None if it has another form."""
    match value:
        case [str(kind), str(target), str(call)] if kind in _KINDS:
            return Deed(cast("Any", kind), target[:MAX_WORDS], call[:MAX_WORDS])
        case _:
            return None


def names_in(value: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Sorted names under a key."""
    found = value.get(key)
    if not isinstance(found, list):
        return ()
    names = {it for it in cast("list[object]", found[:MAX_NAMES]) if isinstance(it, str)}
    return tuple(sorted(it[:MAX_WORDS] for it in names))


def numbers_in(value: Any) -> tuple[int, ...]:
    """The numbers of a frame that has few of them, else none."""
    match value:
        case [int(one), int(other)]:
            return one, other
        case _:
            return ()


def words_in(value: Mapping[str, Any], key: str) -> str:
    """The text under a key. Empty if there is none."""
    found = value.get(key)
    return found[:MAX_WORDS] if isinstance(found, str) else ""
