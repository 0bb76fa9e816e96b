"""`@inkernel.tool` marks a function as a tool. Knows no session and no shell.

The mark is an attribute of the function, so a tool lives as long as the function has its name.
"""

import inspect
from collections.abc import Callable, Collection
from functools import partial
from types import FunctionType
from typing import Any, Literal, get_args
from weakref import ref

from ...agent.errors import UsageError
from ...agent.frozen import frozen
from ...agent.printable import printable
from ...agent.tools.function_schema import (
    FunctionArguments,
    NoSchemaError,
    arguments_of_function,
    fits_hint,
)
from ...agent.tools.mcp.names import MAX_TOOL_NAME
from ...agent.tools.repaired_schema import MAX_DESCRIPTION
from ..user_names import is_public

FunctionEffect = Literal["read_files", "write_files", "network", "run_command", "spawn"]
"""One kind of thing that a function may do beyond computing with variables."""
ANYTHING: tuple[FunctionEffect, ...] = get_args(FunctionEffect)
BUILT_IN = frozenset(
    (
        *("run_cell", "notebook_run", "inspect", "search_names", "source", "table"),
        *("notebook_read", "notebook_edit", "output", "recall", "search_files", "read_file"),
        *("find_tools", "list_resources", "read_resource", "tool_search", "agent_tools"),
    )
)
"""Names of tools of the agent's own, which nothing takes from them."""
_MARK = "__inkernel_tool__"
_HINT = (
    "A parameter takes what JSON has: a text, a number, a list, a dict, a dataclass of such. For a"
    " frame, take the name of its variable."
)


@frozen
class MarkedTool:
    """The mark of a function. `effects`: what a call may do, for the policy.

    `returns`: the hint of its result, and `fits` whether a value is of it. `of`: gives the
    function, since a mark can be copied.
    """

    name: str
    description: str
    arguments: FunctionArguments
    effects: frozenset[FunctionEffect]
    returns: str
    fits: Callable[[object], bool]
    of: Callable[[], object]


def mark(function: Callable[..., Any], effects: Collection[str]) -> None:
    """Mark a function as a tool. Raises UsageError for one that cannot be one."""
    if type(function) is not FunctionType:
        raise UsageError("Only a function that `def` makes can be a tool.", _HINT)
    if "." in function.__qualname__.rpartition("<locals>.")[2]:
        raise UsageError(f"{function.__qualname__} is a method. Only a function can be a tool.")
    name, unknown = function.__name__, [it for it in effects if it not in ANYTHING]
    if unknown:
        known = ", ".join(ANYTHING)
        raise UsageError(f"There is no effect {unknown[0]!r:.80}.", f"There are: {known}.")
    if name in BUILT_IN:
        raise UsageError(f"{name} is a tool of the agent's own.", "Give the function another name.")
    if not is_public(name) or len(name) > MAX_TOOL_NAME or not name.isascii():
        most = f"at most {MAX_TOOL_NAME} ASCII characters"
        raise UsageError(f"{name} is no name of a tool: it has {most}, and begins with none _.")
    try:
        arguments = arguments_of_function(function)
    except NoSchemaError as error:
        raise UsageError(f"{name} cannot be a tool: {error}.", _HINT) from None
    words = printable(inspect.getdoc(function) or "").strip() or f"{name}, a function of theirs."
    vars(function)[_MARK] = MarkedTool(
        name=name,
        description=words if len(words) <= MAX_DESCRIPTION else f"{words[: MAX_DESCRIPTION - 1]}…",
        arguments=arguments,
        effects=frozenset(it for it in ANYTHING if it in effects),
        returns=_returned(function),
        fits=partial(fits_hint, inspect.signature(function, eval_str=True).return_annotation),
        of=ref(function),
    )


def mark_of(value: object) -> MarkedTool | None:
    """The mark of a function. None for all else. It runs no code of the value."""
    if type(value) is not FunctionType:
        return None
    found = vars(value).get(_MARK)
    if type(found) is not MarkedTool or found.of() is not value:
        return None
    return found if found.name == value.__name__ else None


def _returned(function: FunctionType) -> str:
    hint = function.__annotations__.get("return", Any)
    return printable(hint if isinstance(hint, str) else inspect.formatannotation(hint))
