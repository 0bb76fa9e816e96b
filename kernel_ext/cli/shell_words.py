"""Advice for a shell: our flags and variables in place of `%agent` lines. Knows no kernel."""

import re

from ...agent.config.settings import PREFIX, Settings
from ...agent.providers.keys import SERVICE

SETTING_FLAGS = ("base_url", "model", "dialect", "policy", "effort", "approve")
_LINE = re.compile(r"`%agent (config )?([a-z_]+)( [^`]+)?`")
_VARIABLE = re.compile(r"(?: for this kernel alone)?: `%env ")


def in_shell(advice: str) -> str:
    """The advice of an error, with a flag or a variable where it says to type a setting."""
    return _VARIABLE.sub(": `export ", _LINE.sub(_typed, advice))


def _typed(line: re.Match[str]) -> str:
    name, value = line[2], (line[3] or f" {line[2].upper()}").strip()
    if name in SETTING_FLAGS:
        return f"`--{name.replace('_', '-')} {value}`"
    if line[1] and name in Settings.model_fields:
        return f"`{PREFIX}{name.upper()}={value}`"
    if name == "key":
        return f"`keyring set {SERVICE} {line[3].strip() if line[3] else 'PROVIDER'}`"
    return "`inkernel demo`" if name == "demo" else line[0]
