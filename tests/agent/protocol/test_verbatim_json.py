"""JSON is read strictly, and what lies in it is cut out to the byte."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.protocol.verbatim_json import array_elements, loads, members

SPACE = st.text(" \t\r\n", max_size=2)
LONE = "\ud83d"


@st.composite
def spelled(draw: st.DrawFn, value: Any) -> str:
    """A JSON text of `value` in any spacing and spelling."""

    def text(value: Any) -> str:
        match value:
            case dict():
                pairs = (
                    f"{gap()}{text(key)}{gap()}:{gap()}{text(inner)}{gap()}"
                    for key, inner in value.items()
                )
                return "{" + (",".join(pairs) or gap()) + "}"
            case list():
                inside = (f"{gap()}{text(inner)}{gap()}" for inner in value)
                return "[" + (",".join(inside) or gap()) + "]"
            case str():
                return '"' + "".join(map(letter, value)) + '"'
            case float():
                return draw(st.sampled_from([repr(value), f"{value:e}", f"{value:.3E}", "1e999"]))
            case _:
                return json.dumps(value)

    def letter(char: str) -> str:
        plain = json.dumps(char, ensure_ascii=False)[1:-1]
        escaped = json.dumps(char)[1:-1]
        return escaped if char == LONE else draw(st.sampled_from([plain, escaped]))

    def gap() -> str:
        return draw(SPACE)

    return text(value)


texts = st.text('aé"\\/\n{}[],: 雨\U0001f600' + LONE, max_size=6)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.tuples(texts, values.flatmap(spelled)), max_size=4), SPACE, st.data())
def test_what_lies_in_an_object_is_cut_out_to_the_byte(
    pairs: list[tuple[str, str]], space: str, data: st.DataObject
):
    keys = [data.draw(spelled(key)) for key, _ in pairs]
    inside = (
        f"{space}{key}{space}:{space}{value}{space}"
        for key, (_, value) in zip(keys, pairs, strict=True)
    )
    whole = "{" + (",".join(inside) or space) + "}"
    loads(whole.encode())
    assert members(whole) == dict(pairs)


@given(st.lists(values.flatmap(spelled), max_size=4), SPACE)
def test_what_lies_in_an_array_is_cut_out_to_the_byte(inside: list[str], space: str):
    whole = "[" + (",".join(f"{space}{value}{space}" for value in inside) or space) + "]"
    loads(whole.encode())
    assert array_elements(whole) == inside


@given(values.flatmap(spelled))
def test_what_is_read_is_what_was_written(text: str):
    def without_lone(value: Any) -> Any:
        return json.loads(
            json.dumps(value).replace(r"\ud83d\ude00", "\U0001f600").replace(r"\ud83d", "\ufffd")
        )

    assert loads(text.encode()) == without_lone(json.loads(text))


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b" ", b"{", b'{"a":1,}', b"{} {}", b"{'a':1}", b'{"a":01}', b"\xef\xbb\xbf{}"),
        *(
            b'"\xff"',
            b'"\xed\xa0\xbd"',
            b'"\xed\xa0\xbd\\ud83d"',
            b'"a\nb"',
            b'["\\ud83d"',
            b'"\\u12',
        ),
        *(b"[" * 300 + b"]" * 300, b"[" * 99_999, b"[" * 99_999 + b'"\\ud83d"', b"9" * 5000),
        b"[" * 300 + b'"\\ud83d"' + b"]" * 300,
    ],
)
def test_what_is_no_json_is_a_value_error(data: bytes):
    with pytest.raises(ValueError, match=r"\w"):
        loads(data)


def test_half_a_pair_is_replaced_and_a_whole_one_is_not():
    text = rb'{"\ud83d": ["\ud83d\ude00 \ude00\ud83d", "\\ud83d", 1.5, 1e0, null]}'
    assert loads(text) == {"\ufffd": ["\U0001f600 \ufffd\ufffd", r"\ud83d", 1.5, 1.0, None]}


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_constant_that_is_no_json_is_read_but_not_kept(constant: str):
    assert not math.isfinite(loads(f'{{"a": {constant}}}'.encode())["a"])
    with pytest.raises(ValueError, match="is no JSON"):
        members(f'{{"a": {constant}}}')
    with pytest.raises(ValueError, match="is no JSON"):
        array_elements(f"[[{constant}]]")
