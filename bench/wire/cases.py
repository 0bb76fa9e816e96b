"""The cases of the bench, and the few of the quick one. Plain data."""

from .measure import Case

TRANSPORTS = ("http", "websocket")
STEPS = (10, 50, 200, 2000)
PEERS = ("sdk", "agents")
PEER_STEPS = (10, 50, 200)
"""A peer's turn costs the square of its steps. 2,000 steps would take most of an hour."""
STREAM, HELPER_STREAM = 100_000, 10_000
"""Deltas. The SDK's helper copies its whole text at every delta, so it gets a tenth."""
QUICK_STEPS, QUICK_STREAM = (10, 40), 2_000
DROPPED = 20
"""Steps of the turns whose connection breaks at the fifth."""


def cases(peers: bool) -> list[Case]:
    """All cases, in an order that runs compared ones side by side."""
    turns = [
        Case(client, transport, f"steps.{steps}", rounds=5 if steps < 200 else 3)
        for steps in STEPS
        for transport in TRANSPORTS
        for client in ("floor", "ours")
    ]
    found = [*turns, *alone(200), *streams(STREAM), *once(200)]
    return [*found, *(_peers() if peers else ())]


def quick_cases() -> list[Case]:
    """All cases of ours and of the floor, small and once."""
    turns = [
        Case(client, transport, f"steps.{steps}", rounds=1)
        for steps in QUICK_STEPS
        for transport in TRANSPORTS
        for client in ("floor", "ours")
    ]
    few = QUICK_STEPS[-1]
    return [*turns, *alone(few, rounds=1), *streams(QUICK_STREAM, rounds=1), *once(few, rounds=1)]


def streams(deltas: int, rounds: int = 3) -> list[Case]:
    """A long stream, read by the client alone and by the whole loop."""
    plan = f"stream.{deltas}"
    found: list[Case] = []
    for transport in TRANSPORTS:
        found += [
            Case("floor", transport, plan, "read", rounds),
            Case("floor", transport, plan, "typed", rounds),
            Case("ours", transport, plan, "read", rounds),
            Case("ours", transport, plan, "loop", rounds),
        ]
    each = f"{plan}.each"
    return [
        *found,
        Case("floor", "http", each, "read", rounds),
        Case("floor", "http", each, "typed", rounds),
        Case("ours", "http", each, "read", rounds),
    ]


def alone(steps: int, rounds: int = 3) -> list[Case]:
    """The libraries below our transports."""
    return [Case("alone", transport, f"steps.{steps}", rounds=rounds) for transport in TRANSPORTS]


def once(steps: int, rounds: int = 3) -> list[Case]:
    """Cases that are counted rather than timed, and the cost of a lost connection."""
    memory = [Case("memory", transport, f"steps.{steps}", rounds=1) for transport in TRANSPORTS]
    kept = [Case("ours", transport, f"steps.{steps}.keep", rounds=1) for transport in TRANSPORTS]
    lost = [
        Case("ours", transport, f"steps.{DROPPED}.{how}.5", rounds=rounds)
        for transport in TRANSPORTS
        for how in ("drop", "cut")
    ]
    return [*memory, *kept, *lost]


def same_head(steps: int, head: str) -> Case:
    """The floor with the fields that ours sends."""
    return Case("floor", "websocket", f"steps.{steps}", rounds=1, head=head)


def _peers() -> list[Case]:
    turns = [
        Case("peers", "http", f"steps.{steps}", peer, rounds=3 if steps == 10 else 1)
        for steps in PEER_STEPS
        for peer in PEERS
    ]
    return [
        *turns,
        Case("peers", "http", f"stream.{STREAM}", "create", rounds=1),
        Case("peers", "http", f"stream.{HELPER_STREAM}", "helper", rounds=1),
    ]
