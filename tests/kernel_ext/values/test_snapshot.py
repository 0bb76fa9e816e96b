"""Snapshots of live names and their difference; what hides, lies, or is brought along."""

import gc
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.context.variables import tell_names
from inkernel.agent.protocol.observed import Variable
from inkernel.kernel_ext.values import snapshot as names_module
from inkernel.kernel_ext.values.snapshot import snapshot

VALUES = st.recursive(
    st.one_of(st.integers(-3, 3), st.floats(allow_nan=False), st.text(max_size=3), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.integers(-3, 3), inner, max_size=3),
        st.tuples(inner, inner),
    ),
    max_leaves=5,
)
NAMES = st.dictionaries(st.sampled_from("abcdef"), VALUES, max_size=6)


def lines(names: Mapping[str, object]) -> dict[str, str]:
    return {name: seen.line for name, seen in snapshot(names, {}).items()}


def test_each_name_has_a_line() -> None:
    assert lines({"x": 5, "table": np.zeros(3)}) == {
        "x": "x: 5",
        "table": "table: numpy ndarray 3 float64: 0.0, 0.0, 0.0",
    }


def test_what_did_not_change_is_the_same_object_and_no_line_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names: dict[str, object] = {"n": 5, "t": (1, "a"), "l": [1, 2], "d": {"a": 1}, "s": {1}}
    names |= {"nested": [[1]], "array": np.zeros(5), "none": None, "f": lines, "long": "x" * 999}
    told = snapshot(names, {})
    monkeypatch.setattr(names_module, "brief", None)  # calling it would raise
    now = snapshot(names, told)
    assert all(now[name] is told[name] for name in names)


def difference(told: dict[str, Variable], now: dict[str, Variable]) -> list[str]:
    """What is told between two snapshots: titles, and the names below them."""
    lines = tell_names(told, now, 1000, frozenset()).splitlines()[1:-1]
    return [line.strip().partition(":")[0] if line[:1] == " " else line for line in lines]


def test_created_rebound_changed_and_deleted_are_told_apart() -> None:
    names: dict[str, Any] = {"gone": 1, "kept": [1], "number": 5, "list": [1], "array": np.zeros(3)}
    told = snapshot(names, {})
    del names["gone"]
    names["new"], names["number"], names["array"] = 1, 6, np.ones(3)
    names["list"].append(2)
    now = snapshot(names, told)
    assert difference(told, now) == [
        *("new:", "new", "rebound:", "number", "array", "changed in place:", "list"),
        "gone: gone",
    ]
    assert difference(now, snapshot(names, now)) == []
    assert now["list"].line == "list: [1, 2]"


def test_a_name_bound_to_none_or_away_from_it_is_rebound() -> None:
    told = snapshot({"a": None, "b": [[1]], "c": []}, {})
    now = snapshot({"a": [], "b": None, "c": None}, told)
    assert difference(told, now) == ["rebound:", "a", "b", "c"]


@given(NAMES, NAMES)
def test_a_snapshot_after_another_is_as_the_first_would_be(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    told = snapshot(first, {})
    now, fresh = snapshot(second, told), snapshot(second, {})
    assert {name: seen.evidence for name, seen in now.items()} == {
        name: seen.evidence for name, seen in fresh.items()
    }
    assert {name: seen.line for name, seen in now.items()} == {
        name: seen.line for name, seen in fresh.items()
    }


def test_a_snapshot_keeps_no_object_alive() -> None:
    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    names: dict[str, object] = {"thing": thing, "held": [thing], "pair": (thing, 1)}
    told = snapshot(names, {})
    names.clear()
    del thing
    gc.collect()
    assert gone() is None and len(told) == 3


def test_an_earlier_telling_without_constants_serves_too() -> None:
    names: dict[str, object] = {"n": 5, "l": [1]}
    told = {n: Variable(s.name, s.line, s.evidence) for n, s in snapshot(names, {}).items()}
    assert snapshot(names, told) == told


def test_of_very_many_new_names_the_last_have_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_module, "MAX_NEW_LINES", 2)
    assert lines({"a": 1, "b": 2, "c": 3}) == {"a": "a: int", "b": "b: 2", "c": "c: 3"}


SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "name",
    ["api_key", "OPENAI_API_KEY", "token", "accessToken", "secret", "password2", "aws_credentials"],
)
@pytest.mark.parametrize(
    "held",
    [
        SECRET,
        SECRET.encode(),
        [SECRET],
        {"a": SECRET},
    ],
    ids=["str", "bytes", "list", "dict"],
)
def test_a_value_that_is_called_a_secret_is_not_shown(name: str, held: object) -> None:
    class Settings:
        def __init__(self) -> None:
            vars(self)[name] = held

    def connect(**options: object) -> None: ...

    connect.__kwdefaults__ = {name: held}
    names = {name: held, "config": {name: held}, "raw": {name.encode(): held}, "own": Settings()}
    seen = snapshot(names | {"connect": connect}, {})
    assert SECRET not in "".join(each.line + each.evidence for each in seen.values())
    assert seen[name].line == f"{name}: <{type(held).__name__} of {len(held)}, hidden>"


@pytest.mark.parametrize("name", ["monkey", "keyboard", "tokens", "keys", "token_count"])
def test_an_innocent_name_hides_nothing(name: str) -> None:
    assert lines({name: "abc"}) == {name: f"{name}: 'abc'"}


def test_a_function_called_a_key_is_shown() -> None:
    assert "function" in lines({"sort_key": lines})["sort_key"]


def test_passwords_in_urls_are_not_shown() -> None:
    shown = lines({"url": f"postgres://me:{SECRET}@host/db", "b": b"amqp://a:hunter2@h"})
    assert shown == {"url": "url: 'postgres://me:***@host/db'", "b": "b: b'amqp://a:***@h'"}


def test_the_environment_shows_names_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("AAA_HARMLESS", SECRET)
    line = lines({"env": os.environ})["env"]
    assert line.startswith("env: environment of ") and SECRET not in line


def test_an_engine_shows_its_url_without_password_and_is_not_connected() -> None:
    sqlalchemy: Any = pytest.importorskip("sqlalchemy")
    url = sqlalchemy.make_url(f"sqlite://me:{SECRET}@host:5/db?password={SECRET}")
    engine = sqlalchemy.create_engine("sqlite:///x.db")
    assert lines({"u": url, "e": engine}) == {
        "u": "u: sqlalchemy URL sqlite://me:***@host:5/db?…",
        "e": "e: sqlalchemy Engine sqlite:///x.db",
    }


class Evil:
    """Every question is an error, a lie or for ever."""

    def _fail(self, *args: object) -> Any:
        raise AssertionError("it was called")

    __repr__ = __str__ = __len__ = __iter__ = __eq__ = __hash__ = _fail
    __getattr__ = __getattribute__ = __bool__ = __call__ = __reduce__ = _fail
    __class__ = property(_fail)


def test_values_that_fail_lie_or_hang_are_never_called() -> None:
    class EvilMeta(type):
        def __hash__(cls) -> int:
            raise AssertionError("it was called")

        __eq__ = __instancecheck__ = __hash__

    class EvilList(list[object]):
        __len__ = __iter__ = __getitem__ = __eq__ = __repr__ = Evil._fail
        __getattribute__ = Evil._fail

    class Made(metaclass=EvilMeta):
        pass

    objects = np.empty(2, object)
    objects[0] = Evil()
    names: dict[str, object] = {"evil": Evil(), "held": [Evil(), Made()], "own": EvilList([Evil()])}
    names |= {"made": Made(), "cls": Made, "array": objects, "pair": (Evil(), 1)}
    told = snapshot(names, {})
    assert len(told) == 7
    assert snapshot(names, told) == told
    held: Any = names["held"]
    held[0] = 5
    assert difference(told, snapshot(names, told)) == ["changed in place:", "held"]
