"""Cheap evidence that a live value changed in place, without its code. Knows no names.

It reads

- of a builtin container: its length and up to `MAX_ELEMENTS` elements, first, last and evenly
  between, by value where they are scalars, by identity and length otherwise;
- of an array: shape, dtype, memory and bytes; above `MAX_WHOLE_BYTES` a sample of them;
- of a frame: its blocks or columns, in the same way;
- of a tensor: its version;
- of an instance: up to `MAX_ELEMENTS` attributes, and up to `MAX_ARRAYS` arrays among them.

So **no change is seen**

- between the samples: one element of a large container, a few of a large array or table;
- two levels down: `a[0][0] = 1`, `a.b.c = 1`, unless it changes a length;
- in what is not stored in Python: files, connections, foreign objects of C, memory-mapped arrays;
- in the order of an OrderedDict, in the attributes of a class or a module;
- that is undone before the next look, or whose new objects lie where the old ones lay;
- between numbers that are equal (0.0 and -0.0), or in a hash of 64 bits by accident.

And a change may be reported that is only one of layout: a table that joined its blocks, an instance
that cached a result. Evidence holds identities, so it is compared within one process only.
"""

from typing import Any

from .adapters.evidence import CODE, CONTAINERS, array, attributes, is_array, is_scalar, token
from .introspect import is_a, mro, own_items, stored
from .libraries import adapter_of


def fingerprint(value: object) -> str:
    """Short text; if it is equal to an earlier one of the same name, no change was seen.

    Of a scalar it is the value's, and has no colon. Else the part before the colon is the object's
    identity, the part behind it what it holds. Never raises; tens of microseconds. No text of the
    value's is in it, only salted hashes.
    """
    kind: type = type(value)
    try:
        if is_scalar(kind):
            return f"{kind.__name__} {hash(token(value)):x}"
        return f"{id(value):x}:{id(kind):x} {hash(_content(value, kind)):x}"
    except Exception:
        return identity(value)


def identity(value: object) -> str:
    """The fingerprint of what cannot be looked into: which object it is, of which type."""
    return f"{id(value):x}:{id(type(value)):x}"


def _content(value: Any, kind: type) -> object:
    """What a fingerprint is the hash of: nested tuples of numbers and plain text."""
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
