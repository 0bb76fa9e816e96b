"""What an object stores, read without running its code. Knows no library.

Types are compared by `is`: a metaclass may define `__eq__`. Names are found by scanning: a lookup
in a dict may run a foreign key's `__eq__`.
"""

import sys
from collections.abc import ItemsView, Iterable, Iterator
from itertools import islice
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import Any, cast

MAX_SCANNED = 200
"""Stored attributes looked at, to find public ones."""

_TYPE = type.__dict__


def clip(text: object, limit: int = 80) -> str:
    """A str, or what a subclass of it stores, as printable text on one line; else a question mark.

    At most `limit` characters, and work in proportion to that; control characters are escaped.
    """
    if not is_a(text, str):
        return "?"
    part = str.__getitem__(cast("str", text), slice(limit + 1))
    if not part.isprintable():
        part = "".join(c if c.isprintable() else repr(c)[1:-1] for c in part)
    return part if len(part) <= limit else part[: limit - 1] + "…"


def mro(kind: type) -> tuple[type, ...]:
    """The classes `kind` inherits from, itself first; no metaclass is asked."""
    return _TYPE["__mro__"].__get__(kind)


def class_items(kind: type) -> Iterable[tuple[object, object]]:
    """What the class itself stores; no metaclass is asked."""
    return _TYPE["__dict__"].__get__(kind).items()


def class_item(kind: type, name: str) -> Any:
    """What the class itself stores under the name, or None."""
    return find_item(class_items(kind), name)


def c_member(value: object, base: type, name: str) -> Any:
    """A member of C that `base` declares, past what a subclass says."""
    return class_item(base, name).__get__(value, type(value))


def is_a(value: object, base: type) -> bool:
    """`isinstance` that asks neither `__class__` nor a metaclass."""
    return any(each is base for each in mro(type(value)))


def exactly(value: object, *kinds: Any) -> bool:
    """Whether its type is one of `kinds`; `in` would ask a metaclass for equality."""
    return any(type(value) is each for each in kinds)


def is_same(one: Any, constant: Any) -> bool:
    """Equal and of the same exact types: Python's own `==` might run a foreign `__eq__`."""
    if exactly(one, tuple) and exactly(constant, tuple):
        return len(one) == len(constant) and all(map(is_same, one, constant))
    return type(one) is type(constant) and one == constant


def type_name(kind: type) -> tuple[str, str]:
    """Module and qualified name; a question mark for what is not a plain string."""
    try:
        module = _TYPE["__module__"].__get__(kind)
    except AttributeError:  # it was deleted
        module = None
    name = _TYPE["__qualname__"].__get__(kind)
    return module if type(module) is str else "?", name if type(name) is str else "?"


def label(kind: type) -> str:
    """The type as one would write it: builtins and the notebook's own classes without a module."""
    module, name = type_name(kind)
    return clip(name if module in ("builtins", "__main__") else f"{clip(module)}.{clip(name)}", 100)


def type_words(value: object) -> str:
    """The `label` of its type."""
    return label(type(value))


def find_item(pairs: Iterable[tuple[object, object]], name: str) -> object:
    """The value paired with `name`, or None. Unlike a dict's own lookup it runs no `__eq__`."""
    return next((held for key, held in pairs if type(key) is str and key == name), None)


def dict_items(held: Any) -> ItemsView[object, object]:
    """The items a dict, or what a subclass of it, stores; none of anything else."""
    try:
        return dict.items(held)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    except TypeError:
        return dict[object, object]().items()


def own_items(value: object) -> Iterable[tuple[object, object]]:
    """What the instance's dict holds, past any property or `__getattribute__`; () without one."""
    for base in mro(type(value))[-2::-1]:  # the slot is where a dict came in, mostly far down
        slot = find_item(class_items(base), "__dict__")
        if type(slot) is GetSetDescriptorType or type(slot) is MemberDescriptorType:
            return dict_items(slot.__get__(value, type(value)))
    return ()


def stored(value: object) -> Iterator[tuple[object, object]]:
    """All an instance stores: its dict, then its filled slots. A property stores nothing."""
    yield from own_items(value)
    for base in mro(type(value)):
        for name, member in class_items(base):
            if type(member) is MemberDescriptorType and member.__name__[:2] != "__":
                try:
                    held = member.__get__(value, type(value))
                except AttributeError:  # an empty slot
                    continue
                yield name, held


def peek(value: object, *path: str) -> object:
    """The value at the end of a path of stored attributes; None where it breaks off."""
    for name in path:
        value = find_item(own_items(value), name)
    return value


def at_home(kind: type) -> bool:
    """The module it names as its home holds this very class: it is what it says it is."""
    module, name = type_name(kind)
    home = sys.modules.get(module)
    return type(home) is ModuleType and home.__dict__.get(name) is kind


def defaults(function: FunctionType) -> list[tuple[str, object]]:
    """The defaults of its parameters: those by position, the last first, then those by name."""
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    held = function.__defaults__
    given = () if held is None else reversed([*tuple_elements(held)])
    named = islice(dict_items(function.__kwdefaults__), MAX_SCANNED)
    last = zip(reversed(names), given, strict=False)
    return [*last, *((name, each) for name, each in named if type(name) is str)]


def named_fields(value: object) -> Iterable[tuple[object, object]] | None:
    """The fields of a named tuple; None of another tuple."""
    held = (class_item(base, "_fields") for base in mro(type(value)))
    names = next((each for each in held if exactly(each, tuple)), None)
    return None if names is None else zip(names, tuple_elements(value), strict=False)


def tuple_elements(held: Any) -> Iterator[object]:
    """The elements of a tuple, whatever its subclass says."""
    return tuple.__iter__(held)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
