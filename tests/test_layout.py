"""The shape of the repository: who may import whom, and what every file must have."""

import ast
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("agent", "widgets", "kernel_ext")
FOREIGN = {"pydantic", "pydantic_core"}
ONLY_IN = {
    "httpx": {"http.py"},
    "websockets": {"websocket.py", "scripted_socket.py"},
    "h11": {"scripted.py"},
    "zstandard": {"http.py", "scripted.py"},
    "genai_prices": {"cost.py"},
    "keyring": {"keys.py"},
    "PIL": {"images.py"},
}
MOST_LINES = 400
DATA = ("agent/**/*.md", "kernel_ext/**/*.js", "widgets/**/*.js")

SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
FILES = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "bench").rglob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=name_of)


def imports(path: Path) -> list[str]:
    """What a file imports; relative imports as paths from the repository's root: `agent.items`."""
    package = path.relative_to(ROOT).parent.parts
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.append(str(node.module))
        elif isinstance(node, ast.ImportFrom):
            base = ["", *package[: len(package) - node.level + 1]]
            names = (
                [[node.module]] if node.module else [[], *([alias.name] for alias in node.names)]
            )
            found += [".".join([*base, *name]) for name in names]
    return found


@each(sorted((ROOT / "agent").rglob("*.py")))
def test_the_agent_imports_only_itself_and_what_it_is_allowed(path: Path):
    for name in imports(path):
        top = name.split(".")[0]
        allowed = top in sys.stdlib_module_names | FOREIGN or path.name in ONLY_IN.get(top, ())
        assert allowed or f"{name}.".startswith(".agent."), name


@each(sorted((ROOT / "widgets").rglob("*.py")))
def test_widgets_know_no_kernel_and_not_how_a_turn_runs(path: Path):
    for name in imports(path):
        assert not name.startswith(".kernel_ext")
        hidden = ("loop", "calls", "client", "http", "websocket", "session")
        assert name not in {f".agent.{module}" for module in hidden}


@each(FILES)
def test_nobody_imports_a_folder_by_its_bare_name(path: Path):
    assert not {name.split(".")[0] for name in imports(path)} & set(FOLDERS)


@each(FILES)
def test_a_file_says_what_it_is_and_leaves_nothing_for_later(path: Path):
    text = path.read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring and docstring.splitlines()[0].strip()
    assert "TO" + "DO" not in text


@each(SOURCES)
def test_a_file_stays_short(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_every_folder_with_modules_or_their_data_is_a_listed_package():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    setuptools = setup["tool"]["setuptools"]
    places = setuptools["package-dir"]
    assert set(setuptools["packages"]) == set(places)
    data = [path for kind in DATA for path in ROOT.glob(kind)]
    assert set(places.values()) == {name_of(path.parent) for path in (*SOURCES, *data)}


def test_imports_inside_the_agent_have_no_circle():
    modules = {
        "." + name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path
        for path in (ROOT / "agent").rglob("*.py")
    }
    graph = {name: set(imports(path)) & set(modules) for name, path in modules.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(modules)


def test_the_loop_loads_neither_ipython_nor_widgets():
    code = "import sys, inkernel.agent.loop; print({'IPython', 'ipywidgets'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
