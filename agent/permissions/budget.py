"""How much of its budgets a turn and its session have used. Pure: it counts and stops nothing."""

from collections.abc import Iterator

from ..config.settings import Settings
from ..frozen import frozen

NEAR = 0.8
"""From this part of a budget on, the model and the person hear of it."""


@frozen
class Spent:
    """The use so far. `tokens`: in and out. `cost`: US$, None if no price is known.

    `seconds`: wall time. `sent`: characters of tool outputs that the model got.
    """

    tokens: int = 0
    cost: float | None = None
    steps: int = 0
    seconds: float = 0.0
    sent: int = 0


@frozen
class Use:
    """The use of one budget. `setting`: its name, such as `turn_cost`."""

    setting: str
    used: float
    most: float

    @property
    def near(self) -> bool:
        """True if 80 % or more is used."""
        return self.used >= NEAR * self.most

    @property
    def over(self) -> bool:
        """True if nothing is left."""
        return self.used >= self.most

    @property
    def counts_steps(self) -> bool:
        """True if its unit is the step."""
        return self.setting.endswith("_steps")

    @property
    def words(self) -> str:
        """For a person and a model: `$4.10 of $5.00 of this turn's cost`."""
        whose, _, what = self.setting.partition("_")
        used, most = _amount(what, self.used), _amount(what, self.most)
        return f"{used} of {most} of this {whose}'s {_NOUNS[what]}"


_NOUNS = {
    "tokens": "tokens",
    "cost": "cost",
    "steps": "steps",
    "seconds": "time",
    "sent": "characters of output",
}


def uses(settings: Settings, turn: Spent, session: Spent) -> Iterator[Use]:
    """The use of each budget that is set."""
    for whose, spent in (("turn", turn), ("session", session)):
        for what in _NOUNS:
            name = f"{whose}_{what}"
            used, most = getattr(spent, what), getattr(settings, name)
            if used is not None and most is not None:
                yield Use(name, used, most)


def _amount(what: str, value: float) -> str:
    match what:
        case "cost":
            return f"${value:,.2f}"
        case "seconds":
            return f"{value:,.0f} s"
        case _:
            return f"{value:,.0f}"
