"""The line that counts a wait."""

import threading

from inkernel.agent.events import HostedProgress, Retrying, SampleStarted, TextDelta
from inkernel.widgets.plain import PlainView
from inkernel.widgets.terminal import WaitingView


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


def test_what_runs_at_the_server_is_what_is_waited_for():
    screen = Screen()
    view = WaitingView(PlainView(screen.put), screen.put, tick=0.01)
    view.show(SampleStarted(sample=1, size=10))
    view.show(HostedProgress(item_id="w", kind="web_search_call", status="searching"))
    screen.wait_for("web search · ")
    view.close()
