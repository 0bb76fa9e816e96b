"""The choices a session is run with: frozen, merged once from layers, each value with its origin.

Weakest first: the user's file, the project's `inkernel.toml`, `INKERNEL_*` variables, what was
typed. Knows no shell.
"""

import difflib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ..errors import SettingsError
from ..frozen import frozen
from ..protocol.actions import ActionRule
from ..protocol.policy import read_policy
from .action_rules import RULES_FILE, RULES_KEY, apart, rules_in
from .mcp_servers import MCP_KEY, McpServer, first_of_each, servers_in
from .planted import NOTHING_HELD, Held, read_planted_text, reason
from .project import project_folders
from .rules import RULES, YOURS

FILE_NAME = "inkernel.toml"
PREFIX = "INKERNEL_"
_MOST_BYTES = 1 << 18
"""Most bytes of a settings file."""
SCRIPTED = "scripted:"
"""The prefix of a model's name when a script file plays the model."""
_SECRET = re.compile(r"//[^/]*@")
_VALUE = re.compile(r"(?<==)[^&]+|(?<![^&])[^&=]+(?![^&])")
"""A value in the query of an address, which may have no name."""
_TYPE_FULL = "Say `%agent policy full`, `%%agent --policy full`, or `--policy full` in a shell."
NAMES_OF_SERVER = ("base_url", "provider")
"""Settings that name a server."""
_KEY = ("api_key_env", "api_key_command")
ONLY_OF_SERVER = (*_KEY, "dialect")
"""Settings that say nothing about another server."""

DialectName = Literal["responses", "messages", "chat"]
SearchChoice = Literal["auto", "always", "never"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


def _address(url: str) -> str:
    parts = urlsplit(url)
    blank = any(it.isspace() for it in url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or blank:
        raise ValueError("a server's address is such as http://localhost:8000/v1")
    if "@" in parts.netloc:  # an address is shown; a key is not
        raise ValueError("a name or password in it would be shown: use api_key_env")
    if parts.fragment:
        raise ValueError("a server sees nothing of what follows a #")
    return parts.geturl()


def _variable(name: str) -> str:
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):  # it may be the key itself
        raise ValueError("it must be the name of the variable that holds the key")
    return name


def _words(value: object) -> object:
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


def _policy(words: str) -> str:
    return read_policy(words).words


class Settings(BaseModel):
    """All choices, with their defaults. Times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(None, description="a model name, `provider:name`, or `scripted:FILE`")
    project_models: Annotated[tuple[str, ...], BeforeValidator(_words)] = Field(
        (), description="models that a project may choose, with commas between"
    )
    base_url: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description="a server of your own, with its /v1"
    )
    provider: str | None = Field(None, description="the kind of server: openai, azure, vllm …")
    dialect: DialectName | None = Field(
        None, description="the API that it speaks: responses, messages or chat"
    )
    api_key_env: Annotated[str, AfterValidator(_variable)] | None = Field(
        None, description="the environment variable that holds its key"
    )
    api_key_command: str | None = Field(None, description="a command that prints its key")
    transport: Literal["auto", "http", "websocket"] = Field(
        "auto", description="auto, http or websocket"
    )
    tool_search: SearchChoice = Field(
        "auto", description="whether the model may search for tools: auto, always or never"
    )
    store: bool = Field(False, description="let the provider keep responses, to send it less")
    cache_ttl: Literal["5m", "1h"] = Field(
        "5m", description="how long Anthropic keeps a prompt that it has read: 5m, or 1h for more"
    )
    omit: Annotated[tuple[str, ...], BeforeValidator(_words)] = Field(
        (), description="request fields that the server refuses, with commas between"
    )
    compress: bool | Literal["auto"] = Field(
        "auto",
        description="send less, at some cost of time: auto, true (zstd bodies, too) or false",
    )
    effort: Effort | None = Field(None, description="how hard the model thinks")
    summary: Literal["auto", "concise", "detailed", "none"] = Field(
        "auto", description="reasoning summaries"
    )
    policy: Annotated[str, AfterValidator(_policy)] = Field(
        "auto", description="auto, ask, deny or full; or a level, and when you are asked"
    )
    trial: Literal["always", "effects", "never"] = Field(
        "effects", description="code tried in a copy first: all, what is not plain, or none"
    )
    approve: Path | None = Field(
        None, description="a file of rules that answers where nobody can be asked"
    )
    max_samples: int = Field(100, ge=1, description="model requests in one turn")
    response_calls: int = Field(64, ge=1, description="tool calls taken of one response")
    turn_tokens: int | None = Field(50_000_000, ge=1, description="most tokens of a turn")
    turn_cost: float | None = Field(25, gt=0, description="most US$ of a turn")
    turn_steps: int | None = Field(500, ge=1, description="most steps and edits of a turn")
    turn_seconds: float | None = Field(None, gt=0, description="most seconds of a turn")
    turn_sent: int | None = Field(
        64_000_000, ge=1, description="most characters of tool outputs in a turn"
    )
    session_tokens: int | None = Field(None, ge=1, description="most tokens of a session")
    session_cost: float | None = Field(None, gt=0, description="most US$ of a session")
    session_steps: int | None = Field(None, ge=1, description="most steps and edits of a session")
    session_seconds: float | None = Field(
        None, gt=0, description="most seconds of a session's turns"
    )
    session_sent: int | None = Field(
        None, ge=1, description="most characters of tool outputs in a session"
    )
    max_attempts: int = Field(5, ge=1, description="tries of one request")
    connect_timeout: float = Field(10, gt=0, description="seconds to connect")
    first_event_timeout: float = Field(60, gt=0, description="seconds from a request to an event")
    idle_timeout: float = Field(120, gt=0, description="seconds between events")
    step_timeout: float = Field(120, gt=0, description="seconds a step may take, unless it asks")
    step_timeout_max: float = Field(3600, gt=0, description="most seconds a step may ask for")
    undo: bool = Field(True, description="a checkpoint of variables before a turn's first step")
    output_tokens: int = Field(10_000, ge=100, description="most tokens of one tool output")
    cells_tokens: int = Field(6_000, ge=0, description="most tokens of your cells at once")
    names_tokens: int = Field(2_000, ge=0, description="most tokens of your variables at once")
    docs_bytes: int = Field(32 * 1024, ge=0, description="most bytes of AGENTS.md files")
    window: int | None = Field(None, ge=1, description="the model's context window, in tokens")
    compact_at: float = Field(0.8, gt=0, le=1, description="part of the window that is too full")
    compaction: Literal["cells", "provider", "server"] = Field(
        "cells",
        description="who compacts: we by cells, the provider when we ask, or in a response",
    )
    compact_to: float = Field(0.35, gt=0, lt=1, description="part that a compaction leaves")
    price_input: float | None = Field(None, ge=0, description="US$ a million input tokens")
    price_cached: float | None = Field(None, ge=0, description="US$ a million cached input tokens")
    price_written: float | None = Field(
        None, ge=0, description="US$ a million input tokens written to a cache"
    )
    price_output: float | None = Field(None, ge=0, description="US$ a million output tokens")
    view: Literal["auto", "live", "static", "plain"] = Field("auto", description="how turns show")
    timing: bool = Field(True, description="keep wall times in saved output")
    data_dir: Path | None = Field(None, description="where session records are kept")
    events: bool = Field(False, description="send every event over the comm inkernel.events")
    mcp_files: Annotated[tuple[str, ...], BeforeValidator(_words)] = Field(
        (), description="files of other programs whose MCP servers are used, with commas between"
    )


@frozen
class Layer:
    """Values, rules and MCP servers from one place. `origin` names it. `refused`: for the person.

    `limits`: the place may be written by others, so it may hardly do more than limit the agent.
    """

    origin: str
    values: Mapping[str, Any]
    refused: tuple[str, ...] = ()
    limits: bool = False
    rules: tuple[ActionRule, ...] = ()
    servers: tuple[McpServer, ...] = ()


@frozen
class Chosen:
    """Settings, and where each value that is not a default came from.

    `rules`, `servers`: of all layers. `refused`: sentences for the person about all that was not
    taken.
    """

    settings: Settings
    origins: Mapping[str, str]
    refused: tuple[str, ...] = ()
    rules: tuple[ActionRule, ...] = ()
    servers: tuple[McpServer, ...] = ()


def read_file(path: Path, root: Path | None = None, held: Held = NOTHING_HELD) -> Layer:
    """The layer in a TOML file, empty when there is none.

    `root`: of the project that the file is of. Without it, the file is the user's own, so it may
    set all. `held`: files that do not hold as they are now. Raises SettingsError naming the file
    and the place.
    """
    try:
        text = read_planted_text(path, _MOST_BYTES, root, held)
        import tomllib  # most people have no such file

        values = tomllib.loads(text)
    except FileNotFoundError:
        return Layer(str(path), {})
    except (OSError, ValueError) as error:  # no UTF-8, or no TOML
        if root and isinstance(error, OSError):
            return Layer(str(path), {}, (f"{path} is not read: {reason(error)}.",))
        raise SettingsError(
            f"{path} cannot be read: {error}.", "Correct or remove the file."
        ) from None
    rules, refused = rules_in(values, path), ()
    if root is not None:
        rules, refused = apart(rules)
    servers, said = servers_in(values, path, root is None)
    settings = {name: it for name, it in values.items() if name not in (RULES_KEY, MCP_KEY)}
    return Layer(str(path), settings, (*refused, *said), root is not None, rules, servers)


def read_environment(environ: Mapping[str, str]) -> Layer:
    """The layer of `INKERNEL_*` variables; an empty variable counts as not set."""
    values = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and value
    }
    return Layer(f"{PREFIX}* in the environment", values)


def read_layers(
    cwd: Path,
    user_folder: Path,
    environ: Mapping[str, str],
    began: Mapping[str, str] | None = None,
    held: Held = NOTHING_HELD,
) -> list[Layer]:
    """All layers from outside the session, weakest first. Raises SettingsError.

    `began`: the environment with which the session began. Code may have changed it since. `held`:
    files that do not hold as they are now.
    """
    own, answers = (read_file(user_folder / it, held=held) for it in (FILE_NAME, RULES_FILE))
    first = read_environment(environ if began is None else began)
    since = _changed(first, read_environment(environ))
    answers = replace(answers, values={}, servers=())
    return [_without_full(own), answers, _read_project(cwd, held), first, since]


def choose(layers: Sequence[Layer]) -> Chosen:
    """Merge layers, weakest first. Raises SettingsError naming the layer that is wrong.

    Of a layer that limits it takes only the values that `RULES` allow beside the person's.
    """
    person = _merged([layer for layer in layers if not layer.limits]).settings
    taken: list[Layer] = []
    for at, layer in enumerate(layers):
        settled = frozenset(key for later in layers[at + 1 :] for key in later.values)
        taken.append(_bounded(layer, person, settled) if layer.limits else layer)
    return _merged(taken)


def approved(chosen: Chosen, located: Callable[[Path], Path], held: Held = NOTHING_HELD) -> Chosen:
    """The same, with the rules of the file in `approve`. Raises SettingsError naming the file.

    `located`: gives the absolute path for a typed one.
    """
    if chosen.settings.approve is None:
        return chosen
    path = located(chosen.settings.approve)
    given = read_file(path, held=held)
    if given.values or given.servers or not given.rules:
        raise SettingsError(
            f"{path} has no rules, or more than rules." if path.exists() else f"{path} is missing.",
            "A file for `approve` has [[rules]] alone: docs/permissions.md shows some.",
        )
    return replace(chosen, rules=(*chosen.rules, *given.rules))


def _merged(layers: Sequence[Layer]) -> Chosen:
    """A key goes only to the server it was named with. A layer that names another drops it."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        _checked(layer)
        if any(key in layer.values for key in NAMES_OF_SERVER):
            for key in ONLY_OF_SERVER:
                values.pop(key, None)
                origins.pop(key, None)
        for key, value in layer.values.items():
            values[key], origins[key] = value, layer.origin
    servers, twice = first_of_each(it for layer in layers for it in layer.servers)
    refused = (*(text for layer in layers for text in layer.refused), *twice)
    rules = tuple(rule for layer in layers for rule in layer.rules)
    return Chosen(Settings.model_validate(values), origins, refused, rules, servers)


def _bounded(layer: Layer, person: Settings, settled: frozenset[str]) -> Layer:
    """The layer without the values that it may not set. `settled`: overruled anyway."""
    open_to_it = {key: it for key, it in layer.values.items() if RULES.get(key) is not YOURS}
    theirs = _checked(replace(layer, values=open_to_it))
    values: dict[str, Any] = {}
    refused = list(layer.refused)
    for key in (key for key in layer.values if key not in settled):
        rule, value = RULES[key], getattr(theirs, key)
        if rule is YOURS:
            refused.append(f"{layer.origin} sets {key}, which is not taken: {rule.words}.")
        elif rule.allows(value, getattr(person, rule.beside or key)):
            values[key] = layer.values[key]
        elif value != getattr(person, key):
            given = f"{key} = {value!r:.80}"
            refused.append(f"{layer.origin} sets {given}, which is not taken: {rule.words}.")
    return replace(layer, values=values, refused=tuple(refused))


def _without_full(own: Layer) -> Layer:
    """The person's file. Code may have written it, so the policy without walls is only typed."""
    words = own.values.get("policy")
    with suppress(ValueError):
        if isinstance(words, str) and read_policy(words).level == "full":
            values = {key: it for key, it in own.values.items() if key != "policy"}
            text = f"{own.origin} sets policy = {words!r}, which is not taken: it must be typed."
            return replace(own, values=values, refused=(*own.refused, f"{text} {_TYPE_FULL}"))
    return own


def _changed(first: Layer, now: Layer) -> Layer:
    """The variables that differ from those with which the session began."""
    values = {key: it for key, it in now.values.items() if first.values.get(key) != it}
    return Layer(f"{PREFIX}* since the session began", values, limits=True)


def limits(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that limit the agent."""
    return {key: it for key, it in values.items() if key in RULES and RULES[key].limits}


def stricter(values: Mapping[str, Any], present: Settings) -> dict[str, Any]:
    """The limits among the values that are stricter than the present ones. Invalid ones are not."""
    return dict(_bounded(Layer("the record", limits(values)), present, frozenset()).values)


def shown_address(address: str) -> str:
    """The address without a user, a password and the values in its query."""
    before, mark, query = address.partition("?")
    return _SECRET.sub("//[…]@", before) + mark + _VALUE.sub("[…]", query)


def nearest(word: str, known: Sequence[str]) -> str:
    """` Did you mean x?`, or nothing."""
    close = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _read_project(cwd: Path, held: Held) -> Layer:
    """The nearest file of the project that can be read. Refused ones are named."""
    folders, refused = project_folders(cwd), ()
    for folder in reversed(folders):
        path = folder / FILE_NAME
        if held.get(path) if path in held else os.path.lexists(path):
            layer = read_file(path, folders[0], held)
            refused += layer.refused
            if layer.limits:
                return replace(layer, refused=refused)
    return Layer(FILE_NAME, {}, refused)


def _checked(layer: Layer) -> Settings:
    for key in layer.values:
        if key not in Settings.model_fields:
            known = list(Settings.model_fields)
            raise SettingsError(
                f"{layer.origin}: there is no setting {key!r}.{nearest(key, known)}",
                "`%agent config` lists them all.",
            )
    try:
        return Settings.model_validate(dict(layer.values))
    except ValidationError as error:
        first = error.errors()[0]
        what = first["msg"].removeprefix("Value error, ")
        name = first["loc"][0]
        given = "[…]" if name in _KEY else shown_address(repr(first["input"]))
        raise SettingsError(
            f"{layer.origin}: {name} = {given} is not valid: {what}.",
            "`%agent config` shows every setting.",
        ) from None
