"""Keys are found in every form in which code shows them, and nothing else is touched."""

import html
import json
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote

import pytest

from inkernel.agent.protocol.cells import DisplayOutput, ErrorOutput, StreamOutput
from inkernel.agent.protocol.events import OutputShown
from inkernel.agent.protocol.items import FunctionCall, message, text_part
from inkernel.agent.text.masking import Mask

KEYS = {
    "long": "sk-proj-Zk81/u+Ve0tQ_mGh7cXy2LwR-b5NdJ9fKsAo3PiE6xUqTzMvHrC4gYjBnWlD8pS1",
    "hex": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c",
    "short": "p&ss-w0r",
    "with signs": "a'b\"c\\d<e>f%g h&i",
}
EVERY_KEY = pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "in a sentence": "It is {}, he said.".format,
    "twice": "{0} {0}".format,
    "of an environment": lambda key: repr({"HOME": "/root", "OPENAI_API_KEY": key}),
    "JSON": lambda key: json.dumps({"key": key}),
    "HTML": html.escape,
    "percent": lambda key: quote(key, safe=""),
    "percent, a path": quote,
    "percent, lower": lambda key: quote(key, safe="").replace("%2B", "%2b").replace("%2F", "%2f"),
    "percent, all": lambda key: "".join(f"%{byte:02x}" for byte in key.encode()),
    "hexadecimal": lambda key: key.encode().hex(),
    "base64": lambda key: b64encode(key.encode()).decode(),
    "basic auth": lambda key: b64encode(f"u:{key}".encode()).decode(),
    "basic auth, longer": lambda key: b64encode(f"me:{key}:more".encode()).decode(),
    "bearer": lambda key: b64encode(f"Bearer {key}".encode()).decode(),
    "base64 for URLs": lambda key: urlsafe_b64encode(f"??>{key}".encode()).decode(),
    "base64 in lines": lambda key: encodebytes(f"{'x' * 50}{key}".encode()).decode(),
    "its literal": lambda key: repr(encodebytes(f"{'x' * 50}{key}".encode())),
}


def inner(key: str) -> list[str]:
    """Parts of the key's base64 that must not be left, however it lies in longer data."""
    coded = (b64encode(bytes(at) + key.encode()).decode()[4:-4] for at in range(3))
    return [key, key.encode().hex(), *coded]


@EVERY_KEY
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_key_is_masked_in_every_form(key: str, form: Callable[[str], str]):
    given = form(key)
    text = Mask(frozenset([key])).text(f"before {given} after")
    assert given not in text and "[key]" in text
    assert text.startswith("before ") and text.endswith(" after")
    joined = text.replace("\n", "").replace("\\n", "")
    assert not [part for part in inner(key) if part in joined]


@pytest.mark.parametrize(
    "cut",
    ["{0:.40}…", "…{1}", "{0:.30}…{1}", "{0:.25}\n{2}", "{0:.25}\\n{2}", "{0:.25}\r\n{2}"],
)
def test_a_key_that_is_cut_or_broken_is_masked_from_its_start_and_its_end(cut: str):
    key = KEYS["long"]
    text = Mask(frozenset([key])).text(cut.format(key, key[-20:], key[25:]))
    assert not any(key[at : at + 16] in text for at in range(len(key) - 15))
    assert "[key]" in text


@pytest.mark.parametrize(
    "text", ["", "sk-proj-", "the word key", "sk-proj-Zk8", "9f86d081", "a\nb\\nc", "100 %"]
)
def test_other_texts_stay_the_same_objects(text: str):
    assert Mask(frozenset(KEYS.values())).text(text) is text


@pytest.mark.parametrize("key", ["", "x", "EMPTY", "1234567"])
def test_a_very_short_value_is_no_key(key: str):
    assert Mask(frozenset([key])).text(f"{key} is EMPTY, 1234567 x") == f"{key} is EMPTY, 1234567 x"


def test_two_keys_are_masked_where_they_follow_and_hold_each_other():
    mask = Mask(frozenset(["inner-key", "outer-inner-key-outer"]))
    assert mask.text("inner-key, outer-inner-key-outer") == "[key], [key]"


def test_a_mask_never_shows_its_keys():
    assert "inner" not in repr(Mask(frozenset(["inner-key"])))


@EVERY_KEY
def test_all_texts_in_a_value_are_masked_and_pictures_are_left_alone(key: str):
    mask = Mask(frozenset([key]))
    picture = b64encode(b"\x89PNG" + key.encode()).decode()
    data = {"text/plain": key, "image/png": picture, "application/json": {"a": [key, {key: 1}]}}
    shown = DisplayOutput(data=data, metadata={"about": (key, 2)})
    masked = mask.value(OutputShown(call_id="c", output=shown)).output
    assert isinstance(masked, DisplayOutput)
    assert masked.data["application/json"] == {"a": ["[key]", {"[key]": 1}]}
    assert masked.data["image/png"] == picture
    assert masked.metadata == {"about": ("[key]", 2)}
    error = ErrorOutput(ename="E", evalue=key, traceback=(f"E: {key}",))
    assert mask.value(error).traceback == ("E: [key]",)


@EVERY_KEY
def test_an_item_says_the_same_in_its_fields_and_on_the_wire(key: str):
    mask = Mask(frozenset([key]))
    said = mask.value(message("user", text_part(f"It is {key}.")))
    assert said.text == "It is [key]."
    assert json.loads(said.wire)["content"][0]["text"] == "It is [key]."
    code = json.dumps({"code": f"open({key!r})"})
    call = {"type": "function_call", "call_id": "c", "name": "run_cell", "arguments": code}
    assert "open('[key]')" in mask.value(FunctionCall.of(call)).arguments.replace('\\"', "'")


def test_a_value_without_a_key_stays_the_same_object():
    mask = Mask(frozenset(KEYS.values()))
    for value in (
        message("user", text_part("Hello")),
        OutputShown(call_id="c", output=StreamOutput(name="stdout", text="Hello")),
        {"a": [1, "b", None], "image/png": KEYS["long"]},
        [("x", 1.0)],
    ):
        assert mask.value(value) is value
