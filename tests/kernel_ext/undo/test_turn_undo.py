"""`%agent undo` in a real kernel: the person's variables as they were before the turn."""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.kernel


def script(*codes: str) -> str:
    parts = ['model = "scripted/test"\n[[turn]]\n']
    for code in codes:
        parts.append(
            '[[turn.response]]\n[[turn.response.call]]\nname = "run_cell"\n'
            f'[turn.response.call.arguments]\ntitle = "a step"\ncode = {json.dumps(code)}\n'
        )
    return "".join([*parts, '[[turn.response]]\nsay = "Done."\n'])


@pytest.fixture
def changed(agent: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel after the person's cell and a turn of these steps."""

    def start(cell: str, *codes: str, **environ: str) -> Any:
        kernel, _ = agent(script(*codes), **environ)
        assert kernel.run(cell).status == "ok"
        assert kernel.run("%%agent\nGo.").status == "ok"
        return kernel

    return start


def test_names_come_back_and_new_ones_go_over_all_steps_of_the_turn(changed: Any):
    kernel = changed("a, b = 1, [1]; first = b", "a = 2; new = 3", "del b; a = 4; other = 5")
    card = kernel.run("%agent undo").text
    assert "as they were before turn 1" in card
    assert "bound again  a, b" in card and "removed      new, other" in card
    assert kernel.run("a, b is first, 'new' in globals()").text == "(1, True, False)"


def test_what_was_changed_in_place_has_its_content_again(changed: Any):
    kernel = changed(
        "import numpy as np, pandas as pd\nnested = {'x': [1, 2]}; alias = nested['x']\n"
        "array = np.arange(4); frame = pd.DataFrame({'mm': [1, 2]}); same = frame",
        "nested['x'].append(3); array[0] = 9; frame['more'] = 1; frame.loc[0, 'mm'] = 7",
    )
    card = kernel.run("%agent undo").text
    assert "changed in place" in card
    assert kernel.run("nested, alias is nested['x'], array.tolist()").text == (
        "({'x': [1, 2]}, True, [0, 1, 2, 3])"
    )
    assert kernel.run("frame.to_dict('list'), frame is same").text == "({'mm': [1, 2]}, True)"


def test_what_cannot_be_brought_back_is_said(changed: Any):
    kernel = changed("numbers = (n for n in range(9))", "next(numbers)")
    card = kernel.run("%agent undo").text
    assert "not brought back" in card and "numbers" in card
    assert kernel.run("next(numbers)").text == "1"


def test_it_is_undone_once(changed: Any):
    kernel = changed("a = 1", "a = 2")
    kernel.run("%agent undo")
    again = kernel.run("%agent undo")
    assert "nothing to undo" in again.evalue and "Finding" not in again.text
    assert "no option" in kernel.run("%agent undo everything").evalue


def test_what_the_person_did_since_is_not_undone_unasked(changed: Any):
    kernel = changed("a = 1", "a = 2")
    kernel.run("a")
    kernel.run("mine = a + 1")
    refused = kernel.run("%agent undo")
    assert refused.status == "error" and "(mine)" in refused.evalue
    assert kernel.run("a, mine").text == "(2, 3)"
    kernel.run("%agent undo --all")
    assert kernel.run("a, 'mine' in globals()").text == "(1, False)"


@pytest.mark.parametrize("cell", ["grow()", "holder.grow()", "Holder.grow(holder)"])
def test_what_the_persons_own_code_may_have_changed_unseen_is_not_undone_unasked(
    changed: Any, cell: str
):
    own = (
        "kept = []\ndef grow(*_self): kept.append(1)\nclass Holder: grow = grow\nholder = Holder()"
    )
    kernel = changed(own, "kept.append(0)")
    kernel.run(cell)
    refused = kernel.run("%agent undo")
    assert refused.status == "error" and "you ran cells that may have changed" in refused.evalue
    assert kernel.run("kept").text == "[0, 1]"
    kernel.run("len(kept)")  # of the person's, and changes nothing
    assert "before turn 1" in kernel.run("%agent undo --all").text


def test_looking_at_what_a_turn_did_is_no_hindrance(changed: Any):
    kernel = changed("kept = []", "kept.append(0)")
    kernel.run("len(kept), kept")
    assert "before turn 1" in kernel.run("%agent undo").text


def test_without_a_turn_that_ran_code_there_is_nothing_to_undo(agent: Any):
    kernel, _ = agent(script())
    kernel.run("a = 1")
    assert "nothing to undo" in kernel.run("%agent undo").evalue
    kernel.run("%%agent\nGo.")
    assert "nothing to undo" in kernel.run("%agent undo").evalue


def test_the_model_is_told_of_what_was_undone(agent: Any):
    kernel, server = agent(script("a = 2; new = 3") + '[[turn]]\n[[turn.response]]\nsay = "Yes."\n')
    kernel.run("a = 1")
    kernel.run("%%agent\nGo.")
    kernel.run("%agent undo")
    kernel.run("%%agent\nAnd now?")
    told = json.dumps(json.loads(server.requests[-1])["input"][-2])
    assert "<names>" in told and "new" in told and "a: 1" in told


def test_switched_off_nothing_is_kept_and_nothing_can_be_undone(changed: Any):
    kernel = changed("a = [1]", "a.append(2); a = 3", INKERNEL_UNDO="false")
    assert "nothing to undo" in kernel.run("%agent undo").evalue


def test_the_sleeping_copy_ends_with_the_turn_after_and_with_the_kernel(agent: Any):
    def children(pid: int) -> list[int]:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]

    kernel, _ = agent(script("a = 1") + script("b = 2").partition("\n")[2])
    pid = int(kernel.run("import os; os.getpid()").text)
    if not os.path.exists(f"/proc/{pid}/task/{pid}/children"):
        pytest.skip("this system does not list children")
    kernel.run("%%agent\nGo.")
    first = children(pid)
    assert len(first) == 1
    kernel.interrupt()
    assert kernel.run("1 + 1").text == "2"
    kernel.run("%%agent\nGo on.")
    second = children(pid)
    assert len(second) == 1 and second != first
    kernel.manager.signal_kernel(9)
    until = time.monotonic() + 20
    while os.path.exists(f"/proc/{second[0]}") and time.monotonic() < until:
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{second[0]}")
