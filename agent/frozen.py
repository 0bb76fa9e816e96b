"""`@frozen` makes a frozen dataclass with slots, and each method at its first use.

`dataclass(frozen=True, slots=True)` compiles six methods for each class that is defined. For a
hundred classes that was a quarter of our imports. Knows no class that uses it.
"""

from collections.abc import Callable, Sequence
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields, make_dataclass
from functools import partial
from typing import Any, NoReturn, TypeVar, dataclass_transform, overload

C = TypeVar("C", bound=type[Any])


@overload
def frozen(cls: C, /) -> C: ...
@overload
def frozen(*, kw_only: bool = False) -> Callable[[C], C]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: Any = None, /, *, kw_only: bool = False) -> Any:
    """Do to a class what `dataclass(frozen=True, slots=True)` does.

    It stays a dataclass for all that reads one. One with `order`, `__post_init__`, `InitVar` or a
    field that is no parameter is made by `dataclass` itself.
    """
    return partial(_frozen, kw_only=kw_only) if cls is None else _frozen(cls, False)


def _frozen(cls: type[Any], kw_only: bool) -> type[Any]:
    own = set(vars(cls))
    made = dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(cls)
    for name, method in _SHARED.items():
        setattr(made, name, method)
    for name, make in _MADE.items():
        if name not in own:
            setattr(made, name, _Unmade(made, name, make))
    return made


class _Unmade:
    """Takes the place of a method of `owner` until someone looks it up."""

    def __init__(self, owner: type, name: str, make: Callable[[type, str], Any]):
        self._owner, self._name, self._make = owner, name, make

    def __get__(self, instance: object, owner: type) -> Any:
        method = self._make(self._owner, self._name)
        setattr(self._owner, self._name, method)
        return method.__get__(instance, owner)


def _init(cls: type, name: str) -> Any:
    """`__init__`. It writes to the slots, which is faster than `object.__setattr__`."""
    known: dict[str, Any] = {"MISSING": MISSING}
    placed, named, lines = ["self"], ["*"], ["pass"]
    for it in fields(cls):
        known[f"set_{it.name}"] = getattr(cls, it.name).__set__
        parameter = value = it.name
        if it.default is not MISSING:
            known[f"default_{it.name}"] = it.default
            parameter += f"=default_{it.name}"
        elif it.default_factory is not MISSING:
            known[f"make_{it.name}"] = it.default_factory
            parameter += "=MISSING"
            value = f"make_{it.name}() if {it.name} is MISSING else {it.name}"
        (named if it.kw_only else placed).append(parameter)
        lines.append(f"set_{it.name}(self, {value})")
    parameters = ", ".join([*placed, *(named if named[1:] else ())])
    exec(f"def __init__({parameters}):\n " + "\n ".join(lines), known)
    made = known[name]
    made.__qualname__ = f"{cls.__qualname__}.{name}"
    made.__annotations__ = {it.name: it.type for it in fields(cls)}
    return made


def _of_dataclass(cls: type, name: str) -> Any:
    """The method that `dataclass` makes of the same fields."""
    options: Any = {"init": False, "repr": False, "eq": False, _OPTIONS[name]: True}
    same = [(it.name, it.type, it) for it in fields(cls)]
    return vars(make_dataclass(cls.__name__, same, **options))[name]


def _refuse(_self: object, name: str, *_value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, it.name) for it in fields(self)]


def _set_state(self: Any, state: Sequence[Any]) -> None:
    for it, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, it.name, value)


_SHARED = {
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__getstate__": _state,
    "__setstate__": _set_state,
}
_OPTIONS = {"__repr__": "repr", "__eq__": "eq", "__hash__": "unsafe_hash"}
_MADE = {"__init__": _init, **dict.fromkeys(_OPTIONS, _of_dataclass)}
