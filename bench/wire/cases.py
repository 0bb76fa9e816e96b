"""The cases of the bench, at full size and small. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass

from .measure import Case

TRANSPORTS = ("http", "websocket")
STEPS = (10, 50, 200, 2000)
PEERS = ("sdk", "agents")
PEER_STEPS = (10, 50, 200)
"""A peer's turn costs the square of its steps, so there is none of 2,000."""
COUNTED = 200
"""Steps of the turns in which bytes and memory are counted."""
DROPPED = 20
"""Steps of the turns whose connection breaks at the fifth."""


@dataclass(frozen=True)
class Scale:
    """The sizes of the cases. `steps`: by the number of steps that a page names. Deltas else.

    The SDK's helper copies its whole text at every delta, so it gets a tenth. `once`: one round.
    """

    steps: Mapping[int, int]
    stream: int
    helper: int
    once: bool = False

    def rounds(self, number: int) -> int:
        """How often a case runs that runs `number` times at full size."""
        return 1 if self.once else number


FULL = Scale({number: number for number in STEPS}, 100_000, 10_000)
QUICK = Scale({10: 10, 50: 10, 200: 40, 2000: 40}, 2_000, 1_000, once=True)


def cases(scale: Scale, peers: bool) -> list[Case]:
    """All cases, in an order that runs compared ones side by side."""
    turns = [
        Case(client, transport, f"steps.{steps}", rounds=scale.rounds(5 if steps < 200 else 3))
        for steps in dict.fromkeys(scale.steps.values())
        for transport in TRANSPORTS
        for client in ("floor", "ours")
    ]
    return [*turns, *_counted(scale), *_streams(scale), *_lost(scale), *(_peers() if peers else ())]


def same_head(scale: Scale, head: str) -> Case:
    """The floor with the fields that ours sends."""
    return Case("floor", "websocket", f"steps.{scale.steps[COUNTED]}", rounds=1, head=head)


def _counted(scale: Scale) -> list[Case]:
    """The libraries below our transports, and turns that are counted rather than timed."""
    plan = f"steps.{scale.steps[COUNTED]}"
    return [
        *(Case("alone", t, plan, rounds=scale.rounds(3)) for t in TRANSPORTS),
        *(Case("memory", t, plan, rounds=1) for t in TRANSPORTS),
        *(Case("ours", t, f"{plan}.keep", rounds=1) for t in TRANSPORTS),
        Case("ours", "websocket", plan, rounds=scale.rounds(3), compress=True),
    ]


def _streams(scale: Scale) -> list[Case]:
    """A long stream, read by the client alone and by the whole loop."""
    plan, rounds = f"stream.{scale.stream}", scale.rounds(3)
    works = (("floor", "read"), ("floor", "typed"), ("ours", "read"))
    return [
        *(
            Case(client, transport, plan, work, rounds)
            for transport in TRANSPORTS
            for client, work in (*works, ("ours", "loop"))
        ),
        *(Case(client, "http", f"{plan}.each", work, rounds) for client, work in works),
    ]


def _lost(scale: Scale) -> list[Case]:
    return [
        Case("ours", transport, f"steps.{DROPPED}.{how}.5", rounds=scale.rounds(3))
        for transport in TRANSPORTS
        for how in ("drop", "cut")
    ]


def _peers() -> list[Case]:
    turns = [
        Case("peers", "http", f"steps.{steps}", peer, rounds=3 if steps == 10 else 1)
        for steps in PEER_STEPS
        for peer in PEERS
    ]
    return [
        *turns,
        Case("peers", "http", f"stream.{FULL.stream}", "create", rounds=1),
        Case("peers", "http", f"stream.{FULL.helper}", "helper", rounds=1),
    ]
