"""The shape of the repository: who may import whom, and what every file must have."""

import ast
import contextlib
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
from setuptools import find_namespace_packages

ROOT = Path(__file__).parents[1]
FOLDERS = ("agent", "widgets", "kernel_ext")
FOREIGN = {"pydantic", "pydantic_core"}
MCP = "agent/tools/mcp"
ONLY_IN = {
    "httpx": {"agent/transport/http.py"},
    "websockets": {
        *("agent/transport/frames.py", "agent/transport/websocket.py"),
        "agent/scripted/websocket.py",
    },
    "h11": {"agent/scripted/server.py"},
    "zstandard": {"agent/transport/http.py", "agent/scripted/server.py"},
    "genai_prices": {"agent/providers/pricing.py"},
    "keyring": {"agent/providers/keys.py"},
    "PIL": {"agent/text/images.py"},
    "jsonschema": {"agent/tools/json_schema.py"},
    "referencing": {"agent/tools/json_schema.py"},
    "anyio": {"agent/tools/mcp/stdio.py"},
    "mcp": {
        f"agent/tools/mcp/{it}.py" for it in ("client", "connection", "listed", "oauth", "stdio")
    },
    "mcp_types": {f"agent/tools/mcp/{it}.py" for it in ("client", "connection", "stdio")},
    "httpx2": {f"{MCP}/oauth.py"},
    "nh3": {"agent/text/displays/html_text.py"},
    "python_calamine": {"agent/tools/files/readers/sheets.py"},
}
ROOMS = {
    "agent": (
        *(
            "frozen",
            "printable",
            "identity",
            "errors",
            "protocol",
            "text",
            "config",
            "providers",
            "conversation",
            "search",
            "dialects",
            "transport",
        ),
        *(
            "services",
            "tools",
            "permissions",
            "context",
            "seams",
            "session",
            "overview",
            "dispatch",
            "compaction",
            "loop",
        ),
        *("scripted", "testing", "__init__"),
    ),
    "widgets": ("state", "render", "views", "panels", "__init__"),
    "kernel_ext": (
        *(
            "shell",
            "user_names",
            "frontend",
            "environment",
            "input_transform",
            "values",
            "output_hooks",
        ),
        *(
            "user_cells",
            "execution",
            "workers",
            "sandbox",
            "notebook",
            "undo",
            "tools",
            "event_comm",
            "approval",
            "integrity",
        ),
        *("protection", "observer", "functions", "mcp", "toolset", "views", "connections", "host"),
        *("commands", "magics", "cli", "__init__", "inkernel"),
    ),
}
"""Each folder's rooms, lowest first: a room imports only from rooms before it, and from itself."""
SAME = {
    *("CellKind", "COMMANDS", "DESCRIPTION", "HOST", "MAX_LINE_CHARS", "MAX_LISTING_CHARS", "Rows"),
    *("clip", "hide", "pin", "problems", "resume", "show"),
}
"""Public names of two files that mean the same: of a tool its description, of a command its act."""
MOST_LINES = 400
MOST_FILES = 14
DATA = ("agent/**/*.md", "kernel_ext/**/*.js", "widgets/**/*.js")

SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
FILES = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "bench").rglob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=name_of)


def imports(path: Path, root: Path = ROOT) -> list[str]:
    """What a file imports; relative imports as paths from the root: `.agent.protocol.items`."""
    package = path.relative_to(root).parent.parts
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


def public_names(path: Path) -> list[str]:
    """The public names that the top level of a file defines; type variables are nobody's."""
    found: list[str] = []
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = [each for target in targets for each in ast.walk(target)]
            found += [each.id for each in named if isinstance(each, ast.Name)]
    return [name for name in found if not name.startswith("_") and len(name) > 1]


def room_of(path: Path, root: Path = ROOT) -> str:
    return path.relative_to(root).parts[1].removesuffix(".py")


def upward(path: Path, root: Path = ROOT) -> list[str]:
    """The imports of a file that are of rooms above its own."""
    folder = path.relative_to(root).parts[0]
    rooms = ROOMS[folder]
    below = set(rooms[: rooms.index(room_of(path, root)) + 1])
    found: list[str] = []
    for name in imports(path, root):
        there, _, rest = name.removeprefix(".").partition(".")
        if not name.startswith(".") or there not in FOLDERS:
            continue
        above = FOLDERS.index(there) > FOLDERS.index(folder)
        if above or (there == folder and rest and rest.split(".")[0] not in below):
            found.append(name)
    return found


@each(sorted((ROOT / "agent").rglob("*.py")))
def test_the_agent_imports_only_itself_and_what_it_is_allowed(path: Path):
    for name in imports(path):
        top = name.split(".")[0]
        where = name_of(path)
        allowed = top in sys.stdlib_module_names | FOREIGN or where in ONLY_IN.get(top, ())
        assert allowed or f"{name}.".startswith(".agent."), name


@each(sorted((ROOT / "widgets").rglob("*.py")))
def test_widgets_know_the_protocol_alone(path: Path):
    texts = (".agent.text.lines", ".agent.text.tracebacks")
    values = (".agent.protocol", ".agent.frozen", ".agent.printable", *texts)
    known = (".widgets", *values)
    for name in imports(path):
        assert name.startswith(known) or not name.startswith("."), name


@each(SOURCES)
def test_a_room_imports_only_from_rooms_before_it(path: Path):
    assert not upward(path)


def test_a_record_is_written_in_three_files():
    """By the journal, with the history; by the output store; and its first line where it opens."""
    writers = {name_of(path) for path in SOURCES if "record.append(" in path.read_text("utf-8")}
    conversation = {"agent/conversation/journal.py", "agent/conversation/output_store.py"}
    assert writers == {*conversation, "kernel_ext/host.py"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_import_that_goes_up_is_found(folder: str, tmp_path: Path):
    low, *_, high = (room for room in ROOMS[folder] if room != "__init__")
    planted = tmp_path / folder / low / "planted.py"
    planted.parent.mkdir(parents=True)
    planted.write_text(f"from ..{high}.any import thing\n")
    assert upward(planted, tmp_path) == [f".{folder}.{high}.any"]


@each(SOURCES)
def test_a_file_lies_in_a_room_that_is_listed(path: Path):
    assert room_of(path) in ROOMS[path.relative_to(ROOT).parts[0]]


@each(sorted({path.parent for path in SOURCES}))
def test_a_room_stays_small_and_its_init_holds_no_code(path: Path):
    assert len([each for each in path.glob("*.py") if each.name != "__init__.py"]) <= MOST_FILES
    if len(path.relative_to(ROOT).parts) > 1 and path.name != "inkernel":
        tree = ast.parse((path / "__init__.py").read_text(encoding="utf-8"))
        assert ast.get_docstring(tree) and len(tree.body) == 1


@each(sorted((ROOT / "tests").rglob("test_*.py")))
def test_tests_lie_in_the_rooms_they_test(path: Path):
    folder, *inner = path.relative_to(ROOT / "tests").parts[:-1] or ("",)
    assert folder not in FOLDERS or not inner or inner[0] in ROOMS[folder]


def test_a_public_name_means_one_thing():
    """A name that two files define is in the list of those that mean the same in both."""
    where: dict[str, set[str]] = {}
    for path in SOURCES:
        for name in public_names(path):
            where.setdefault(name, set()).add(name_of(path))
    twice = {name: files for name, files in where.items() if len(files) > 1 and name not in SAME}
    assert not twice


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


def test_every_room_is_found_by_the_build():
    script = (ROOT / "setup.py").read_text(encoding="utf-8")
    asked: dict[str, Any] = {}
    script = script.replace("from setuptools import find_namespace_packages, setup", "")
    names = {"find_namespace_packages": find_namespace_packages, "setup": asked.update}
    with contextlib.chdir(ROOT):
        exec(compile(script, "setup.py", "exec"), names)
    data = [path for kind in DATA for path in ROOT.glob(kind)]
    wanted = {name_of(path.parent) for path in (*SOURCES, *data)} - {"kernel_ext/inkernel"}
    packages = {name.removeprefix("inkernel.").replace(".", "/") for name in asked["packages"]}
    assert packages - {"inkernel"} == wanted | {"notebooks"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_inside_a_folder_have_no_circle(folder: str):
    modules = {
        "." + name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "__init__.py"
    }
    graph = {name: set(imports(path)) & set(modules) for name, path in modules.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(modules)


def test_the_loop_loads_neither_ipython_nor_widgets():
    code = "import sys, inkernel.agent.loop; print({'IPython', 'ipywidgets'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
