"""Methods that note that they ran, and classes full of them. Knows no value."""

import time
import types
from collections.abc import Callable
from typing import Any

Calls = list[str]
Factory = Callable[[Calls], object]

DUNDERS = (
    *("__repr__", "__str__", "__format__", "__len__", "__bool__", "__iter__", "__next__"),
    *("__getitem__", "__contains__", "__call__", "__dir__", "__sizeof__", "__reduce__"),
    *("__eq__", "__ne__", "__lt__", "__hash__", "__getattr__", "__getattribute__", "__missing__"),
    *("__int__", "__float__", "__index__", "__complex__", "__fspath__", "__bytes__", "__array__"),
    *("__array_interface__", "__dataframe__", "__arrow_c_stream__", "__length_hint__", "__get__"),
    *("__instancecheck__", "__subclasscheck__", "__rich_repr__", "_repr_html_", "keys", "items"),
    *("_repr_mimebundle_", "_ipython_display_", "shape", "dtype", "columns", "index", "tolist"),
    *("isoformat", "utcoffset", "tzname", "dst"),
)
ATTRIBUTES = ("__class__", "__doc__", "__signature__", "__wrapped__", "__annotations__", "value")


def trap(calls: Calls, name: str) -> Callable[..., Any]:
    """A method that notes that it ran, and then would hang for good."""

    def method(*_args: object, **_more: object) -> Any:
        calls.append(name)
        if len(calls) == 1:
            raise RuntimeError(f"{name} ran")
        time.sleep(0.01)
        raise RuntimeError(f"{name} ran again")

    return method


def traps(calls: Calls, *but: str) -> dict[str, Any]:
    body: dict[str, Any] = {name: trap(calls, name) for name in DUNDERS}
    body |= {name: property(trap(calls, name)) for name in ATTRIBUTES}
    return {name: held for name, held in body.items() if name not in but}


def evil(calls: Calls, *bases: type, but: tuple[str, ...] = (), **more: Any) -> type:
    body = traps(calls, *but) | more
    return types.new_class("Evil", bases, {}, lambda space: space.update(body))


def of(*bases: type, args: tuple[Any, ...] = (), but: tuple[str, ...] = ()) -> Factory:
    return lambda calls: evil(calls, *bases, but=but)(*args)


def late(base: type, *args: object, **more: object) -> Factory:
    """A subclass that is made to trap only after its instance was made."""

    def make(calls: Calls) -> object:
        kind = type("Late", (base,), {})
        held = kind(*args, **more)
        for name, method in traps(calls, "__class__", "__doc__").items():
            setattr(kind, name, method)
        return held

    return make


def liar(name: str, value: object) -> Factory:
    """What answers nonsense, by a method or as an attribute of its class."""
    return lambda calls: type("Liar", (), {name: value, "a": 1})()


def metaclass(calls: Calls, instance: bool = False) -> object:
    names = ("__module__", "__mro__", "__name__", "__bases__", "__dict__")
    more = {name: property(trap(calls, name)) for name in names}
    but = ("__call__", "__class__", "__doc__", "__getattribute__")
    meta: Any = evil(calls, type, but=but, **more)
    kind = types.new_class("Evil", (), {"metaclass": meta}, lambda body: body.update(traps(calls)))
    meta.__getattribute__ = trap(calls, "__getattribute__")
    return object.__new__(kind) if instance else kind


def forged(module: str, name: str) -> Factory:
    def make(calls: Calls) -> object:
        kind = evil(calls)
        kind.__module__, kind.__qualname__, kind.__name__ = module, name, name
        return kind()

    return make
