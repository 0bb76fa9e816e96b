"""The policy: how far code may reach, and when a person is asked. Knows no action."""

from typing import Literal, cast

from ..frozen import frozen

Level = Literal["read-only", "workspace", "full"]
Asks = Literal["never", "always", "on-request"]

LEVELS: dict[Level, str] = {
    "read-only": "you may look at variables; code runs only in a copy of the kernel, as a trial, or"
    " not at all",
    "workspace": "your code runs in the live kernel; files outside the project's folder, the"
    " network and other programs need the person's yes",
    "full": "your code runs in the live kernel, with all rights of the person",
}
"""The words for the model about each level, the strictest first."""

WAYS_TO_ASK: dict[Asks, str] = {
    "never": "nobody is asked: all that would need a yes is denied",
    "always": "the person is asked before each step, and may say no",
    "on-request": "the person watches, and can stop you",
}
"""The words for the model about each way to ask."""


@frozen
class Policy:
    """A level, and a way to ask."""

    level: Level = "workspace"
    asks: Asks = "on-request"

    @property
    def words(self) -> str:
        """The setting that means this: the name of a preset, or both words."""
        names = (name for name, policy in PRESETS.items() if policy == self)
        return next(names, f"{self.level}, {self.asks}")

    @property
    def meaning(self) -> str:
        """The words for the model."""
        return f"{self.words}: {LEVELS[self.level]}; {WAYS_TO_ASK[self.asks]}"

    def is_stricter(self, other: "Policy") -> bool:
        """Whether it is another policy, and looser in neither way.

        `always` and `never` are each stricter than `on-request`. Of the two neither is: what asks
        nobody runs without a question what the walls allow. In level read-only they allow nothing.
        """
        levels = list(LEVELS)
        closer = levels.index(self.level) <= levels.index(other.level)
        asks = other.asks in (self.asks, "on-request") or self == PRESETS["deny"]
        return self != other and closer and asks


PRESETS = {
    "auto": Policy("workspace", "on-request"),
    "ask": Policy("workspace", "always"),
    "deny": Policy("read-only", "never"),
    "full": Policy("full", "on-request"),
}
"""The policies with a name of one word."""


def read_policy(words: str, present: Policy | None = None) -> Policy:
    """The policy that a preset names, or a level, a way to ask, or both.

    A word that is missing is that of `present`. Raises ValueError.
    """
    level, asks = (present or Policy()).level, (present or Policy()).asks
    said = words.replace(",", " ").split()
    if len(said) == 1 and said[0] in PRESETS and not (present and said[0] in LEVELS):
        return PRESETS[said[0]]
    seen = set[str]()
    for word in said:
        kind = "level" if word in LEVELS else "asks" if word in WAYS_TO_ASK else ""
        if not kind or kind in seen:
            seen.clear()
            break
        seen.add(kind)
        level = cast("Level", word) if kind == "level" else level
        asks = cast("Asks", word) if kind == "asks" else asks
    if not seen:
        raise ValueError(
            f"it is none of {', '.join(PRESETS)}, nor one of {', '.join(LEVELS)}"
            f" with one of {', '.join(WAYS_TO_ASK)}"
        )
    return Policy(level, asks)
