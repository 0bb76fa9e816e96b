"""`@frozen` against `dataclass(frozen=True, slots=True)`: a class of each, with the same fields."""

import copy
import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Generic, TypeVar, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from inkernel.agent.frozen import frozen

T = TypeVar("T")


@frozen
class Ours:
    """A class of each kind of field."""

    kind: ClassVar[str] = "kind"
    x: int
    y: float = 0.5
    many: list[int] = field(default_factory=list[int])
    quiet: str = field(default="", repr=False, compare=False)
    named: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class Theirs:
    """A class of each kind of field."""

    kind: ClassVar[str] = "kind"
    x: int
    y: float = 0.5
    many: list[int] = field(default_factory=list[int])
    quiet: str = field(default="", repr=False, compare=False)
    named: str = field(default="", kw_only=True)


@frozen(kw_only=True)
class Base:
    """A parent whose field has a default."""

    v: int = 1


@frozen(kw_only=True)
class Derived(Base):
    """A child whose field has none."""

    w: str


@frozen
class Box(Generic[T]):
    """A generic one, with a text of its own."""

    held: T

    def __repr__(self) -> str:
        return "a box"


@frozen
class Empty:
    """No field at all."""


VALUES = st.fixed_dictionaries(
    {"x": st.integers(0, 2)},
    optional={
        "y": st.sampled_from([0.0, -0.0, 1.0, float("nan")]),
        "many": st.lists(st.integers(0, 1), max_size=1),
        "quiet": st.sampled_from(["", "a"]),
        "named": st.sampled_from(["", "a"]),
    },
)


def outcome(act: Callable[[], Any]) -> Any:
    """The value, or the kind of the failure."""
    try:
        return act()
    except Exception as error:
        return type(error)


@given(VALUES, VALUES)
def test_values_compare_and_read_as_those_of_a_dataclass(one: dict[str, Any], two: dict[str, Any]):
    ours, theirs = (Ours(**one), Ours(**two)), (Theirs(**one), Theirs(**two))
    assert (ours[0] == ours[1]) == (theirs[0] == theirs[1])
    for mine, other in zip(ours, theirs, strict=True):
        assert repr(mine) == repr(other).replace("Theirs", "Ours")
        assert outcome(lambda it=mine: hash(it)) == outcome(lambda it=other: hash(it))
        assert repr(asdict(mine)) == repr(asdict(other))
        assert mine != other


@given(VALUES)
def test_a_value_survives_pickle_copy_and_replace(given_values: dict[str, Any]):
    value = Ours(**given_values)
    again = [copy.copy(value), replace(value), copy.deepcopy(value)]
    again += [pickle.loads(pickle.dumps(value, n)) for n in range(2, pickle.HIGHEST_PROTOCOL + 1)]
    for it in again:
        assert repr(it) == repr(value) and it.quiet == value.quiet


@given(st.builds(Ours), st.builds(Derived))
def test_hypothesis_builds_one_from_its_types(one: Ours, two: Derived):
    assert isinstance(one.x, int) and one.many == [] and isinstance(two.w, str) and two.v == 1


@pytest.mark.parametrize("cls", [Ours, Base, Derived, Box, Empty])
def test_nothing_can_be_changed_and_nothing_added(cls: Any):
    value = cls(**{it.name: 1 for it in fields(cls)})
    for name in [*(it.name for it in fields(cls)), "other"]:
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, 2)
        with pytest.raises(FrozenInstanceError):
            delattr(value, name)
    assert not hasattr(value, "__dict__")


def test_a_call_has_the_parameters_of_a_dataclass():
    here, there = inspect.signature(Ours).parameters, inspect.signature(Theirs).parameters
    assert [(it.name, it.kind) for it in here.values()] == [
        (it.name, it.kind) for it in there.values()
    ]
    assert here["y"].default == 0.5 and list(inspect.signature(Derived).parameters) == ["v", "w"]
    assert get_type_hints(Ours.__init__)["many"] == list[int]
    wrong: list[Callable[[], Any]] = [
        Ours,  # pyright: ignore[reportAssignmentType]
        lambda: Ours(1, z=2),  # pyright: ignore[reportCallIssue]
        lambda: Derived(1),  # pyright: ignore[reportCallIssue]
    ]
    for call in wrong:
        with pytest.raises(TypeError, match=r"__init__\(\)"):
            call()


def test_each_value_gets_a_default_of_its_own():
    assert Ours(1).many is not Ours(1).many


def test_a_pattern_takes_fields_by_place_and_by_name():
    match Ours(3, named="n"):
        case Ours(x, y, named=named):
            assert (x, y, named) == (3, 0.5, "n")


def test_a_method_of_its_own_is_kept():
    assert repr(Box[int](1)) == "a box" and Box(1) == Box(1) and len({Box(1), Box(1)}) == 1


def test_a_child_is_no_equal_of_its_parent():
    assert Derived(v=1, w="") != Base() and Base() == Base() and Empty() == Empty()
    assert repr(Derived(w="a")) == "Derived(v=1, w='a')" and Ours.kind == "kind"


def test_pydantic_reads_and_writes_it():
    adapter = TypeAdapter(Ours)
    value = adapter.validate_json(b'{"x": 1, "many": ["2"], "quiet": "q"}')
    assert value == Ours(1, many=[2]) and value.quiet == "q"
    assert adapter.validate_json(adapter.dump_json(value)) == value


def test_no_method_is_made_before_its_use():
    @frozen
    class Late:
        """A new class."""

        x: int

    unmade = {name: type(vars(Late)[name]).__name__ for name in ("__init__", "__eq__")}
    one, two = Late(1), Late(1)
    made = type(vars(Late)["__init__"]).__name__
    assert unmade == {"__init__": "_Unmade", "__eq__": "_Unmade"} and made == "function"
    assert one == two and type(vars(Late)["__eq__"]).__name__ == "function"
