"""The views of a notebook, in real kernels; and when they paint."""

import asyncio
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from inkernel.agent.protocol.cells import Output
from inkernel.agent.protocol.events import (
    ApprovalNeeded,
    Compacted,
    Compacting,
    Event,
    Retrying,
    TextDelta,
    ToolEnded,
    ToolStarted,
    TurnStarted,
)
from inkernel.widgets.state.blocks import AnswerBlock, StepBlock
from inkernel.widgets.state.fold import TurnState
from inkernel.widgets.views.notebook import NotebookView
from inkernel.widgets.views.repaint import Pace

WIDGET = "application/vnd.jupyter.widget-view+json"
SETUP = """
from inkernel.agent.protocol.cells import *
from inkernel.agent.protocol.events import *
from dataclasses import replace
from inkernel.agent.protocol.items import parse_item
from inkernel.widgets import open_view
from inkernel.widgets.views.notebook import LiveScreen, NotebookView
from inkernel.widgets.views.parts import StaticScreen

class Clock:
    now = 0.0
    def monotonic(self): return self.now
    def time(self): return 1e9 + self.now

clock = Clock()
start = TurnStarted(session="s", turn=1, model="model-1", provider="p")
end = TurnEnded(status="completed", answer="", usage=Usage(input=5),
                cost=None, seconds=2, samples=1)
making = Compacting(tokens=26_012, window=32_000)
made = Compacted(before=26_012, after=10_944, dropped="12 runs in the digest",
                 notes="model", usage=Usage(), seconds=12)

def said(text):
    part = {"type": "output_text", "text": text}
    data = {"type": "message", "role": "assistant", "content": [part]}
    return ItemDone(item=parse_item(data))
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[BlockingKernelClient]:
    manager = KernelManager(transport="ipc")
    manager.start_kernel(stderr=subprocess.DEVNULL)
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        sent(client, SETUP)
        yield client
    finally:
        client.stop_channels()
        client.context.destroy()
        manager.shutdown_kernel(now=True)


def sent(client: BlockingKernelClient, code: str) -> list[dict[str, Any]]:
    """What a front end is sent while `code` runs. Fails when the code fails."""
    messages: list[dict[str, Any]] = []
    reply = client.execute_interactive(code, timeout=60, output_hook=messages.append)
    assert reply["content"]["status"] == "ok", reply["content"]
    return messages


def shown(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The data of each output, and of each change of one, in order."""
    kinds = ("display_data", "update_display_data")
    return [each["content"]["data"] for each in messages if each["msg_type"] in kinds]


def pages(messages: list[dict[str, Any]]) -> list[str]:
    return [data["text/html"] for data in shown(messages) if "text/html" in data]


def of(kind: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message["content"] for message in messages if message["msg_type"] == kind]


def updates(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [comm["data"]["state"] for comm in of("comm_msg", messages)]


@dataclass
class Screen:
    """Remembers what was painted."""

    painted: list[TurnState] = field(default_factory=list[TurnState])
    left: list[TurnState] = field(default_factory=list[TurnState])
    ticks: float | None = None
    sent: int = 0

    def paint(self, state: TurnState) -> int:
        self.painted.append(state)
        return self.sent

    def tick(self, state: TurnState) -> float | None:
        return self.ticks

    def leave(self, state: TurnState, below: Sequence[Output] | None, asked: bool) -> None:
        self.left.append(state)


@dataclass
class Clock:
    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


@pytest.mark.kernel
def test_two_thousand_deltas_are_at_most_twenty_updates_a_second(
    kernel: BlockingKernelClient,
) -> None:
    messages = sent(
        kernel,
        """
view = NotebookView(LiveScreen(clock=clock), clock=clock)
view.show(start)
for number in range(2000):
    clock.now += 0.001
    view.show(TextDelta(text=f"{number} "))
view.show(end)
view.close()
""",
    )
    # Two seconds at 20 a second, and the end; the first paint opens the widget.
    assert 35 <= len(updates(messages)) <= 41


@pytest.mark.kernel
def test_an_update_carries_the_block_that_changed_and_no_other(
    kernel: BlockingKernelClient,
) -> None:
    messages = sent(
        kernel,
        """
view = NotebookView(LiveScreen(clock=clock), clock=clock)
for event in (start, said("one"), said("two"), TextDelta(text="three"), TextDelta(text=" four")):
    clock.now += 1
    view.show(event)
clock.now += 1
view.show(TextDelta(text=""))
view.close()
""",
    )
    (opened,) = [comm for comm in of("comm_open", messages) if "count" in comm["data"]["state"]]
    assert opened["data"]["state"]["count"] == 0
    keys = [set(update) - {"now", "footer", "count"} for update in updates(messages)]
    assert keys == [{"b0"}, {"b1"}, {"b2"}, {"b2"}]
    assert "three four" in updates(messages)[-1]["b2"]


@pytest.mark.kernel
def test_a_page_that_joins_late_gets_the_whole_turn(kernel: BlockingKernelClient) -> None:
    messages = sent(
        kernel,
        """
screen = LiveScreen(clock=clock)
view = NotebookView(screen, clock=clock)
retry = Retrying(attempt=1, attempts=2, wait=1, cause="x")
for event in (start, said("one"), TextDelta(text="two"), retry):
    clock.now += 1
    view.show(event)
state = screen._widget.get_state()
print(sorted(key for key in state if key[0] == "b"), state["count"], "two" in str(state))
view.close()
""",
    )
    assert "".join(text["text"] for text in of("stream", messages)) == "['b0', 'b1'] 2 False\n"


@pytest.mark.kernel
def test_the_widget_is_replaced_by_the_form_that_stays(kernel: BlockingKernelClient) -> None:
    messages = sent(
        kernel,
        """
view = open_view("live")
for event in (start, said("All **done**."), end):
    view.show(event)
view.close()
view.close()
view.show(start)
""",
    )
    (shown,) = of("display_data", messages)
    (replaced,) = of("update_display_data", messages)
    opened, closed = (
        {comm["comm_id"] for comm in of(kind, messages)} for kind in ("comm_open", "comm_close")
    )
    assert shown["data"][WIDGET]["model_id"] in opened
    assert opened == closed
    assert shown["transient"] == replaced["transient"]
    assert set(replaced["data"]) == {"text/html", "text/markdown", "text/plain"}
    assert "All <strong>done</strong>." in replaced["data"]["text/html"]
    facts = replaced["metadata"]["inkernel"]
    assert (facts["model"], facts["seconds"], facts["usage"]["input"]) == ("model-1", 2.0, 5)


@pytest.mark.kernel
def test_closing_before_the_end_leaves_what_there_was(kernel: BlockingKernelClient) -> None:
    messages = sent(
        kernel,
        """
open_view("live").close()
view = open_view("live")
view.show(start)
view.show(TextDelta(text="half"))
view.close()
""",
    )
    (replaced,) = of("update_display_data", messages)
    assert "half" in replaced["data"]["text/html"]


@pytest.mark.kernel
@pytest.mark.parametrize("screen", ["LiveScreen(clock=clock)", "StaticScreen()"])
def test_the_view_is_none_of_the_outputs_that_are_captured(
    kernel: BlockingKernelClient, screen: str
) -> None:
    messages = sent(
        kernel,
        f"""
from IPython.utils.capture import capture_output
view = NotebookView({screen}, clock=clock)
with capture_output() as captured:
    view.show(start)
    print("own")
    view.show(said("words"))
    view.close()
assert captured.stdout == "own\\n" and not captured.outputs, captured
""",
    )
    assert any("words" in page for page in pages(messages))


@pytest.mark.kernel
def test_what_code_prints_before_it_computes_is_seen_while_it_computes(
    kernel: BlockingKernelClient,
) -> None:
    messages = sent(
        kernel,
        """
import time
class Watched(LiveScreen):
    drawn = ""
    def paint(self, state):
        sent = super().paint(state)
        self.drawn = str(state)  # after the message left
        return sent
screen = Watched()
view = NotebookView(screen)
view.show(start)
view.show(ToolStarted(call_id="c", name="run_cell", arguments={"code": "fit()"}))
view.show(OutputShown(call_id="c", output=StreamOutput(name="stdout", text="starting")))
deadline = time.monotonic() + 30
while "starting" not in screen.drawn and time.monotonic() < deadline:
    time.sleep(0.01)
print("computed", flush=True)
view.show(ToolEnded(call_id="c", status="ok", text="", seconds=1))
view.close()
""",
    )
    kinds = [
        "starting" if "starting" in str(message["content"]) else message["msg_type"]
        for message in messages
        if message["msg_type"] in ("comm_msg", "stream")
    ]
    assert kinds[:2] == ["starting", "stream"]


@pytest.mark.kernel
def test_without_timing_two_executed_notebooks_have_the_same_outputs() -> None:
    from nbclient import NotebookClient
    from traitlets.config import Config

    cell = """
view = open_view("static", timing=False)
for event in (start, TextDelta(text="All "), said("All done."), end):
    view.show(event)
    await asyncio.sleep(0.06)
view.close([])
"""

    def executed() -> Any:
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in (SETUP, "import asyncio", cell)]
        )
        config = Config({"KernelManager": {"transport": "ipc"}})
        client = NotebookClient(notebook, config=config, record_timing=False)
        return client.execute().cells[-1].outputs

    one, two = executed(), executed()
    assert one == two
    assert len(one) == 1
    assert one[0]["data"]["text/plain"].endswith("0 steps, 1 sample · 5 tokens in, 0 out")


START = TurnStarted(session="s", turn=1, model="m", provider="p")
RUN = ToolStarted(call_id="c", name="run_cell", arguments={})
STOP = ToolEnded(call_id="c", status="ok", text="", seconds=1)


def test_what_a_reader_waits_for_is_held_up_by_the_rate_alone() -> None:
    clock, screen = Clock(), Screen(sent=4_000_000)  # after which other paints pause two seconds
    view = NotebookView(screen, clock=clock)
    for count, event in enumerate((START, RUN, STOP), 1):
        view.show(event)
        assert len(screen.painted) == count
        clock.now += 0.05
    view.show(TextDelta(text="a"))
    assert len(screen.painted) == 3
    view.close()
    assert screen.left[-1].blocks[-1] == AnswerBlock("a")


def test_steps_that_take_no_time_are_not_painted_one_by_one() -> None:
    clock, screen = Clock(), Screen()
    view = NotebookView(screen, rate=4, clock=clock)
    view.show(START)
    for _ in range(300):
        for event in (RUN, STOP):
            view.show(event)
            clock.now += 0.005
    view.close()
    assert len(screen.painted) <= 1 + 4 * 3


@pytest.mark.parametrize(
    ("last", "status"), [(RUN, "running"), (ApprovalNeeded(call_id="c", reason="why"), "asking")]
)
async def test_a_paint_that_the_loop_put_off_comes_though_the_loop_is_blocked_then(
    last: Event, status: str
) -> None:
    screen = Screen()
    view = NotebookView(screen)
    for event in (START, TextDelta(text="a"), last):
        view.show(event)
    over = time.monotonic() + 30
    while len(screen.painted) < 2 and time.monotonic() < over:
        time.sleep(0.001)
    view.close()
    step = screen.painted[1].blocks[-1]
    assert isinstance(step, StepBlock) and step.status == status


def test_a_wait_for_room_is_painted_soon_and_its_end_too(
    making: Compacting, made: Compacted
) -> None:
    clock, screen = Clock(), Screen(sent=4_000_000)
    view = NotebookView(screen, clock=clock)
    for count, event in enumerate((making, made), 1):
        view.show(event)
        assert len(screen.painted) == count
        clock.now += 0.05
    view.close()


async def test_a_paint_put_off_is_made_up_for_by_the_loop() -> None:
    screen = Screen()
    view = NotebookView(screen, rate=1000)
    for text in "abc":
        view.show(TextDelta(text=text))
    async with asyncio.timeout(30):
        while not screen.painted or screen.painted[-1].blocks != (AnswerBlock("abc"),):
            await asyncio.sleep(0.001)
    view.close()


async def test_a_screen_that_ticks_is_painted_though_nothing_happens() -> None:
    screen = Screen(ticks=0.001)
    view = NotebookView(screen)
    view.show(Retrying(attempt=2, attempts=3, wait=5, cause="reset"))
    async with asyncio.timeout(30):
        while len(screen.painted) < 3:
            await asyncio.sleep(0.001)
    view.close()
    painted = len(screen.painted)
    await asyncio.sleep(0.05)
    assert len(screen.painted) == painted


def test_without_a_loop_a_screen_does_not_tick() -> None:
    screen = Screen(ticks=0.001)
    NotebookView(screen).show(Retrying(attempt=2, attempts=3, wait=5, cause="reset"))
    assert len(screen.painted) == 1


@pytest.mark.kernel
def test_a_wait_is_counted_down_without_widgets(kernel: BlockingKernelClient) -> None:
    messages = sent(
        kernel,
        """
from functools import reduce
from inkernel.widgets.state.fold import TurnState, fold
events = (start, said("one"), Retrying(attempt=2, attempts=3, wait=3, cause="reset"))
state = reduce(fold, events, TurnState())
screen, silent = StaticScreen(clock=clock), StaticScreen(timing=False, clock=clock)
print(screen.tick(state), silent.tick(state), screen.tick(TurnState()))
for seconds in (0, 1, 1, 5):
    clock.now += seconds
    screen.paint(state)
""",
    )
    assert "".join(text["text"] for text in of("stream", messages)) == "1.0 None None\n"
    waits = re.findall(r"again in ([0-9.]+ s)", "".join(pages(messages)))
    assert waits == ["3.0 s", "2.0 s", "1.0 s", "0.1 s"]
    assert sum("one" in page for page in pages(messages)) == 1, "only the wait is sent again"


@pytest.mark.kernel
def test_while_room_is_made_a_clock_runs_in_its_block_which_then_says_what_came_of_it(
    kernel: BlockingKernelClient,
) -> None:
    messages = sent(
        kernel,
        """
view = NotebookView(LiveScreen(clock=clock), clock=clock)
began = round(clock.time() * 1000)
for event in (start, making, said("later"), end):
    clock.now += 1
    view.show(event)
    if event is making:
        clock.now += 1
        view.show(made)
view.close()
print(began)
""",
    )
    began = int("".join(text["text"] for text in of("stream", messages)))
    blocks = [update["b0"] for update in updates(messages) if "b0" in update]
    waiting, done = blocks
    line = "● Making room: 26,012 of 32,000 tokens are in the window …"
    assert f'{line} · <span data-since="{began + 2000}"></span>' in waiting
    assert "• Made room in 12 s: 26,012 → 10,944 tokens (12 runs in the digest)." in done
    assert "data-since" not in done
    assert {update["count"] for update in updates(messages) if "count" in update} == {1, 2}


@pytest.mark.kernel
@pytest.mark.parametrize("screen", ["LiveScreen(clock=clock)", "StaticScreen(clock=clock)"])
def test_a_turn_stopped_while_room_is_made_leaves_no_clock(
    kernel: BlockingKernelClient, screen: str
) -> None:
    messages = sent(
        kernel,
        f"""
screen = {screen}
view = NotebookView(screen, clock=clock)
for event in (start, making, replace(end, status="interrupted")):
    view.show(event)
print(screen.tick(view._state))
view.close([])
""",
    )
    assert "".join(text["text"] for text in of("stream", messages)) == "None\n"
    for block in [update["b0"] for update in updates(messages) if "b0" in update][1:]:
        assert "■ Making room was interrupted." in block and "data-since" not in block
    left = shown(messages)[-1]
    assert all("■ Making room was interrupted." in form for form in left.values())
    assert not any("Making room:" in form or "data-since" in form for form in left.values())


@pytest.mark.kernel
def test_the_seconds_that_room_takes_are_counted_without_widgets(
    kernel: BlockingKernelClient,
) -> None:
    messages = sent(
        kernel,
        """
from functools import reduce
from inkernel.widgets.state.fold import TurnState, fold
state = reduce(fold, (start, said("one"), making), TurnState())
screen, silent = StaticScreen(clock=clock), StaticScreen(timing=False, clock=clock)
print(screen.tick(state), silent.tick(state), screen.tick(fold(state, made)))
for seconds in (0, 1, 60):
    clock.now += seconds
    screen.paint(state)
screen.paint(fold(state, made))
""",
    )
    assert "".join(text["text"] for text in of("stream", messages)) == "1.0 None None\n"
    waits = re.findall(r"in the window …(?: · ([^<]+))?", "".join(pages(messages)))
    assert waits == ["", "1.0 s", "1 min 1 s"]
    assert "Made room in 12 s" in pages(messages)[-2], "the last one is the status"


STEPS = """
def step(n, *outputs):
    call = {"call_id": f"c{n}"}
    view.show(ToolStarted(**call, name="run_cell", arguments={"code": f"step({n})"}))
    clock.now += 1
    for output in outputs:
        view.show(OutputShown(**call, output=output))
        clock.now += 1
    view.show(ToolEnded(**call, status="ok", text="", seconds=1))
    clock.now += 1

def printed(text): return StreamOutput(name="stdout", text=text)
def picture(n): return DisplayOutput(data={"image/png": f"P{n:03}" * 1000})
view = NotebookView(StaticScreen(clock=clock), clock=clock)
view.show(start)
"""


def kept(messages: list[dict[str, Any]]) -> list[str]:
    """The HTML of the outputs that the cell has in the end."""
    outputs: dict[str, str] = {}
    for message in messages:
        content = message["content"]
        if message["msg_type"] == "clear_output":
            outputs = {}
        elif message["msg_type"] in ("display_data", "update_display_data"):
            outputs[content["transient"]["display_id"]] = content["data"]["text/html"]
    return list(outputs.values())


@pytest.mark.kernel
def test_without_widgets_an_output_is_sent_once_while_the_turn_runs(
    kernel: BlockingKernelClient,
) -> None:
    painting = """
for n in range(30):
    step(n, printed(f"<{n}>" + "text" * 600), picture(n))
step(30, *map(picture, range(100, 130)))
view.show(end)
"""
    by_parts, folded = (sent(kernel, f"{STEPS}{painting}view.close({it})") for it in (None, []))
    whole = "".join(pages(by_parts))
    for n in range(30):
        assert (whole.count(f"&lt;{n}&gt;"), whole.count(f"P{n:03}" * 1000)) == (1, 1)
        assert whole.count(f"P{100 + n}" * 1000) == 1
    left = "".join(kept(by_parts))
    places = [left.index(f"&lt;{n}&gt;" if n < 30 else f"P{n + 70}" * 9) for n in range(60)]
    assert places == sorted(places) and "completed" in left[places[-1] :]
    (bundle,) = kept(folded)
    assert bundle.count("<img") == left.count("<img") == 60


@pytest.mark.kernel
def test_what_a_broken_sample_had_begun_is_taken_back_without_widgets(
    kernel: BlockingKernelClient,
) -> None:
    taking_back = """
step(1, printed("one"))
for event in (ReasoningDelta(text="gone", part=0), TextDelta(text="gone, too")):
    view.show(event)
    clock.now += 1
view.show(Retrying(attempt=1, attempts=2, wait=1, cause="reset"))
clock.now += 1
step(2, printed("two"))
view.show(end)
view.close()
"""
    messages = sent(kernel, STEPS + taking_back)
    assert any("gone, too" in page for page in pages(messages))
    left = "".join(kept(messages))
    assert "gone" not in left and left.index("one<") < left.index("reset") < left.index("two<")


@pytest.mark.kernel
def test_of_a_long_text_that_grows_only_the_end_is_sent_until_it_is_whole(
    kernel: BlockingKernelClient,
) -> None:
    growing = """
step(1, *(printed(f"line {n} " + "x" * 90 + "\\n") for n in range(500)))
view.show(end)
view.close([])
"""
    *painted, bundle = pages(sent(kernel, STEPS + growing))
    assert "line 0 " in bundle and "line 499 " in bundle
    *growing_pages, whole = [page for page in painted if "line 4" in page]
    assert max(map(len, growing_pages)) < 6_000 < len(whole)
    assert "characters left out" in growing_pages[-1] and "left out" not in whole


def test_a_paint_that_makes_code_print_does_not_paint_again() -> None:
    calls: list[int] = []

    def paint() -> int:
        calls.append(1)
        pace.ask(soon=True, loop_is_free=True)
        return 0

    pace = Pace(paint, 20, Clock())
    pace.ask(soon=True, loop_is_free=True)
    assert calls == [1]


@pytest.mark.parametrize(
    ("seconds", "characters", "pause"), [(0, 0, 0.05), (0.1, 0, 0.5), (0, 4_000_000, 2.0)]
)
def test_a_slow_or_large_paint_is_followed_by_a_longer_pause(
    seconds: float, characters: int, pause: float
) -> None:
    clock = Clock()
    calls: list[float] = []

    def paint() -> int:
        calls.append(clock.now)
        clock.now += seconds
        return characters

    pace = Pace(paint, 20, clock)
    for _ in range(400):
        pace.ask(soon=False, loop_is_free=True)
        clock.now += 0.01
    gaps = [after - before - seconds for before, after in pairwise(calls)]
    assert min(gaps) == pytest.approx(pause, abs=0.011)


def test_nothing_is_painted_over_the_form_that_stays() -> None:
    clock, screen = Clock(), Screen()
    view = NotebookView(screen, clock=clock)
    view.show(ToolStarted(call_id="c", name="run_cell", arguments={}))
    view.show(TextDelta(text="put off"))
    (thread,) = (it for it in threading.enumerate() if it.name == "inkernel-repaint")
    view.close()
    thread.join()
    assert len(screen.painted) == len(screen.left) == 1


def test_what_is_put_off_while_code_computes_is_painted_on_one_thread_for_all() -> None:
    screen, threads = Screen(), set[threading.Thread]()
    view = NotebookView(screen)
    for n in range(30):
        view.show(ToolStarted(call_id=f"c{n}", name="run_cell", arguments={}))
        view.show(TextDelta(text="put off"))
        threads |= {it for it in threading.enumerate() if it.name == "inkernel-repaint"}
        time.sleep(0.01 if n % 10 else 0.1)
    view.close()
    assert len(threads) == 1
    assert 5 < len(screen.painted) < 30


def test_threads_of_the_code_lose_no_output() -> None:
    from inkernel.agent.protocol.cells import StreamOutput
    from inkernel.agent.protocol.events import OutputShown

    screen = Screen()
    view = NotebookView(screen)
    one = OutputShown(call_id="c", output=StreamOutput(name="stdout", text="x"))

    def work() -> None:
        for _ in range(500):
            view.show(one)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    view.close()
    assert "x" * 2000 in str(screen.left[0].blocks)


@pytest.mark.parametrize("module", ["inkernel.widgets", "inkernel.widgets.views.notebook"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    heavy = ["ipywidgets", "anywidget", "markdown_it", "nh3", "pygments", "IPython"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
