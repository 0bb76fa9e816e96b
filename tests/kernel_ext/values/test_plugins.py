"""Readers and adapters of other packages, by their entry points. Real values and snapshots."""

import importlib.metadata
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from inkernel.kernel_ext.values import plugins
from inkernel.kernel_ext.values.adapter import Adapter, Column, Origin, Reading, ShowValue, Table
from inkernel.kernel_ext.values.describe import brief, describe
from inkernel.kernel_ext.values.fingerprint import fingerprint
from inkernel.kernel_ext.values.paths import follow
from inkernel.kernel_ext.values.plugins import plugged_readers
from inkernel.kernel_ext.values.snapshot import snapshot
from inkernel.kernel_ext.values.table import table_of


def lines(names: Mapping[str, object]) -> dict[str, str]:
    return {name: seen.line for name, seen in snapshot(names, {}).items()}


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """Entry points that the test adds: name and what it names."""
    added: list[tuple[str, str]] = []

    def found() -> list[importlib.metadata.EntryPoint]:
        return [importlib.metadata.EntryPoint(n, value, plugins.GROUP) for n, value in added]

    monkeypatch.setattr(plugins, "installed_points", found)
    plugged_readers.cache_clear()
    yield added
    plugged_readers.cache_clear()


class Thermometer:
    def __init__(self) -> None:
        self.degrees = 21


def read_thermometer(value: object) -> str | None:
    return f"thermometer at {value.degrees}°" if type(value) is Thermometer else None


def read_badly(value: object) -> str | None:
    raise ZeroDivisionError


def test_a_reader_of_another_package_gives_the_line(plugged: list[tuple[str, str]]) -> None:
    plugged += [("weather", f"{__name__}:read_thermometer")]
    assert lines({"t": Thermometer(), "n": 5}) == {"t": "t: thermometer at 21°", "n": "n: 5"}


def test_a_reader_that_fails_is_named(plugged: list[tuple[str, str]]) -> None:
    plugged += [("broken", f"{__name__}:read_badly")]
    assert lines({"t": Thermometer()}) == {"t": "t: (reader broken failed: ZeroDivisionError)"}


def test_a_reader_that_cannot_be_loaded_is_named(plugged: list[tuple[str, str]]) -> None:
    plugged += [("missing", "no_such_module_here:read")]
    assert lines({"t": Thermometer()}) == {"t": "t: (reader missing failed: ModuleNotFoundError)"}


def test_a_slow_reader_is_not_asked_again(
    plugged: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugged += [("weather", f"{__name__}:read_thermometer")]
    monkeypatch.setattr("inkernel.kernel_ext.values.plugins.READER_SECONDS", -1.0)
    shown = lines({"a": Thermometer(), "b": Thermometer()})
    assert shown["a"] == "a: thermometer at 21°"
    assert "instance: degrees=21" in shown["b"]


class Station:
    """Of C, as far as anyone can see: it stores nothing that Python shows."""

    __slots__ = ("__weakref__",)


DEGREES = {"now": 21}


def read_station(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    return Reading(f"station at {show(DEGREES['now'])}°", iter([("log ", [1, 2])]))


def fingerprint_station(value: Any, base: type) -> object:
    return DEGREES["now"]


def table_station(value: Any) -> Table:
    column = Column("degrees", "int", lambda i: DEGREES["now"])
    return Table("log of a station", 1, 1, lambda i: "degrees", lambda i: column)


def item_station(value: Any, key: Any, name: str) -> object:
    return DEGREES[key]


STATION = Adapter(
    packages=(__name__.partition(".")[0],),
    reading=read_station,
    fingerprint=fingerprint_station,
    tables={"Station": table_station},
    item=item_station,
)


def read_no_station(value: Any, source: Origin, show: ShowValue) -> Reading | None:
    raise ZeroDivisionError


BROKEN = Adapter(packages=STATION.packages, reading=read_no_station)


def test_an_adapter_of_another_package_gives_all_answers(
    plugged: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugged += [("station", f"{__name__}:STATION")]
    station = Station()
    before = fingerprint(station)
    assert describe(station) == "station at 21°\n  log [1, 2]"
    assert follow("s['now']", {"s": station}) == 21
    assert table_of(station).title == "log of a station"
    assert fingerprint(station) == before
    monkeypatch.setitem(DEGREES, "now", 22)
    assert fingerprint(station) != before


def test_an_adapter_that_fails_is_named(plugged: list[tuple[str, str]]) -> None:
    plugged += [("broken", f"{__name__}:BROKEN")]
    assert brief(Station()) == "(reader broken failed: ZeroDivisionError)"


def test_a_known_library_stays_with_its_own_adapter(plugged: list[tuple[str, str]]) -> None:
    plugged += [("greedy", f"{__name__}:GREEDY")]
    assert brief(Station()) == "station at 21°"
    assert brief(range(3)) != "station at 21°"
    assert brief(__import__("numpy").arange(2)) == "numpy ndarray 2 int64: 0, 1"


GREEDY = Adapter(packages=("numpy", "builtins", *STATION.packages), reading=read_station)


def plant(folder: Path, name: str) -> None:
    """What `pip` leaves of a package with a reader that says who it is."""
    (folder / f"{name}-1.0.dist-info").mkdir(parents=True)
    (folder / f"{name}-1.0.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    points = folder / f"{name}-1.0.dist-info" / "entry_points.txt"
    points.write_text(f"[inkernel.readers]\n{name} = {name}:read\n")
    (folder / f"{name}.py").write_text(f"def read(value):\n    return '{name} ran'\n")


@pytest.mark.parametrize("entry", ["", ".", "{folder}", "{folder}/lib"])
def test_a_folder_beside_the_notebook_registers_no_reader(
    entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, "planted_x")
    plant(tmp_path / "lib", "planted_y")
    plant(tmp_path / "site-packages", "weather_z")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("site.getsitepackages", lambda: [str(tmp_path / "site-packages")])
    sites = [entry.format(folder=tmp_path), str(tmp_path / "site-packages"), *sys.path]
    monkeypatch.setattr(sys, "path", sites)
    plugged_readers.cache_clear()
    try:
        assert [reader.name for reader in plugged_readers()] == ["weather_z"]
        assert lines({"t": Thermometer()}) == {"t": "t: weather_z ran"}
    finally:
        plugged_readers.cache_clear()
