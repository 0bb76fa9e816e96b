"""Objects that take the place of others are found, whatever they say of themselves."""

from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.identity import differing, same_objects


class Alike:
    """Equals everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


@given(st.lists(st.integers()), st.sets(st.integers(0, 400)), st.integers(0, 400))
def test_the_places_with_other_objects_are_found(
    values: list[int], changed: set[int], more: int
) -> None:
    before = [*map(float, values), *([None] * more)]
    after = [Alike() if at in changed else it for at, it in enumerate(before)]
    expected = [at for at in range(len(before)) if before[at] is not after[at]]
    assert list(differing(before, after)) == expected
    assert same_objects(before, after) == (not expected)


def test_rows_of_other_lengths_and_equal_objects_are_not_the_same() -> None:
    one = Alike()
    assert same_objects([one, one], (one, one))
    assert not same_objects([one], [one, one])
    assert not same_objects([one, 1.5], [one, float("1.5")])
    assert same_objects([], [])
