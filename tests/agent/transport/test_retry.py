"""What is tried again, and after how long."""

import pytest

from inkernel.agent.errors import (
    AuthError,
    ModelError,
    QuotaError,
    RateLimitError,
    ResponseGoneError,
    ServerFaultError,
    StreamBrokenError,
    UnreachableError,
)
from inkernel.agent.transport.retry import (
    LONGEST_ASKED,
    LONGEST_WAIT,
    UNREACHABLE_ATTEMPTS,
    attempts_at,
    wait_before,
)


def test_waits_double_from_half_a_second_to_half_a_minute():
    error = ServerFaultError("x")
    waits = [wait_before(error, attempt, 99, draw=0.5) for attempt in range(1, 10)]
    assert waits == [0.5, 1, 2, 4, 8, 16, LONGEST_WAIT, LONGEST_WAIT, LONGEST_WAIT]


@pytest.mark.parametrize(("draw", "seconds"), [(0, 0.375), (0.5, 0.5), (1, 0.625)])
def test_a_wait_is_drawn_a_quarter_to_either_side(draw: float, seconds: float):
    assert wait_before(ServerFaultError("x"), 1, 5, draw) == seconds


def test_a_broken_connection_is_tried_again_within_a_fifth_of_a_second():
    for error in (StreamBrokenError("x"), ResponseGoneError("x")):
        assert wait_before(error, 1, 5, draw=1) == pytest.approx(0.1875)
        assert wait_before(error, 2, 5, draw=0.5) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("after", "wait"),
    [(0.1, 0.5), (20, 20), (LONGEST_ASKED, LONGEST_ASKED), (LONGEST_ASKED + 1, None)],
)
def test_the_server_is_waited_for_but_not_for_ever(after: float, wait: float | None):
    assert wait_before(RateLimitError("x", after=after), 1, 5, draw=0.5) == wait


@pytest.mark.parametrize("error", [QuotaError("x"), AuthError("x"), QuotaError("x", after=1)])
def test_what_waiting_does_not_cure_is_not_tried_again(error: ModelError):
    assert wait_before(error, 1, 5, draw=0.5) is None


def test_the_last_attempt_is_the_last():
    assert wait_before(ServerFaultError("x"), 4, 5, draw=0.5) is not None
    assert wait_before(ServerFaultError("x"), 5, 5, draw=0.5) is None
    assert wait_before(ServerFaultError("x"), 1, 1, draw=0.5) is None


def test_a_server_that_is_not_there_is_given_up_sooner():
    assert attempts_at(UnreachableError("x"), 99) == UNREACHABLE_ATTEMPTS
    assert attempts_at(UnreachableError("x"), 2) == 2
    assert attempts_at(ServerFaultError("x"), 99) == 99
