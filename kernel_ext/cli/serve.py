"""The command `inkernel serve`: a scripted model for any client. Knows no kernel and no loop."""

import argparse
import contextlib
import os
import threading
from pathlib import Path

from ...agent.errors import UsageError
from ...agent.scripted.script import load_script

USE = """\
{server.base_url} plays {script}. Ctrl-C ends it.

In a notebook:
  %agent config base_url {server.base_url}
  %agent config model {model}
"""
HOST = "127.0.0.1"
KEY = "  %agent config api_key_env {name}\n"


def add_to(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments and its function."""
    command.add_argument("script", type=Path, help="a script file (see docs/scripted-model.md)")
    command.add_argument("--port", type=int, default=0, help="a free one if not given")
    command.add_argument("--host", default=HOST, help=f"the address to listen on ({HOST})")
    command.add_argument("--key-env", metavar="NAME", help="the variable with the key to ask for")
    command.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> int:
    from ...agent.scripted.server import ScriptedServer

    def log(method: str, path: str, status: int, about: str) -> None:
        _tell(f"{method} {path} {status} {about}".rstrip())
        server.requests.clear()  # nobody reads them

    script = load_script(options.script)
    key = _key(options.key_env)
    server = ScriptedServer(script, key, options.host, options.port, log)
    try:
        server.start()
    except (OSError, OverflowError) as error:
        where = f"{options.host}:{options.port}"
        hint = "Try another --port or --host. Without --port it takes a free one."
        raise UsageError(f"The server cannot listen on {where}: {error}.", hint) from None
    about = USE.format(server=server, script=options.script, model=script.model)
    try:
        _tell(about + (KEY.format(name=options.key_env) if key else ""))
        threading.Event().wait()
    except KeyboardInterrupt:
        _tell("")
    finally:
        server.close()
    return 0


def _tell(text: str) -> None:
    """Print, if standard output still has a reader. Without one the server goes on."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def _key(name: str | None) -> str | None:
    if name is None:
        return None
    if key := os.environ.get(name):
        return key
    raise UsageError(f"The variable {name} is not set.", f"For example: {name}=any-text inkernel …")
