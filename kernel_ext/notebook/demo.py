"""The demo that comes with the package: its notebook, script and data. Knows no shell."""

from importlib.util import find_spec
from pathlib import Path

from ...agent.config.extras import install_command
from ...agent.errors import UsageError

NAME = "quickstart"
DATA = "data/seattle-weather.csv"
NEXT = (
    "Only the model's words came from a script. For a model of your own, set OPENAI_API_KEY or"
    " start a local server such as Ollama. Then write %%agent and your question in a cell."
)
_FOLDER = Path(__file__).parents[2] / "notebooks"
"""In the package as in a clone, the folder `notebooks` is beside `kernel_ext`."""
_NEEDED = ("pandas", "matplotlib")


def demo_file(name: str) -> Path:
    """A file of the demo. Raises UsageError when a package that the demo uses is missing."""
    missing = [package for package in _NEEDED if find_spec(package) is None]
    if missing:
        raise UsageError(f"The demo needs {' and '.join(missing)}.", install_command("demo"))
    return _FOLDER / name


def copy_demo(folder: Path) -> Path:
    """Copy the demo into a folder. Returns its notebook there.

    Raises UsageError, before it writes, for a file that is there already. Raises it, too, for a
    folder that cannot be written.
    """
    files = {folder / name: demo_file(name) for name in (f"{NAME}.ipynb", f"{NAME}.toml", DATA)}
    for there in files:
        if there.exists():
            raise UsageError(f"{there} is there already.", "Name another folder.")
    try:
        for there, source in files.items():
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(source.read_bytes())
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}.") from None
    return folder / f"{NAME}.ipynb"
