"""Records that an earlier version wrote, every kind of line among them, still say the same.

`data/*.jsonl` are such records; `data/*.json` is what the version that wrote them read in them.
"""

import json
import shutil
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from inkernel.agent.conversation.history import Numbered
from inkernel.agent.conversation.output_store import OutputStore
from inkernel.agent.conversation.record import Record
from inkernel.agent.conversation.resume import resume
from inkernel.agent.conversation.runs import RunLog
from inkernel.agent.search.index import Index
from inkernel.agent.text.truncation import full_text
from inkernel.kernel_ext.commands.last_turn import last_turn
from inkernel.kernel_ext.commands.sessions import turn_rows

DATA = Path(__file__).parent / "data"
KINDS = {
    *("session", "turn", "told", "item", "verdict", "lent_call", "cell_run", "output"),
    *("superseded", "sample", "ended", "window", "rewind", "mark", "notes"),
}
OLD = sorted(DATA.glob("*.jsonl"))


def entries(numbered: list[Numbered]) -> list[list[Any]]:
    """Entries, with a hash in the place of an item's bytes."""
    return [
        [n, it.turn, it.cell, it.kind, it.run, blake2b(it.item.wire, digest_size=8).hexdigest()]
        for n, it in numbered
    ]


def without(values: dict[str, Any], *later: str) -> dict[str, Any]:
    """The values but for those that those versions did not know."""
    return {name: it for name, it in values.items() if name not in later}


def state(path: Path) -> dict[str, Any]:
    """All that a session goes on with, of what those versions knew."""
    resumed = resume(path)
    found = resumed.conversation
    seal = found.history.seal
    return {
        "session": resumed.session,
        "turns": [found.turns, found.cell, *map(asdict, found.heads)],
        "window": entries(list(zip(found.history.numbers, found.history.entries, strict=True))),
        "seal": seal and [seal.by, seal.count, entries(list(seal.local))],
        "tokens": found.history.tokens,
        "told": without(asdict(found.told), "full"),
        "usage": [
            it and without(asdict(it), "written", "estimated") for it in (found.usage, found.last)
        ],
        "digest": found.digest and found.digest.model_dump(),
        "marks": [sorted(found.marks.pinned), sorted(found.marks.hidden)],
        "runs": [without(asdict(it), "deleted") for it in resumed.runs],
        "ended": resumed.ended,
        "outputs": resumed.outputs,
    }


def told(path: Path) -> dict[str, Any]:
    """All else that is read from a record: by search, by handle, by commands."""
    resumed, record = resume(path), Record(path)
    store = OutputStore(record, resumed.outputs, RunLog(resumed.runs, resumed.ended))
    texts = {handle: store.lines(handle).text for handle in store.handles}
    record.close()
    index = Index(path)
    turn = last_turn(path)
    assert turn is not None
    return {
        "texts": texts,
        "found": sorted(hit.row for hit in index.search("april", lambda row: str(row.at), 20)),
        "turns": [asdict(it) for it in index.turns()],
        "spoken": [index.spoken(it.turn) for it in index.turns()],
        "rows": [(n, words.removesuffix("; taken back")) for n, words in turn_rows(path)],
        "last": [turn.session, turn.answer, *(turn.provenance("a", it) for it in turn.steps)],
        "steps": [[it.handle, it.ran, it.run.bound, full_text(it.run)] for it in turn.steps],
    }


def plain(value: object) -> Any:
    """As JSON has it."""
    return json.loads(json.dumps(value))


def test_they_have_every_kind_of_line():
    lines = [json.loads(line) for path in OLD for line in path.read_bytes().splitlines()]
    assert {line["kind"] for line in lines} == KINDS
    assert {line["kind"] for line in lines if line.get("v") == 1} == KINDS


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_they_are_read_as_the_version_that_wrote_them_read_them(path: Path, tmp_path: Path):
    record = Path(shutil.copy(path, tmp_path))
    before = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert plain(state(record)) == before["state"]
    assert plain(told(record)) == before["told"]


@pytest.mark.parametrize(
    "line",
    [
        *('{"kind":"ended","v":2}', '{"kind":"sample","v":2}', '{"kind":"notes","v":2}'),
        *('{"kind":"told","v":2}', '{"kind":"verdict","v":2}', '{"kind":"lent_call","v":2}'),
        '{"kind":"item","v":2,"turn":1,"item":{"type":"message","role":"user","content":"a"}}',
        '{"kind":"cell_run","v":2,"by":"agent","handle":"out-1","source":"","status":"ok","outputs":[]}',
        '{"kind":"output","v":2,"handle":"out-1","text":"a"}',
    ],
)
def test_a_line_of_another_version_may_lack_what_a_session_can_do_without(
    line: str, tmp_path: Path
):
    path = tmp_path / "s.jsonl"
    path.write_text(
        f'{{"kind":"session","v":2,"session":"s"}}\n{{"kind":"turn","v":2,"turn":1}}\n{line}\n'
    )
    assert resume(path).conversation.turns == 1
    assert told(path)["turns"] == [{"turn": 1, "line": "", "cell": None, "count": None}]
