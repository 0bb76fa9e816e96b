"""What an image costs, its size from its header, and how it is made smaller before it is sent."""

import base64
import io
import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inkernel.agent.text.images import (
    MAX_BASE64,
    SENT,
    Limits,
    fitted,
    image_or_words,
    image_size,
    image_tokens,
)

sizes = st.tuples(st.integers(1, 70_000), st.integers(1, 70_000))


def file_of(size: tuple[int, int], form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, 60)).save(out, form, **options)
    return out.getvalue()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def url_of(data: bytes) -> str:
    return f"data:image/png;base64,{encoded(data)}"


def sent(part: dict[str, str]) -> tuple[str, Image.Image]:
    """The type the part names, and the image in it."""
    kind, _, data = part["image_url"].partition(";base64,")
    return kind.removeprefix("data:"), Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("GIF", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "exif": b"Exif\0\0" + bytes(40_000)}),
        ("JPEG", {"icc_profile": bytes(150_000)}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (640, 481), (3, 5_000)])
def test_the_size_is_read_from_the_header(form: str, options: dict, size: tuple[int, int]):
    data = file_of(size, form, **options)
    assert image_size(data) == size
    assert image_tokens(url_of(data), "gpt-5.5") == image_tokens(url_of(file_of(size)), "gpt-5.5")


@given(st.binary(), st.sampled_from(["PNG", "GIF", "JPEG", "WEBP"]), st.integers(0, 60))
def test_malformed_data_has_no_size_or_some_size_and_never_fails(rest: bytes, form: str, kept: int):
    for data in (rest, file_of((9, 9), form)[:kept] + rest):
        size = image_size(data)
        assert size is None or min(size) > 0
        assert 0 < image_tokens(url_of(data), "gpt-5.6-sol") <= 36_000


@pytest.mark.parametrize(
    ("model", "detail", "size", "tokens"),
    [
        # The guide's own examples.
        ("gpt-6-astra", "high", (1_024, 1_024), 1_229),
        ("gpt-6-astra", "high", (2_048, 2_048), 3_000),
        ("gpt-6-astra", "high", (4_096, 512), 2_458),
        # Its rules for other models, followed by hand.
        ("gpt-5.6-sol", "auto", (4_096, 512), 2_458),
        ("gpt-5.6-sol", "high", (4_096, 512), 615),
        ("gpt-5.5", "auto", (3_200, 3_200), 12_000),
        ("gpt-5.5-2026-04-23", "low", (2_048, 1_024), 154),
        ("gpt-5.4", "auto", (3_200, 3_200), 3_000),
        ("gpt-5.4-mini", "low", (2_048, 2_048), 4_916),
        ("gpt-4.1-nano", "auto", (1_800, 2_400), 3_572),
        ("gpt-4o", "auto", (1_024, 1_024), 765),
        ("gpt-4o", "high", (2_048, 4_096), 1_105),
        ("gpt-4o", "low", (4_096, 8_192), 85),
        ("openai/gpt-5.1", "auto", (512, 512), 210),
        ("some-other-model", "auto", (4_000, 4_000), 3_000),
    ],
)
def test_the_cost_is_the_apis(model: str, detail: str, size: tuple[int, int], tokens: int):
    assert image_tokens(url_of(file_of(size)), model, detail) == tokens


def test_an_image_that_cannot_be_read_counts_as_one_of_1024_pixels():
    for url in ("https://example.com/x.png", "data:image/png;base64,!!!", "data:image/png,x", ""):
        assert image_tokens(url, "gpt-5.5") == 1_229


@given(sizes, st.sampled_from([SENT, Limits(512), Limits(65_535), Limits(6_000, 10_000)]))
def test_what_is_fitted_is_within_the_limits_and_as_large_as_it_may_be(
    size: tuple[int, int], limits: Limits
):
    width, height = fitted(size, limits)
    patches = -(-width // 32) * -(-height // 32)
    assert 1 <= max(width, height) <= limits.side
    assert patches <= limits.patches
    assert width <= size[0] and height <= size[1]
    assert fitted((width, height), limits) == (width, height)
    small = max(size) <= limits.side and -(-size[0] // 32) * -(-size[1] // 32) <= limits.patches
    assert small == ((width, height) == size)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
def test_an_image_within_the_limits_is_sent_as_it_is(form: str):
    data = encoded(file_of((1_600, 1_600), form))
    part = image_or_words("image/x", f"{data[:70]}\n{data[70:]}\n")
    assert part["image_url"] == f"data:image/x;base64,{data}"


@pytest.mark.parametrize(
    ("form", "then"), [("PNG", "PNG"), ("JPEG", "JPEG"), ("GIF", "PNG"), ("WEBP", "PNG")]
)
def test_a_larger_image_is_made_smaller(form: str, then: str):
    kind, image = sent(image_or_words("image/x", encoded(file_of((3_000, 1_500), form))))
    assert (kind, image.format) == (f"image/{then.lower()}", then)
    assert image.size == fitted((3_000, 1_500), SENT)


def test_a_picture_on_its_side_is_turned_up():
    turned = Image.Exif()
    turned[0x0112] = 6
    data = file_of((3_000, 1_500), "JPEG", exif=turned.tobytes())
    assert sent(image_or_words("image/jpeg", encoded(data)))[1].size == fitted((1_500, 3_000), SENT)


def noise(side: int) -> str:
    out = io.BytesIO()
    pixels = random.Random(1).randbytes(3 * side * side)
    Image.frombytes("RGB", (side, side), pixels).save(out, "PNG", compress_level=1)
    return encoded(out.getvalue())


def test_an_image_of_too_many_bytes_becomes_a_jpeg():
    data = noise(1_500)
    assert len(data) > MAX_BASE64
    part = image_or_words("image/png", data)
    assert sent(part)[0] == "image/jpeg"
    assert len(part["image_url"]) < MAX_BASE64 + 30


def test_without_pillow_it_is_sent_whole_where_the_server_would_take_it(
    monkeypatch: pytest.MonkeyPatch,
):
    data, long, wide = encoded(file_of((3_000, 1_500))), noise(1_500), file_of((6_000, 6_000))
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert image_or_words("image/png", data)["image_url"].endswith(data)
    for refused in (long, encoded(wide)):
        told = image_or_words("image/png", refused)
        assert told["type"] == "input_text"
        assert "pixels, and it could not be made smaller" in told["text"]


@pytest.mark.parametrize("size", [(60_000, 60_000), (3_000, 1_500)])
def test_a_large_file_that_breaks_off_is_told_instead_of_sent(size: tuple[int, int]):
    header = bytearray(file_of((1, 1))[:40])
    header[16:24] = size[0].to_bytes(4) + size[1].to_bytes(4)
    part = image_or_words("image/png", encoded(bytes(header)))
    assert "pixels, and it could not be made smaller" in part["text"]


def test_what_is_no_image_is_told_instead_of_sent():
    for data in ("", "aGVsbG8=", "%%%", encoded(b"<svg/>")):
        part = image_or_words("image/png", data)
        assert part == {
            "type": "input_text",
            "text": "[image/png not sent to you: no PNG, JPEG, GIF or WebP file]",
        }


def test_an_image_that_fits_needs_no_pillow(monkeypatch: pytest.MonkeyPatch):
    data = encoded(file_of((10, 10)))
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert image_or_words("image/png", data)["type"] == "input_image"


def test_a_side_that_one_provider_refuses_is_never_sent(monkeypatch: pytest.MonkeyPatch):
    for size in ((2_048, 100), (100, 2_001), (9_000, 30)):
        _, image = sent(image_or_words("image/png", encoded(file_of(size))))
        assert max(image.size) <= 2_000
    wide = encoded(file_of((9_000, 30)))
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert image_or_words("image/png", wide)["type"] == "input_text"
