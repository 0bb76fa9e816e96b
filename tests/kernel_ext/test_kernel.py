"""`%%agent` in a real ipykernel, against the scripted model over real HTTP."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from inkernel.agent.providers.resolve import LOCAL

pytestmark = pytest.mark.kernel

LOAD = "%load_ext inkernel"


def say(text: str) -> str:
    return f'[[turn]]\n[[turn.response]]\nsay = "{text}"\n'


def run_cell(code: str, after: str = "Done.") -> str:
    """A script of one turn: one step, then an answer."""
    return (
        'model = "scripted/test"\n[[turn]]\n[[turn.response]]\n[[turn.response.call]]\n'
        'name = "run_cell"\n[turn.response.call.arguments]\ntitle = "a step"\n'
        f"code = {json.dumps(code)}\n"
        f'[[turn.response]]\nsay = "{after}"\n'
    )


def items(body: bytes) -> list[dict[str, Any]]:
    return json.loads(body)["input"]


def html(ran: Any) -> str:
    return next(o["data"]["text/html"] for o in ran.outputs if "text/html" in o.get("data", {}))


def test_the_agent_sees_a_live_variable_and_leaves_results_for_the_next_cell(agent):
    kernel, server = agent(run_cell("total = sum(numbers)\ntotal"))
    kernel.run("numbers = [1, 2, 3]")
    ran = kernel.run("%%agent\nAdd up $`numbers`, please.")
    assert ran.status == "ok"
    assert "Done." in html(ran)
    assert kernel.run("total").text == "6"
    first, second = map(items, server.requests)
    said, attached = (part["text"] for part in first[-1]["content"])
    assert said == "Add up $`numbers`, please."
    assert "[1, 2, 3]" in attached
    assert second[-1]["type"] == "function_call_output" and "6" in second[-1]["output"]


def test_request_k_plus_1_starts_with_the_bytes_of_request_k(agent):
    kernel, server = agent(run_cell("1 / 0"))
    kernel.run("%%agent\nGo.")
    first, second = server.requests
    assert second.startswith(first[: -len(b"]}")])
    head = first[: first.index(b'"input":[')]
    assert b'"instructions"' in head and b'"tools"' in head


def test_a_figure_goes_to_the_model_and_to_the_person(agent):
    pytest.importorskip("matplotlib")
    kernel, server = agent(
        run_cell("import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()")
    )
    ran = kernel.run("%%agent\nPlot.")
    (text, image) = items(server.requests[1])[-1]["output"]
    assert text["type"] == "input_text"
    assert image["image_url"].startswith("data:image/png;base64,")
    assert "data:image/png;base64," in html(ran)


def test_it_sees_its_own_error_as_a_traceback(agent):
    kernel, server = agent(run_cell("undefined_name"))
    ran = kernel.run("%%agent\nGo.")
    output = items(server.requests[1])[-1]["output"]
    assert output.startswith("error") and "NameError" in output and "\x1b" not in output
    assert ran.status == "ok", "an error the agent is told of is not an error of the cell"
    assert all(o["output_type"] != "error" for o in ran.outputs)


def test_top_level_await_in_agent_code_works(agent):
    kernel, server = agent(run_cell("import asyncio\nawait asyncio.sleep(0.01)\n'awaited'"))
    assert kernel.run("%%agent\nGo.").status == "ok"
    assert "awaited" in items(server.requests[1])[-1]["output"]


def test_the_last_result_stays_the_users(agent):
    kernel, _ = agent(run_cell("'the agent’s own'"))
    kernel.run("'mine'")
    kernel.run("%%agent\nGo.")
    ran = kernel.run("(_, list(Out.values()))")
    assert ran.text == "('mine', ['mine', 'the agent’s own'])"


def test_only_names_the_agents_code_binds_appear(agent):
    kernel, _ = agent(run_cell("result = 1"))
    kernel.run("before = set(globals())")
    kernel.run("%%agent\nGo.")
    ran = kernel.run("sorted(n for n in set(globals()) - before if not n.startswith('_'))")
    assert ran.text == "['before', 'result']"


def test_a_session_remembers_and_new_forgets(agent):
    kernel, server = agent(say("One.") + say("Two.") + say("Three."))
    kernel.run("%%agent first?")
    kernel.run("%%agent second")
    kernel.run("%%agent --new third")
    texts = ["".join(map(json.dumps, items(body))) for body in server.requests]
    assert "first?" in texts[1] and "One." in texts[1]
    assert "first?" not in texts[2]


def test_the_cell_id_is_in_the_record(agent, tmp_path):
    kernel, _ = agent(say("Hello."), INKERNEL_DATA_DIR=str(tmp_path / "data"))
    kernel.run("%%agent\nHi.", cell_id="cell-7")
    (record,) = (tmp_path / "data").glob("sessions/*/*.jsonl")
    turn = next(x for x in map(json.loads, record.read_text().splitlines()) if x["kind"] == "turn")
    assert (turn["cell"], turn["said"]) == ("cell-7", "Hi.")
    assert record.stat().st_mode & 0o777 == 0o600


def test_the_record_keeps_in_full_what_the_model_saw_cut(agent, tmp_path):
    kernel, server = agent(
        run_cell("print('0123456789' * 1000)"),
        INKERNEL_DATA_DIR=str(tmp_path / "data"),
        INKERNEL_OUTPUT_TOKENS="100",
    )
    kernel.run("%%agent\nGo.")
    assert len(items(server.requests[1])[-1]["output"]) < 1000
    (record,) = (tmp_path / "data").glob("sessions/*/*.jsonl")
    run = next(
        x for x in map(json.loads, record.read_text().splitlines()) if x["kind"] == "cell_run"
    )
    assert run["outputs"][0]["text"] == "0123456789" * 1000 + "\n"


@pytest.mark.parametrize("allow_stdin", [False, True], ids=["headless", "a front end with widgets"])
def test_what_is_saved_reads_without_a_kernel(agent, allow_stdin):
    kernel, _ = agent(run_cell("print('from the step')", after="**Bold** answer."))
    ran = kernel.run("%%agent\nGo.", allow_stdin=allow_stdin)
    (output,) = [o for o in ran.outputs if o["output_type"] == "display_data"]
    assert output["data"].keys() == {"text/html", "text/markdown", "text/plain"}
    for form in output["data"].values():
        assert "from the step" in form and "Bold" in form
    assert "<strong>Bold</strong>" in output["data"]["text/html"]


def test_ordinary_output_of_the_users_cells_is_untouched(agent):
    kernel, _ = agent(run_cell("x = 1"))
    kernel.run("%%agent\nGo.")
    ran = kernel.run("print('a')\n1 / 0")
    assert ran.outputs[0]["text"] == "a\n" and ran.ename == "ZeroDivisionError"


# --- what a person does to it -----------------------------------------------------------------


def check_stopped(kernel: Any, ran: Any) -> None:
    """The cell says so, the kernel is free, and nothing is left open."""
    assert (ran.status, ran.ename) == ("error", "TurnInterrupted")
    assert ran.seconds < 20, "the script would have gone on for a minute"
    assert kernel.run("1 + 1").text == "2"


def test_interrupt_during_a_sample(agent):
    silent = '[[turn]]\n[[turn.response]]\nsay = "x"\nfault = {first = 60}\n'
    kernel, _ = agent(silent + say("Back again."))
    cell = kernel.start("%%agent\nGo.")
    kernel.wait_for(cell, "display_data")
    kernel.interrupt()
    check_stopped(kernel, kernel.finish(cell))


@pytest.mark.parametrize(
    "code",
    [
        "import time\nprint('half' + '-way')\ntime.sleep(60)",
        "import time\ntry:\n    print('half' + '-way')\n    time.sleep(60)\n"
        "except KeyboardInterrupt: print('caught')",
        "import asyncio\nprint('half' + '-way')\nawait asyncio.sleep(60)",
        "import asyncio, time\nawait asyncio.sleep(0)\nprint('half' + '-way')\ntime.sleep(60)",
        "import asyncio, time\nasync def work():\n    print('half' + '-way')\n    time.sleep(60)\n"
        "await asyncio.gather(work(), work())",
        "import asyncio, time\ndef work():\n    print('half' + '-way')\n    time.sleep(60)\n"
        "asyncio.get_running_loop().call_soon(work)\nawait asyncio.sleep(60)",
    ],
    ids=[
        "synchronous",
        "caught",
        "awaiting",
        "synchronous between awaits",
        "in a task",
        "in a callback",
    ],
)
def test_interrupt_during_a_running_step(agent, code):
    kernel, server = agent(run_cell(code) + say("Back again."))
    cell = kernel.start("%%agent\nGo.")
    wait_until_running(kernel, cell)
    kernel.interrupt()
    check_stopped(kernel, kernel.finish(cell))
    assert kernel.run("%%agent\nAnd now?").status == "ok"
    calls = [i for i in items(server.requests[-1]) if i["type"].startswith("function_call")]
    assert [i["type"] for i in calls] == ["function_call", "function_call_output"]
    assert calls[1]["output"].startswith("interrupted")


def wait_until_running(kernel: Any, cell: str) -> None:
    """The view shows what the step has printed."""
    while True:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") == cell:
            shown = message["content"].get("data", {}).get("text/html", "")
            if ">half-way" in shown:
                return


INTERRUPT_AT = """
import os, signal, sys
class Interrupts:
    def find_spec(self, name, path, target=None):
        if name == {!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
"""


@pytest.mark.parametrize("module", ["host", "observer", "execution.run_code", "views"])
def test_interrupt_while_the_first_turn_still_imports(agent, module):
    kernel, server = agent(say("Back again."))
    kernel.run(INTERRUPT_AT.format(f"inkernel.kernel_ext.{module}"))
    ran = kernel.run("%%agent\nGo.")
    check_stopped(kernel, ran)
    assert ran.evalue.startswith("You interrupted the turn.")
    assert server.requests == []
    assert kernel.run("%%agent\nAnd now?").status == "ok"
    assert "Go." not in server.requests[0].decode()


@pytest.mark.parametrize("line", ["%agent fix", "%agent models"])
def test_interrupt_while_the_first_line_still_imports(agent, line):
    kernel, _ = agent(say("Back again."))
    kernel.run(INTERRUPT_AT.format("inkernel.kernel_ext.host"))
    assert kernel.run(line).ename == "LineInterrupted"
    assert kernel.run("%agent status").status == "ok"


def test_interrupt_during_an_approval(agent):
    kernel, _ = agent(run_cell("ran = True"))
    cell = kernel.start("%%agent --policy ask\nGo.", allow_stdin=True)
    assert "The agent wants to run this step" in kernel.wait_for_question()
    kernel.interrupt()
    check_stopped(kernel, kernel.finish(cell))
    assert kernel.run("ran").ename == "NameError"


@pytest.mark.parametrize(("answer", "ran"), [("y", "True"), ("n", "False"), ("use numpy", "False")])
def test_the_person_decides_each_step(agent, answer, ran):
    kernel, server = agent(run_cell("ran = True"))
    kernel.run("ran = False")
    cell = kernel.start("%%agent --policy ask\nGo.", allow_stdin=True)
    kernel.wait_for_question()
    kernel.client.input(answer)
    assert kernel.finish(cell).status == "ok"
    assert kernel.run("ran").text == ran
    if answer == "use numpy":
        assert "use numpy" in items(server.requests[1])[-1]["output"]


def test_where_nobody_can_answer_asking_means_no(agent):
    kernel, server = agent(run_cell("ran = True"))
    assert kernel.run("%%agent --policy ask\nGo.").status == "ok"
    assert "only another policy would allow it" in items(server.requests[1])[-1]["output"]
    assert kernel.run("ran").ename == "NameError"


# --- what goes wrong --------------------------------------------------------------------------


def test_a_failed_turn_fails_the_cell_so_that_run_all_stops(agent):
    refused = '[[turn]]\n[[turn.response]]\nsay = "x"\n[turn.response.fault]\nstatus = 401\n'
    kernel, _ = agent(refused + 'body = \'{"error": {"message": "bad key"}}\'\n')
    first = kernel.start("%%agent\nGo.")
    second = kernel.start("after = 1")
    ran = kernel.finish(first)
    assert (ran.status, ran.ename) == ("error", "AuthError")
    assert "site-packages" not in ran.traceback and "Traceback" not in ran.traceback
    assert kernel._reply(second)["status"] == "aborted"


def test_no_model_at_all_is_a_clear_error(kernel):
    for local in LOCAL:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", urlsplit(local.base_url).port)) == 0:
                pytest.skip(f"something listens where {local.name} would")
    running = kernel()
    running.run(LOAD)
    ran = running.run("%%agent\nGo.")
    assert ran.ename == "NoModelError"
    assert "OPENAI_API_KEY" in ran.traceback


def test_a_corrupt_record_is_named_with_its_line(agent, tmp_path):
    kernel, _ = agent(say("Hello."), INKERNEL_DATA_DIR=str(tmp_path / "data"))
    kernel.run("%%agent\nHi.")
    (record,) = (tmp_path / "data").glob("sessions/*/*.jsonl")
    whole = record.read_text()
    record.write_text("not a line\n" + whole)
    told = kernel.run(f"%agent history {record.stem}").text
    assert "line 1: not readable" in told and "completed" in told
    assert kernel.run("%%agent\nAnd now?").ename != "RecordError", "the session itself goes on"
    kernel.run("%agent new")
    told = kernel.run(f"%agent resume {record.stem}").text
    assert "line 1: not readable" in told and "goes on: 2 turns" in told


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%%agent", "nothing to do"),
        ("%%agent --modle x\nGo.", "Did you mean --model"),
        ("x = 1\n%%agent\nGo.", "first line of a cell"),
        ("%agent staus", "Did you mean status"),
        ("%agent config polcy ask", "Did you mean policy"),
        ("%agent config max_samples many", "max_samples"),
        ("%agent what is in df?", "no subcommand 'what'"),
        ("%agent status of it", "takes no further words"),
        ("%agent new please", "takes no further words"),
        ("%agent digest it", "takes only --edit"),
        ("%%agent --policy yolo\nGo.", "policy"),
    ],
)
def test_what_cannot_be_understood_is_said_in_a_sentence(agent, cell, says):
    kernel, _ = agent(say("x"))
    ran = kernel.run(cell)
    assert ran.status == "error"
    assert says in ran.traceback
    assert "Traceback" not in ran.traceback
    assert kernel.run("1 + 1").text == "2"


def test_a_corrupt_settings_file_is_named(agent, tmp_path):
    kernel, _ = agent(say("x"))
    (tmp_path / "inkernel.toml").write_text("policy = [")
    assert "inkernel.toml" in kernel.run("%%agent\nGo.").evalue
    (tmp_path / "inkernel.toml").unlink()
    assert kernel.run("%%agent\nGo.").status == "ok"


@pytest.mark.parametrize("code", ["%%agent\nrecursion", "%agent new", "%unload_ext inkernel"])
def test_agent_code_cannot_start_or_cut_off_a_turn(agent, code):
    kernel, server = agent(run_cell(code))
    ran = kernel.run("%%agent --policy full\nGo.")
    if ran.ename == "TamperedError":  # the hooks that it took away are back
        return
    assert ran.status == "ok"
    told = items(server.requests[1])[-1]["output"]
    assert "already running" in told or "Code of the agent cannot run" in told
    assert "completed" in kernel.run("%agent history").text


def test_a_shell_without_the_extension_says_the_magic_is_unknown(kernel):
    ran = kernel().run("%%agent\nGo.")
    assert "agent" in ran.text + ran.traceback


def test_unloading_takes_everything_back(agent):
    kernel, _ = agent(say("x"))
    kernel.run("%%agent\nGo.")
    assert kernel.run("%unload_ext inkernel").status == "ok"
    assert "not found" in (unknown := kernel.run("%%agent\nGo.")).text + unknown.traceback
    assert kernel.run(LOAD).status == "ok"
    assert kernel.run("%%agent\nGo.").status == "ok"


# --- %agent -----------------------------------------------------------------------------------


def test_status_tells_model_session_tokens_policy_and_docs(agent, tmp_path):
    (tmp_path / "AGENTS.md").write_text("Be brief.")
    kernel, server = agent(say("Hello."))
    kernel.run("%%agent\nHi.")
    status = kernel.run("%agent").text
    for part in ("scripted/test", "1 turn,", "tokens", "policy", "auto", "AGENTS.md"):
        assert part in status
    assert "Be brief." in json.dumps(items(server.requests[0]))


def test_subcommands_show_and_change(agent):
    kernel, server = agent(say("One.") + say("Two."))
    assert "default" in kernel.run("%agent config policy").text
    assert "not set" in kernel.run("%agent config window").text
    assert "false" in kernel.run("%agent config store").text
    assert "a, b" in kernel.run("%agent config omit a,b").text
    kernel.run("%agent config omit ''")
    assert "typed in this session" in kernel.run("%agent config policy deny").text
    kernel.run("%%agent\nHi.")
    assert "completed" in kernel.run("%agent history").text
    assert "A new session" in kernel.run("%agent new").text
    assert "no turns yet" in kernel.run("%agent history").text
    assert "%agent history" in kernel.run("%agent help").text
    assert "other-model" in kernel.run("%agent model other-model").text
    kernel.run("%%agent\nHi.")
    assert json.loads(server.requests[-1])["model"] == "other-model"


def test_the_servers_models_are_listed(agent):
    kernel, _ = agent(say("One."))
    listed = kernel.run("%agent models").text
    assert "lists 1" in listed and "scripted" in listed
    kernel.run("%agent config base_url http://127.0.0.1:9/v1")
    assert kernel.run("%agent models").ename == "UnreachableError"


def test_events_reach_a_front_end_that_wants_them(agent):
    kernel, _ = agent(run_cell("print(1)"), INKERNEL_EVENTS="1")
    ran = kernel.run("%%agent\nGo.")
    events = [c["data"].get("event") for c in ran.comms if c["type"] == "comm_msg"]
    assert events[0] == "turn_started" and events[-1] == "turn_ended"
    assert events.index("tool_started") < events.index("output_shown") < events.index("tool_ended")
