"""The names that code binds, and to what. Scopes count for nothing: a name is one name. Pure."""

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(slots=True)
class Names:
    """All bindings of some code, gathered before it is read.

    `imports`: dotted paths. `values`: expressions, None for what nobody can read off. `defined`:
    functions and classes. `methods`: names of functions in classes.
    """

    imports: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    values: dict[str, list[ast.expr | None]] = field(
        default_factory=dict[str, list[ast.expr | None]]
    )
    defined: dict[str, list[Definition]] = field(default_factory=dict[str, list[Definition]])
    methods: set[str] = field(default_factory=set[str])

    def __contains__(self, name: str) -> bool:
        return name in self.values or name in self.imports or name in self.defined

    def path(self, name: str) -> str | None:
        """The dotted path of a name that is imported, and nothing else."""
        paths = self.imports.get(name)
        if paths is None or name in self.values or name in self.defined:
            return None
        return paths[0] if len({*paths}) == 1 else None

    def value(self, name: str) -> ast.expr | None:
        """The expression to which a name is bound. Several are a tuple of them."""
        if name in self.imports or name in self.defined:
            return None
        found = self.values.get(name, [None])
        known = [it for it in found if it is not None]
        if len(known) < len(found):
            return None
        return known[0] if len(known) == 1 else ast.Tuple(elts=known, ctx=ast.Load())

    def bind(self, target: ast.AST, value: ast.expr | None = None) -> None:
        """Bind the names of a target. `value`: what a single name gets."""
        match target:
            case ast.Name(id=name):
                self.values.setdefault(name, []).append(value)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                values: Sequence[ast.expr | None] = [None] * len(parts)
                if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(parts):
                    values = value.elts
                for part, one in zip(parts, values, strict=True):
                    self.bind(part, one)
            case ast.Starred(value=inner):
                self.bind(inner)
            case _:
                pass

    def gather(self, statements: Iterable[ast.stmt]) -> None:
        """Add the bindings of statements, and of those within them."""
        for statement in statements:
            act = _ACTS.get(type(statement))
            if act is not None:
                act(self, statement)

    def parameters(self, arguments: ast.arguments) -> None:
        """Add the parameters of a function, whose values nobody knows."""
        for group in (arguments.posonlyargs, arguments.args, arguments.kwonlyargs):
            for it in group:
                self.values.setdefault(it.arg, []).append(None)
        for it in (arguments.vararg, arguments.kwarg):
            if it is not None:
                self.values.setdefault(it.arg, []).append(None)


def _assign(names: Names, node: ast.Assign) -> None:
    for target in node.targets:
        names.bind(target, node.value)


def _annotated(names: Names, node: ast.AnnAssign) -> None:
    if node.value is not None:
        names.bind(node.target, node.value)


def _augmented(names: Names, node: ast.AugAssign) -> None:
    names.bind(node.target)


def _loop(names: Names, node: ast.For | ast.AsyncFor) -> None:
    names.bind(node.target, node.iter if isinstance(node.target, ast.Name) else None)
    _body(names, node)


def _with(names: Names, node: ast.With | ast.AsyncWith) -> None:
    for item in node.items:
        if item.optional_vars is not None:
            names.bind(item.optional_vars, item.context_expr)
    _body(names, node)


def _import(names: Names, node: ast.Import) -> None:
    for alias in node.names:
        name = alias.asname or alias.name.partition(".")[0]
        names.imports.setdefault(name, []).append(alias.name if alias.asname else name)


def _import_from(names: Names, node: ast.ImportFrom) -> None:
    for alias in node.names:
        path = f"{'.' * node.level}{node.module or ''}.{alias.name}"
        names.imports.setdefault(alias.asname or alias.name, []).append(path)


def _function(names: Names, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    names.defined.setdefault(node.name, []).append(node)
    names.parameters(node.args)
    names.gather(node.body)


def _class(names: Names, node: ast.ClassDef) -> None:
    names.defined.setdefault(node.name, []).append(node)
    for it in node.body:
        if isinstance(it, ast.FunctionDef | ast.AsyncFunctionDef):
            names.methods.add(it.name)
    names.gather(node.body)


def _body(names: Names, node: ast.AST) -> None:
    for part in ("body", "orelse", "finalbody"):
        names.gather(getattr(node, part, ()))


def _try(names: Names, node: ast.Try | ast.TryStar) -> None:
    _body(names, node)
    for handler in node.handlers:
        if handler.name:
            names.values.setdefault(handler.name, []).append(None)
        names.gather(handler.body)


def _match(names: Names, node: ast.Match) -> None:
    for case in node.cases:
        for it in ast.walk(case.pattern):
            name = getattr(it, "name", None) or getattr(it, "rest", None)
            if isinstance(name, str):
                names.values.setdefault(name, []).append(None)
        names.gather(case.body)


_ACTS: dict[type[ast.stmt], Callable[..., None]] = {
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.For: _loop,
    ast.AsyncFor: _loop,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.Import: _import,
    ast.ImportFrom: _import_from,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.ClassDef: _class,
    ast.If: _body,
    ast.While: _body,
    ast.Try: _try,
    ast.TryStar: _try,
    ast.Match: _match,
}
