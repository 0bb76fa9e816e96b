"""What the model reads of kernels that are gone: which runs and names are theirs."""

from collections.abc import Iterable

from inkernel.agent.context.changes import Budget, Environment, Snapshot, difference
from inkernel.agent.context.kernels import (
    MAX_GONE_NAMES,
    NEW_KERNEL,
    RUN_AGAIN,
    gone_lines,
    new_kernel_lines,
)
from inkernel.agent.conversation.runs import Marks, RunLog, RunSummary
from inkernel.agent.conversation.state import KnownContext
from inkernel.agent.conversation.validity import Validity

PLENTY = 1_000


def run(
    number: int, bound: str, kernel: str | None = "old", turn: int = 1, deleted: str = ""
) -> RunSummary:
    line = f"{bound.partition(' ')[0]} = load({number})"
    return RunSummary(
        handle=f"out-{number}",
        by="person",
        key=f"key-{number}",
        turn=turn,
        line=line,
        status="ok",
        kernel=kernel,
        bound=tuple(bound.split()),
        deleted=tuple(deleted.split()),
    )


def holds(*runs: RunSummary, hidden: Iterable[str] = ()) -> Validity:
    return Validity(RunLog(runs), Marks(hidden=frozenset(hidden)), kernel="new")


def test_in_a_new_kernel_each_name_that_is_gone_has_the_run_that_bound_it_last():
    runs = holds(run(1, "rain pd"), run(2, "rain"), run(3, "model", None), run(4, "pd", "new"))
    assert new_kernel_lines(runs, {"rain", "pd", "model"}, {"pd"}, PLENTY) == [
        NEW_KERNEL,
        RUN_AGAIN,
        "  out-2: rain `rain = load(2)`",
        "  out-3: model `model = load(3)`",
    ]


def test_names_that_are_there_again_or_were_not_there_any_more_are_not_gone():
    runs = holds(run(1, "rain"), run(2, "deleted"))
    assert new_kernel_lines(runs, {"rain"}, {"rain"}, PLENTY) == [NEW_KERNEL]


def test_names_that_were_deleted_before_are_not_gone_unless_they_were_bound_again():
    runs = holds(run(1, "plan rain"), run(2, "pd", deleted="plan rain"), run(3, "rain"))
    told = new_kernel_lines(runs, {"plan", "rain", "pd"}, (), PLENTY)
    assert told[2:] == ["  out-2: pd `pd = load(2)`", "  out-3: rain `rain = load(3)`"]
    assert "Gone with it: pd (out-2), rain (out-3).)" in gone_lines(runs, ())[0]


def test_of_a_run_that_bound_many_names_the_first_are_listed_and_the_others_counted():
    names = [f"x{number}" for number in range(10, 30)]
    runs = holds(run(1, " ".join(names)), run(2, "x10 x29"))
    told = new_kernel_lines(runs, set(names), (), PLENTY)
    assert told[2].startswith("  out-1: x11, x12, x13, x14, x15, x16, x17, x18 and 10 more `x10")
    assert "x29 (out-2).)" in gone_lines(runs, ())[0]


def test_runs_that_the_person_hides_are_not_named():
    runs = holds(run(1, "secret"), run(2, "rain"), hidden=["key-1"])
    told = [*new_kernel_lines(runs, {"secret", "rain"}, (), PLENTY), *gone_lines(runs, ())]
    assert "rain" in f"{told}" and "secret" not in f"{told}" and "out-1" not in f"{told}"


def test_the_latest_runs_have_lines_and_the_others_are_counted():
    runs = holds(*(run(number, f"x{number}") for number in range(1, 51)))
    known = {f"x{number}" for number in range(1, 51)}
    told = new_kernel_lines(runs, known, (), 60)
    assert told[-1] == "  out-50: x50 `x50 = load(50)`"
    assert told[2] == f"  ({50 - len(told) + 3} earlier run(s) are left out)"


def test_a_digest_says_which_runs_and_names_are_of_a_kernel_that_is_gone():
    runs = holds(run(1, "rain"), run(2, "pd", turn=4), run(3, "pd", "new", turn=5))
    (told,) = gone_lines(runs, {"pd"})
    assert told.startswith("(out-1–out-2, up to turn 4, ran in a kernel that is gone.")
    assert "In [n] begins anew in each kernel" in told
    assert told.endswith("Gone with it: rain (out-1).)")


def test_names_in_a_digest_are_bounded_and_the_latest():
    runs = holds(*(run(number, f"x{number}") for number in range(1, 51)))
    (told,) = gone_lines(runs, ())
    assert told.count(" (out-") == MAX_GONE_NAMES
    assert "x50 (out-50) and 20 more" in told and "x1 (out-1)" not in told


def test_a_digest_names_each_row_of_runs_where_kernels_took_turns():
    kernels = ("old", "old", "new", "older", "new")
    runs = holds(*(run(number, f"x{number}", of) for number, of in enumerate(kernels, 1)))
    assert gone_lines(runs, ())[0].startswith("(out-1–out-2, out-4, up to")


def test_while_there_is_one_kernel_nothing_is_said():
    assert gone_lines(holds(run(1, "rain", "new")), ()) == []
    assert gone_lines(Validity(RunLog([run(1, "rain", None)])), ()) == []


def test_a_stale_run_is_told_though_one_of_another_kernel_had_its_name(place: Environment):
    stale = (("run 2, In [2]", ("rain",)),)
    told = KnownContext(kernel="old", stale=("run 2, In [2]",))
    now = Snapshot(place, "new", stale=stale)
    items, _ = difference(told, now, Budget(), new_kernel=[NEW_KERNEL])
    assert any("stale: run 2, In [2] read rain" in item.item.text for item in items)
