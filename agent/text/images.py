"""The cost of an image in tokens, and how to make it smaller. Knows no conversation.

Sizes are read from the file's header. Limits and prices: OpenAI's guide "Images and vision",
https://developers.openai.com/api/docs/guides/images-vision (its edition of October 2026).
"""

import io
import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping
from math import ceil, floor, sqrt
from subprocess import SubprocessError

from ..frozen import frozen
from ..protocol.items import image_part, text_part

Size = tuple[int, int]
"""Width and height in pixels."""

SVG = "image/svg+xml"

MAX_BASE64 = 5 * 1024 * 1024
"""Most characters of base64 of one image."""

_PATCH = 32
_MOST_PATCHES = 30_000
"""The API refuses an image of more patches, and the request with it."""
_MOST_PIXELS = 64_000_000
"""A larger image is not opened here, because it would take a quarter of a gigabyte."""


@frozen
class Limits:
    """An image is scaled down until its sides and patches (32 × 32 pixels) are within these."""

    side: int
    patches: int = _MOST_PATCHES


_SMALL, _HIGH, _WIDE = Limits(512), Limits(2_048, 2_500), Limits(65_535)

SENT = Limits(2_000, 2_500)
"""The limits of an image that is sent. Every current model sees it at this size in full, and one
provider refuses a request of many images if a side of one is longer."""
_MOST_SIDE = 8_000
"""Pixels of a side. The same provider refuses any request with a longer one."""


@frozen
class Patches:
    """`hundredths` of a token for each patch, within the limits of the requested `detail`."""

    hundredths: int = 120
    low: Limits = _HIGH
    high: Limits = _HIGH
    auto: Limits = _HIGH

    def tokens(self, size: Size, detail: str) -> int:
        """The cost of an image of this size."""
        limits = {"low": self.low, "high": self.high}.get(detail, self.auto)
        return -(-self.hundredths * _patches(fitted(size, limits)) // 100)


@frozen
class Tiles:
    """`base` tokens, and `tile` for each 512 × 512 pixels, after scaling its short side to 768."""

    base: int
    tile: int

    def tokens(self, size: Size, detail: str) -> int:
        """The cost of an image of this size."""
        if detail == "low":
            return self.base
        size = _scaled(size, min(1.0, 2_048 / max(size)))
        width, height = _scaled(size, min(1.0, 768 / min(size)))
        return self.base + self.tile * ceil(width / 512) * ceil(height / 512)


def _same(hundredths: int, patches: int) -> Patches:
    limits = Limits(2_048, patches)
    return Patches(hundredths, limits, limits, limits)


_RULES: Mapping[str, Patches | Tiles] = {
    "gpt-6": Patches(low=_SMALL, high=Limits(65_535, 2_500), auto=_WIDE),
    "gpt-5.6": Patches(low=_SMALL, auto=_WIDE),
    "gpt-5.5": Patches(low=_SMALL, auto=Limits(6_000, 10_000)),
    "gpt-5.4": Patches(low=Limits(2_048, 6_144)),
    "gpt-5.2": _same(120, 6_144),
    "gpt-5.1": Tiles(70, 140),
    "gpt-5": Tiles(70, 140),
    "gpt-5-mini": _same(120, 1_536),
    "gpt-5-nano": _same(150, 1_536),
    "gpt-4.1": Tiles(85, 170),
    "gpt-4.1-mini": _same(162, 6_144),
    "gpt-4.1-nano": _same(246, 1_536),
    "gpt-4o": Tiles(85, 170),
    "gpt-4o-mini": Tiles(2_833, 5_667),
    "o1": Tiles(75, 150),
    "o3": Tiles(75, 150),
    "o4-mini": _same(172, 1_536),
}
_OTHERS = Patches()
"""The rule for all other models."""


def image_tokens(image_url: str, model: str, detail: str = "auto") -> int:
    """The cost of the image in a `data:` URL for `model`.

    An image whose size cannot be read counts as 1,024 × 1,024 pixels.
    """
    encoded = image_url.partition(";base64,")[2]
    return _rule(model).tokens(image_size(_start(encoded)) or (1_024, 1_024), detail)


def _rule(model: str) -> Patches | Tiles:
    """The rule for a model: for its name, or for the longest beginning of it that has one."""
    name = model.rpartition("/")[2]
    while name and name not in _RULES:
        name = name.rpartition("-")[0]
    return _RULES.get(name, _OTHERS)


_READ = 256 * 1024


def _start(encoded: str) -> bytes:
    """The first bytes of a base64 text, enough for a header that follows a colour profile."""
    try:
        return b64decode(encoded[:_READ])
    except ValueError:
        return b""


def fitted(size: Size, limits: Limits) -> Size:
    """The size to which an image is scaled down by the guide's rule. It never grows."""
    width, height = size = _scaled(size, min(1.0, limits.side / max(size)))
    if _patches(size) <= limits.patches:
        return size
    shrink = sqrt(_PATCH * _PATCH * limits.patches / (width * height))
    across, down = width * shrink / _PATCH, height * shrink / _PATCH
    if across < 1 or down < 1:  # a line: one row of patches, as many as there may be
        return _scaled(size, limits.patches * _PATCH / max(size))
    return _scaled(size, shrink * min(floor(across) / across, floor(down) / down))


def _scaled(size: Size, factor: float) -> Size:
    # The nudge keeps a rounding error from making 1,055 of 1,056.
    return max(1, floor(size[0] * factor + 1e-6)), max(1, floor(size[1] * factor + 1e-6))


def _patches(size: Size) -> int:
    return ceil(size[0] / _PATCH) * ceil(size[1] / _PATCH)


def image_size(data: bytes) -> Size | None:
    """Width and height from the header of a PNG, JPEG, GIF or WebP file. None for other files."""
    try:
        size = _read_size(data)
    except (struct.error, IndexError):
        return None
    return size if size and min(size) > 0 else None


def _read_size(data: bytes) -> Size | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
        return struct.unpack_from(">II", data, 16)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return struct.unpack_from("<HH", data, 6)
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp_size(data)
    return None


def _jpeg_size(data: bytes) -> Size | None:
    """The size in the first start-of-frame segment."""
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 1 if marker == 0xFF else 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _webp_size(data: bytes) -> Size | None:
    kind = data[12:16]
    if kind == b"VP8X":
        low, middle, high = struct.unpack_from("<HHH", data, 24)
        return (low | (middle & 0xFF) << 16) + 1, (middle >> 8 | high << 8) + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def image_or_words(mime: str, encoded: str) -> dict[str, str]:
    """The content part for an image (`encoded`: base64, or the text of an SVG).

    It is made smaller if it must be, with Pillow (the extra `images`). An SVG is drawn with resvg
    (the extra `svg`). If an image cannot be sent, a text says so.
    """
    if mime == SVG:
        return _drawn(encoded)
    encoded = encoded.replace("\n", "")
    size = image_size(_start(encoded))
    if size is None:
        return _left_out(mime, "no PNG, JPEG, GIF or WebP file")
    fits = len(encoded) <= MAX_BASE64
    if fits and fitted(size, SENT) == size:
        return _sent(mime, encoded)
    try:
        return _sent(*_smaller(encoded, size))
    except ImportError:
        if fits and _patches(size) <= _MOST_PATCHES and max(size) <= _MOST_SIDE:
            return _sent(mime, encoded)
    except (OSError, ValueError, SyntaxError):
        pass
    return _left_out(mime, f"{size[0]} × {size[1]} pixels, and it could not be made smaller")


def _sent(mime: str, encoded: str) -> dict[str, str]:
    return image_part(f"data:{mime};base64,{encoded}")


def _left_out(mime: str, why: str) -> dict[str, str]:
    return text_part(f"[{mime} not sent to you: {why}]")


def _drawn(markup: str) -> dict[str, str]:
    try:
        from .displays.svg_drawing import drawn_svg

        return _sent("image/png", drawn_svg(markup))
    except ImportError:
        return _left_out(SVG, "the package resvg-py, which draws it, is not installed")
    except (OSError, ValueError, SubprocessError):
        return _left_out(SVG, "it could not be drawn")


def _smaller(encoded: str, size: Size) -> tuple[str, str]:
    """MIME type and base64 of the image within `SENT` and `MAX_BASE64`.

    Raises ImportError without Pillow, and OSError, ValueError or SyntaxError when it fails.
    """
    if size[0] * size[1] > _MOST_PIXELS:
        raise ValueError("too many pixels")
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(b64decode(encoded))) as opened:
        jpeg = opened.format == "JPEG"
        image = ImageOps.exif_transpose(opened).convert("RGB" if jpeg else "RGBA")
    image = image.resize(fitted(image.size, SENT), Image.Resampling.LANCZOS)
    for form in ("JPEG",) if jpeg else ("PNG", "JPEG"):
        out = io.BytesIO()
        (image if form == "PNG" else image.convert("RGB")).save(out, form, quality=85)
        smaller = b64encode(out.getvalue()).decode()
        if len(smaller) <= MAX_BASE64:
            return f"image/{form.lower()}", smaller
    raise ValueError("too many bytes")
