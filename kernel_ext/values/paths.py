"""Follows a path such as `df['a'][:5]` to a live value, without running the user's code.

Knows no shell: the caller gives the names. `describe` decides how a value is shown.
"""

import ast
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, NoneType
from typing import Any, cast

from ..user_names import is_public
from .adapter import NoKey, Refused, demand
from .describe import brief, describe
from .introspect import (
    class_items,
    clip,
    dict_items,
    exactly,
    is_a,
    is_same,
    mro,
    own_items,
    type_name,
    type_words,
)
from .libraries import known_exactly
from .redact import redacted

MAX_PATH_CHARS = 500
"""Characters of an expression, at most."""
MAX_KEYS = 100_000
"""Keys of a dict that are compared to find one, at most."""
MAX_SLICE = 1_000_000
"""Elements that a slice of a builtin sequence may copy, at most."""


def reference(name: str, namespace: Mapping[str, object]) -> str:
    """The text attached for a ``$`name` `` in a prompt: the value, or that it is not defined."""
    if name not in namespace:
        return unknown(name, namespace)
    return f"`{clip(name)}` in the live namespace:\n{describe(redacted(name, namespace[name]), 1)}"


def unknown(name: str, names: Mapping[str, object]) -> str:
    """A sentence that says that there is no such name, and gives near ones."""
    near = get_close_matches(name[:80], filter(is_public, names), 3)
    nearest = f"; the nearest names are {', '.join(map(clip, near))}" if near else ""
    return f"`{clip(name)}` is not defined in the live namespace{nearest}."


def follow(path: str, names: Mapping[str, object]) -> object:
    """The value at the end of a path of names, attributes, constant subscripts and slices.

    It runs none of the user's code. Attributes are stored ones, or known to be harmless on a
    library's own type. Subscripts need exact builtin or library types. Else raises Refused.
    """
    return _followed(path, lambda node: _resolve(node, names))


def follow_code(path: str, names: Mapping[str, object]) -> object:
    """Like `follow`, but the last attribute is read as stored, such as a property or a C method.

    Raises Refused.
    """

    def resolve(node: ast.expr) -> object:
        if isinstance(node, ast.Attribute):
            return _member(_resolve(node.value, names), node.attr)
        return _resolve(node, names)

    return _followed(path, resolve)


def _followed(path: str, resolve: Callable[[ast.expr], object]) -> object:
    demand(len(path) <= MAX_PATH_CHARS, f"is longer than {MAX_PATH_CHARS} characters")
    try:
        return resolve(ast.parse(path.strip(), mode="eval").body)
    except Refused:
        raise
    except SyntaxError:
        raise Refused("is not a Python expression; use run_cell for code.") from None
    except Exception as error:
        raise Refused(f"cannot be looked up ({type_words(error)}); use run_cell.") from None


def _resolve(node: ast.expr, names: Mapping[str, object]) -> object:
    match node:
        case ast.Name(id=name):
            if name not in names:
                raise Refused(f"cannot be looked up: {unknown(name, names)}")
            return names[name]
        case ast.Attribute(value=inner, attr=name):
            return _attribute(_resolve(inner, names), name)
        case ast.Subscript(value=inner, slice=key):
            return _item(_resolve(inner, names), _key(key))
        case _:
            raise Refused(
                "is more than names, attributes, constant subscripts and slices; use run_cell."
            )


def _key(node: ast.expr) -> object:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Slice(lower=lower, upper=upper, step=step):
            bounds = [None if each is None else _key(each) for each in (lower, upper, step)]
            if all(type(each) in (int, NoneType) for each in bounds):
                return slice(*bounds)
        case ast.Tuple(elts=parts):
            return tuple(map(_key, parts))
        case _:
            pass
    raise Refused("has a subscript that is not a constant; use run_cell.")


def _attribute(value: object, name: str) -> object:
    if name[:2] == "__":
        raise Refused(f"asks for `{clip(name)}`, which is not data; use run_cell.")
    known = known_exactly(value)
    if known:
        adapter, kind = known
        if name in adapter.attributes.get(kind, ()):
            return adapter.attribute(value, name)
        if kind in adapter.dotted and not _defines(value, name):
            return _item(value, name)
    return _stored_attribute(value, name)


def _held(pairs: Iterable[tuple[object, object]], name: str) -> Iterator[Any]:
    return (held for key, held in pairs if type(key) is str and key == name)


def _defines(value: object, name: str) -> bool:
    """Whether the class of `value` stores an attribute of this name."""
    return any(True for base in mro(type(value)) for _ in _held(class_items(base), name))


def _places(value: object, name: str) -> tuple[list[Any], list[Any]]:
    """The values stored under the name, on the instance and on its classes."""
    is_class = is_a(value, type)
    lineage: tuple[type, ...] = mro(cast("type", value)) if is_class else mro(type(value))
    own = [] if is_class else list(_held(own_items(value), name))
    return own, [member for base in lineage for member in _held(class_items(base), name)]


def _member(value: object, name: str) -> object:
    """The value stored under the name, on the instance or its class, without computing it."""
    own, declared = _places(value, name)
    computed = [each for each in declared[:1] if _defines(each, "__set__")]
    found = [*computed, *own, *declared]
    return found[0] if found else _attribute(value, name)


def _stored_attribute(value: object, name: str) -> object:
    """The value stored on the instance or its class. Raises Refused if code would compute it."""
    is_class = is_a(value, type)
    own, declared = _places(value, name)
    for member in declared[:1]:
        if not is_class and _is_c_slot(member):
            return member.__get__(value, type(value))
        if own and not _defines(member, "__set__"):
            break
        if exactly(member, staticmethod, classmethod):
            return member.__func__
        stored = exactly(member, FunctionType) or not _defines(member, "__get__")
        demand(stored, f"asks for `{clip(name)}`, which code computes")
    found = [*own, *declared]
    demand(bool(found), f"asks for `{clip(name)}`, which is not stored there")
    return found[0]


def _is_c_slot(member: Any) -> bool:
    if exactly(member, GetSetDescriptorType):
        return type_name(member.__objclass__)[0] in ("builtins", "datetime")
    return exactly(member, MemberDescriptorType)


def _item(value: Any, key: object) -> object:
    known = known_exactly(value)
    if known:
        adapter, kind = known
        try:
            return adapter.item(value, key, kind)
        except NoKey as place:
            raise Refused(f"asks for {brief(key)}, which is {place}; use run_cell.") from None
    if exactly(value, list, tuple, str, bytes, bytearray, range):
        demand(exactly(key, int, slice), "has a subscript that is no position")
        cut = range(len(value))[key] if isinstance(key, slice) else ()
        demand(len(cut) <= MAX_SLICE, "would copy a large slice")
        return value[key]
    plain = exactly(value, dict, defaultdict, OrderedDict, Counter)
    demand(plain, f"subscripts a {type_words(value)}, whose code would run")
    pairs = list(islice(dict_items(value), MAX_KEYS))
    found = [held for name, held in pairs if is_same(name, key)]
    demand(bool(found), f"asks for {brief(key)}, which is not one of the first {len(pairs):,} keys")
    return found[0]
