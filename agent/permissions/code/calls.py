"""Calls of functions with a dotted name, and of methods: what each does. Runs nothing.

Knows no statements and no scopes: the reader gives it each call.
"""

import ast
from collections.abc import Sequence

from .arguments import ReaderParts, argument, is_given, one_text, texts_of
from .files import PATHS, FileUse
from .findings import host_of
from .methods import is_plain_method
from .modules import (
    COMMANDS,
    HOOKS,
    NATIVE_MODULES,
    NETWORK,
    OUR_MODULES,
    PAST_EVENTS,
    PROCESSES,
    QUIET_OF_NETWORK,
    computes,
)
from .shell_calls import SHELL, call_of_shell
from .statements import CODE_CALLS, DISPATCHES, EVALUATES, STATEMENTS, dispatch, statement

_BUFFERS = ("io.StringIO", "io.BytesIO", "builtins.open", "gzip.open", "io.open", "tempfile.")
_OPENS = frozenset(("open", "read", "encode"))
_SENDS = frozenset(
    ("get", "post", "put", "patch", "delete", "head", "request", "urlopen", "stream")
)
_KERNEL = f"{SHELL}.kernel"
"""It has the sockets and the key through which the person types and answers."""
_ENVIRONMENT = ("os.environ.", "os.environb.")
_VALUELESS = frozenset(("keys", "update", "clear"))
"""Its methods that give no value of it."""
_READS = ("r", "rb", "rt", "br", "r:*", "r:gz", "r:bz2")


def call_by_path(reader: ReaderParts, path: str, node: ast.Call) -> None:
    """A call of a function by its dotted name."""
    if path.startswith(SHELL):
        call_of_shell(reader, path[len(SHELL) + 1 :], node)
    elif path in PATHS:
        _files(reader, path, node)
    elif (special := CODE_CALLS.get(path)) is not None:
        special(reader, node)
    elif path.startswith(_ENVIRONMENT) and path.rpartition(".")[2] not in _VALUELESS:
        reader.findings.variable(None, path)
    elif not leaves(reader, path, node):
        _computing(reader, path, node)


def leaves(reader: ReaderParts, path: str, node: ast.Call | None = None) -> bool:
    """Note what a function does beyond the variables. False if it is none of those that do.

    Without a `node`, it is imported, or given away as a value.
    """
    found, root = reader.findings, path.partition(".")[0]
    if root in OUR_MODULES or path in HOOKS or path.startswith(_KERNEL):
        found.concern("kernel", path, "import" if node is None else path)
    elif root in NATIVE_MODULES or path.startswith("numpy.ctypeslib"):
        found.concern("native", path, path)
    elif path.startswith(COMMANDS) and not computes(path)[0]:
        words = texts_of(reader, node.args[0]) if node and node.args else None
        found.concern("command", " ".join(words or ("…",)), path)
    elif path.startswith(PROCESSES):
        found.concern("process", path, path)
    elif _is_network(path):
        _network(reader, path, node)
    else:
        return False
    return True


def call_of_method(reader: ReaderParts, function: ast.Attribute, node: ast.Call) -> None:
    """A call of a method of a value."""
    name, value = function.attr, function.value
    if name in _SENDS and _sends(reader, name, node):
        return
    if f".{name}" in PATHS:
        _files(reader, f".{name}", node, value)
    elif name in STATEMENTS or name in EVALUATES:
        statement(reader, name, node)
    elif name in DISPATCHES:
        dispatch(reader, name, node)
    elif name in ("rename", "replace") and _is_path(reader, value):
        for text in (*_known(reader, value), *_known(reader, argument(node, 0, "target"))):
            reader.findings.file("write", text, f".{name}")
    elif name == "open" and _is_path(reader, value):
        use = _use_of_mode(reader, node, 0)
        for text in _known(reader, value):
            reader.findings.file(use, text, f".{name}")
    elif not (is_plain_method(name) or reader.is_own_method(name)):
        reader.findings.not_plain(f"a method that is not known: .{name}()")


def _computing(reader: ReaderParts, path: str, node: ast.Call) -> None:
    known, rest = computes(path)
    name = rest.rpartition(".")[2]
    if not known:
        quiet = path.partition(".")[0] in PAST_EVENTS
        note = reader.findings.not_heard if quiet else reader.findings.not_plain
        note(f"a function that is not known: {path}()")
    elif rest and (f".{name}" in PATHS or not is_plain_method(name)):
        reader.findings.not_plain(f"a method that is not known: {path}()")
    elif any(it.arg == "n_jobs" and not _is_one(it.value) for it in node.keywords):
        reader.findings.not_plain("n_jobs: other processes, in which nothing is guarded")


def _files(reader: ReaderParts, name: str, node: ast.Call, value: ast.expr | None = None) -> None:
    """A function or method with paths among its arguments. `value`: of which it is a method."""
    shown = name.removeprefix("builtins.")
    for path in PATHS[name]:
        given = value if path.place is None else argument(node, path.place, path.keyword)
        if given is None or (isinstance(given, ast.Constant) and given.value is None):
            continue
        use: FileUse = path.use
        if use == "mode":
            use = _use_of_mode(reader, node, (path.place or 0) + 1)
        _file(reader, use, given, shown)
    if any(it.arg == "allow_pickle" for it in node.keywords):
        reader.findings.not_plain(f"{shown} may run code of the file that it reads")


def _file(reader: ReaderParts, use: FileUse, given: ast.expr, shown: str) -> None:
    texts = texts_of(reader, given)
    if texts is None:
        if _is_buffer(reader, given) and use not in ("quiet", "loads"):
            return
        if use.startswith("quiet"):
            reader.findings.quietly(use, shown, known=False)
        else:
            reader.findings.not_plain(f"{shown}: a path made while it runs")
        return
    for text in texts:
        if text != ":memory:":
            reader.findings.file(use, text, shown)


def _use_of_mode(reader: ReaderParts, node: ast.Call, place: int) -> FileUse:
    """Whether a file is opened for reading. `place`: of the mode among the arguments."""
    if not is_given(node, place, "mode", "flags"):
        return "read"
    given = argument(node, place, "mode")
    flag = given is not None and reader.literals.path_of(given) == "os.O_RDONLY"
    return "read" if flag or one_text(reader, given) in _READS else "write"


def _is_path(reader: ReaderParts, node: ast.expr) -> bool:
    """Whether a value is made by `Path(…)`, and so no text and no frame."""
    if isinstance(node, ast.Name):
        bound = reader.literals.value_of(node.id)
        return bound is not None and not isinstance(bound, ast.Name) and _is_path(reader, bound)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return texts_of(reader, node) is not None
    path = reader.literals.path_of(node.func) if isinstance(node, ast.Call) else None
    return path is not None and path.startswith("pathlib.")


def _known(reader: ReaderParts, node: ast.expr | None) -> Sequence[str]:
    return texts_of(reader, node) or ()


def _is_buffer(reader: ReaderParts, node: ast.expr) -> bool:
    """Whether a value is an open file, or one in memory."""
    if isinstance(node, ast.Name):
        bound = reader.literals.value_of(node.id)
        return bound is not None and not isinstance(bound, ast.Name) and _is_buffer(reader, bound)
    if not isinstance(node, ast.Call):
        return False
    path = reader.literals.path_of(node.func)
    if path is not None:
        return path.startswith(_BUFFERS) or path.endswith(("BytesIO", "StringIO"))
    return isinstance(node.func, ast.Attribute) and node.func.attr in _OPENS


def _sends(reader: ReaderParts, name: str, node: ast.Call) -> bool:
    """Whether an argument is an address, to which a client would speak."""
    for given in node.args[:2]:
        for text in _known(reader, given):
            if host_of(text):
                reader.findings.address(text, f".{name}")
                return True
    return False


def _is_network(path: str) -> bool:
    parts = path.split(".")
    heads = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return any(it in NETWORK for it in heads) or path.startswith("sklearn.datasets.fetch")


def _network(reader: ReaderParts, path: str, node: ast.Call | None) -> None:
    name = path.rpartition(".")[2]
    if node is None:
        return
    if name in QUIET_OF_NETWORK or name.endswith(("Error", "Exception")):
        reader.findings.not_plain(f"{path} gets ready to speak with other machines")
        return
    found = (text for given in node.args for text in _known(reader, given) if host_of(text))
    reader.findings.address(next(found, None), path)


def _is_one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in (1, None)
