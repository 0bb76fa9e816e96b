"""Reads tensors and modules of torch. Copies nothing from a device."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from ..adapter import (
    FIRST_VALUES,
    Adapter,
    Origin,
    Reading,
    ShowValue,
    first_texts,
    is_own,
    shape_text,
)
from ..introspect import dict_items, find_item, own_items
from .evidence import MAX_ELEMENTS, attributes, token
from .numpy import array_item


def _reading(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    if not source.exact or source.name not in ("Tensor", "Parameter"):
        return None
    head = f"{source.title} {shape_text(value.shape)} {value.dtype} on {value.device.type}"
    head += ", requires grad" if value.requires_grad else ""
    near = value.device.type == "cpu" and str(value.layout) == "torch.strided"
    if not (near and value.is_contiguous()):  # reading values would copy them all, or wait
        return Reading(head)
    values = value.detach().view(-1)[: FIRST_VALUES + 1].tolist()
    return Reading(f"{head}: {first_texts(map(show, values))}")


def _fingerprint(value: Any, base: type) -> object:
    if base is type(value) and base.__name__ in ("Tensor", "Parameter"):
        return value._version, tuple(value.shape), id(value.dtype), value.data_ptr()
    own = list(islice(own_items(value), MAX_ELEMENTS))
    return attributes(own), *map(token, _versions(own, MAX_ELEMENTS))


def _versions(own: list[tuple[object, object]], room: int) -> Iterator[object]:
    """The versions of a module's parameters and of its submodules'. `room`: most parameters."""
    for _, tensor in islice(dict_items(find_item(own, "_parameters")), room):
        yield getattr(tensor, "_version", 0) if is_own(tensor, "torch") else id(tensor)
    for _, module in islice(dict_items(find_item(own, "_modules")), room // 2):
        yield from _versions(list(islice(own_items(module), MAX_ELEMENTS)), room // 2)


TORCH = Adapter(
    packages=("torch",),
    reading=_reading,
    fingerprint=_fingerprint,
    attributes={"Tensor": frozenset(("shape", "dtype", "device", "ndim", "requires_grad"))},
    item=partial(array_item, "Tensor"),
)
