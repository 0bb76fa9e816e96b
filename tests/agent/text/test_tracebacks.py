"""Which frames of real tracebacks are told when not all fit."""

import json
import linecache
import re
import traceback
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core import ultratb
from pydantic import TypeAdapter

from inkernel.agent.text.lines import Lines, with_gaps
from inkernel.agent.text.tokens import estimate, without_ansi
from inkernel.agent.text.tracebacks import folded, kept, without_frames

FRAME = re.compile(r"^ *(?:Cell In|File)", re.MULTILINE)


def told(text: str, limit: int) -> str:
    """The traceback in `limit` tokens, its gaps marked."""
    cut = with_gaps(Lines(text), kept(text, limit), "out-1")
    assert estimate(cut) <= limit
    return cut


def ipython(error: BaseException, mode: str = "Context") -> str:
    """The error as IPython tells it."""
    tb = ultratb.FormattedTB(mode)
    lines = tb.structured_traceback(type(error), error, error.__traceback__)
    return without_ansi("\n".join(lines))


def plain(error: BaseException) -> str:
    """The error as Python tells it."""
    return "".join(traceback.format_exception(error))


def fails(source: str, **names: Any) -> BaseException:
    """What the source raises when it is run as a file of the user's."""
    file = f"/home/ada/rain/step{len(source)}.py"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    with pytest.raises(BaseException) as raised:
        exec(compile(source, file, "exec"), {"__name__": "__main__", **names})
    return raised.value


def reading_through_pandas() -> BaseException:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"mm": [1, 2]})
    source = """
def total(frame):
    return frame.groupby("station").sum()

def report(frame):
    return frame.apply(lambda column: total(frame))

report(frame)
"""
    return fails(source, frame=frame)


def reading_json_deep_down() -> BaseException:
    source = """
def read(text, depth):
    if depth:
        return read(text, depth - 1) if depth % 2 else again(text, depth - 1)
    return json.loads(text)

def again(text, depth):
    return read(text, depth)

try:
    read("{", 30)
except ValueError as error:
    raise RuntimeError("no report: " + "why " * 10) from error
"""
    return fails(source, json=json)


def calling_back_from_a_library() -> BaseException:
    source = """
def key(value):
    return measure(value)

def measure(value):
    raise KeyError(value)

TypeAdapter(dict).validate_python({"a": 1})
import re
re.sub("a", lambda found: str(key(found[0])), "bab")
"""
    return fails(source, TypeAdapter=TypeAdapter)


REAL = pytest.mark.parametrize(
    "make", [reading_through_pandas, reading_json_deep_down, calling_back_from_a_library]
)
FORMATS: dict[str, Callable[[BaseException], str]] = {
    "context": ipython,
    "verbose": lambda error: ipython(error, "Verbose"),
    "plain ipython": lambda error: ipython(error, "Plain"),
    "python": plain,
}
EACH_FORMAT = pytest.mark.parametrize("show", FORMATS.values(), ids=FORMATS)


@EACH_FORMAT
@REAL
def test_first_and_last_frame_and_the_message_are_whole(
    make: Callable[[], BaseException], show: Callable[[BaseException], str]
):
    error = make()
    text = show(error)
    cut = told(text, estimate(text) // 2 + 200)
    assert cut.rstrip().endswith(text.rstrip().rpartition("\n")[2])
    last_exception = re.split(r"direct cause.*\n|another exception.*\n", text)[-1]
    frames = FRAME.split(last_exception)[1:]
    first, last = frames[0], frames[-1].split("\n\n")[0].split(f"\n{type(error).__name__}")[0]
    assert first.rstrip() in cut
    assert last.rstrip() in cut


@REAL
def test_the_users_frames_stay_before_those_of_libraries(make: Callable[[], BaseException]):
    text = ipython(make())
    cut = told(text, max(estimate(text) * 2 // 3, 300))
    if cut == text:
        pytest.skip("it is short")
    gone = [line for line in text.splitlines() if FRAME.match(line) and line not in cut]
    users = [line for line in gone if "/home/ada/" in line]
    assert len(users) < len(gone) or not gone


@EACH_FORMAT
@REAL
def test_frames_of_chosen_files_go_and_all_else_stays(
    make: Callable[[], BaseException], show: Callable[[BaseException], str]
):
    def chosen(path: str) -> bool:
        return "/lib/python" in path

    whole = tuple(show(make()).rstrip().split("\n"))
    left = without_frames(whole, chosen)
    heads = [it for it in whole if FRAME.match(it) and not chosen(it.partition(", in ")[0])]
    assert len(left) < len(whole) and [it for it in left if FRAME.match(it)] == heads
    assert left[-1] == whole[-1] and without_frames(left, chosen) == left
    assert without_frames(whole, lambda _path: False) == whole


def test_frames_are_left_out_whole_and_counted_in_lines():
    text = ipython(reading_json_deep_down())
    cut = told(text, 700)
    for block in re.split(r"\n?\[… .* …\]\n", cut)[1:]:
        assert FRAME.match(block) or not block.startswith((" ", "-"))
    assert "JSONDecodeError" in cut and "RuntimeError: no report" in cut


def test_the_message_of_an_exception_before_the_last_is_told():
    cut = told(plain(reading_json_deep_down()), 500)
    assert "JSONDecodeError: Expecting property name" in cut
    assert "direct cause of the following exception" in cut


def test_a_syntax_error_is_told_with_its_caret():
    error = fails("def (")
    of_a_shell = "  Cell In[1], line 1\n    def (\n        ^\nSyntaxError: invalid syntax"
    for text in (of_a_shell, plain(error)):
        cut = told(text + "\n" + "x" * 9_000, 400)
        assert "def (\n" in cut and "^\nSyntaxError: invalid syntax" in cut


def test_recursion_keeps_where_it_began_and_where_it_ended():
    text = plain(fails("def f(n):\n    return f(n + 1)\n\nf(0)\n"))
    assert told(text, 200).startswith("Traceback (most recent call last):\n")
    many = "".join(f'  File "/home/ada/a.py", line {n}, in f\n    f()\n' for n in range(5_000))
    cut = told(f"Traceback (most recent call last):\n{many}RecursionError: too deep", 300)
    assert "line 0, in f" in cut and "line 4999, in f" in cut
    assert cut.endswith("RecursionError: too deep")


def test_a_message_longer_than_all_else_leaves_the_frames_their_half():
    error = fails("def f():\n    raise ValueError('no ' * 90_000)\n\nf()\n")
    for show in FORMATS.values():
        cut = told(show(error), 1_000)
        assert (
            ("raise ValueError" in cut and "\nf()" in cut) or "> 4 f()" in cut or "    f()" in cut
        )
        assert "ValueError: no no" in cut


OLDER = {
    "IPython 7": (
        "<ipython-input-3-0a1b> in <module>\n----> 1 f(0)\n\n"
        "/usr/lib/python3.8/json/decoder.py in decode(self, s, _w)\n" + "    330 x\n" * 40 + "\n"
        "~/rain/step.py in total(x)\n----> 1 return 1/x\n\n"
        "/usr/lib/python3.8/json/scanner.py in scan(s)\n--> 330 x\n\nZeroDivisionError: division"
    ),
    "IPython 8.0": (
        "Input In [3], in <cell line: 1>()\n----> 1 f(0)\n\n"
        "File /usr/lib/python3.8/json/decoder.py:33, in decode(self, s)\n" + "    330 x\n" * 40
        + "\nFile ~/rain/step.py:1, in total(x)\n----> 1 return 1/x\n\n"
        "File C:\\Python\\Lib\\json\\scanner.py:3, in scan(s)\n--> 330 x\n\n"
        "ZeroDivisionError: division"
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", OLDER.values(), ids=OLDER)
def test_older_formats_are_read(text: str):
    cut = told(text, 150)
    for whole in ("1 f(0)", "total(x)\n----> 1 return 1/x", "scan(s)\n--> 330 x", "division"):
        assert whole in cut
    assert "decode(self" not in cut


LINES = st.sampled_from(
    [
        *("Cell In[1], line 2, in f(x)", "File ~/a.py:3, in g()", '  File "/b.py", line 4, in h'),
        *("----> 2 f(0)", "      3 x", "", "ValueError: no", "    x = 1", "-" * 75),
        *("[... skipping similar frames: f at line 1 (987 times)]", "雨" * 500),
    ]
)


@given(st.lists(LINES, max_size=80).map("\n".join), st.integers(100, 900))
def test_any_traceback_is_told_within_the_limit_in_its_own_order(text: str, limit: int):
    spans = kept(text, limit)
    assert spans == sorted(spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    told(text, limit)


def recursion(cycle: int, depth: int = 200) -> BaseException:
    """A RecursionError in a cycle of functions that call each other."""
    lines = [
        f"def f{n}(n):\n    if not n:\n        raise RecursionError('too deep')\n"
        f"    return f{(n + 1) % cycle}(n - 1)\n"
        for n in range(cycle)
    ]
    return fails("\n".join([*lines, f"f0({depth})"]))


@pytest.mark.parametrize("cycle", [1, 2, 3])
@pytest.mark.parametrize("mode", ["Context", "Verbose", "Plain", "Python"])
def test_a_cycle_of_frames_is_told_once_and_counted(cycle: int, mode: str):
    error = recursion(cycle)
    text = plain(error) if mode == "Python" else ipython(error, mode)
    shown = "\n".join(folded([text]))
    assert len(shown) < 4_000 and shown.rstrip().endswith("RecursionError: too deep")
    assert "f0(200)" in shown and "raise RecursionError" in shown
    assert re.search(r"more times|repeated \d+ more|similar frames|skipping", shown)


def test_colours_stay_and_what_is_beside_the_cycle_too():
    frame = "File ~/x.py:3, in f({})\n\x1b[31m----> 3\x1b[0m f(n)\n"
    shown = folded(["Traceback\n", *(frame.format(n) for n in range(90)), "E: no"])
    assert (
        shown[0] == "Traceback" and shown[-1] == "E: no" and "\x1b[31m----> 3\x1b[0m f(n)" in shown
    )
    assert "[… The last frame repeats 89 more times …]" in shown and len(shown) < 10


def test_frames_of_different_lines_are_not_folded():
    text = plain(reading_json_deep_down())
    different = "\n".join(f'  File "x.py", line {n}, in f\n    g({n})' for n in range(50))
    for each in ("", "no traceback", different):
        assert folded(each.split("\n")) == tuple(each.split("\n"))
    assert folded([text])[-1] == text.split("\n")[-1]
