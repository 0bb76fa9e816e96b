"""From a path such as `df['a'][:5]` to a live value, without running the person's code.

Knows no shell: it is given the names. What a value looks like is decided in `describe`.
"""

import ast
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from types import (
    EllipsisType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    NoneType,
)
from typing import Any, cast

from .describe import brief, describe
from .introspect import (
    class_items,
    clip,
    dict_items,
    exactly,
    is_a,
    mro,
    own_items,
    type_name,
    type_words,
)
from .reading import Origin
from .redact import redacted
from .tables_and_arrays import backing, element, is_index, origin, plain_array

MAX_PATH_CHARS = 500
"""Characters of an expression."""
MAX_KEYS = 100_000
"""Keys of a dict compared to find one."""
MAX_LABELS = 10_000
"""Labels of a pandas axis compared to find one."""
MAX_SLICE = 1_000_000
"""Elements that a slice of a builtin sequence may copy."""


def reference(name: str, namespace: Mapping[str, object]) -> str:
    """What is attached for a ``$`name` `` in a prompt: the value's description, or its lack."""
    if name not in namespace:
        return unknown(name, namespace)
    return f"`{clip(name)}` in the live namespace:\n{describe(redacted(name, namespace[name]), 1)}"


class Refused(Exception):
    """A path that is not followed; its text is the rest of a sentence that names the path."""


def is_public(name: object) -> bool:
    """Whether a key of a namespace is a name, and not a hidden one."""
    return type(name) is str and name[:1] != "_"


def unknown(name: str, names: Mapping[str, object]) -> str:
    """A sentence that there is no such name, and which are near."""
    near = get_close_matches(name[:80], filter(is_public, names), 3)
    nearest = f"; the nearest names are {', '.join(map(clip, near))}" if near else ""
    return f"`{clip(name)}` is not defined in the live namespace{nearest}."


def follow(path: str, names: Mapping[str, object]) -> object:
    """The value at the end of a path of names, attributes, constant subscripts and slices.

    Nothing of the user's runs: attributes are stored ones, or known to be harmless on a library's
    own type; subscripts work on exact builtin and library types. Raises Refused for all else.
    """
    return _followed(path, lambda node: _resolve(node, names))


def follow_code(path: str, names: Mapping[str, object]) -> object:
    """As `follow`, but its last attribute is what is stored: also a property or a method of C.

    Raises Refused.
    """

    def resolve(node: ast.expr) -> object:
        if isinstance(node, ast.Attribute):
            return _member(_resolve(node.value, names), node.attr)
        return _resolve(node, names)

    return _followed(path, resolve)


def _followed(path: str, resolve: Callable[[ast.expr], object]) -> object:
    _demand(len(path) <= MAX_PATH_CHARS, f"is longer than {MAX_PATH_CHARS} characters")
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


_INDEX = frozenset(("name", "names", "dtype", "shape", "size"))
_SAFE: Mapping[str, frozenset[str]] = {
    "pandas.DataFrame": frozenset(("columns", "index", "shape", "size", "ndim", "dtypes", "T")),
    "pandas.Series": frozenset(("index", "name", "dtype", "shape", "size", "ndim")),
    "numpy.ndarray": frozenset(("shape", "dtype", "size", "ndim", "nbytes", "strides", "T")),
    "polars.DataFrame": frozenset(("columns", "dtypes", "shape", "schema", "height", "width")),
    "polars.Series": frozenset(("name", "dtype", "shape")),
    "pyarrow.Table": frozenset(("schema", "column_names", "num_rows", "num_columns", "shape")),
    "torch.Tensor": frozenset(("shape", "dtype", "device", "ndim", "requires_grad")),
}
"""Attributes of exact library types that are O(1), or O(columns), and copy no data."""


def _attribute(value: object, name: str) -> object:
    source = origin(value)
    if name[:2] == "__":
        raise Refused(f"asks for `{clip(name)}`, which is not data; use run_cell.")
    if source and source.exact:
        names = _SAFE.get(f"{source.package}.{source.name}", frozenset())
        if name in names or (name in _INDEX and is_index(value)):
            return _library_attribute(value, name, source)
        if source[:2] == ("pandas", "DataFrame") and not _defines(value, name):
            return _item(value, name)
    return _stored_attribute(value, name)


def _library_attribute(value: Any, name: str, source: Origin) -> object:
    if source.package == "pandas":
        if source.name == "DataFrame":
            plain = _plain_frame(value)
        else:
            plain = plain_array(value if is_index(value) else backing(value))
        _demand(plain, "has values of a type that is not pandas' own")
        _demand(name != "T" or value.size <= MAX_KEYS, "would copy a large table")
    return getattr(value, name)


def _demand(met: bool, otherwise: str) -> None:
    if not met:
        raise Refused(f"{otherwise}; use run_cell.")


def _plain_frame(frame: Any) -> bool:
    return all(map(plain_array, [*frame.axes, *(each.values for each in frame._mgr.blocks)]))


def _held(pairs: Iterable[tuple[object, object]], name: str) -> Iterator[Any]:
    return (held for key, held in pairs if type(key) is str and key == name)


def _defines(value: object, name: str) -> bool:
    """Whether the class of `value` stores an attribute of this name."""
    return any(True for base in mro(type(value)) for _ in _held(class_items(base), name))


def _places(value: object, name: str) -> tuple[list[Any], list[Any]]:
    """What the instance stores under the name, and what its classes do."""
    is_class = is_a(value, type)
    lineage: tuple[type, ...] = mro(cast("type", value)) if is_class else mro(type(value))
    own = [] if is_class else list(_held(own_items(value), name))
    return own, [member for base in lineage for member in _held(class_items(base), name)]


def _member(value: object, name: str) -> object:
    """What is stored under the name, on the instance or its class, as it is."""
    own, declared = _places(value, name)
    computed = [each for each in declared[:1] if _defines(each, "__set__")]
    found = [*computed, *own, *declared]
    return found[0] if found else _attribute(value, name)


def _stored_attribute(value: object, name: str) -> object:
    """As stored on the instance or its class. Raises Refused where code would compute it."""
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
        _demand(stored, f"asks for `{clip(name)}`, which code computes")
    found = [*own, *declared]
    _demand(bool(found), f"asks for `{clip(name)}`, which is not stored there")
    return found[0]


def _is_c_slot(member: Any) -> bool:
    if exactly(member, GetSetDescriptorType):
        return type_name(member.__objclass__)[0] in ("builtins", "datetime")
    return exactly(member, MemberDescriptorType)


def _item(value: Any, key: object) -> object:
    source = origin(value)
    if source and source.exact:
        pandas = source.package == "pandas" and not is_index(value)
        return _pandas_item(value, key, source.name) if pandas else _view(value, key, source)
    if exactly(value, list, tuple, str, bytes, bytearray, range):
        _demand(exactly(key, int, slice), "has a subscript that is no position")
        cut = range(len(value))[key] if isinstance(key, slice) else ()
        _demand(len(cut) <= MAX_SLICE, "would copy a large slice")
        return value[key]
    known = exactly(value, dict, defaultdict, OrderedDict, Counter)
    _demand(known, f"subscripts a {type_words(value)}, whose code would run")
    pairs = list(islice(dict_items(value), MAX_KEYS))
    found = [held for name, held in pairs if _same(name, key)]
    _demand(
        bool(found), f"asks for {brief(key)}, which is not one of the first {len(pairs):,} keys"
    )
    return found[0]


def _same(one: Any, constant: Any) -> bool:
    """Equal and of the same exact types: Python's own `==` might run a foreign `__eq__`."""
    if exactly(one, tuple) and exactly(constant, tuple):
        return len(one) == len(constant) and all(map(_same, one, constant))
    return type(one) is type(constant) and one == constant


def _pandas_item(value: Any, key: object, name: str) -> object:
    if name == "DataFrame":
        if exactly(key, slice):
            _demand(_plain_frame(value), "cuts rows of a type that is not pandas' own")
            return value.iloc[key]
        i = _position(value.columns, key)
        _demand(plain_array(backing(value, i)), "names a column of a type that is not pandas' own")
        return value.iloc[:, i]
    plain = name == "Series" and plain_array(backing(value)) and plain_array(value.index)
    _demand(plain, "has values of a type that is not pandas' own")
    return value.iloc[key if exactly(key, slice) else _position(value.index, key)]


def _position(labels: Any, key: object) -> int:
    _demand(plain_array(labels), "has labels of a type that is not pandas' own")
    if hasattr(labels, "step"):  # a RangeIndex computes the position
        return labels.get_loc(key)
    size = min(len(labels), MAX_LABELS)
    found = [i for i in range(size) if _same(element(labels, i), key)]
    _demand(
        len(found) == 1, f"asks for {brief(key)}, which is not once in the first {size:,} labels"
    )
    return found[0]


def _view(value: Any, key: Any, source: Origin) -> object:
    """Part of a library's array or table, where that is a view of it and not a copy."""
    whole = exactly(key, slice) and key.step is None
    parts: tuple[object, ...] = key if exactly(key, tuple) else (key,)
    match f"{source.package}.{source.name}":
        case "numpy.ndarray" | "torch.Tensor":
            plain = all(exactly(each, int, slice, NoneType, EllipsisType) for each in parts)
        case "polars.DataFrame" | "pyarrow.Table":
            plain = whole or exactly(key, str)
        case "polars.Series" | "pyarrow.ChunkedArray":
            plain = whole or exactly(key, int)
        case _:
            plain = is_index(value) and plain_array(value) and (whole or exactly(key, int))
    _demand(plain, f"subscripts a {source.name} by more than positions, slices or a name")
    return value[key]
