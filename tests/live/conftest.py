"""Real servers in processes of their own, over a tiny model made here. `make test-live` has them.

`INKERNEL_LIVE_TRANSFORMERS` and `INKERNEL_LIVE_LITELLM` name the environments they are installed
in; `INKERNEL_LIVE_DIR` where models are kept, if not in the user's cache.
"""

import hashlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
from platformdirs import user_cache_path

# Read now: no test sees our variables, nor the user's home.
VENVS = {
    name: os.environ.get(f"INKERNEL_LIVE_{name.upper()}") for name in ("transformers", "litellm")
}
FOLDER = Path(os.environ.get("INKERNEL_LIVE_DIR") or user_cache_path("inkernel") / "live")
MAKER = Path(__file__).with_name("tiny_model.py")
MODEL = "inkernel/tiny"
KEY = "sk-a-key-of-the-test"
WINDOW = 16_384
"""Tokens that LiteLLM lets through: more than the first request of a kernel takes."""
PATIENCE = 300
"""Seconds to make the model, or to start a server, on a busy machine."""


@dataclass(frozen=True)
class Live:
    """A server that runs: what kind, where, and what it wants."""

    provider: str
    base_url: str
    model: str
    key: str = ""


@pytest.fixture(scope="session")
def transformers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """`transformers serve` with the tiny model."""
    programs = _programs("transformers")
    port = _free_port()
    command = [programs / "transformers", "serve", MODEL, "--host", "127.0.0.1", "--device", "cpu"]
    hub = str(_model(programs))
    environ = {"HF_HUB_CACHE": hub, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    log = tmp_path_factory.mktemp("transformers") / "log"
    with _running([*command, "--port", port], environ, f"http://127.0.0.1:{port}/health", log):
        yield Live("transformers", f"http://127.0.0.1:{port}/v1", MODEL)


@pytest.fixture(scope="session")
def litellm(transformers: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The LiteLLM proxy: the Responses API over the chat completions of `transformers serve`."""
    programs = _programs("litellm")
    port = _free_port()
    folder = tmp_path_factory.mktemp("litellm")
    backend = {"api_base": transformers.base_url, "api_key": "none"}
    window = {"max_input_tokens": WINDOW}
    # Only its Responses API understands the prefix, which keeps the backend at chat.
    names = {"tiny": f"openai/chat_completions/{MODEL}", "tiny-chat": f"openai/{MODEL}"}
    config = {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {**backend, "model": model},
                "model_info": window,
            }
            for name, model in names.items()
        ],
        "router_settings": {"enable_pre_call_checks": True, "num_retries": 0},
        "litellm_settings": {
            "telemetry": False,
            # Its way from Messages over Responses drops the arguments of a call, as `transformers
            # serve` sends them whole, in no delta.
            "use_chat_completions_url_for_anthropic_messages": True,
        },
    }
    (folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    command = [programs / "litellm", "--config", "config.yaml", "--host", "127.0.0.1"]
    environ = {"LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    address = f"http://127.0.0.1:{port}"
    alive = f"{address}/health/liveliness"
    with _running([*command, "--port", port], environ, alive, folder / "log"):
        yield Live("litellm", f"{address}/v1", "tiny", KEY)


@pytest.fixture(params=list(VENVS))
def live(request: pytest.FixtureRequest) -> Live:
    """One server after the other."""
    return request.getfixturevalue(request.param)


def _programs(name: str) -> Path:
    venv = VENVS[name]
    if not venv:
        pytest.skip(f"needs {name} and INKERNEL_LIVE_{name.upper()}: `make test-live`")
    return Path(venv).absolute() / "bin"


def _model(programs: Path) -> Path:
    """The folder of the model that this version of its maker makes."""
    version = hashlib.sha256(MAKER.read_bytes()).hexdigest()[:12]
    folder = FOLDER.absolute() / version
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        command = [programs / "python", MAKER, folder]
        made = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert made.returncode == 0, made.stderr
    return folder


@contextmanager
def _running(
    command: Sequence[object], environ: Mapping[str, str], url: str, log: Path
) -> Iterator[None]:
    """A server, from when it answers at `url` until it is no longer needed."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=log.parent,
            env={**os.environ, "NO_PROXY": "127.0.0.1", **environ},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(process, url, log)
        yield
    finally:
        _end(process)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Until it answers; fails with the end of its log when it does not."""
    web, deadline = build_opener(ProxyHandler({})), time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), web.open(url, timeout=5):
            return
        time.sleep(0.2)
    how = "still starts" if process.poll() is None else f"ended with {process.returncode}"
    pytest.fail(f"{process.args} {how}:\n{log.read_text(errors='replace')[-4000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and what it started."""
    for stop in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, stop)
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
