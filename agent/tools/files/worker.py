"""The process that reads documents: a document may hang or crash its reader.

`python -m inkernel.agent.tools.files.worker index INDEX FOLDER` takes a line of JSON for each file,
and gives a line when it is in the index. `… text FILE` gives a line of JSON for each place, and
`… page FILE NUMBER` a picture. It ends with its input.
"""

import io
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

from .index import opened_index, put_file
from .places import PlacedText, UnreadableFile
from .readers.kinds import page_picture, read_document
from .scan import SeenFile

MAX_MEMORY_BYTES = 3 << 30
"""Most bytes of address space. A reader that wants more fails."""


def run_worker() -> None:
    """Do what the command line says."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    work: dict[str, Callable[..., None]] = {"index": _index, "text": _text, "page": _page}
    work[sys.argv[1]](*sys.argv[2:])


def _index(index: str, folder: str) -> None:
    with opened_index(Path(index)) as db:
        for line in sys.stdin:
            file = SeenFile(*json.loads(line))
            texts, error = _read(Path(folder, file.path))
            put_file(db, file, texts, error)
            print("done", flush=True)


def _text(path: str) -> None:
    texts, error = _read(Path(path))
    for it in texts:
        print(json.dumps([astuple(it.place), it.text]))
    print(json.dumps([None, error]))


def _page(path: str, number: str) -> None:
    try:
        picture = io.BytesIO()
        page_picture(Path(path), int(number)).save(picture, "PNG")
        sys.stdout.buffer.write(picture.getvalue())
    except UnreadableFile as problem:
        sys.exit(str(problem))


def _read(path: Path) -> tuple[list[PlacedText], str]:
    """The texts of a file, or why there are none."""
    try:
        return list(read_document(path)), ""
    except UnreadableFile as problem:
        return [], str(problem)
    except Exception as problem:  # of a library, about a broken document
        return [], f"it cannot be read: {type(problem).__name__}: {problem}"[:200]


if __name__ == "__main__":
    run_worker()
