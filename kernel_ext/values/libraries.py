"""Finds the adapter of a value among the known libraries. Imports none of them.

A class is a library's own only if the module that it names really has this class. A look-alike is
an ordinary instance.
"""

from .adapter import Adapter, Origin
from .adapters.arrow import ARROW
from .adapters.dask import DASK
from .adapters.databases import DUCKDB, SQLALCHEMY
from .adapters.numpy import NUMPY
from .adapters.pandas import PANDAS
from .adapters.pictures import MATPLOTLIB, PILLOW
from .adapters.polars import POLARS
from .adapters.sklearn import SKLEARN
from .adapters.stdlib import STDLIB
from .adapters.torch import TORCH
from .adapters.xarray import XARRAY
from .introspect import at_home, label, mro, type_name
from .plugins import plugged_adapter

ADAPTERS = (
    *(ARROW, DASK, DUCKDB, MATPLOTLIB, NUMPY, PANDAS, PILLOW, POLARS, SKLEARN, SQLALCHEMY),
    *(STDLIB, TORCH, XARRAY),
)
_NOBODYS = ("builtins", "__main__")
"""Packages whose classes belong to no adapter."""
_BY_PACKAGE = {package: adapter for adapter in ADAPTERS for package in adapter.packages}


def adapter_of(kind: type) -> Adapter | None:
    """The adapter of a class's library, if the class really is the library's."""
    package = type_name(kind)[0].partition(".")[0]
    adapter = _BY_PACKAGE.get(package)
    if package in _NOBODYS or not at_home(kind):
        return None
    return adapter or plugged_adapter(package)


def known(value: object) -> tuple[Adapter, Origin] | None:
    """The nearest class of `value` that belongs to a known library, and the library's adapter."""
    kind = type(value)
    for base in mro(kind):
        adapter = adapter_of(base)
        if adapter:
            module, name = type_name(base)
            package, exact = module.partition(".")[0], base is kind
            title = f"{package} {name}" if exact else f"{label(kind)} ({package} {name})"
            return adapter, Origin(package, name, exact, title)
    return None


def known_exactly(value: object) -> tuple[Adapter, str] | None:
    """The adapter of the value's exact type, and the type's name."""
    kind = type(value)
    adapter = adapter_of(kind)
    return (adapter, type_name(kind)[1]) if adapter else None
