"""Reads the stored attributes of an object without running its code. Knows no library.

It compares types by `is`, since a metaclass may define `__eq__`. It finds names by scanning, since
a lookup in a dict may run a foreign key's `__eq__`.
"""

import sys
from collections.abc import ItemsView, Iterable, Iterator
from itertools import islice
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import Any, cast

MAX_SCANNED = 200
"""Stored attributes that are read to find public ones, at most."""

_TYPE = type.__dict__


def clip(text: object, limit: int = 80) -> str:
    """A str, also of a subclass, as printable text on one line. Else a question mark.

    It has at most `limit` characters, and takes work in proportion. Control characters are escaped.
    """
    if not is_a(text, str):
        return "?"
    part = str.__getitem__(cast("str", text), slice(limit + 1))
    if not part.isprintable():
        part = "".join(c if c.isprintable() else repr(c)[1:-1] for c in part)
    return part if len(part) <= limit else part[: limit - 1] + "…"


def mro(kind: type) -> tuple[type, ...]:
    """The classes that `kind` inherits from, itself first. Runs no metaclass."""
    return _TYPE["__mro__"].__get__(kind)


def class_items(kind: type) -> Iterable[tuple[object, object]]:
    """The attributes that the class itself stores. Runs no metaclass."""
    return _TYPE["__dict__"].__get__(kind).items()


def class_item(kind: type, name: str) -> Any:
    """The value that the class itself stores under the name, or None."""
    return find_item(class_items(kind), name)


def c_member(value: object, base: type, name: str) -> Any:
    """A C member that `base` declares, past any override of a subclass."""
    return class_item(base, name).__get__(value, type(value))


def is_a(value: object, base: type) -> bool:
    """Like `isinstance`, but reads no `__class__` and runs no metaclass."""
    return any(each is base for each in mro(type(value)))


def exactly(value: object, *kinds: Any) -> bool:
    """Whether its type is one of `kinds`. `in` could run a metaclass's `__eq__`."""
    return any(type(value) is each for each in kinds)


def is_same(one: Any, constant: Any) -> bool:
    """Whether both are equal and of the same type. `==` alone might run a foreign `__eq__`."""
    if exactly(one, tuple) and exactly(constant, tuple):
        return len(one) == len(constant) and all(map(is_same, one, constant))
    return type(one) is type(constant) and one == constant


def type_name(kind: type) -> tuple[str, str]:
    """Module and qualified name. A question mark replaces one that is not a plain string."""
    try:
        module = _TYPE["__module__"].__get__(kind)
    except AttributeError:  # it was deleted
        module = None
    name = _TYPE["__qualname__"].__get__(kind)
    return module if type(module) is str else "?", name if type(name) is str else "?"


def label(kind: type) -> str:
    """The type's name, with its module unless it is a builtin or a class of the notebook."""
    module, name = type_name(kind)
    return clip(name if module in ("builtins", "__main__") else f"{clip(module)}.{clip(name)}", 100)


def type_words(value: object) -> str:
    """The `label` of its type."""
    return label(type(value))


def find_item(pairs: Iterable[tuple[object, object]], name: str) -> object:
    """The value paired with `name`, or None. Unlike a dict's own lookup it runs no `__eq__`."""
    return next((held for key, held in pairs if type(key) is str and key == name), None)


def dict_items(held: Any) -> ItemsView[object, object]:
    """The stored items of a dict, also of a subclass. Any other object has none."""
    try:
        return dict.items(held)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    except TypeError:
        return dict[object, object]().items()


def own_items(value: object) -> Iterable[tuple[object, object]]:
    """The items of the instance's dict, past any property or `__getattribute__`. () without one."""
    for base in mro(type(value))[-2::-1]:  # mostly a far base has the slot
        slot = find_item(class_items(base), "__dict__")
        if type(slot) is GetSetDescriptorType or type(slot) is MemberDescriptorType:
            return dict_items(slot.__get__(value, type(value)))
    return ()


def stored(value: object) -> Iterator[tuple[object, object]]:
    """All stored attributes of an instance: its dict, then its filled slots. No properties."""
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
    """The value at the end of a path of stored attributes. None if one is missing."""
    for name in path:
        value = find_item(own_items(value), name)
    return value


def at_home(kind: type) -> bool:
    """Whether the module that the class names as its own really has this class."""
    module, name = type_name(kind)
    home = sys.modules.get(module)
    return type(home) is ModuleType and home.__dict__.get(name) is kind


def defaults(function: FunctionType) -> list[tuple[str, object]]:
    """The defaults of its parameters: positional ones, the last first, then keyword-only ones."""
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    held = function.__defaults__
    given = () if held is None else reversed([*tuple_elements(held)])
    named = islice(dict_items(function.__kwdefaults__), MAX_SCANNED)
    last = zip(reversed(names), given, strict=False)
    return [*last, *((name, each) for name, each in named if type(name) is str)]


def named_fields(value: object) -> Iterable[tuple[object, object]] | None:
    """The fields of a named tuple. None for any other tuple."""
    held = (class_item(base, "_fields") for base in mro(type(value)))
    names = next((each for each in held if exactly(each, tuple)), None)
    return None if names is None else zip(names, tuple_elements(value), strict=False)


def tuple_elements(held: Any) -> Iterator[object]:
    """The elements of a tuple, past any method of a subclass."""
    return tuple.__iter__(held)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
