"""The line that counts the model's silence."""

import threading

from inkernel.agent.events import SampleStarted, TextDelta
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
