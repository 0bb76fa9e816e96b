"""Functions of the person as tools of a turn, in a real kernel."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from inkernel.kernel_ext.functions.marked import BUILT_IN
from tests.kernel_ext.mcp.turns import Step, bodies, code, outputs
from tests.kernel_ext.mcp.turns import script as script_of

pytestmark = pytest.mark.kernel
RAIN = '''
import inkernel
from dataclasses import dataclass
from typing import Annotated

@dataclass
class Place:
    town: str
    land: str = "DE"

@inkernel.tool(effects=[])
def wettest(town: Annotated[str, "its name"], year: int = 2020) -> dict:
    """The wettest month of a town."""
    print("looking at", town)
    return {"month": 7, "mm": 100 + year % 10}

@inkernel.tool(effects=[])
async def far(place: Place) -> list:
    """Takes its time."""
    import asyncio, time
    await asyncio.sleep(0.05)
    time.sleep(0.05)
    return [place.town, place.land]

@inkernel.tool(effects=[])
def nothing():
    """Gives nothing."""
'''
LATER = """
from datetime import date, timedelta
@inkernel.tool(effects=[])
def later(than: date) -> str:
    return str(than + timedelta(days=1))
"""


def call(name: str, /, **arguments: object) -> Step:
    return {"name": name, "arguments": arguments}


def script(**turns: list[Step]) -> str:
    """Turns by their prompt."""
    return script_of(*turns.items())


def names(server: Any, at: int = -1) -> list[str]:
    return [it["name"] for it in bodies(server)[at]["tools"]]


@pytest.fixture
def start(agent: Callable[..., Any], tmp_path: Any) -> Callable[..., Any]:
    """Starts a kernel with the policy that asks nobody and lets nothing pass unless it may."""

    def begin(script: str, policy: str = "auto", **environ: str) -> Any:
        folders = {"XDG_CONFIG_HOME": str(tmp_path / "own"), "XDG_STATE_HOME": str(tmp_path / "s")}
        (tmp_path / "temporary").mkdir()
        folders["TMPDIR"] = str(tmp_path / "temporary")
        kernel, server = agent(script, **{**folders, "INKERNEL_POLICY": policy, **environ})
        return kernel, server

    return begin


def test_a_function_is_called_by_the_model_and_by_code(start: Callable[..., Any]):
    steps = [
        call("wettest", town="Ulm", year=2023),
        call("far", place={"town": "Bonn"}),
        code(
            "import asyncio\nrain = await agent_tools.wettest(town='Ulm')\n"
            "both = await asyncio.gather(agent_tools.far(place={'town': 'Kyiv', 'land': 'UA'}),"
            " agent_tools.far(place={'town': 'Ulm'}))\nnone = await agent_tools.nothing()"
        ),
        call("wettest", year="x"),
    ]
    kernel, server = start(script(go=steps))
    assert kernel.run(RAIN).status == "ok"
    assert kernel.run("%%agent\ngo").status == "ok"
    assert kernel.run("rain, both, none").text == (
        "({'month': 7, 'mm': 100}, [['Kyiv', 'UA'], ['Ulm', 'DE']], None)"
    )
    assert names(server, 0)[-3:] == ["far", "nothing", "wettest"]
    listed = bodies(server)[0]["tools"][-1]
    assert listed["description"] == "The wettest month of a town."
    assert listed["parameters"]["properties"]["town"]["description"] == "its name"
    direct, far, _, wrong = outputs(server)
    assert "looking at Ulm" in direct and "{'month': 7, 'mm': 103}" in direct
    assert "['Bonn', 'DE']" in far and "town: Field required" in wrong


def test_one_that_comes_later_is_told_and_the_list_of_the_session_stays(start: Callable[..., Any]):
    later = "@inkernel.tool(effects=[])\ndef late(n: int) -> int:\n    'Doubles.'\n    return 2 * n"
    again = later.replace("2 * n", "3 * n")
    steps = [call("wettest", town="Ulm"), code("print(await agent_tools.late(n=4))")]
    turns = {"go": [], "again": steps, "third": steps, "fourth": [call("late", n=1)]}
    kernel, server = start(script(**turns))
    kernel.run(RAIN)
    assert kernel.run("%%agent\ngo").status == "ok"
    kernel.run(later)
    assert kernel.run("%%agent\nagain").status == "ok"
    assert "await agent_tools.late(n: int) -> int. Doubles." in json.dumps(bodies(server)[-1])
    assert "8" in outputs(server)[-1]
    kernel.run(f"{again}\ndel wettest")
    assert kernel.run("%%agent\nthird").status == "ok"
    gone, thrice = outputs(server)[-2:]
    assert "no longer there" in gone and "12" in thrice
    found = bodies(server)
    assert all(it["tools"] == found[0]["tools"] for it in found)
    assert "tool wettest: is not there any more" in json.dumps(found[-1])
    assert kernel.run("%%agent --new\nfourth").status == "ok"
    assert "late" in names(server) and "wettest" not in names(server)
    assert "3" in outputs(server)[-1]


def test_the_guard_holds_a_function_to_its_effects(start: Callable[..., Any], tmp_path: Any):
    path = tmp_path / "elsewhere" / "made.txt"
    path.parent.mkdir()
    body = f"    open({str(path)!r}, 'w').close()"
    define = f"import inkernel\n@inkernel.tool(effects=[])\ndef quiet():\n{body}"
    steps = [call("quiet"), code("await agent_tools.quiet()")]
    kernel, server = start(script(go=steps), "workspace, never")
    kernel.run("import os; os.makedirs('project/.git'); os.chdir('project')")
    kernel.run(define)
    kernel.run("%%agent\ngo")
    assert not path.exists()
    assert all("nobody allowed this step" in it for it in outputs(server))


def test_one_that_may_do_anything_is_asked_and_then_does_it(
    start: Callable[..., Any], tmp_path: Any
):
    path = tmp_path / "elsewhere" / "made.txt"
    path.parent.mkdir()
    define = f"import inkernel\n@inkernel.tool\ndef loud():\n    open({str(path)!r}, 'w').close()"
    kernel, server = start(script(go=[call("loud")], again=[call("loud")]), "auto")
    kernel.run("import os; os.makedirs('project/.git'); os.chdir('project')")
    kernel.run(define)
    assert kernel.run("%%agent\ngo").status == "ok"
    assert "Not run" in outputs(server)[0] and not path.exists()
    running = kernel.start("%%agent\nagain", allow_stdin=True)
    asked = kernel.wait_for_question()
    assert "to call loud, a function of yours that may do anything. It has no arguments" in asked
    kernel.client.input("y")
    assert kernel.finish(running).status == "ok"
    assert path.exists()


@pytest.mark.parametrize("hides", ["", "vars(get_ipython())['user_ns_hidden']['wettest'] = g\n"])
def test_the_mark_of_a_function_is_no_other_ones(start: Callable[..., Any], hides: str):
    copied = (
        "import types\nmine = (lambda town: 'FOR' + 'GED').__code__\n"
        "g = types.FunctionType(mine, globals(), 'wettest')\n"
        f"vars(g).update(vars(wettest))\n{hides}wettest = g\n"
        "print(await agent_tools.wettest(town='Ulm'))"
    )
    again = code("vars(get_ipython())['user_ns_hidden'].pop('wettest', None)")
    steps = [code(copied), again]
    kernel, server = start(script(go=steps, on=[call("wettest", town="Ulm")]), "full")
    assert kernel.run(RAIN).status == "ok"
    kernel.run("%%agent\ngo")
    kernel.run("%%agent\non")
    told = outputs(server)
    assert "FORGED" not in "".join(told)
    assert "no longer there" in told[0] and "no longer there" in told[-1]


def test_a_function_of_a_step_is_no_tool(start: Callable[..., Any]):
    made = "import inkernel\n@inkernel.tool\ndef mine():\n    'x'\n"
    steps = [code(f"{made}print('there:', hasattr(agent_tools, 'mine'))")]
    kernel, server = start(script(go=steps, again=[code("agent_tools.mine")]), "full")
    assert kernel.run("%%agent\ngo").status == "ok"
    kernel.run("%%agent\nagain")
    assert "There is no tool 'mine'" in outputs(server)[-1]
    assert "tool mine" not in json.dumps(bodies(server)[-1])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("@inkernel.tool\ndef inspect(x: int): ...", "inspect is a tool of the agent's own"),
        ("@inkernel.tool\ndef f(*rest: int): ...", "cannot be a tool: the parameter *rest"),
        ("@inkernel.tool\ndef f(x: object.__class__): ...", "f cannot be a tool"),
        ("@inkernel.tool\ndef _f(x: int): ...", "_f is no name of a tool"),
        ("@inkernel.tool(effects=['fly'])\ndef f(x: int): ...", "There is no effect 'fly'"),
        ("class A:\n    @inkernel.tool\n    def f(self): ...", "A.f is a method"),
        ("@inkernel.tool(effects='fly')\ndef f(x: int): ...", "There is no effect 'fly'"),
        ("inkernel.tool(print)", "Only a function that `def` makes"),
        (
            "class Frame: ...\n@inkernel.tool\ndef f(n: int, df: Frame): ...",
            "f cannot be a tool: no JSON value fits the hint of df: __main__.Frame.",
        ),
        (
            "from typing import Callable\n@inkernel.tool\ndef f(by: Callable): ...",
            "no JSON value fits the hint of by: ",
        ),
        ("@inkernel.tool\ndef f(x: 'Nope'): ...", "its hints need Nope, which is not defined"),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_refused_with_a_sentence(
    start: Callable[..., Any], text: str, words: str
):
    kernel, _ = start(script(go=[]))
    ran = kernel.run(f"import inkernel\n{text}")
    assert ran.ename == "UsageError" and words in ran.evalue


def test_the_names_of_the_agents_own_tools_are_known(start: Callable[..., Any]):
    kernel, server = start(script(go=[]))
    assert kernel.run("%%agent\ngo").status == "ok"
    assert set(names(server)) <= BUILT_IN


def test_a_value_that_is_no_json_is_refused_with_words(start: Callable[..., Any]):
    define = "import inkernel\n@inkernel.tool(effects=[])\ndef size(of):\n    return len(of)"
    steps = [
        code("await agent_tools.size(of=object())"),
        code("print(await agent_tools.size('ab'))"),
    ]
    kernel, server = start(script(go=[*steps, code("print(await agent_tools.size(of='ab'))")]))
    kernel.run(define)
    kernel.run("%%agent\ngo")
    refused, _, sized = outputs(server)
    assert "ToolCallError: The arguments of size are wrong" in refused
    assert "code calls the function itself for such values" in refused and "2" in sized


def test_an_error_of_a_function_is_told(start: Callable[..., Any]):
    define = "import inkernel\n@inkernel.tool(effects=[])\ndef bad(n: int):\n    return 1 / n"
    kernel, server = start(script(go=[call("bad", n=0), code("await agent_tools.bad(n=0)")]))
    kernel.run(define)
    kernel.run("%%agent\ngo")
    direct, from_code = outputs(server)
    assert "ZeroDivisionError" in direct
    assert "ToolCallError: ZeroDivisionError: division by zero (line 4)" in from_code


def test_a_value_that_is_not_of_its_hint_goes_through_and_is_named_once(start: Callable[..., Any]):
    define = (
        "import inkernel\n@inkernel.tool(effects=[])\n"
        "def days(n: int) -> dict:\n    return list(range(n)) if n else {}"
    )
    steps = [
        call("days", n=0),
        call("days", n=2),
        code("found = [await agent_tools.days(n=n) for n in (1, 2)]"),
    ]
    kernel, server = start(script(go=steps))
    kernel.run(define)
    assert kernel.run("%%agent\ngo").status == "ok"
    right, wrong, again = outputs(server)
    told = "[days says that it gives dict, and gave list]"
    assert told not in right and told in wrong and "[0, 1]" in wrong and told not in again
    assert kernel.run("found").text == "[[0], [0, 1]]"


def test_arguments_without_names_go_where_the_function_has_them(start: Callable[..., Any]):
    define = (
        "import inkernel\n@inkernel.tool(effects=[])\n"
        "def total(of: dict, by: int = 1, *, plus: int = 0) -> int:\n"
        "    return sum(of.values()) * by + plus"
    )
    steps = [
        code("found = [await agent_tools.total({'a': 2}), await agent_tools.total({'a': 2}, 3)]"),
        code("await agent_tools.total({'a': 2}, 3, 4)"),
        code("await agent_tools.total({'a': 2}, of={})"),
        code("wide = 1\nseen = await agent_tools.inspect(['wide'])"),
    ]
    kernel, server = start(script(go=steps))
    kernel.run(define)
    assert kernel.run("%%agent\ngo").status == "ok"
    assert kernel.run("found, 'wide' in seen").text == "([2, 6], True)"
    _, many, twice, _ = outputs(server)
    how = "Give each argument once: agent_tools.total(of: dict, by: int = 1, plus: int = 0)."
    assert f"ToolCallError: {how}" in many and how in twice


def test_an_error_is_told_by_the_frames_of_the_person_alone(
    start: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
):
    far = tmp_path_factory.mktemp("elsewhere") / "rain.txt"  # an old kernel's start is on sys.path
    far.write_text("x")
    define = (
        "import inkernel\n@inkernel.tool(effects=[])\ndef bad(n: int):\n    return 1 / n\n"
        f"@inkernel.tool(effects=[])\ndef reads():\n    return open({str(far)!r}).read()"
    )
    lent = code("await agent_tools.bad(n=0)")
    steps = [call("bad", n=0), lent, call("reads"), code("input()")]
    kernel, server = start(script(go=steps), "workspace, never")
    kernel.run("import os; os.makedirs('project/.git'); os.chdir('project')")
    kernel.run(define)
    ran = kernel.run("%%agent\ngo")
    saved = json.dumps(ran.outputs)
    for told in (*outputs(server), saved):
        for ours in ("live.py", "from_code.py", "guard.py", "stdin.py", "kernel_ext"):
            assert ours not in told
    told = outputs(server)
    assert "return 1 / n" in told[0] and "ZeroDivisionError" in told[0]
    assert "await agent_tools.bad(n=0)" in told[1] and "ToolCallError" in told[1]
    assert "in reads()" in told[2] and "PermissionError: nobody allowed" in told[2]
    assert "NobodyAnswersError" in told[3]


@pytest.mark.parametrize("dialect", ["responses", "messages", "chat"])
def test_a_tool_whose_schema_the_provider_refuses_is_for_code_alone(
    start: Callable[..., Any], dialect: str
):
    """Its parameter is a date, so its schema has a format."""
    told = script(go=[code("print(await agent_tools.later(than='2024-02-29'))")], again=[])
    text = told.replace("\n", '\ndeviations = ["refuses_formats"]\n', 1)
    kernel, server = start(text, INKERNEL_DIALECT=dialect)
    kernel.run(RAIN)
    kernel.run(LATER)
    ran = kernel.run("%%agent\ngo")
    assert ran.status == "ok", ran.evalue
    assert "later: for code alone in this session" in ran.text
    kernel.run("%agent resume")
    assert kernel.run("%%agent\nagain").status == "ok"
    refused, *taken = [json.dumps(it["tools"]) for it in bodies(server)]
    assert '"later"' in refused and all('"later"' not in it and '"far"' in it for it in taken)
    assert len(set(taken)) == 1 and "2024-03-01" in json.dumps(bodies(server)[-1])
