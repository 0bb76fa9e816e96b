"""The line that counts a wait."""

import threading

from inkernel.agent.protocol.events import (
    Compacted,
    Compacting,
    HostedProgress,
    Retrying,
    SampleStarted,
    TextDelta,
    TurnEnded,
    Usage,
)
from inkernel.widgets.views.plain import PlainView
from inkernel.widgets.views.terminal import WaitingView


class Screen:
    """What was put, and a way to wait for it."""

    def __init__(self) -> None:
        self.text = ""
        self._changed = threading.Condition()

    def put(self, text: str) -> None:
        with self._changed:
            self.text += text
            self._changed.notify_all()

    def wait_for(self, text: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: text in self.text, timeout=30)


def test_silence_is_counted_and_the_line_is_gone_before_anything_is_printed():
    screen = Screen()
    view = WaitingView(PlainView(screen.put), screen.put, tick=0.01)
    view.show(SampleStarted(sample=1, size=10))
    screen.wait_for("waiting for the model")
    view.show(TextDelta(text="Hello"))
    assert screen.text.endswith("\r\x1b[K\nHello")
    view.close()


def test_nothing_is_counted_after_the_end():
    screen = Screen()
    view = WaitingView(PlainView(screen.put), screen.put, tick=0.01)
    view.show(SampleStarted(sample=1, size=10))
    screen.wait_for("waiting for the model")
    view.close()
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(30)
    assert screen.text.endswith("\r\x1b[K")


def test_a_quick_answer_shows_no_waiting():
    screen = Screen()
    view = WaitingView(PlainView(screen.put), screen.put, tick=60)
    view.show(SampleStarted(sample=1, size=10))
    view.show(TextDelta(text="Hello"))
    view.close()
    assert "waiting" not in screen.text


def test_a_retry_is_counted_down_until_the_next_try():
    screen = Screen()
    view = WaitingView(PlainView(screen.put), screen.put, tick=0.01)
    view.show(Retrying(attempt=2, attempts=3, wait=0.5, cause="reset"))
    screen.wait_for("\x1b[2mtrying again in 0.4 s")
    screen.wait_for("trying again in 0.3 s")
    view.show(SampleStarted(sample=1, size=10))
    screen.wait_for("waiting for the model")
    view.close()
    assert screen.text.startswith("↻ Trying again in 0.5 s (attempt 2 of 3): reset\n")


def test_while_room_is_made_one_line_counts_and_what_came_of_it_takes_its_place(
    making: Compacting, made: Compacted
):
    screen = Screen()
    view = WaitingView(PlainView(screen.put), screen.put, tick=0.01)
    view.show(TextDelta(text="half"))
    view.show(making)
    line = "● Making room: 26,012 of 32,000 tokens are in the window … · "
    screen.wait_for(f"\nhalf\n\nThe answer above was taken back.\n\r\x1b[K\x1b[2m{line}")
    screen.wait_for(f"\x1b[0m\r\x1b[K\x1b[2m{line}")  # and again
    view.show(made)
    view.close()
    assert screen.text.endswith(
        "\r\x1b[K• Made room in 12 s: 26,012 → 10,944 tokens"
        " (3 long outputs cut, 12 runs in the digest).\n"
    )
    assert screen.text.count(f"\n{line}") == 0


def test_a_turn_stopped_while_room_is_made_counts_no_more(making: Compacting):
    screen = Screen()
    view = WaitingView(PlainView(screen.put), screen.put, tick=0.01)
    view.show(making)
    screen.wait_for("Making room")
    view.show(
        TurnEnded(status="interrupted", answer="", usage=Usage(), cost=None, seconds=1, samples=1)
    )
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(30)
    assert screen.text.endswith(
        "\r\x1b[K■ Making room was interrupted.\n\ninterrupted · 1.0 s · 0 steps, 1 sample\n"
    )


def test_the_line_of_a_wait_fits_a_narrow_terminal(making: Compacting):
    screen = Screen()
    view = WaitingView(PlainView(screen.put, 40), screen.put, tick=0.01)
    view.show(making)
    screen.wait_for("… · ")
    view.close()
    lines = screen.text.replace("\x1b[2m", "").replace("\x1b[0m", "").split("\r\x1b[K")
    assert max(map(len, lines)) < 40


def test_what_runs_at_the_server_is_what_is_waited_for():
    screen = Screen()
    view = WaitingView(PlainView(screen.put), screen.put, tick=0.01)
    view.show(SampleStarted(sample=1, size=10))
    view.show(HostedProgress(item_id="w", kind="web_search_call", status="searching"))
    screen.wait_for("web search · ")
    view.close()
