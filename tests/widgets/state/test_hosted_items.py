"""What ran at the model's server, as a reader sees it. Items and words: `hosted.json`."""

import json
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.protocol.events import (
    Event,
    HostedProgress,
    ItemDone,
    Retrying,
    SampleEnded,
    TextDelta,
)
from inkernel.agent.protocol.items import HOSTED, HostedCall, parse_item
from inkernel.widgets.render.html import block_html, bundle
from inkernel.widgets.state.blocks import AnswerBlock, AnswerSource, HostedBlock, Note
from inkernel.widgets.state.fold import TurnState, fold
from inkernel.widgets.state.hosted_items import MAX_IMAGE_CHARS, MAX_SOURCES, hosted_of
from inkernel.widgets.state.outputs import MAX_STREAM_CHARS, StreamText

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "hosted.json").read_text(encoding="utf-8")
)


def done(**fields: Any) -> ItemDone:
    return ItemDone(item=parse_item(fields))


def folded(events: Sequence[Event]) -> TurnState:
    return reduce(fold, events, TurnState())


def read(item: dict[str, Any]) -> HostedBlock:
    parsed = parse_item(item)
    assert isinstance(parsed, HostedCall)
    return hosted_of(parsed)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["item"]["type"])
def test_each_kind_reads_as_words(case: dict[str, Any]) -> None:
    text = bundle(folded([done(**case["item"])]), timing=True)["text/plain"]
    assert text.split("\n")[2:-2] == case["reads"]


def test_the_file_has_a_case_for_each_kind_and_for_an_unknown_one() -> None:
    assert HOSTED | {"message", "acme:chart"} == {case["item"]["type"] for case in CASES}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "url", "text", "error", "stdout", "name", "title", "logs"]),
            inner,
        )
    ),
    max_leaves=6,
)
FIELDS = (
    *("action", "status", "queries", "results", "code", "outputs", "result", "error", "output"),
    *("tools", "operation", "arguments", "server_label", "name", "input", "id"),
)


@given(st.sampled_from(sorted(HOSTED)), st.dictionaries(st.sampled_from(FIELDS), anything))
def test_an_item_of_a_known_kind_may_hold_anything(kind: str, fields: dict[str, Any]) -> None:
    for block in folded([done(type=kind, **fields)]).blocks:
        assert block_html(block, timing=True)


@given(anything)
def test_a_message_may_cite_anything(annotations: object) -> None:
    part = {"type": "output_text", "text": "x", "annotations": annotations}
    (block,) = folded([done(type="message", role="assistant", content=[part])]).blocks
    assert isinstance(block, AnswerBlock)
    assert block_html(block, timing=True)


def test_a_call_is_seen_while_it_runs_and_its_item_takes_its_place() -> None:
    events: list[Event] = [
        HostedProgress(item_id="w", kind="web_search_call", status="in_progress"),
        HostedProgress(item_id="c", kind="code_interpreter_call", text="1 "),
        HostedProgress(item_id="w", kind="web_search_call", status="searching"),
        HostedProgress(item_id="c", kind="code_interpreter_call", text="+ 1"),
    ]
    search, code = folded(events).blocks
    assert isinstance(search, HostedBlock) and (search.status, search.at) == (
        "running",
        "searching",
    )
    assert isinstance(code, HostedBlock) and code.code == "1 + 1"
    assert "searching" in block_html(search, timing=True)
    item = {"type": "web_search_call", "id": "w", "action": {"query": "q"}}
    search, code = folded([*events, done(**item)]).blocks
    assert isinstance(search, HostedBlock) and (search.status, search.detail) == ("ok", "q")
    ended = SampleEnded(sample=1, usage=None, seconds=1)
    assert isinstance(last := folded([*events, ended]).blocks[1], HostedBlock)
    assert last.status == "interrupted"
    retry = Retrying(attempt=2, attempts=3, wait=1, cause="reset")
    assert [type(block) for block in folded([*events, retry]).blocks] == [Note]


def test_the_same_id_used_again_is_another_call() -> None:
    item = {"type": "web_search_call", "id": "w"}
    assert len(folded([done(**item), done(**item)]).blocks) == 2


def test_a_refusal_is_marked_in_every_form() -> None:
    part = {"type": "refusal", "refusal": "I will not."}
    state = folded([TextDelta(text="I"), done(type="message", role="assistant", content=[part])])
    for form in bundle(state, timing=True).values():
        assert "⊘ The model refused:" in form
        assert "I will not." in form


def test_sources_are_links_to_web_addresses_only_and_each_stands_once() -> None:
    def cite(title: str, url: str) -> dict[str, str]:
        return {"type": "url_citation", "title": title, "url": url}

    cited = [cite("A", "https://a.example/x"), cite("B", "javascript:alert(1)")]
    part = {"type": "output_text", "text": "x", "annotations": [*cited, *cited]}
    state = folded([done(type="message", role="assistant", content=[part])])
    (block,) = state.blocks
    assert isinstance(block, AnswerBlock) and len(block.sources) == 2
    html = block_html(block, timing=True)
    assert html.count("<a ") == 1
    assert 'href="https://a.example/x"' in html
    assert "</a> · a.example</li>" in html
    markdown = bundle(state, timing=True)["text/markdown"]
    assert "1. [A](<https://a.example/x>)\n2. B\n" in markdown


def test_an_address_cannot_leave_its_markdown_link() -> None:
    url = "https://a.example/>)![x](https://evil.example/pixel.png)\n<b>\\"
    state = TurnState(blocks=(AnswerBlock("x", sources=(AnswerSource("t", url),)),))
    line = bundle(state, timing=True)["text/markdown"].split("\n")[4]
    assert line.startswith("1. [t](<https://a.example/%3E)")
    assert line.count("<") == line.count(">") == 1


def test_what_is_shown_of_a_call_is_bounded() -> None:
    logs = [{"type": "logs", "logs": "x" * 2 * MAX_STREAM_CHARS}]
    (stream,) = read({"type": "code_interpreter_call", "outputs": logs}).outputs
    assert isinstance(stream, StreamText) and len(stream.text) <= MAX_STREAM_CHARS
    image = {"type": "image_generation_call", "result": "A" * (MAX_IMAGE_CHARS + 1)}
    assert read(image).outputs == ()
    assert "too large" in read(image).told
    sources = [{"url": f"https://a.example/{n}"} for n in range(2 * MAX_SOURCES)]
    search = read({"type": "web_search_call", "action": {"sources": sources}})
    assert len(search.sources) == MAX_SOURCES
