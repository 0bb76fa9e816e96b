"""Which of the person's runs may no longer hold."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.protocol.observed import UserCellRun, find_stale


def run(number: int, **fields: Any) -> UserCellRun:
    return UserCellRun(number, None, number, "…", "ok", **fields)


def stale(*runs: UserCellRun, steps: Mapping[int, tuple[str, ...]] | None = None) -> dict[str, Any]:
    return dict(find_stale(runs, steps or {}))


def test_a_run_that_read_what_changed_after_it_is_stale():
    load = run(1, bound=("df",))
    plot = run(2, reads=("df", "plt"))
    assert stale(load, plot) == {}
    assert stale(load, plot, run(3, changed=("df",))) == {"run 2, In [2]": ("df",)}
    assert stale(load, plot, run(3, bound=("df", "x"))) == {"run 2, In [2]": ("df",)}
    assert stale(load, plot, run(3, deleted=("df",))) == {"run 2, In [2]": ("df",)}


def test_what_a_run_changes_itself_makes_it_not_stale():
    assert stale(run(1, reads=("n",), bound=("n",))) == {}


def test_a_superseded_run_is_not_called_stale_but_what_read_it_is():
    first, reader, again = run(1, bound=("a",)), run(2, reads=("a",)), run(3, bound=("a",))
    again = UserCellRun(3, None, 3, "…", "ok", bound=("a",), supersedes=1)
    assert stale(first, reader, again) == {"run 2, In [2]": ("a",)}
    rerun = UserCellRun(4, None, 4, "…", "ok", reads=("a",), supersedes=2)
    assert stale(first, reader, again, rerun) == {}


def test_the_agents_own_steps_count():
    runs = (run(1, bound=("a",)), run(2, reads=("a",)))
    assert stale(*runs, steps={1: ("a",)}) == {}
    assert stale(*runs, steps={2: ("a",)}) == {"run 2, In [2]": ("a",)}


names = st.sets(st.sampled_from("abc"), max_size=2).map(lambda found: tuple(sorted(found)))


@given(st.lists(st.tuples(names, names), max_size=6))
def test_stale_is_what_the_definition_says(drawn: list[tuple[tuple[str, ...], tuple[str, ...]]]):
    runs = [run(n, reads=reads, bound=bound) for n, (reads, bound) in enumerate(drawn, 1)]
    expected = {}
    for at, one in enumerate(runs):
        later = {name for other in runs[at + 1 :] for name in other.bound}
        if hit := tuple(name for name in one.reads if name in later):
            expected[one.label] = hit
    assert stale(*runs) == expected
