"""What the model is told of live names: the difference, bounded."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.context.kernels import NEW_KERNEL
from inkernel.agent.context.variables import tell_names
from inkernel.agent.conversation.state import KnownContext, ToldName, name_digest
from inkernel.agent.protocol.observed import Variable

MANY = 10_000


def names(*lines: str, evidence: str = "1") -> dict[str, Variable]:
    return {(name := line.partition(":")[0]): Variable(name, line, evidence) for line in lines}


def tell(
    told: dict[str, Variable], now: dict[str, Variable], budget: int = 1000, said: str = ""
) -> str:
    return tell_names(told, now, budget, frozenset(said.split()))


def test_only_what_is_new_changed_or_gone_is_told():
    before = names("a: int 1", "b: list of 3", "c: str 'x'")
    now = names("a: int 1", "d: float 2.0") | names("b: list of 3", evidence="2")
    assert tell(before, now).splitlines() == [
        "<names>",
        "new:",
        "  d: float 2.0",
        "rebound:",
        "  b: list of 3",
        "gone: c",
        "</names>",
    ]
    assert tell(now, now) == ""
    assert tell({}, {}) == ""


def test_the_same_object_with_other_content_was_changed_in_place():
    told = names("a: [1]", evidence="7f:1") | names("b: [1]", evidence="80:1")
    now = names("a: [1, 2]", evidence="7f:2") | names("b: [2]", evidence="81:1")
    assert tell(told, now).splitlines()[1:-1] == [
        *("rebound:", "  b: [2]", "changed in place:", "  a: [1, 2]")
    ]


def test_a_name_read_back_from_a_record_is_known_by_its_line():
    now = names("a: int 1", "b: int 2")
    told: dict[str, ToldName] = {name: name_digest(seen) for name, seen in now.items()}
    assert tell_names(told, now, 1000, frozenset()) == ""
    changed = now | names("b: int 3")
    assert "  b: int 3" in tell_names(told, changed, 1000, frozenset())


def test_a_new_kernel_is_said_even_when_it_is_empty():
    assert tell_names({}, {}, 1000, frozenset(), [NEW_KERNEL]).splitlines() == [
        "<names>",
        NEW_KERNEL,
        "</names>",
    ]


def test_what_does_not_fit_is_counted_and_the_latest_and_the_mentioned_go_first():
    now = names(*(f"n{number}: int {number}" for number in range(MANY)))
    lines = tell({}, now, budget=100, said="What is n7 ?").splitlines()
    assert lines[1] == f"new: ({MANY - len(lines) + 3:,} more: inspect shows any)"
    assert lines[2] == "  n7: int 7"
    assert lines[-2] == f"  n{MANY - 1}: int {MANY - 1}"
    assert len(lines) < 40


def test_many_that_are_gone_are_counted():
    told = names(*(f"n{number}: int" for number in range(MANY)))
    assert tell(told, {}).splitlines()[1].endswith(f"n49 and {MANY - 50:,} more")


def told_of(now: Iterable[Variable]) -> KnownContext:
    return KnownContext(names={seen.name: seen for seen in now})


seen = st.builds(
    Variable, st.sampled_from("abcd"), st.sampled_from(("1", "2")), st.sampled_from(("x", "y"))
)


@given(st.lists(st.lists(seen, max_size=4), min_size=1))
def test_the_record_of_the_changes_gives_what_was_told(snapshots: list[list[Variable]]):
    told, read_back = KnownContext(), KnownContext()
    for snapshot in snapshots:
        after = told_of(snapshot)
        read_back = read_back.changed_by(told.changes(after))
        told = after
        assert read_back.names == {name: name_digest(it) for name, it in told.names.items()}
        assert tell_names(read_back.names, dict(told.names), 1000, frozenset()) == ""
