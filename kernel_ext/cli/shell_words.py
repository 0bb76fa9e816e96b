"""Advice for a shell: our flags and variables in place of `%agent` lines. Knows no kernel."""

import re

from ...agent.config.settings import PREFIX, Settings

SETTING_FLAGS = ("base_url", "model", "dialect", "policy", "effort", "approve")
_LINE = re.compile(r"`%agent (config )?([a-z_]+)( [^`]+)?`")


def in_shell(advice: str) -> str:
    """The advice of an error, with a flag or a variable where it says to type a setting."""
    return _LINE.sub(_typed, advice)


def _typed(line: re.Match[str]) -> str:
    name, value = line[2], (line[3] or f" {line[2].upper()}").strip()
    if name in SETTING_FLAGS:
        return f"`--{name.replace('_', '-')} {value}`"
    if line[1] and name in Settings.model_fields:
        return f"`{PREFIX}{name.upper()}={value}`"
    return "`inkernel demo`" if name == "demo" else line[0]
