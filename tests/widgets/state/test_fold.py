"""The fold from events to what is shown."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import reduce
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.protocol.actions import Verdict
from inkernel.agent.protocol.cells import DisplayOutput, ErrorOutput, Output, StreamOutput
from inkernel.agent.protocol.events import (
    AnswerWithdrawn,
    ApprovalNeeded,
    CallDelta,
    Compacted,
    Compacting,
    Event,
    HostedProgress,
    ItemDone,
    Notice,
    OutputCleared,
    OutputShown,
    OutputUpdated,
    ReasoningDelta,
    Retrying,
    SampleEnded,
    SampleStarted,
    TextDelta,
    ToolCalled,
    ToolEnded,
    ToolStarted,
    TrialRan,
    TurnEnded,
    TurnStarted,
    Usage,
    VerdictGiven,
)
from inkernel.agent.protocol.items import parse_item
from inkernel.agent.protocol.trials import Deed, Trial
from inkernel.widgets.render.outputs import output_html, output_markdown, shown_text
from inkernel.widgets.state.blocks import (
    AnswerBlock,
    CompactionBlock,
    HostedBlock,
    Note,
    ReasoningBlock,
    StepBlock,
)
from inkernel.widgets.state.fold import TurnState, fold
from inkernel.widgets.state.outputs import (
    MAX_OUTPUTS,
    MAX_STREAM_CHARS,
    StreamText,
    with_output,
    with_update,
)

START = TurnStarted(session="s", turn=1, model="m", provider="p")


def folded(events: Sequence[Event]) -> TurnState:
    return reduce(fold, events, TurnState())


def stdout(text: str) -> OutputShown:
    return OutputShown(call_id="c", output=StreamOutput(name="stdout", text=text))


def ended(status: Any, **more: Any) -> TurnEnded:
    return TurnEnded(
        status=status, answer="", usage=Usage(), cost=None, seconds=1, samples=1, **more
    )


def only_step(events: Sequence[Event]) -> StepBlock:
    (step,) = folded(events).blocks
    assert isinstance(step, StepBlock)
    return step


def test_a_turn_becomes_its_blocks_in_order(turn: list[Event]) -> None:
    state = folded(turn)
    assert [type(block) for block in state.blocks] == [
        ReasoningBlock,
        AnswerBlock,
        StepBlock,
        StepBlock,
        AnswerBlock,
    ]
    assert state.started is turn[0]
    assert state.ended is turn[-1]
    assert state.samples == 2
    assert state.usage == Usage(input=3000, cached=800, output=60)


def test_the_evidence_of_code_that_was_changed_is_gone_with_the_next_question() -> None:
    asked = ApprovalNeeded(call_id="c", reason="why")
    first, second = (TrialRan(call_id="c", trial=Trial(status=it)) for it in ("ok", "error"))
    assert only_step([first, asked]).tried == first.trial
    assert only_step([first, asked, asked]).tried is None
    assert only_step([first, asked, second, asked]).tried == second.trial


def test_every_kind_of_event_is_in_the_realistic_turn_or_tested_here(turn: list[Event]) -> None:
    others = {
        *(AnswerWithdrawn, ApprovalNeeded, Compacted, Compacting),
        *(HostedProgress, Notice, Retrying, TrialRan),
    }
    others |= {OutputCleared, OutputUpdated, ToolCalled}
    union = get_args(get_args(Event)[0])
    assert {type(event) for event in turn} | others == set(union)


def test_deltas_grow_one_block_until_its_item_comes(said: Callable[[str], ItemDone]) -> None:
    growing = folded([TextDelta(text="a"), TextDelta(text="b")])
    assert growing.blocks == (AnswerBlock("ab"),)
    assert fold(growing, said("a b")).blocks == (AnswerBlock("a b", done=True),)
    again = fold(fold(growing, said("a b")), TextDelta(text="c"))
    assert again.blocks == (AnswerBlock("a b", done=True), AnswerBlock("c"))


def test_an_item_without_text_keeps_what_its_deltas_said(said: Callable[[str], ItemDone]) -> None:
    assert folded([TextDelta(text="a"), said("")]).blocks == (AnswerBlock("a", done=True),)
    assert folded([said("")]).blocks == ()


def test_reasoning_grows_by_paragraphs_and_its_summary_overrides() -> None:
    deltas = [ReasoningDelta(text="a"), ReasoningDelta(text="b", part=1), ReasoningDelta(text="c")]
    assert folded(deltas).blocks == (ReasoningBlock(("ac", "b")),)
    summary = [{"type": "summary_text", "text": "A"}, {"type": "summary_text", "text": "B"}]
    done = ItemDone(item=parse_item({"type": "reasoning", "summary": summary}))
    assert folded([*deltas, done]).blocks == (ReasoningBlock(("A", "B"), done=True),)


def test_reasoning_that_is_only_encrypted_shows_nothing() -> None:
    item = parse_item({"type": "reasoning", "summary": [], "encrypted_content": "x"})
    assert folded([ItemDone(item=item)]).blocks == ()


def test_code_is_read_while_its_call_is_written() -> None:
    step = only_step([CallDelta(call_id="c", name="run_cell", text='{"title": "T", "code": "x = ')])
    assert step.status == "writing"
    assert step.named == {"title": "T", "code": "x = "}
    assert step.code == "x = "


@pytest.mark.parametrize("arguments", ["", "{", "[1]", "nonsense", '{"code": 3}'])
def test_arguments_that_are_no_object_have_no_names_and_no_code(arguments: str) -> None:
    step = StepBlock("c", arguments=arguments)
    assert step.code is None
    assert isinstance(step.named, dict)


def test_a_call_goes_from_written_to_asked_to_allowed_to_run_to_ended(
    called: Callable[..., ItemDone],
) -> None:
    yes = Verdict(decision="allow", reason="fine", by="user")
    events: list[Event] = [
        CallDelta(call_id="c", name="run_cell", text="{"),
        called("c", "run_cell", code="1"),
        ApprovalNeeded(call_id="c", reason="policy ask"),
        VerdictGiven(call_id="c", verdict=yes),
        ToolStarted(call_id="c", name="run_cell", arguments={}),
        ToolEnded(call_id="c", status="ok", text="told", seconds=2),
    ]
    states = [only_step(events[: n + 1]) for n in range(len(events))]
    assert [step.status for step in states] == [
        *("writing", "ready", "asking", "ready", "running", "ok")
    ]
    last = states[-1]
    assert (last.verdict, last.asked, last.told, last.seconds) == (yes, "policy ask", "told", 2)
    assert last.code == "1"


def test_a_step_with_edited_code_shows_the_code_that_ran(called: Callable[..., ItemDone]) -> None:
    step = only_step(
        [
            called("c", "run_cell", title="Save", code="save(far)"),
            ApprovalNeeded(call_id="c", reason="policy ask", literal="save(far)"),
            ToolStarted(
                call_id="c",
                name="run_cell",
                arguments={"title": "Save", "code": "save(near)"},
                edited=True,
            ),
        ]
    )
    assert (step.code, step.edited) == ("save(near)", True)


def test_a_running_step_that_asks_waits_and_goes_on() -> None:
    deed = Deed("write", "/far")
    yes = Verdict(decision="allow", reason="fine", by="user", deeds=(deed,))
    events: list[Event] = [
        ToolStarted(call_id="c", name="run_cell", arguments={"code": "1"}),
        ApprovalNeeded(call_id="c", reason="it writes /far", deeds=(deed,)),
        VerdictGiven(call_id="c", verdict=yes),
    ]
    states = [only_step(events[: n + 1]) for n in range(len(events))]
    assert [step.status for step in states] == ["running", "asking", "running"]
    assert states[1].deeds == (deed,)


def test_a_denied_call_never_ran() -> None:
    no = Verdict(decision="deny", reason="no", by="user")
    step = only_step(
        [
            VerdictGiven(call_id="c", verdict=no),
            ToolEnded(call_id="c", status="denied", text="denied", seconds=0),
        ]
    )
    assert (step.status, step.ran) == ("denied", False)


def test_a_call_id_used_again_by_a_later_sample_is_another_step(
    called: Callable[..., ItemDone],
) -> None:
    end = ToolEnded(call_id="c", status="ok", text="", seconds=0)
    state = folded([called("c", "a"), end, called("c", "b"), end])
    assert [(b.tool, b.status) for b in state.blocks if isinstance(b, StepBlock)] == [
        ("a", "ok"),
        ("b", "ok"),
    ]


def test_a_retry_takes_back_what_was_half_said_and_nothing_else(
    said: Callable[[str], ItemDone], called: Callable[..., ItemDone]
) -> None:
    retry = Retrying(attempt=1, attempts=3, wait=2.0, cause="reset")
    whole: list[Event] = [said("whole"), called("c1", "inspect")]
    half: list[Event] = [
        ReasoningDelta(text="half"),
        TextDelta(text="half"),
        CallDelta(call_id="c2", name="run_cell", text="{"),
    ]
    before = folded(whole)
    after = fold(folded(whole + half), retry)
    assert after.blocks == (*before.blocks, Note("retry", "reset", "attempt 1 of 3", 2.0))
    again = fold(after, replace(retry, attempt=2))
    assert again.blocks[2:] == (Note("retry", "reset", "attempt 2 of 3", 2.0),)
    under_way = fold(again, TextDelta(text="new"))
    assert under_way.blocks[2:] == (Note("retry", "reset", "attempt 2 of 3"), AnswerBlock("new"))


def test_a_withdrawn_answer_goes_and_all_before_it_stays(
    said: Callable[[str], ItemDone], called: Callable[..., ItemDone]
) -> None:
    whole: list[Event] = [
        *(said("first"), called("c1", "inspect")),
        SampleEnded(sample=1, usage=None, seconds=1),
    ]
    notice = Notice(text="Mind the gap.")
    more: list[Event] = [ReasoningDelta(text="half"), said("second"), notice, AnswerWithdrawn()]
    before, after = folded(whole), folded(whole + more)
    *rest, last = after.blocks
    assert rest == [*before.blocks, Note("notice", "Mind the gap.")]
    assert isinstance(last, Note) and "withdrawn" in last.text


def test_an_answer_of_a_sample_that_broke_off_and_was_kept_stays(
    said: Callable[[str], ItemDone], called: Callable[..., ItemDone]
) -> None:
    kept: list[Event] = [
        *(SampleStarted(sample=1, size=9), said("I look."), called("c1", "inspect")),
        SampleStarted(sample=2, size=9),
    ]
    call = CallDelta(call_id="c2", name="inspect", text="{}")
    after = folded([*kept, said("half"), call, AnswerWithdrawn()])
    assert after.blocks[:-1] == folded(kept).blocks
    assert AnswerBlock("I look.", True) in after.blocks


def test_a_retry_takes_the_place_of_the_note_on_a_withdrawal(
    said: Callable[[str], ItemDone],
) -> None:
    retry = Retrying(attempt=2, attempts=3, wait=2.0, cause="reset")
    state = folded([said("half"), AnswerWithdrawn(), retry])
    assert state.blocks == (Note("retry", "reset", "attempt 2 of 3", 2.0),)


def test_a_withdrawal_of_what_nobody_saw_says_nothing() -> None:
    assert folded([SampleStarted(sample=1, size=9), AnswerWithdrawn()]).blocks == ()


def test_what_was_made_of_the_window_takes_the_place_of_the_wait(
    said: Callable[[str], ItemDone], making: Compacting, made: Compacted
) -> None:
    waiting = folded([said("whole"), making])
    assert waiting.blocks[1:] == (CompactionBlock(26_012, 32_000),)
    done = fold(waiting, made)
    dropped = "3 long outputs cut, 12 runs in the digest"
    room = CompactionBlock(26_012, 32_000, False, "ok", 10_944, dropped, True, 12.3)
    assert done.blocks == (waiting.blocks[0], room)
    without = replace(made, notes="none")
    assert fold(waiting, without).blocks[1:] == (replace(room, noted=False),)
    assert folded([said("whole"), made]).blocks[1:] == (replace(room, window=None),)


def test_a_second_compaction_leaves_the_first_as_it_was(
    making: Compacting, made: Compacted
) -> None:
    first = folded([making, made])
    again = replace(made, before=30_000, after=9_000)
    state = reduce(fold, [making, again], first)
    assert state.blocks[0] is first.blocks[0]
    assert [(b.tokens, b.after) for b in state.blocks if isinstance(b, CompactionBlock)] == [
        (26_012, 10_944),
        (30_000, 9_000),
    ]


def test_what_notes_took_is_a_part_of_the_usage(making: Compacting, made: Compacted) -> None:
    sample = SampleEnded(sample=1, usage=Usage(input=1000, output=50), seconds=1)
    assert folded([sample, making, made, sample]).usage == Usage(
        input=22_000, cached=19_000, output=500
    )


def test_a_request_found_too_long_takes_back_what_was_half_said() -> None:
    wait = Compacting(tokens=5, window=4, overflow=True)
    state = folded([Notice(text="news"), TextDelta(text="half"), wait])
    assert state.blocks == (Note("notice", "news"), CompactionBlock(5, 4, overflow=True))


@pytest.mark.parametrize(
    "after",
    [
        SampleStarted(sample=2, size=1),
        Compacting(tokens=1, window=None),
        Retrying(attempt=1, attempts=2, wait=1, cause="reset"),
        *(ended(status) for status in ("completed", "interrupted", "limited", "failed")),
    ],
)
def test_no_room_is_being_made_after_what_can_only_come_later(
    after: Event, making: Compacting
) -> None:
    assert folded([making, after]).blocks[0] == CompactionBlock(
        26_012, 32_000, status="interrupted"
    )


def test_a_retry_that_waited_is_over_when_room_is_made(making: Compacting) -> None:
    retry = Retrying(attempt=1, attempts=3, wait=2.0, cause="reset")
    assert folded([retry, making]).blocks[0] == Note("retry", "reset", "attempt 1 of 3")


def test_prints_join_and_a_progress_bar_is_one_line() -> None:
    bars = [stdout(f"\r{n} %") for n in range(100)]
    step = only_step([stdout("a\n"), stdout("b\r\n"), *bars, stdout("\n")])
    assert step.outputs == (StreamText("stdout", "a\nb\r\n99 %\n"),)


def test_outputs_keep_their_order() -> None:
    error = ErrorOutput(ename="E", evalue="", traceback=())
    shown = DisplayOutput(data={"text/plain": "1"}, result=True)
    others = [OutputShown(call_id="c", output=output) for output in (shown, error)]
    step = only_step([stdout("a"), *others, stdout("b"), stdout("c")])
    assert step.outputs == (StreamText("stdout", "a"), shown, error, StreamText("stdout", "bc"))


def test_a_flood_of_output_is_bounded_and_says_what_is_left_out() -> None:
    line = "x" * 999 + "\n"
    step = only_step([stdout(line) for _ in range(1000)])
    (stream,) = step.outputs
    assert isinstance(stream, StreamText)
    assert len(stream.text) <= MAX_STREAM_CHARS
    assert len(stream.text) + stream.left_out == 1_000_000
    shown = OutputShown(call_id="c", output=DisplayOutput(data={}))
    step = only_step([shown] * 2000)
    assert len(step.outputs) <= MAX_OUTPUTS
    assert len(step.outputs) + step.left_out == 2000


def test_an_update_takes_the_place_of_what_was_displayed_under_its_id() -> None:
    def shown(text: str, display_id: str | None = None) -> DisplayOutput:
        return DisplayOutput(data={"text/plain": text}, display_id=display_id)

    before = (shown("a", "x"), shown("b"), shown("c", "y"))
    step = only_step(
        [
            *(OutputShown(call_id="c", output=output) for output in before),
            OutputUpdated(call_id="c", output=shown("new", "x")),
        ]
    )
    assert step.outputs == (shown("new", "x"), shown("b"), shown("c", "y"))


def test_what_is_cleared_is_gone_and_what_comes_later_is_there() -> None:
    step = only_step([stdout("a"), OutputCleared(call_id="c"), stdout("b")])
    assert step.outputs == (StreamText("stdout", "b"),)


def test_a_step_counts_the_tools_its_code_called() -> None:
    called = [ToolCalled(call_id="c", name=name, status="ok") for name in ("a", "b", "a")]
    assert only_step([stdout("x"), *called]).called == (("a", 2), ("b", 1))


def test_the_end_leaves_nothing_running_and_no_word_of_the_error_which_is_raised() -> None:
    events: list[Event] = [
        TextDelta(text="half"),
        CallDelta(call_id="w", name="run_cell", text="{"),
        ToolStarted(call_id="c", name="run_cell", arguments={"code": "1"}),
        ended("interrupted", error="You stopped it.", hint="Ask again."),
    ]
    state = folded(events)
    assert state.blocks[0] == AnswerBlock("half", done=True)
    assert [b.status for b in state.blocks if isinstance(b, StepBlock)] == ["interrupted"] * 2
    assert not any(isinstance(block, Note) for block in state.blocks)


def test_a_block_that_did_not_change_stays_the_same_object(turn: list[Event]) -> None:
    state = TurnState()
    for event in turn:
        before, state = state, fold(state, event)
        changed = sum(old is not new for old, new in zip(before.blocks, state.blocks, strict=False))
        assert changed + len(state.blocks) - len(before.blocks) <= 1
        if isinstance(event, SampleEnded | SampleStarted):
            assert all(old is new for old, new in zip(before.blocks, state.blocks, strict=True))


def test_a_sample_costs_the_same_after_a_thousand_steps() -> None:
    def calls(state: TurnState, number: int) -> tuple[int, TurnState]:
        made = 0

        def count(_frame: object, kind: str, _arg: object) -> None:
            nonlocal made
            made += kind in ("call", "c_call")

        steps: list[Event] = [
            SampleStarted(sample=number, size=9),
            CallDelta(call_id=f"c{number}", name="run_cell", text="{}"),
            ToolStarted(call_id=f"c{number}", name="run_cell", arguments={}),
            SampleEnded(sample=number, usage=None, seconds=1),
        ]
        sys.setprofile(count)
        try:
            state = reduce(fold, steps, state)
        finally:
            sys.setprofile(None)
        return made, state

    state, made = TurnState(), list[int]()
    for number in range(1000):
        count, state = calls(state, number)
        made.append(count)
    assert made[-1] == made[1]


IDS = st.sampled_from(["a", "b", ""])
TEXTS = st.text(max_size=8) | st.sampled_from(['{"code": "1', '{"title": "t"}', "\r", "\x1b["])
ITEMS = st.sampled_from(
    [
        {"type": "message", "role": "assistant", "content": "x"},
        {"type": "message", "role": "user", "content": "x"},
        {"type": "message", "role": "assistant", "content": []},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "x"}]},
        {"type": "reasoning"},
        {"type": "function_call", "call_id": "a", "name": "run_cell", "arguments": "{"},
        {"type": "function_call_output", "call_id": "a", "output": "x"},
        {"type": "web_search_call"},
        {"type": "mcp_call", "id": "a", "error": 5},
        {"type": "acme:x"},
    ]
).map(parse_item)
DISPLAYS = st.builds(
    DisplayOutput, data=st.just({"text/plain": "1"}), display_id=st.none() | st.just("d")
)
OUTPUTS = (
    st.builds(StreamOutput, name=st.sampled_from(["stdout", "stderr"]), text=TEXTS)
    | DISPLAYS
    | st.builds(ErrorOutput, ename=TEXTS, evalue=TEXTS, traceback=st.tuples(TEXTS))
)
GIVEN: dict[str, st.SearchStrategy[Any]] = {
    "call_id": IDS,
    "item_id": IDS,
    "kind": st.sampled_from(["web_search_call", "mcp_call", "code_interpreter_call"]),
    "text": TEXTS,
    "item": ITEMS,
    "output": OUTPUTS,
    "arguments": st.dictionaries(TEXTS, TEXTS, max_size=2),
    "part": st.integers(),
    "wait": st.floats(0, 1e6),
    "seconds": st.floats(0, 1e6),
    "trial": st.builds(Trial, status=st.sampled_from(["ok", "killed"]), error=TEXTS),
    "usage": st.builds(Usage, input=st.integers(0, 9), output=st.integers(0, 9)),
    "tokens": st.integers(0, 9),
    "before": st.integers(0, 9),
    "after": st.integers(0, 9),
    "dropped": TEXTS,
}


def any_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    given = {**GIVEN, **({"output": DISPLAYS} if kind is OutputUpdated else {})}
    named = {it.name for it in fields(kind)}
    return st.builds(kind, **{k: v for k, v in given.items() if k in named})


EVENTS = st.lists(st.one_of([any_of(kind) for kind in get_args(get_args(Event)[0])]), max_size=30)


@given(EVENTS)
def test_any_events_in_any_order_fold_and_an_end_leaves_nothing_open(events: list[Event]) -> None:
    state = folded([*events, ended("completed")])
    for block in state.blocks:
        match block:
            case ReasoningBlock() | AnswerBlock():
                assert block.done
            case StepBlock():
                assert block.status not in ("writing", "ready", "asking", "running")
            case HostedBlock():
                assert block.status != "running"
            case Note():
                assert block.wait is None
            case CompactionBlock():
                assert block.status != "running"


@given(EVENTS)
def test_the_usage_is_that_of_samples_and_of_notes(events: list[Event]) -> None:
    start = max((at for at, e in enumerate(events) if isinstance(e, TurnStarted)), default=0)
    told = [e.usage for e in events[start:] if isinstance(e, SampleEnded | Compacted)]
    assert folded(events).usage == sum(filter(None, told), Usage())


@given(EVENTS)
def test_at_most_the_last_window_is_being_made_shorter(events: list[Event]) -> None:
    rooms = [block for block in folded(events).blocks if isinstance(block, CompactionBlock)]
    assert all(room.status != "running" for room in rooms[:-1])


@given(EVENTS)
def test_folding_twice_gives_equal_states(events: list[Event]) -> None:
    assert folded(events) == folded(events)


LONG = "x" * 50_000_000


@pytest.mark.parametrize(
    "output",
    [
        DisplayOutput(data={"text/plain": LONG, "text/html": LONG, "text/markdown": LONG}),
        DisplayOutput(data={"image/png": LONG, "text/plain": "<Figure>"}),
        ErrorOutput(ename="E", evalue=LONG, traceback=("Traceback\n", f"E: {LONG}")),
    ],
)
def test_an_output_of_any_kind_is_bounded_on_screen(output: Output):
    outputs, _ = with_output((), output)
    if isinstance(output, DisplayOutput):
        outputs += with_update(outputs, output)
    for shown in outputs:
        text = output_html(shown, False) + output_markdown(shown) + shown_text(shown)
        assert len(text) < 2_000_000
        assert "left out" in text or "is not shown" in text


def test_many_long_outputs_are_bounded_together_and_the_last_stays():
    outputs: tuple[Any, ...] = ()
    for number in range(200):
        outputs, _ = with_output(outputs, DisplayOutput(data={"text/plain": f"{number} " * 50_000}))
    assert sum(len(it.data["text/plain"]) for it in outputs) <= 5_000_000
    assert outputs[-1].data["text/plain"].startswith("199 ")


def test_frames_that_repeat_are_folded_on_screen():
    frame = "File ~/x.py:3, in f(n)\n----> 3 f(n)\n"
    error = ErrorOutput(ename="E", evalue="no", traceback=(*[frame] * 900, "E: no"))
    (shown,), _ = with_output((), error)
    assert len(output_html(shown, False)) < 3_000 and "899 more times" in output_html(shown, False)


def test_a_search_for_tools_that_we_answer_is_a_call_with_its_words_and_its_finds():
    item = {"type": "tool_search_call", "id": "t", "call_id": "c", "execution": "client"}
    asked = parse_item({**item, "arguments": {"query": "rain"}})
    started = ToolStarted(call_id="c", name="tool_search", arguments={"query": "rain"})
    found = ToolEnded(call_id="c", status="ok", text="agent_tools.met.rain", seconds=0.1)
    begun = CallDelta(call_id="c", name="tool_search", text="")
    step = only_step([begun, ItemDone(item=asked), started, found])
    assert (step.tool, step.named, step.told) == (
        *("tool_search", {"query": "rain"}),
        "agent_tools.met.rain",
    )
