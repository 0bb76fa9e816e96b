"""Steps in a real ipykernel: limits, questions, history, what they leave running, their tools."""

import json
from pathlib import Path
from typing import Any

import ipykernel
import pytest

pytestmark = pytest.mark.kernel


def script(*codes: str, after: str = "Done.", **arguments: Any) -> str:
    """A script of one turn: steps one after the other, then an answer."""
    parts = ['model = "scripted/test"\n[[turn]]\n']
    for code in codes:
        named = {"title": "a step", "code": code, **arguments}
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in named.items())
        parts.append(
            '[[turn.response]]\n[[turn.response.call]]\nname = "run_cell"\n'
            f"[turn.response.call.arguments]\n{lines}"
        )
    parts.append(f'[[turn.response]]\nsay = "{after}"\n')
    return "".join(parts)


def told(body: bytes) -> str:
    """What the model was told last."""
    output = json.loads(body)["input"][-1]["output"]
    return output if isinstance(output, str) else "".join(part.get("text", "") for part in output)


def html(ran: Any) -> str:
    return next(o["data"]["text/html"] for o in ran.outputs if "text/html" in o.get("data", {}))


def lines_of(kernel: Any, kind: str, folder: Path) -> list[dict[str, Any]]:
    """The record's lines of a kind."""
    (record,) = folder.rglob("*.jsonl")
    lines = map(json.loads, record.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["kind"] == kind]


@pytest.fixture
def records(tmp_path: Path) -> dict[str, str]:
    """Where a kernel keeps its records."""
    return {"INKERNEL_DATA_DIR": str(tmp_path / "data")}


@pytest.mark.parametrize("steps", [3, 45])
def test_the_file_of_the_shells_history_has_all_steps_once_the_turn_is_over(agent: Any, steps: int):
    kernel, _ = agent(script(*(f"x = {n}" for n in range(steps))))
    kernel.run("%%agent\nGo.")
    look = f"""
import sqlite3, time
history = get_ipython().history_manager
for _ in range(200):
    with sqlite3.connect(history.hist_file) as file:
        found = [it for it, in file.execute("SELECT source FROM history ORDER BY line")]
    if sum(it.startswith("x = ") for it in found) == {steps}:
        break
    time.sleep(0.05)
print(*(it for it in found if it.startswith("x = ")), sep=",")
print(history.db_cache_size)"""
    expected = ",".join(f"x = {n}" for n in range(steps))
    assert kernel.run(look).text.split("\n") == [expected, "0", ""]


@pytest.mark.parametrize(
    "code",
    [
        "import time\nprint('began', flush=True)\ntime.sleep(60)",
        "import subprocess\nprint('began')\nsubprocess.run(['sleep', '60'])",
        "print('began')\n!sleep 60",
        "import time\nprint('began')\nwhile True:\n    try: time.sleep(60)\n"
        "    except BaseException: pass",
        "import asyncio\nprint('began')\nawait asyncio.sleep(60)",
    ],
)
def test_a_step_over_its_limit_is_stopped_and_the_turn_goes_on(agent: Any, code: str):
    kernel, server = agent(script(code), INKERNEL_STEP_TIMEOUT="0.5")
    ran = kernel.run("%%agent\nGo.")
    assert ran.status == "ok" and "Done." in html(ran)
    assert ran.seconds < 30
    text = told(server.requests[-1])
    assert "stopped at its time limit of 0.5 s" in text and "began" in text
    assert kernel.run("1 + 1").text == "2"


@pytest.mark.parametrize(
    "code",
    [
        "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n"
        "time.sleep(13)\nsignal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])",
        "import asyncio\nwhile not globals().get('enough'):\n"
        "    try: await asyncio.sleep(0.1)\n    except asyncio.CancelledError: pass",
    ],
    ids=["deaf", "awaiting"],
)
def test_what_does_not_let_itself_be_stopped_is_reported_and_ends_the_turn(agent: Any, code: str):
    kernel, server = agent(script(code), INKERNEL_STEP_TIMEOUT="0.3", INKERNEL_TRIAL="never")
    ran = kernel.run("%%agent\nGo.")
    assert (ran.status, ran.ename) == ("error", "TurnLimited")
    assert "did not stop at its time limit" in ran.evalue
    assert "still runs" in html(ran)
    assert len(server.requests) == 1
    assert kernel.run("enough = True; 1 + 1").text == "2"


def test_a_step_may_ask_for_more_time_up_to_the_most_there_is(agent: Any):
    slow = "import time\ntime.sleep(0.8)\n'in time'"
    kernel, server = agent(
        script(slow, timeout=20), INKERNEL_STEP_TIMEOUT="0.2", INKERNEL_STEP_TIMEOUT_MAX="10"
    )
    kernel.run("%%agent\nGo.")
    assert "in time" in told(server.requests[-1])
    kernel, server = agent(
        script(slow, timeout=20), INKERNEL_STEP_TIMEOUT="0.2", INKERNEL_STEP_TIMEOUT_MAX="0.3"
    )
    kernel.run("%%agent\nGo.")
    assert "stopped at its time limit of 0.3 s" in told(server.requests[-1])


def test_steps_count_like_cells_and_the_agents_cell_keeps_its_number(agent: Any):
    kernel, _ = agent(script("'one'", "'two'"))
    kernel.run("'before'")
    shown = kernel.start("%%agent\nGo.")
    number = kernel.wait_for(shown, "execute_input")["execution_count"]
    ran = kernel.finish(shown)
    assert ran.count == number
    assert f"In [{number + 1}]" in html(ran) and f"In [{number + 2}]" in html(ran)
    after = kernel.run("_")
    assert (after.text, after.count) == ("'before'", number + 3)
    assert kernel.run(f"Out[{number + 1}], Out[{number + 2}]").text == "('one', 'two')"


@pytest.mark.parametrize("before", ["%history -g paste", "x = 1\n%%agent"])
def test_so_they_do_after_a_cell_that_ipython_does_not_store_or_cannot_read(
    agent: Any, before: str
):
    kernel, _ = agent(script("'one'"))
    kernel.run(before)
    shown = kernel.start("%%agent\nGo.")
    number = kernel.wait_for(shown, "execute_input")["execution_count"]
    assert kernel.finish(shown).count == number
    assert kernel.run(f"Out[{number + 1}]").count == number + 2


def test_cells_that_wait_already_take_the_numbers_after_the_steps(agent: Any):
    kernel, _ = agent(script("'one'", "'two'"))
    waiting = [kernel.start(source) for source in ("%%agent\nGo.", "'next'", "'last'")]
    ran = [kernel.finish(message_id) for message_id in waiting]
    first = ran[0].count
    assert [it.count for it in ran] == [first, first + 3, first + 4]
    assert kernel.run(f"In[{first + 1}:{first + 5}]").text == (
        "[\"'one'\", \"'two'\", \"'next'\", \"'last'\"]"
    )


def test_history_and_rerun_have_the_steps_marked(agent: Any):
    kernel, _ = agent(script("kept = 41\nkept + 1"))
    kernel.run("%%agent\nGo.")
    assert "# agent, turn 1: a step\nkept = 41" in kernel.run("%history").text
    kernel.run("del kept")
    again = kernel.run("%rerun 3")
    assert again.status == "ok" and "42" in again.text
    assert kernel.run("kept").text == "41"


def test_a_question_of_the_agents_code_reaches_the_person_in_its_name(agent: Any):
    kernel, server = agent(script("name = input('Your name? ')\nprint('Hello', name)"))
    running = kernel.start("%%agent\nGo.", allow_stdin=True)
    assert kernel.wait_for_question() == "The agent's code asks: Your name? "
    kernel.client.input("Ada")
    assert kernel.finish(running).status == "ok"
    assert "Hello Ada" in told(server.requests[-1])


def test_an_awaiting_step_may_ask_too(agent: Any):
    code = "import asyncio\nawait asyncio.sleep(0)\nname = input('Your name? ')\nname"
    kernel, server = agent(script(code))
    running = kernel.start("%%agent\nGo.", allow_stdin=True)
    kernel.wait_for_question()
    kernel.client.input("Ada")
    kernel.finish(running)
    assert "'Ada'" in told(server.requests[-1])


def test_unattended_a_question_fails_at_once(agent: Any):
    kernel, server = agent(script("input('Your name? ')"))
    kernel.run("%%agent\nGo.")
    assert "nobody can answer" in told(server.requests[-1])


def test_what_a_step_leaves_running_is_shown_in_that_step(agent: Any):
    background = (
        "import threading, time\ngo, done = threading.Event(), threading.Event()\n"
        "def work():\n    go.wait(30)\n    print('from the background')\n    done.set()\n"
        "threading.Thread(target=work, daemon=True).start()"
    )
    kernel, server = agent(script(background, "go.set(); done.wait(30); print('second')"))
    page = html(kernel.run("%%agent\nGo."))
    assert page.index("from the background") < page.index("second")
    assert "background" not in told(server.requests[-1])


def test_what_subprocesses_write_is_the_steps_and_told(agent: Any):
    code = "import subprocess\nsubprocess.run(['echo', 'out' + 'side{}'])"
    kernel, server = agent(script(*(code.format(n) for n in range(8))))
    ran = kernel.run("%%agent\nGo.")
    assert not [o for o in ran.outputs if o["output_type"] == "stream"]
    assert all(f"outside{n}" in html(ran) for n in range(8))
    assert all(f"outside{n}" in told(body) for n, body in enumerate(server.requests[1:]))


def test_a_progress_bar_and_a_cleared_output_are_told_as_they_are_at_last(agent: Any):
    code = (
        "from IPython.display import clear_output\nfor n in range(50):\n"
        "    clear_output(wait=True)\n    print('step', n)\n"
    )
    kernel, server = agent(script(code))
    kernel.run("%%agent\nGo.")
    assert "step 49" in told(server.requests[-1]) and "step 48" not in told(server.requests[-1])


def test_a_widget_of_a_step_is_shown_by_the_cell(agent: Any):
    kernel, _ = agent(script("import ipywidgets\nipywidgets.IntSlider(3)"))
    ran = kernel.run("%%agent\nGo.")
    views = [o for o in ran.outputs if "widget-view" in str(o.get("data", {}).keys())]
    assert views and ran.status == "ok"
    assert "↓ shown below: IntSlider(value=3)" in html(ran)


ENDS_THE_LOOP = "import asyncio, sys\nasync def main():\n    await asyncio.sleep({})\n    {}\n"


@pytest.mark.parametrize("ends", ["sys.exit(3)", "raise KeyboardInterrupt", "quit()"])
@pytest.mark.parametrize(
    "runs",
    [
        "await asyncio.gather(main())",
        "async with asyncio.TaskGroup() as group:\n    group.create_task(main())",
        "left = asyncio.create_task(main())",
    ],
)
def test_a_task_of_a_step_ends_without_the_kernel(agent: Any, ends: str, runs: str):
    code = ENDS_THE_LOOP.format(0.05, ends) + runs
    kernel, server = agent(script("kept = 1", code, "await asyncio.sleep(0.2)\nkept + 1"))
    ran = kernel.run("%%agent\nGo.")
    assert ran.status == "ok"
    assert told(server.requests[2]).startswith("ok" if "left" in runs else "error")
    assert "2" in told(server.requests[3])
    assert kernel.run("kept").outputs[-1]["data"]["text/plain"] == "1"


OUTPUT_WIDGET = """
import ipywidgets
from IPython.display import clear_output, display
sink = ipywidgets.Output()
display(sink)
print("out" + "side")
with sink:
    print("in" + "side")
    clear_output(wait=True)
    display({"dis": "played"})
print("after" + "wards")
@ipywidgets.interact(x=20)
def double(x):
    print("twice is", 2 * x)
    return 3 * x
"""


def test_an_output_widget_of_a_step_gets_its_outputs_and_the_model_too(agent: Any):
    kernel, server = agent(script(OUTPUT_WIDGET))
    began = kernel.start("%%agent\nGo.")
    # The front end gives to the widgets all that it gets as outputs of the cell.
    sent = [kernel.wait_for(began, "stream")["text"] for _ in range(2)]
    assert sent == ["inside\n", "twice is 40\n"]
    page = html(kernel.finish(began))
    text = told(server.requests[-1])
    for each in ("outside", "inside", "{'dis': 'played'}", "afterwards", "twice is 40", "60"):
        assert each in text
    assert "outside" in page and "afterwards" in page
    assert "inside\n" not in page and "twice is 40" not in page


def test_code_awaits_the_agents_other_tools(agent: Any, records: dict[str, str], tmp_path: Path):
    code = (
        "for name in ('a', 'b'):\n    print(await agent_tools.inspect(names=[name]))\n"
        "try:\n    await agent_tools.inspect(expression='a.b')\n"
        "except Exception as error:\n    print(type(error).__name__, error)"
    )
    kernel, server = agent(script(code), **records)
    kernel.run("a, b = [1, 2, 3], 'text'")
    page = html(kernel.run("%%agent\nGo."))
    text = told(server.requests[-1])
    assert "[1, 2, 3]" in text and "'text'" in text and "ToolCallError" in text
    assert "inspect × 3" in page
    lines = lines_of(kernel, "lent_call", tmp_path / "data")
    assert [line["status"] for line in lines] == ["ok", "ok", "error"]
    verdicts = lines_of(kernel, "verdict", tmp_path / "data")
    assert [line["call_id"] for line in lines] == [line["call_id"] for line in verdicts[1:]]
    assert kernel.run("'agent_tools' in globals()").text == "False"


def test_tools_that_were_lent_are_of_no_use_after_the_step(agent: Any):
    kernel, server = agent(script("kept = agent_tools", "await kept.inspect()"))
    kernel.run("%%agent\nGo.")
    assert "is over" in told(server.requests[-1])


def test_a_call_that_was_not_awaited_says_so(agent: Any):
    kernel, server = agent(script("agent_tools.inspect(names=['In'])"))
    kernel.run("%%agent\nGo.")
    assert "await agent_tools.inspect" in told(server.requests[-1])


def test_the_request_tells_how_tools_are_called_from_code(agent: Any):
    kernel, server = agent(script("1"))
    kernel.run("%%agent\nGo.")
    run_cell = json.loads(server.requests[0])["tools"][0]
    assert "`await agent_tools.inspect(names=[...])`" in run_cell["description"]


def test_many_calls_in_one_step_take_no_time(agent: Any):
    code = (
        "import time\nstarted = time.process_time()\n"
        "for n in range(100):\n    await agent_tools.inspect(names=['n'])\n"
        "took = time.process_time() - started"
    )
    kernel, _ = agent(script(code))
    kernel.run("%%agent\nGo.")
    assert float(kernel.run("took").text) < 5  # the figure is `python -m bench steps`'s


def test_an_interrupt_that_the_code_itself_raises_is_told_and_the_turn_goes_on(agent: Any):
    cancelled = "task = asyncio.ensure_future(asyncio.sleep(60))\ntask.cancel()\nawait task"
    codes = ("raise KeyboardInterrupt('mine')", f"import asyncio\n{cancelled}", "'and on'")
    kernel, server = agent(script(*codes))
    ran = kernel.run("%%agent\nGo.")
    assert ran.status == "ok" and "interrupted" not in html(ran)
    first, second, third = map(told, server.requests[1:])
    assert first.startswith("error") and "KeyboardInterrupt: mine" in first
    assert second.startswith("error") and "CancelledError" in second
    assert "'and on'" in third


GUI = """
import time
from ipykernel.eventloops import get_shell_stream, register_integration

@register_integration("fake")
def loop_of_fake(kernel):  # nothing else runs meanwhile, as with those of Qt and Tk
    global entered
    entered += 1
    until = time.monotonic() + 0.05
    while not get_shell_stream(kernel).flush(limit=1) and time.monotonic() < until:
        time.sleep(0.005)

entered = 0
get_ipython().enable_gui("fake")
"""
WAITS = "import asyncio\nbefore = entered\nawait asyncio.sleep(0.3)\nentered - before"


def check_it_runs_again(kernel: Any) -> None:
    """The loop of the GUI runs between cells, and once only."""
    first = int(kernel.run("entered").text)
    while int(kernel.run("entered").text) == first:
        pass
    assert kernel.run("get_ipython().kernel.eventloop is loop_of_fake").text == "True"


@pytest.mark.skipif(ipykernel.version_info[0] < 7, reason="it does not run while a cell awaits")
@pytest.mark.parametrize("in_a_step", [False, True])
def test_a_guis_loop_stands_still_while_a_turn_waits(agent: Any, in_a_step: bool):
    kernel, server = agent(script(GUI if in_a_step else "1", WAITS, "print('and on')"))
    if not in_a_step:
        kernel.run(GUI)
    ran = kernel.run("%%agent\nGo.")
    assert ran.status == "ok"
    assert ("stand still until the turn ends" in html(ran)) is not in_a_step
    assert told(server.requests[2]).split()[-1] == "0"
    check_it_runs_again(kernel)
    assert kernel.run("%agent models").status == "ok"
    check_it_runs_again(kernel)


EXITS = (
    "exit()",
    "quit()",
    "exit",
    "print('first')\nif True:\n    quit()",
    "get_ipython().ask_exit()",
    "exit(keep_kernel=True)",
    "import asyncio\nawait asyncio.sleep(0)\nexit()",
    "try:\n    exit()\nexcept Exception:\n    pass",
    "get_ipython().kernel.do_shutdown(True)",
    "import asyncio\nasync def main():\n    exit()\nawait asyncio.gather(main())",
    "import threading\nthread = threading.Thread(target=exit)\nthread.start()\nthread.join()",
    "from concurrent.futures import ThreadPoolExecutor\nThreadPoolExecutor().submit(exit).result()",
)


def test_code_that_ends_the_shell_ends_only_its_step(agent: Any):
    codes = [f"{code}\n" for code in EXITS]
    kernel, server = agent(script(*codes, "'alive', kept"))
    kernel.run("kept = 41 + 1")
    assert kernel.run("%%agent\nGo.").status == "ok"
    assert len(server.requests) == len(EXITS) + 2
    for code, body in zip(EXITS, server.requests[1:], strict=False):
        assert "the kernel runs on" in told(body), code
    assert "('alive', 42)" in told(server.requests[-1])
    later = kernel.run("kept")  # the kernel stops a tenth of a second after such a call
    kernel.run("import time; time.sleep(0.3)")
    assert later.text == "42" and kernel.run("kept").text == "42"


def test_text_for_the_next_cell_and_the_pager_is_the_steps_output(agent: Any, tmp_path: Path):
    (tmp_path / "mine.py").write_text("loaded = 'from a file'", encoding="utf-8")
    page = "from IPython.core.page import page\npage('a page')"
    codes = {
        "%load mine.py": "loaded = 'from a file'",
        "%recall 1": "%load_ext inkernel",
        "get_ipython().set_next_input('put next')": "put next",
        "from pathlib import Path\nPath.home?": "Return a new path",
        "%pycat mine.py": "'from a file'",
        page: "a page",
        "get_ipython().payload_manager.write_payload({'source': 'x', 'text': 'paid'})": "paid",
        "import asyncio\nawait asyncio.sleep(0)\nget_ipython().set_next_input('late')": "late",
    }
    kernel, server = agent(script(*codes))
    ran = kernel.run("%%agent\nGo.")
    for (code, expected), body in zip(codes.items(), server.requests[1:], strict=True):
        assert expected in told(body), code
    assert ran.payload == []
    assert "from a file" in html(ran)
    (payload,) = kernel.run("get_ipython().set_next_input('mine')").payload
    assert payload["text"] == "mine"


SLOTS = "class Mute:\n    __slots__ = ()\n    def write(self, text): return len(text)\n"
BROKEN = (
    f"import sys\n{SLOTS}    def flush(self): pass\nsys.stdout = Mute()",
    "import sys\nsys.stdout = sys.stderr = None",
    "get_ipython = None",
    "del _oh, _ih, _dh",
    "_oh = In = Out = None",
    "import os, shutil\nshutil.rmtree(os.getcwd())",
)


@pytest.mark.parametrize("code", BROKEN)
def test_after_a_step_broke_what_the_shell_works_with_turns_and_cells_go_on(
    agent: Any, tmp_path: Path, code: str
):
    _, later = script("print('two')\n21 * 2").split("\n", 1)
    # For the scripted model, the news that the folder is gone begins a turn, too.
    kernel, server = agent(script("print('one')", code) + 2 * later)
    (tmp_path / "work").mkdir()
    kernel.run("%cd -q work")
    kernel.run("%%agent\nGo.")
    assert kernel.run("print('mine')\n6 * 7").text == "mine\n\n42"
    assert kernel.run("%agent status").status == "ok"
    ran = kernel.run("%%agent\nAgain.")
    assert ran.status == "ok", ran.traceback
    assert "two" in told(server.requests[-1]) and "42" in told(server.requests[-1])
    assert ("work (deleted)" in server.requests[-1].decode()) == ("rmtree" in code)
