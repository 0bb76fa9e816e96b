"""Has documents read by a process of its own, into an index or at once. Knows no query."""

import json
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...frozen import frozen
from .index import differences, forget_files, opened_index, put_file
from .places import DocumentPlace, PlacedText, UnreadableFile
from .scan import SeenFile, seen_files

FILE_SECONDS = 15.0
"""How long one file may take."""
_PROGRAM = (sys.executable, "-m", f"{__package__}.worker")


@frozen
class IndexState:
    """The state of an index. `files`: in the folder. `waiting`: not read yet."""

    files: int
    waiting: int


class Indexer:
    """The index of one folder, and the thread that has changed files read into it."""

    def __init__(self, folder: Path, index: Path) -> None:
        self.folder, self.index = folder, index
        self._files = 0
        self._waiting: list[SeenFile] = []
        self._lock, self._reading = threading.Lock(), False
        self._thread: threading.Thread | None = None
        self._worker: subprocess.Popen[str] | None = None
        self._answers = queue.Queue[str]()
        self._closed = False

    def refresh(self) -> IndexState:
        """Look for changed files, and have them read meanwhile. Raises NoSearchError, OSError."""
        files = seen_files(self.folder)
        self._files = len(files)
        with opened_index(self.index) as db:
            changed, gone = differences(db, files)
            if gone:
                forget_files(db, gone)
        with self._lock:
            self._waiting += [it for it in changed if it not in self._waiting]
            if self._waiting and not self._reading:
                self._reading = True
                self._thread = threading.Thread(target=self._read, daemon=True)
                self._thread.start()
        return self.state

    @property
    def state(self) -> IndexState:
        """The state now."""
        return IndexState(self._files, len(self._waiting))

    def close(self) -> None:
        """End the process."""
        self._closed = True
        self._end()
        if self._thread is not None:
            self._thread.join()

    def _read(self) -> None:
        try:
            while file := self._next():
                error = self._read_one(file)
                if error and not self._closed:
                    with opened_index(self.index) as db:
                        put_file(db, file, (), error)
                with self._lock:
                    self._waiting.remove(file)
        finally:  # the next look begins again, if the index could not be written
            self._reading = False

    def _next(self) -> SeenFile | None:
        """The next file. None ends the thread, and what is found after that has another."""
        with self._lock:
            if self._waiting and not self._closed:
                return self._waiting[0]
            self._reading = False
            self._end()
            return None

    def _read_one(self, file: SeenFile) -> str:
        """Have a file read. Returns why that was not possible, or nothing."""
        worker = self._worker or self._started()
        assert worker.stdin is not None
        try:
            worker.stdin.write(f"{json.dumps(file)}\n")
            worker.stdin.flush()
            answer = self._answers.get(timeout=FILE_SECONDS)
        except queue.Empty:
            answer = f"reading it took more than {FILE_SECONDS:g} s"
        except OSError:
            answer = ""
        if answer == "done":
            return ""
        self._end()
        return answer or "its reader crashed"

    def _started(self) -> "subprocess.Popen[str]":
        worker = self._worker = subprocess.Popen(
            [*_PROGRAM, "index", str(self.index), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # ■ is not for it
        )
        self._answers = queue.Queue[str]()
        threading.Thread(target=_hear, args=(worker, self._answers), daemon=True).start()
        return worker

    def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            worker.wait()
            assert worker.stdin is not None
            with suppress(OSError):  # a line that it did not take
                worker.stdin.close()


def _hear(worker: "subprocess.Popen[str]", answers: "queue.Queue[str]") -> None:
    assert worker.stdout is not None
    with worker.stdout as lines:
        for line in lines:
            answers.put(line.strip())
    answers.put("")  # it has ended


def document_texts(path: Path) -> list[PlacedText]:
    """The texts of a file, read now. Raises UnreadableFile."""
    lines = [json.loads(line) for line in _ran("text", path).decode().splitlines()]
    if not lines or lines[-1][0] is not None:
        raise UnreadableFile("its reader crashed")
    if error := lines[-1][1]:
        raise UnreadableFile(error)
    return [PlacedText(DocumentPlace(*place), text) for place, text in lines[:-1]]


def picture_of(path: Path, page: int) -> bytes:
    """A page of a PDF as a PNG. Raises UnreadableFile."""
    return _ran("page", path, str(page))


def _ran(work: str, path: Path, *more: str) -> bytes:
    command: list[Any] = [*_PROGRAM, work, str(path), *more]
    try:
        ran = subprocess.run(
            command, capture_output=True, timeout=FILE_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise UnreadableFile(f"reading it took more than {FILE_SECONDS:g} s") from None
    if ran.returncode == 1 and work == "page":
        raise UnreadableFile(ran.stderr.decode(errors="replace").strip()[-300:])
    if ran.returncode:
        raise UnreadableFile("its reader crashed")
    return ran.stdout
