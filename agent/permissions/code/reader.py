"""Walks over code, statement by statement, and finds what is not plain. Runs nothing.

A function or class that nothing names is not read: its definition does nothing yet.
"""

import ast
import builtins
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast
from unicodedata import normalize

from .calls import call_by_path, call_of_method, leaves
from .files import PATHS
from .findings import Findings
from .literals import Literals
from .magics import as_python
from .methods import KNOWN_DUNDERS, WARY_ATTRIBUTES
from .modules import ALIASES, COMPUTING, KNOWN_ROOTS, computes
from .names import Definition, Names
from .shell_calls import SHELL

MAX_CODE_CHARS = 100_000
"""Characters of code that are read."""
MAX_INNER = 40
"""Pieces of code within code, and definitions of the namespace, that are read."""
_FORBIDDEN = frozenset(
    (
        *("eval", "exec", "compile", "__import__", "open", "globals", "locals", "vars", "getattr"),
        *("setattr", "delattr", "breakpoint", "help", "memoryview", "get_ipython", "__builtins__"),
        *("__loader__", "__spec__", "__build_class__"),
    )
)
_BUILTINS = frozenset(dir(builtins)) - _FORBIDDEN
_CALLED = frozenset(("eval", "exec", "compile", "__import__", "open", "getattr", "setattr"))
_SETTABLE = ("pandas.options.", "matplotlib.", "seaborn.", "plotly.", "numpy.random.")
_FIELDS: Mapping[type, tuple[str, ...]] = {
    kind: tuple(it for it in kind._fields if it not in ("ctx", "op", "ops", "type_comment"))
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}


class CodeReader:
    """Reads one piece of code, with all that it names."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        walls = findings.walls
        self._names = Names()
        temporary = walls.workspace[-1] if len(walls.workspace) > 1 else ""
        self.literals = Literals(self._names.value, self.path_of, findings.folder, temporary)
        self._code = ""
        self._inner = 0
        self._sources: dict[str, str | None] = {}

    def read(self, code: str) -> None:
        """Read code. Finds nothing in code that is no Python, and says so."""
        if len(code) > MAX_CODE_CHARS:
            self.findings.not_plain(f"code of more than {MAX_CODE_CHARS:,} characters")
            return
        tree = parsed(code)
        if tree is None:
            self.findings.not_plain("no Python")
            return
        self._code += f"\n{normalize('NFKC', code)}"  # as Python reads names
        self._names.gather(tree.body)
        for statement in tree.body:
            self.visit(statement)

    def read_inner(self, text: str) -> None:
        """Read code within code, up to a number of pieces."""
        if not text.strip():
            return
        self._inner += 1
        if self._inner > MAX_INNER:
            self.findings.not_plain("too much code within code")
        else:
            self.read(text)

    def is_own_method(self, name: str) -> bool:
        """Whether classes of this code have a method of that name."""
        return name in self._names.methods

    def visit(self, node: ast.AST) -> None:
        """Read a node, with those below it."""
        act = self._acts.get(type(node))
        if act is None:
            self._below(node)
        else:
            act(self, node)

    def _below(self, node: Any) -> None:
        for name in _FIELDS[type(node)]:
            value = getattr(node, name, None)
            if isinstance(value, list):
                for it in cast("list[object]", value):
                    if isinstance(it, ast.AST):
                        self.visit(it)
            elif isinstance(value, ast.AST):
                self.visit(value)

    def path_of(self, node: ast.expr, depth: int = 0) -> str | None:
        """The dotted name that an expression is: `numpy.mean` of `np.mean`. None: it is a value."""
        if depth > 8:
            return None
        match node:
            case ast.Name(id=name):
                return self._path_of_name(name, depth)
            case ast.Attribute(value=value, attr=attribute):
                path = self.path_of(value, depth + 1)
                return None if path is None else f"{path}.{attribute}"
            case ast.Call(func=ast.Name(id="get_ipython")):
                return SHELL
            case ast.Call(func=function, args=[first, *more]):
                return self._path_of_call(function, first, more, depth)
            case _:
                return None

    def _path_of_name(self, name: str, depth: int) -> str | None:
        if name in self._names:
            path = self._names.path(name)
            if path is not None:
                return path
            value = self._names.value(name)
            return None if value is None or depth > 4 else self.path_of(value, depth + 1)
        source = self._source(name)
        if source is not None:
            return self._names.path(name) if name in self._names else None
        if name == "agent_tools" or name in ALIASES:
            return ALIASES.get(name, name)
        return f"builtins.{name}" if name in _BUILTINS or name in _FORBIDDEN else None

    def _path_of_call(
        self, function: ast.expr, first: ast.expr, more: list[ast.expr], depth: int
    ) -> str | None:
        """`getattr(os, "system")` is `os.system`, and `__import__("os")` is `os`."""
        path = self.path_of(function, depth + 1)
        if path == "builtins.getattr" and more:
            value, texts = self.path_of(first, depth + 1), self.literals.texts(more[0])
            return f"{value}.{texts[0]}" if value and texts and len(texts) == 1 else None
        if path in ("builtins.__import__", "importlib.import_module"):
            texts = self.literals.texts(first)
            return texts[0] if texts and len(texts) == 1 else None
        return None

    def _source(self, name: str) -> str | None:
        """The definition of a name of the namespace, which is read the first time."""
        if name not in self._sources:
            source = self._sources[name] = self.findings.around.source_of(name)
            if source is not None:
                tree = parsed(source)
                if tree is None:
                    self.findings.not_plain(f"{name}, whose code is not known")
                else:
                    self._code += "".join(f"\n{it} {it}" for it in _defined(tree))
                    self.read_inner(source)
        return self._sources[name]

    def _name(self, node: ast.Name) -> None:
        """A name that is read as a value."""
        name = node.id
        if not isinstance(node.ctx, ast.Load):
            return
        if name in self._names and self._names.path(name) is None:
            return
        path = self.path_of(node)
        if path is None:
            if name.startswith("__") and name not in KNOWN_DUNDERS | {"__"}:
                self.findings.not_plain(f"the name {name}")
        else:
            self._path_as_value(path)

    def _path_as_value(self, path: str) -> None:
        """A module's name that is not called here: it may be called anywhere else."""
        if path in ("os.environ", "os.environb"):
            self.findings.variable(None, path)
        elif path.startswith("builtins."):
            if path.removeprefix("builtins.") in _FORBIDDEN:
                self.findings.not_plain(f"{path.removeprefix('builtins.')} as a value")
        elif path.startswith(SHELL):
            leaves(self, path)
            self.findings.not_plain("the shell as a value")
        elif path in PATHS:
            self.findings.not_plain(f"{path} as a value")
        elif not (known := computes(path))[0]:
            leaves(self, path)
            self.findings.not_plain(f"{path} as a value")
        elif known[1]:
            self._attribute_name(known[1].rpartition(".")[2])

    def _attribute(self, node: ast.Attribute) -> None:
        path = self.path_of(node)
        loads = isinstance(node.ctx, ast.Load)
        if path is not None:
            if loads:
                self._path_as_value(path)
            elif not path.startswith(_SETTABLE):
                self.findings.not_plain(f"{path} is changed")
            return
        self.visit(node.value)
        if loads:
            self._attribute_name(node.attr, node.value)
        elif node.attr.startswith("__") or node.attr in WARY_ATTRIBUTES:
            self.findings.not_plain(f"the attribute {node.attr} is changed")

    def _attribute_name(self, name: str, of: ast.expr | None = None) -> None:
        """An attribute of a value that is not called here."""
        if name.startswith("_"):
            private = not name.startswith("__") and isinstance(of, ast.Name)
            own = private and of is not None and getattr(of, "id", "") in ("self", "cls", "other")
            if not own and name not in KNOWN_DUNDERS:
                self.findings.not_plain(f"the attribute {name}")
        elif name in WARY_ATTRIBUTES or f".{name}" in PATHS:
            self.findings.not_plain(f"the attribute {name}")

    def _call(self, node: ast.Call) -> None:
        function = node.func
        path = self.path_of(function)
        if path is not None:
            self._named_call(path, node)
        elif isinstance(function, ast.Attribute):
            self.visit(function.value)
            if function.attr.startswith("_"):
                self._attribute_name(function.attr, function.value)
            else:
                call_of_method(self, function, node)
        elif isinstance(function, ast.Name) and function.id not in self._names:
            self._free_call(function.id)
        else:
            self.visit(function)
        for it in node.args:
            self.visit(it)
        for keyword in node.keywords:
            self.visit(keyword.value)

    def _named_call(self, path: str, node: ast.Call) -> None:
        name = path.removeprefix("builtins.")
        if path.startswith("builtins.") and name not in _CALLED:
            if name in _FORBIDDEN - {"get_ipython", "memoryview"} or "." in name:
                if "." in name and name.partition(".")[0] not in _FORBIDDEN:
                    self._attribute_name(name.rpartition(".")[2])
                else:
                    self.findings.not_plain(f"{name}()")
        elif not path.startswith("agent_tools."):
            call_by_path(self, path, node)

    def _free_call(self, name: str) -> None:
        """A call of a name that neither this code nor Python defines."""
        if self._source(name) is None:
            self.findings.not_plain(f"{name}(), which is not known")

    def _definition(self, node: Definition) -> None:
        """A function or class. Only its definition runs, until something names it."""
        for it in node.decorator_list:
            self.visit(it)
        named = node.decorator_list or self._is_named(node.name)
        if isinstance(node, ast.ClassDef):
            for it in (*node.bases, *(it.value for it in node.keywords)):
                self.visit(it)
            named = named or node.bases or node.keywords
            runs = [it for it in node.body if named or not isinstance(it, ast.FunctionDef)]
        else:
            self.visit(node.args)
            if node.returns is not None:
                self.visit(node.returns)
            runs = node.body if named else []
        for it in runs:
            self.visit(it)

    def _is_named(self, name: str) -> bool:
        """Whether the code has the name twice. A method's name may come from anywhere."""
        if name in self._names.methods:
            return True
        found = re.finditer(rf"\b{re.escape(name)}\b", self._code)
        return next(found, None) is not None and next(found, None) is not None

    def _lambda(self, node: ast.Lambda) -> None:
        self._names.parameters(node.args)
        self._below(node)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    ) -> None:
        for it in node.generators:
            self._names.bind(it.target, it.iter if isinstance(it.target, ast.Name) else None)
        self._below(node)

    def _walrus(self, node: ast.NamedExpr) -> None:
        self._names.bind(node.target, node.value)
        self.visit(node.value)

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._module(alias.name)

    def _import_from(self, node: ast.ImportFrom) -> None:
        module = f"{'.' * node.level}{node.module or ''}"
        self._module(module)
        if any(alias.name == "*" for alias in node.names):
            self.findings.not_plain(f"all names of {module}")

    def _module(self, path: str) -> None:
        root = path.partition(".")[0]
        known = root in KNOWN_ROOTS or root in _ROOTS or computes(path)[0]
        if known and not path.startswith("numpy.ctypeslib"):
            return
        if not leaves(self, path):
            self.findings.not_plain(f"the module {path}, which is not known")

    def _subscript(self, node: ast.Subscript) -> None:
        if self.path_of(node.value) in ("os.environ", "os.environb"):
            if isinstance(node.ctx, ast.Load):
                texts = self.literals.texts(node.slice)
                self.findings.variable(texts[0] if texts else None, "os.environ")
            else:
                self.findings.not_plain("the environment is changed")
            self.visit(node.slice)
            return
        self.visit(node.value)
        self.visit(node.slice)

    def _constant(self, _node: ast.AST) -> None:
        return None

    _acts: ClassVar[Mapping[type[ast.AST], Callable[[Any, Any], None]]] = {
        ast.Constant: _constant,
        ast.Name: _name,
        ast.Attribute: _attribute,
        ast.Call: _call,
        ast.Subscript: _subscript,
        ast.FunctionDef: _definition,
        ast.AsyncFunctionDef: _definition,
        ast.ClassDef: _definition,
        ast.Lambda: _lambda,
        ast.ListComp: _comprehension,
        ast.SetComp: _comprehension,
        ast.DictComp: _comprehension,
        ast.GeneratorExp: _comprehension,
        ast.NamedExpr: _walrus,
        ast.Import: _import,
        ast.ImportFrom: _import_from,
    }


def parsed(code: str) -> ast.Module | None:
    """The tree of Python, or of a cell that IPython rewrites. None if it is neither."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for text in (code, None):
            try:
                return ast.parse(as_python(code) if text is None else text)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
    return None


def _defined(tree: ast.Module) -> list[str]:
    return [it.name for it in tree.body if isinstance(it, Definition)]


_ROOTS = frozenset(it.partition(".")[0] for it in COMPUTING) | frozenset(
    it.partition(".")[0] for it in PATHS if it[0] != "."
)
