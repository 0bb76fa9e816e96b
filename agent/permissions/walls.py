"""The walls around code: which paths it may read and write. Pure: does no I/O, knows no system."""

import os
import re
from collections.abc import Iterable

from ..protocol.trials import Deed, Walls

SECRET = (
    *(".ssh", ".aws", ".azure", ".gnupg", ".kube", ".docker", ".netrc", ".pgpass", ".pypirc"),
    *(".npmrc", ".git-credentials", ".boto", ".databrickscfg", ".snowflake", ".my.cnf"),
    *(".config/gcloud", ".config/gh", ".config/rclone", ".config/pip", ".config/hub"),
    *(".local/share/keyrings", ".password-store", ".mozilla", ".config/google-chrome"),
    *(".config/chromium", ".config/BraveSoftware", ".cargo/credentials.toml", ".kaggle"),
    *(".huggingface/token", ".cache/huggingface/token", "Library/Keychains"),
)
"""Below the home folder: keys, passwords and sessions of the person."""
STARTS = (
    *(".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".profile", ".zshrc", ".zshenv"),
    *(".zprofile", ".zlogin", ".config/fish", ".config/autostart", ".config/systemd", ".inputrc"),
    *(".gitconfig", ".config/git", ".vimrc", ".ipython", ".jupyter", ".local/bin"),
    *("Library/LaunchAgents", ".pythonrc", ".local/share/jupyter"),
)
"""Below the home folder: files that a program runs when it starts."""
OURS = (".git", ".hg", ".svn", "AGENTS.md", "AGENTS.override.md", "inkernel.toml", ".envrc")
"""In the workspace: history that must not be rewritten, and files that we obey."""
_OBEYED = frozenset((".git", "AGENTS.md", "AGENTS.override.md", "inkernel.toml"))
"""At any depth: whoever works below goes by them, and a `.git` makes a project of its folder."""
_OF_PROCESSES = re.compile(r"/proc/(\d+|self|thread-self)(/task/\d+)?/(environ|mem)")
"""The environment and the memory of a process, with the keys in them."""
SHARED_MEMORY = "/dev/shm"
"""Pools of processes pass arrays through it."""


def workspace_walls(
    folder: str, temporary: str, home: str, own: Iterable[str] = (), records: Iterable[str] = ()
) -> Walls:
    """The walls around a workspace. `own`: our own settings and IPython's profile. `records`: of
    sessions, which hold what the person and their code said."""
    return Walls(
        workspace=tuple(dict.fromkeys((folder, temporary))),
        protected=(
            *(os.path.join(folder, name) for name in OURS),
            *(os.path.join(home, name) for name in STARTS),
            *own,
        ),
        secret=tuple(os.path.join(home, name) for name in SECRET) + tuple(records),
    )


def is_within(path: str, folders: Iterable[str]) -> bool:
    """Whether a path is one of these, or below one. All are absolute and without links."""
    return any(path == it or path.startswith(f"{it.rstrip('/')}/") for it in folders)


def is_inside(deed: Deed, walls: Walls, caches: Iterable[str] = ()) -> bool:
    """Whether the walls let code do this without a question.

    `caches`: folders in which libraries may write besides.
    """
    path = deed.target
    match deed.kind:
        case "read":
            return not is_within(path, walls.secret) and not _OF_PROCESSES.fullmatch(path)
        case "write" | "remove":
            obeyed = not _OBEYED.isdisjoint(path.split("/"))
            if obeyed or is_within(path, (*walls.secret, *walls.protected)):
                return False
            return is_within(path, (*walls.workspace, SHARED_MEMORY, *caches))
        case _:
            return False


_ESCAPES = re.compile(rb"%([0-9A-Fa-f]{2})")


def sqlite_path(name: str) -> str:
    """The path of a database, also of one that is named by a `file:` address."""
    if not name.startswith("file:"):
        return name
    path = re.split("[?#]", name.removeprefix("file:"), maxsplit=1)[0]
    if path.startswith("//"):
        path = f"/{path[2:].partition('/')[2]}"
    text = _ESCAPES.sub(
        lambda it: bytes((int(it[1], 16),)), path.encode("utf-8", "surrogateescape")
    )
    return text.decode("utf-8", "surrogateescape")
