"""Keys in use are in no request, no record and no output, however code shows them. Real kernels."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytestmark = pytest.mark.kernel

KEY = "sk-proj-Zk81+u/Ve0tQ_mGh7cXy2LwR-b5NdJ9fKsAo3PiE6xUqTzMvHrC4gYjBnWlD8pS1"
OTHER = "sk-or-v1-4f8a91c2d7e65b30aa17"
TOKEN = "9f86d081884c7d659a2feaa0c55ad015"
SECRETS = (KEY, OTHER, TOKEN)
ENVIRON = {"MY_KEY": KEY, "OPENROUTER_API_KEY": OTHER, "JUPYTER_TOKEN": TOKEN}
STEPS = {
    "printed": "print(key)",
    "in two writes": "print(key[:30], end='', flush=True); time.sleep(0.2); print(key[30:])",
    "a character a time": "for c in key: print(c, end='', flush=True); time.sleep(0.06)",
    "base64": "print(b64encode(f'u:{key}'.encode()).decode())",
    "in lines of base64": "print(base64.encodebytes(f'Bearer {key}'.encode()).decode())",
    "percent-encoded": "print(quote(key), quote(key, safe=''))",
    "hexadecimal": "print(key.encode().hex())",
    "the environment": "print(repr(os.environ))",
    "the value of the step": "key",
    "in a container": "{'a': [key]}",
    "an error": "raise ValueError(f'No access with {key}')",
    "an error's cause": (
        "try:\n    raise KeyError(key)\nexcept KeyError as e:\n    raise RuntimeError(key) from e"
    ),
    "HTML": "display(HTML(f'<b>{key}</b> <a href=\"https://x.org/?k={quote(key)}\">x</a>'))",
    "HTML with a script": "display(HTML(f'<b>{key}</b><script>let k = \"{key}\"</script>'))",
    "Markdown": "display(Markdown(key))",
    "JSON": "display({'application/json': {'k': key}, 'text/plain': key}, raw=True)",
    "an update": "d = display('x', display_id=True); d.update(key)",
    "an update of HTML with a script": (
        "d = display(HTML('<script>1</script>'), display_id=True)\n"
        "d.update(HTML(f'<script>let k = \"{key}\"</script>'))"
    ),
    "a variable": "innocent = key",
    "a subprocess": (
        "code = 'import os; raise KeyError(os.environ[\"MY_KEY\"])'\n"
        "subprocess.run([sys.executable, '-c', code])"
    ),
    "its output": "!echo $MY_KEY; env",
    "standard error": "print(key, file=sys.stderr)",
    "cut": "print('x' * 60_000 + key + 'x' * 60_000, key + 'y' * 60_000)",
    "long": "print(*(f'{n} {key}' for n in range(20_000)), sep='\\n')",
    "from other tools": (
        "innocent = key\nprint(await agent_tools.inspect(names=['innocent']))\n"
        "print(await agent_tools.search_names(query='inn'))"
    ),
    "other keys": "print(os.environ['OPENROUTER_API_KEY'], os.environ['JUPYTER_TOKEN'])",
}
SETUP = """import base64, os, subprocess, sys, time
from base64 import b64encode
from urllib.parse import quote
from IPython.display import HTML, Markdown, display
key = os.environ["MY_KEY"]
"""


def call(name: str, /, **arguments: Any) -> str:
    """A response with one call, in a script."""
    given = json.dumps(json.dumps(arguments))
    return f"[[turn.response]]\n[[turn.response.call]]\nname = {name!r}\narguments = {given}\n"


def step(code: str) -> str:
    return call("run_cell", title="A step", code=code)


def turn(*responses: str) -> str:
    return "\n".join(["[[turn]]", *responses, '[[turn.response]]\nsay = "Done."\n'])


def is_masked(text: str) -> bool:
    """Whether no form of any key, and no longer part of one, is in the text."""
    joined = text.replace("\\\\n", "").replace("\\n", "").replace("\n", "").replace("\\/", "/")
    for key in SECRETS:
        coded = [b64encode(bytes(at) + key.encode()).decode()[4:-4] for at in range(3)]
        forms = [key, key.encode().hex(), quote(key), quote(key, safe=""), *coded]
        forms += [form.lower() for form in forms] + [it.replace("+", "-") for it in coded]
        if any(form[at : at + 20] in joined for form in forms for at in range(len(form) - 19)):
            return False
    return True


class Masked:
    """A kernel with keys, whose scripted server wants one of them."""

    def __init__(self, kernel: Any, scripted: Any, folder: Path, script: str, **more: str) -> None:
        self.server = scripted(script, KEY)
        self.folder = folder / "data"
        self.read = 0
        self.kernel = kernel(
            INKERNEL_BASE_URL=self.server.base_url,
            INKERNEL_MODEL="scripted/test",
            INKERNEL_API_KEY_ENV="MY_KEY",
            INKERNEL_DATA_DIR=str(self.folder),
            **ENVIRON,
            **more,
        )
        assert self.kernel.run("%load_ext inkernel").status == "ok"
        assert self.kernel.run(SETUP).status == "ok"

    def run(self, code: str) -> Any:
        """Run a cell. Its outputs, the requests and the records must be free of keys."""
        ran = self.kernel.run(code)
        assert is_masked(json.dumps(ran.outputs)), json.dumps(ran.outputs)[:3000]
        assert is_masked(f"{ran.evalue} {ran.traceback} {json.dumps([ran.comms, ran.payload])}")
        new, self.read = self.server.requests[self.read :], len(self.server.requests)
        assert all(is_masked(request.decode()) for request in new)
        for record in self.folder.rglob("*.jsonl"):
            assert is_masked(record.read_text("utf-8"))
        return ran


@pytest.fixture
def masked(kernel, scripted, tmp_path):
    """Starts a kernel with keys, on a script."""
    return lambda script, **more: Masked(kernel, scripted, tmp_path, script, **more)


def test_a_step_shows_no_key(masked):
    it = masked("".join(turn(step(code)) for code in STEPS.values()), INKERNEL_EVENTS="true")
    for name in STEPS:
        assert it.run(f"%%agent --new\nStep: {name}.").status == "ok", name
        assert b"[key]" in it.server.requests[-1], name


def test_a_question_of_code_shows_no_key(masked):
    it = masked(turn(step("input(f'Use {key}? ')")))
    running = it.kernel.start("%%agent\nOne.", allow_stdin=True)
    assert it.kernel.wait_for_question() == "The agent's code asks: Use [key]? "
    it.kernel.client.input("no")
    assert it.kernel.finish(running).status == "ok"


CELLS = {
    "printed": "print(key)",
    "written down": f"client = dict(api={KEY!r})",
    "an innocent name": "innocent = key",
    "shown": "key",
    "base64": "print(b64encode(f'u:{key}'.encode()))",
    "an error": "raise ValueError(key)",
    "HTML": "display(HTML(key))",
    "at a cut": "print('x' * 99_980 + key + 'x' * 200_000)",
}


def test_a_cell_of_the_persons_tells_no_key(masked):
    it = masked(turn(call("inspect", names=["innocent", "key"])) * (len(CELLS) + 1))
    for name, code in CELLS.items():
        it.kernel.run(code)
        assert it.run(f"%%agent\nAfter: {name}.").status == "ok", name
    assert b"[key]" in it.server.requests[-1]
    it.run("%agent context --raw")
    it.kernel.run("raise KeyError(key)")
    it.run("%agent fix")


def test_a_prompt_and_a_models_own_words_send_no_key_and_code_has_it(masked):
    script = turn(step(f"same = {KEY!r} == key"), f'[[turn.response]]\nsay = "It is {KEY}."')
    it = masked(script + turn(step("print(same)")) + turn())
    it.run(f"%%agent\nUse {KEY}.")
    it.run("%%agent\nTwo.")
    assert "True" in it.server.requests[-1].decode()
    first, *later = it.server.requests
    for one, other in zip([first, *later], later, strict=False):
        assert other.startswith(one[: -len(b"]}")])


def test_what_a_key_was_before_it_was_known_goes_before_the_next_request(masked):
    it = masked(turn() + turn() + turn())
    late = "a-late-secret-0123456789abcdef"
    it.run(f"%%agent\nOne: {late}.")
    it.run(f"import os; os.environ['XAI_API_KEY'] = {late!r}")
    it.run("%%agent\nTwo.")
    it.run("%%agent\nThree.")
    one, two, three = it.server.requests
    assert late.encode() in one and late.encode() not in two + three
    assert three.startswith(two[: -len(b"]}")])


NOTES = f'''[[turn]]
on = "about to be shortened"
[[turn.response]]
say = '{{"state": "The key is {KEY}.", "facts": [{{"text": "{KEY}", "from": ["out-1"]}}]}}'
'''


def test_notes_and_the_digest_in_a_new_cell_tell_no_key(masked):
    it = masked(NOTES + turn(step("print('line of numbers 2.5\\n' * 150)")) * 4)
    it.kernel.run(f"# {KEY}\nx = 1")
    for n in range(4):
        assert it.run(f"%%agent\nCount {n}.").status == "ok"
    assert "in the digest" in it.run("%agent compact").text
    edit = json.dumps(it.run("%agent digest --edit").payload)
    assert "The key is [key]." in edit and "`# [key]`" in edit


def test_a_key_that_is_known_by_now_is_in_no_notes_and_in_no_new_cell(masked):
    late = "a-late-secret-0123456789abcdef"
    code = f"a = {late!r}; print('line of numbers 2.5\\n' * 150)"
    it = masked(NOTES + turn(step(code)) * 5)
    for n in range(4):
        it.run(f"%%agent\nCount {n} with {late}.")
    it.run("%agent compact")
    it.run("%%agent\nOnce more.")
    it.run(f"import os; os.environ['XAI_API_KEY'] = {late!r}")
    before = len(it.server.requests)
    shown = [it.run(f"%agent {line}") for line in ("digest --edit", "keep", "compact", "digest")]
    assert all(ran.status == "ok" for ran in shown)
    assert "[key]" in json.dumps(shown[0].payload) and "[key]" in json.dumps(shown[1].payload)
    assert late not in json.dumps([(ran.payload, ran.outputs) for ran in shown])
    assert len(it.server.requests) > before
    assert late.encode() not in b"".join(it.server.requests[before:])


def test_the_tools_that_look_tell_no_key(masked, tmp_path):
    code = f'def client():\n    """Uses {KEY}."""\n    return {KEY!r}'
    cell = {"cell_type": "code", "id": "c1", "metadata": {}, "outputs": [], "source": code}
    notebook = {"cells": [{**cell, "execution_count": None}], "metadata": {}}
    path = tmp_path / "own.ipynb"
    path.write_text(json.dumps({**notebook, "nbformat": 4, "nbformat_minor": 5}))
    calls = [
        call("notebook_read", cells=["c1"]),
        call("source", object="client"),
        call("source", object="client", docs=True),
        call("inspect", names=["innocent", "client"]),
        call("table", name="frame"),
        call("search_names", query="innocent"),
    ]
    it = masked(turn(*calls), JPY_SESSION_NAME=str(path))
    it.kernel.run(f"{code}\nimport pandas as pd\ninnocent = key")
    it.kernel.run("frame = pd.DataFrame({'a': [key]})")
    it.run("%%agent\nLook.")
    items = map(json.dumps, json.loads(it.server.requests[-1])["input"])
    outputs = [item for item in items if "function_call_output" in item]
    assert len(outputs) == len(calls)
    assert [at for at, text in enumerate(outputs) if "[key]" not in text] == []


SERVER_SAYS = '[[turn]]\n[[turn.response]]\nfault = { status = 400, message = "You sent %s." }\n'


def test_an_error_that_repeats_a_key_is_masked(masked):
    for said in (KEY, b64encode(f"u:{KEY}".encode()).decode(), OTHER):
        ran = masked(SERVER_SAYS % said).run("%%agent\nOne.")
        assert ran.status == "error" and "You sent" in ran.evalue and "[key]" in ran.evalue


@pytest.mark.parametrize(
    "line",
    [
        f"config api_key={KEY}",
        f"config api_key {KEY}",
        f"config {KEY}",
        f"config api_key_env {KEY}",
        f"config base_url=https://me:{OTHER}x@example.org/v1",
        f"config base_url=https://example.org/v1?key={OTHER}x",
        f"config base_url https://example.org/v1?{OTHER}x",
        f"config base_url=ftp://example.org/v1?key={OTHER}x",
        f"{KEY}",
        f"key {KEY}",
    ],
)
def test_a_line_that_has_a_key_is_not_repeated(agent, line: str):
    kernel, _ = agent('[[turn]]\n[[turn.response]]\nsay = "Yes."\n')
    ran = kernel.run(f"%agent {line}", allow_stdin="key" in line.split()[0])
    said = f"{json.dumps(ran.outputs)} {ran.evalue} {ran.traceback}"
    assert is_masked(said) and OTHER not in said and KEY[:20] not in said
    said = kernel.run("%agent config").text + kernel.run("%agent").text
    assert OTHER not in said and KEY[:20] not in said


@pytest.mark.parametrize("line", ["api_key={}", "api_key {}", "openai-token = '{}'"])
def test_a_cell_that_types_a_key_as_a_setting_tells_no_key(masked, line: str):
    it = masked(turn())
    late = "a-late-secret-0123456789abcdef"
    assert it.kernel.run(f"x = 1\n%agent config {line.format(late)}").status == "error"
    it.run("%%agent\nOne.")
    assert b"[key]" in it.server.requests[0] and late.encode() not in it.server.requests[0]


def test_a_key_in_the_query_of_an_address_is_in_use(masked):
    it = masked(turn(step("print('a-key-in-a-query-0123')")))
    address = f"{it.server.base_url}?api-key=a-key-in-a-query-0123&api-version=2024-10-21"
    it.run(f"%agent config base_url={address}")
    it.run("%agent config api_key_env MY_KEY")
    assert "api-key=[…]&api-version=[…]" in it.run("%agent config base_url").text
    it.run("%%agent\nOne.")
    assert b"a-key-in-a-query" not in b"".join(it.server.requests)
