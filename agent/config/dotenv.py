"""Reads the variables in the `.env` files of a project. They are masked, and set nowhere."""

import os
import re
from pathlib import Path

from .planted import read_planted_text
from .project import project_folders

_MOST_BYTES = 1 << 16
_LINE = re.compile(
    r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*(?:\"([^\"\n]*)\"|'([^'\n]*)'|([^\s#]*))",
    re.MULTILINE,
)


def read_dotenv(cwd: Path) -> dict[str, str]:
    """The variables of the project's and the folder's `.env`. Files that cannot be read have none.

    A file that is too large, or a link out of the project, is not read.
    """
    folders, found = project_folders(cwd), dict[str, str]()
    for folder in dict.fromkeys((folders[0], cwd) if folders else (cwd,)):
        if not os.path.lexists(f"{folder}/.env"):
            continue
        try:
            text = read_planted_text(folder / ".env", _MOST_BYTES, folders[0] if folders else cwd)
        except (OSError, ValueError):
            continue
        found |= {it[1]: it[2] or it[3] or it[4] or "" for it in _LINE.finditer(text)}
    return found
