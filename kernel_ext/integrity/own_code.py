"""The functions of our own modules: whether code replaced one, or the code in it.

It sees functions, classes and constants by identity, and no change inside of a list or a dict.
"""

import gc
import sys
from collections.abc import Callable, Iterator
from operator import attrgetter, is_
from types import FunctionType, ModuleType
from typing import Any, TypeGuard

from ...agent.identity import addresses

_ROOT = __name__.partition(".kernel_ext.")[0]
_WATCHED = (
    *("agent.permissions", "agent.dispatch", "agent.loop", "agent.session", "agent.seams"),
    "agent.identity",
    *("agent.config", "agent.conversation", "agent.tools", "agent.text.masking"),
    *("kernel_ext.approval", "kernel_ext.commands", "kernel_ext.execution", "kernel_ext.host"),
    *("kernel_ext.integrity", "kernel_ext.magics", "kernel_ext.sandbox", "kernel_ext.tools"),
    *("kernel_ext.toolset", "kernel_ext.functions", "kernel_ext.input_transform"),
)
"""The rooms that decide, run, record and check."""
_PARTS = ("__code__", "__defaults__", "__kwdefaults__")
_MADE_OF = tuple(map(attrgetter, _PARTS))
_CONSTANT = (str, int, float, bytes, tuple, frozenset)
_LOOKED_UP = ("__call__", "__await__", "__getattribute__", "__getattr__", "__enter__", "__exit__")
_ABSENT = object()
_Space = ModuleType | type[Any]


def watched_modules() -> list[ModuleType]:
    """The modules of those rooms that are loaded, without the packages that only hold others."""
    rooms = tuple(f"{_ROOT}.{room}" for room in _WATCHED)
    loaded = sys.modules.copy()  # at once, while a thread may import
    found = [it for name, it in loaded.items() if name.startswith(rooms)]
    return [it for it in found if type(it) is ModuleType and not hasattr(it, "__path__")]


class OwnCode:
    """The code of modules as it is now. A check of unchanged code is one pass over identities.

    `writes`: how often any function got other code or defaults, by Python's audit events. While it
    does not grow, no function is looked into.
    """

    def __init__(self, modules: list[ModuleType], writes: Callable[[], int]) -> None:
        self._modules = {it.__name__: it for it in modules}
        spaces: list[_Space] = [*modules, *(it for one in modules for it in _classes(one))]
        self._spaces = [(it, dict(it.__dict__)) for it in spaces]
        self._names = [_names_of(it) for it in spaces]
        self._hold(gc.get_referents(*self._names))
        self._writes, self._seen = writes, writes()
        self._functions = [it for it in self._values if type(it) is FunctionType]
        self._made_of = [list(map(get, self._functions)) for get in _MADE_OF]
        self._referents = gc.get_referents(*self._functions)

    def changed(self) -> Iterator[str]:
        """Put back each function, class and constant that was replaced, and name it."""
        for name, module in self._modules.items():
            if sys.modules.get(name) is not module:
                sys.modules[name] = module
                yield f"the module {name}"
        if addresses(gc.get_referents(*self._names)) != self._at:
            for at, (space, held) in enumerate(self._spaces):
                if not _same(list(space.__dict__.values()), list(held.values())):
                    yield from _put_back(space, held)
                    self._spaces[at] = (space, dict(space.__dict__))
            self._hold(gc.get_referents(*self._names))
        if self._writes() != self._seen:
            self._seen = self._writes()
            yield from self._changed_functions()

    def _hold(self, values: list[Any]) -> None:
        self._values, self._at = values, addresses(values)

    def _changed_functions(self) -> Iterator[str]:
        # Each look at `__code__` is an audit event, which the guard would hear. This is one.
        if not _same(gc.get_referents(*self._functions), self._referents):
            yield from self._put_back_in_functions()
            self._referents = gc.get_referents(*self._functions)

    def _put_back_in_functions(self) -> Iterator[str]:
        for function, *parts in zip(self._functions, *self._made_of, strict=True):
            if not _same([get(function) for get in _MADE_OF], parts):
                for name, value in zip(_PARTS, parts, strict=True):
                    setattr(function, name, value)
                yield f"{function.__module__}.{function.__qualname__}"


def _names_of(space: _Space) -> object:
    """The dict with the names of a module or a class. A class only shows a view of its own."""
    names: object = space.__dict__
    return names if type(names) is dict else gc.get_referents(names)[0]


def _same(these: list[Any], those: list[Any]) -> bool:
    """Whether they are the same objects. Runs no code of theirs."""
    return len(these) == len(those) and all(map(is_, these, those))


def _classes(module: ModuleType) -> list[type[Any]]:
    return [it for it in module.__dict__.values() if _is_class_of(it, module)]


def _is_class_of(value: object, module: ModuleType) -> TypeGuard[type[Any]]:
    return isinstance(value, type) and value.__module__ == module.__name__


def _put_back(space: _Space, held: dict[str, Any]) -> Iterator[str]:
    now = dict(space.__dict__)
    for name in [*held, *(it for it in now if it not in held)]:
        before, value = held.get(name, _ABSENT), now.get(name, _ABSENT)
        if before is value or not (_matters(before, name) or _matters(value, name)):
            continue
        if before is _ABSENT:
            delattr(space, name)
        else:
            setattr(space, name, before)
        yield f"{space.__name__}.{name}"


def _matters(value: object, name: str) -> bool:
    """Whether it is code, or a constant. Dataclasses, pydantic and Python make others late."""
    if name.startswith("__") and name not in _LOOKED_UP:
        return False
    return value is not _ABSENT and (callable(value) or isinstance(value, (*_CONSTANT, property)))
