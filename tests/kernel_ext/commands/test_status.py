"""`%agent status` shows the protection and the budgets as they are. Real kernels."""

from typing import Any

from tests.kernel_ext.approval.test_questions import steps


def test_the_protection_in_force_is_shown_and_none_is_never_one(agent: Any):
    kernel, _ = agent(steps("x = 1"))
    assert "trial runs before what does more" in kernel.run("%agent status").text
    kernel.run("%agent policy full")
    assert "none: policy full" in kernel.run("%agent status").text
    kernel.run("%agent policy read-only")
    assert "trial runs alone" in kernel.run("%agent policy").text
    kernel.run("%agent config trial never")
    assert "nothing runs: trial = never" in kernel.run("%agent policy").text
    kernel.run("%agent policy workspace")
    assert "the guard, and no trial runs: trial = never" in kernel.run("%agent status").text


def test_the_use_of_budgets_is_shown(agent: Any):
    kernel, _ = agent(steps("x = 1"))
    kernel.run("%agent config session_steps 8")
    assert "0 of 8 of this session's steps" in kernel.run("%agent status").text
    kernel.run("%%agent\nGo.")
    assert "1 of 8 of this session's steps" in kernel.run("%agent status").text
