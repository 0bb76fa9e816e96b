"""Cheap evidence that a live value changed in place, without its code. Knows no names.

It reads:

- Of a builtin container, its length and up to `MAX_ELEMENTS` elements: first, last, and evenly
  between. Scalars count by value, other elements by identity and length.
- Of an array, shape, dtype, memory and bytes. Above `MAX_WHOLE_BYTES`, a sample of the bytes.
- Of a frame, its blocks or columns, in the same way.
- Of a tensor, its version.
- Of an instance, up to `MAX_ELEMENTS` attributes, and up to `MAX_ARRAYS` arrays among them.

So it **misses a change**:

- Between the samples: one element of a large container, a few of a large array or table.
- Two levels down: `a[0][0] = 1`, `a.b.c = 1`, unless it changes a length.
- Outside Python's storage: in files, connections, foreign objects of C, memory-mapped arrays.
- In the order of an OrderedDict, and in the attributes of a class or a module.
- That is undone before the next reading, or whose new objects have the addresses of the old ones.
- Between equal numbers (0.0 and -0.0), or if two 64-bit hashes are equal by accident.

It may also report a change of layout alone: a table that joined its blocks, an instance that cached
a result. Evidence has identities, so you can compare it only within one process.
"""

from typing import Any

from .adapters.evidence import CODE, CONTAINERS, array, attributes, is_array, is_scalar, token
from .introspect import is_a, mro, own_items, stored
from .libraries import adapter_of


def fingerprint(value: object) -> str:
    """A short text. If it equals an earlier one of the same name, no change was seen.

    For a scalar it is made from the value, and has no colon. Else the part before the colon is the
    object's identity, and the rest is its type and content. Never raises. Takes tens of
    microseconds. It has only salted hashes, and no text of the value.
    """
    kind: type = type(value)
    try:
        if is_scalar(kind):
            return f"{kind.__name__} {hash(token(value)):x}"
        return f"{id(value):x}:{id(kind):x} {hash(_content(value, kind)):x}"
    except Exception:
        return identity(value)


def identity(value: object) -> str:
    """The fingerprint of a value that cannot be read: only its identity and its type."""
    return f"{id(value):x}:{id(type(value)):x}"


def _content(value: Any, kind: type) -> object:
    """The data that a fingerprint hashes: nested tuples of numbers and plain text."""
    if type(kind) is type:
        read = CONTAINERS.get(kind) or CODE.get(kind)
        if read:
            return read(value)
    if is_array(value):
        return array(value)
    if is_a(value, type):
        return 0
    for base in mro(kind):
        if type(base) is type and base in CONTAINERS:
            return CONTAINERS[base](value), attributes(own_items(value))
        adapter = adapter_of(base)
        if adapter and adapter.fingerprint:
            return adapter.fingerprint(value, base)
    return attributes(stored(value))
