"""A key that comes in pieces is never shown, and no other text is lost or late for long."""

from itertools import pairwise

import pytest

from inkernel.agent.protocol.cells import DisplayOutput, StreamName, StreamOutput
from inkernel.agent.protocol.events import CallDelta, Event, Notice, OutputShown, TextDelta
from inkernel.agent.text.masked_events import MaskedEvents
from inkernel.agent.text.masking import Mask

KEY = "sk-proj-Zk81u-Ve0tQ_mGh7cXy2LwR-b5NdJ9fKsAo3PiE6xUqTzMvHrC4"
SHORT = "pass-w0rd"


def printed(text: str, name: StreamName = "stdout") -> Event:
    return OutputShown(call_id="c", output=StreamOutput(name=name, text=text))


def said(text: str) -> Event:
    return TextDelta(text=text)


def written(text: str) -> Event:
    return CallDelta(call_id="c", name="run_cell", text=text)


def shown(*events: Event) -> list[Event]:
    seen: list[Event] = []
    masked = MaskedEvents(Mask(frozenset([KEY, SHORT])), seen.append)
    for event in events:
        masked.show(event)
    masked.flush()
    return seen


def text_of(events: list[Event]) -> str:
    texts = (it.output.text if isinstance(it, OutputShown) else it.text for it in events)  # pyright: ignore
    return "".join(texts)


@pytest.mark.parametrize("key", [KEY, SHORT])
@pytest.mark.parametrize("of", [printed, said, written])
@pytest.mark.parametrize("size", [1, 2, 5, 20, 58])
def test_a_key_in_pieces_is_masked(of, size: int, key: str):
    text = f"It is {key} and more."
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    told = text_of(shown(*map(of, pieces)))
    assert "[key]" in told and told.startswith("It is ") and told.endswith(" and more.")
    assert not any(key[at : at + 4] in told for at in range(len(key) - 3))


@pytest.mark.parametrize("text", ["Files: sk-pro", KEY[:40], "sk-proj-Zk81u\n", "pass"])
def test_the_start_of_a_key_that_does_not_go_on_is_given_out(text: str):
    for more in ([], [Notice(text="x")], [printed("err", "stderr")], [printed("…")]):
        told = text_of([it for it in shown(printed(text), *more) if isinstance(it, OutputShown)])
        assert told.startswith("[key]" if text in KEY and len(text) > 16 else text)


def test_what_comes_between_two_pieces_stays_between_them():
    display = OutputShown(call_id="c", output=DisplayOutput(data={"text/plain": "d"}))
    seen = shown(printed("a sk-proj"), display, printed("b"))
    assert seen == [printed("a "), printed("sk-proj"), display, printed("b")]


def test_other_texts_pass_at_once_as_they_are():
    events = [printed("45%"), printed("46%\r"), said("Yes"), written('{"code'), Notice(text="n")]
    assert shown(*events) == events


def test_pieces_stay_in_order():
    events = [printed(f"{n} sk-") for n in range(50)]
    told = text_of(shown(*events))
    places = [told.index(f"{n} sk-") for n in range(50)]
    assert all(one < other for one, other in pairwise(places))
