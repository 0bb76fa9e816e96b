"""Values that a tool gives to code, and that show themselves in a notebook. Knows no tool."""

from base64 import b64encode
from typing import Any

_STARTS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def image_kind(data: bytes) -> str:
    """The MIME type of an image that a notebook shows, from its first bytes. Empty for others."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _STARTS if data.startswith(start)), "")


class ImageBytes(bytes):
    """The file of an image: bytes that a notebook shows as a picture.

    The kind is that of the bytes, whatever a server called it. Other bytes show only their size.
    """

    def __repr__(self) -> str:
        return f"<{image_kind(self) or 'no image'}, {len(self):,} bytes>"

    def _repr_mimebundle_(self, **_asked: Any) -> dict[str, str]:
        shown = {"text/plain": repr(self)}
        if kind := image_kind(self):
            shown[kind] = b64encode(self).decode()
        return shown
