"""The result of a call: what the model reads, and what code gets."""

import json
import pickle
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

from inkernel.agent.tools.mcp.results import MAX_WORD, SILENT, SILENT_ERROR, read_result
from inkernel.agent.tools.values import ImageBytes, image_kind

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
PICTURE = {"type": "image", "data": b64encode(PNG).decode(), "mimeType": "image/png"}

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
kinds = st.sampled_from(["text", "image", "audio", "resource", "resource_link", "hologram"])
fields = {
    "text": st.text(max_size=9) | values,
    "data": st.text(max_size=9) | values,
    "mimeType": st.sampled_from(["image/png", "image/svg+xml", "text/html"]) | values,
    "uri": values,
    "resource": st.fixed_dictionaries({}, optional={"text": values, "blob": values}) | values,
}
blocks = st.fixed_dictionaries({"type": kinds | values}, optional=fields) | values


def text(body: str) -> dict[str, Any]:
    return {"type": "text", "text": body}


def read(*content: Any, **more: Any) -> tuple[str, Any]:
    """The text for the model, and the value."""
    found = read_result({"content": list(content), **more}, "files")
    return "\n".join(part.get("text", "[image]") for part in found.parts), found.value


@given(st.lists(blocks, max_size=4) | values, values, values)
def test_any_result_is_read(content: Any, structured: Any, failed: Any):
    result = {"content": content, "structuredContent": structured, "isError": failed}
    found = read_result(result, "files")
    assert found.parts and found.is_error is (failed is True)
    for part in found.parts:
        assert part["type"] in ("input_text", "input_image")
        assert "\x1b" not in part.get("text", "")
    json.dumps(found.parts)


def test_a_text_is_a_text_and_an_object_in_one_is_an_object():
    assert read(text("hello")) == ("hello", "hello")
    assert read(text('{"a": [1]}')) == ('{"a": [1]}', {"a": [1]})
    assert read(text(" [1, 2]")) == (" [1, 2]", [1, 2])
    assert read(text("5")) == ("5", "5")
    assert read(text("{no json}")) == ("{no json}", "{no json}")
    assert read(text("[" * 100_000))[1] == "[" * 100_000


def test_structured_content_is_the_value_and_is_told_once():
    rows = {"rows": [{"a": 1}]}
    assert read(structuredContent=rows) == ('{"rows":[{"a":1}]}', rows)
    same = text(json.dumps(rows, indent=2))
    assert read(same, structuredContent=rows) == ('{"rows":[{"a":1}]}', rows)
    assert read(text("1 row"), structuredContent=rows) == ('{"rows":[{"a":1}]}\n1 row', rows)
    assert read(text("x"), structuredContent=None) == ("x", "x")


@pytest.mark.parametrize(
    ("result", "texts"),
    [(5, ["5"]), ("hello", ["hello"]), ([1, "b"], ["1", "b"]), ([{"a": 1}], ['{\n "a": 1}'])],
)
def test_a_wrapped_value_that_texts_repeat_is_unwrapped(result: Any, texts: list[str]):
    told, value = read(*map(text, texts), structuredContent={"result": result})
    assert value == result
    assert told == result if isinstance(result, str) else json.loads(told) == result


def test_an_object_that_no_text_repeats_is_no_wrapper():
    told, value = read(text("other"), structuredContent={"result": 5})
    assert told.splitlines()[0] == '{"result":5}' and value == {"result": 5}


def test_an_image_is_shown_to_the_model_and_its_bytes_are_the_value():
    found = read_result({"content": [PICTURE]}, "files")
    assert found.parts[0]["image_url"] == f"data:image/png;base64,{PICTURE['data']}"
    assert found.value == PNG and isinstance(found.value, ImageBytes)


def test_the_bytes_tell_the_kind_of_an_image_and_not_the_server():
    for said in ("image/jpeg", "text/html,<script>", None, 5):
        (part,) = read_result({"content": [{**PICTURE, "mimeType": said}]}, "files").parts
        assert part["image_url"].startswith("data:image/png;base64,")
    told, value = read({"type": "image", "data": "PHNjcmlwdD4=", "mimeType": "text/html"})
    assert told == "[text/html not sent to you: no PNG, JPEG, GIF or WebP file]"
    assert value._repr_mimebundle_() == {"text/plain": "<no image, 8 bytes>"}


def test_an_svg_is_told_as_other_svgs_are():
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg" width="2" height="2"/>'
    block = {"type": "image", "data": b64encode(drawing).decode(), "mimeType": "image/svg+xml"}
    found = read_result({"content": [block]}, "files")
    assert found.value == drawing and type(found.value) is bytes
    assert found.parts[0]["type"] == "input_image" or "not sent" in found.parts[0]["text"]


def test_audio_is_told_by_kind_and_size():
    block = {"type": "audio", "data": b64encode(b"x" * 1234).decode(), "mimeType": "audio/wav"}
    assert read(block) == ("[audio, audio/wav, 1,234 bytes, not sent to you]", b"x" * 1234)


def test_an_embedded_resource_is_a_text_or_bytes():
    resource = {"uri": "file:///a.py", "mimeType": "text/x-python", "text": "{}"}
    told = "[resource file:///a.py, text/x-python]\n{}"
    assert read({"type": "resource", "resource": resource}) == (told, "{}")
    resource = {"uri": "file:///a.bin", "mimeType": None, "blob": b64encode(b"123").decode()}
    told = "[resource file:///a.bin, 3 bytes, not sent to you]"
    assert read({"type": "resource", "resource": resource}) == (told, b"123")
    resource["blob"] = PICTURE["data"]
    assert isinstance(read({"type": "resource", "resource": resource})[1], ImageBytes)


def test_a_link_says_how_it_is_read():
    link = {"type": "resource_link", "uri": "db://t/'1", "name": "t", "title": None}
    told, value = read(link)
    how = """read_resource(server='files', uri="db://t/'1")"""
    assert (told, value) == (f"[link to a resource: t. Read it with {how}]", link)


def test_several_blocks_are_a_list():
    assert read(text("a"), PICTURE, text("[1]")) == ("a\n[image]\n[1]", ["a", PNG, [1]])
    rows = {"rows": 1}
    assert read(text("a"), PICTURE, structuredContent=rows)[1] == [rows, PNG]


def test_no_content_and_an_unknown_kind_are_told():
    assert read() == (SILENT, None)
    assert read(isError=True) == (SILENT_ERROR, None)
    assert read({"type": "hologram", "a": 1}) == (
        "[content of an unknown kind: hologram]",
        {"type": "hologram", "a": 1},
    )
    assert read_result({}, "files").parts[0]["text"] == SILENT
    assert read_result({"content": [text("no such file")], "isError": True}, "files").is_error


def test_what_acts_on_a_screen_is_gone_from_the_text_alone():
    evil = "\x1b[31mred\x1b]0;title\x07\u202eevil\x00"
    assert read(text(evil)) == ("red\ufffdevil", evil)
    assert "\x1b" not in read({"type": f"\x1b[2J{'x' * 500}\n"})[0]
    assert len(read({"type": "x" * 10**6})[0]) < MAX_WORD + 50


def test_an_image_shows_itself_and_stays_bytes():
    image = ImageBytes(PNG)
    data, _ = InteractiveShell().display_formatter.format(image)
    assert data == {"text/plain": "<image/png, 69 bytes>", "image/png": PICTURE["data"]}
    assert image == PNG and image[:4] == b"\x89PNG"
    assert type(pickle.loads(pickle.dumps(image))) is ImageBytes
    assert image_kind(b"RIFF____WEBP") == "image/webp" and image_kind(b"") == ""
