"""What need not be sent again: only a strict extension of what the server has."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.dialects.request import HeldPrefix, Request
from inkernel.agent.transport.continuation import StoredResponse

FIELDS = b'"model":"m"'
items = st.integers(0, 3).map(lambda n: json.dumps({"type": "x", "n": n}).encode())
some = st.lists(items, min_size=1, max_size=3)


def history_of(conversation: list[bytes]) -> bytearray:
    return bytearray(b",".join(conversation))


def grown(history: bytearray, more: list[bytes]) -> None:
    history += b"".join(b"," + item for item in more)


@given(some, st.lists(items, max_size=3), some)
def test_what_is_held_and_what_is_sent_make_the_whole(
    asked: list[bytes], given_back: list[bytes], new: list[bytes]
):
    history = history_of(asked)
    link = StoredResponse("resp_1", Request.of(FIELDS, history), tuple(given_back))
    grown(history, [*given_back, *new])
    request = Request.of(FIELDS, history)
    held = link.held_of(request)
    assert held is not None
    sent = json.loads(request.wire(b"", held))
    assert sent["previous_response_id"] == "resp_1"
    assert sent["input"] == [json.loads(item) for item in new]
    whole = json.loads(request.wire(b""))["input"]
    assert whole == [json.loads(item) for item in (*asked, *given_back, *new)]


@given(some, some, some, st.data())
def test_a_response_that_is_not_wholly_in_the_history_is_not_built_on(
    asked: list[bytes], given_back: list[bytes], new: list[bytes], data: st.DataObject
):
    history = history_of(asked)
    link = StoredResponse("resp_1", Request.of(FIELDS, history), tuple(given_back))
    kept = data.draw(st.lists(st.sampled_from(given_back), max_size=len(given_back) - 1))
    grown(history, [*kept, *new])
    held = link.held_of(Request.of(FIELDS, history))
    if held is not None:  # what is new happens to be what was given
        assert [*kept, *new][: len(given_back)] == given_back


def test_other_fields_or_another_history_make_the_request_whole():
    history = history_of([b'{"n":1}'])
    link = StoredResponse("resp_1", Request.of(FIELDS, history), (b'{"n":2}',))
    grown(history, [b'{"n":2}', b'{"n":3}'])
    assert link.held_of(Request.of(FIELDS, history)) == HeldPrefix("resp_1", 16)
    assert link.held_of(Request.of(b'"model":"n"', history)) is None
    assert link.held_of(Request.of(FIELDS, bytearray(history))) is None


@pytest.mark.parametrize("more", [[], [b'{"n":2}']])
def test_with_nothing_new_the_request_is_whole(more: list[bytes]):
    history = history_of([b'{"n":1}'])
    link = StoredResponse("resp_1", Request.of(FIELDS, history), (b'{"n":2}',))
    grown(history, more)
    assert link.held_of(Request.of(FIELDS, history)) is None


def test_an_odd_response_id_stays_a_string():
    request = Request.of(FIELDS, history_of([b'{"n":1}']))
    odd = 'a","input":[],"b":"\\\ud800'
    sent = json.loads(request.wire(b"", HeldPrefix(odd, 0)))
    assert sent["previous_response_id"] == odd.replace("\ud800", "\ufffd")


def test_a_request_ends_where_it_was_made_though_the_history_grows():
    history = history_of([b'{"n":1}'])
    request = Request.of(FIELDS, history)
    before = request.wire(b'"stream":true,')
    grown(history, [b'{"n":2}'] * 100)
    assert request.wire(b'"stream":true,') == before
    assert before == b'{"stream":true,"model":"m","input":[{"n":1}]}'
