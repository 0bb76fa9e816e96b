"""Measures what the client does between two responses: medians of runs, and their ratios.

Beside it run the floor, the libraries below us, and the peers, if PEERS names their interpreter.
"""

import json
import os
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from .cases import (
    COUNTED,
    DROPPED,
    FULL,
    PEER_STEPS,
    PEERS,
    QUICK,
    TRANSPORTS,
    Scale,
    cases,
    same_head,
)
from .measure import Results, measure_cases, serving

Run = dict[str, Any]
Some = dict[str, float | None]
"""Figures by name. None: no run of the case succeeded, or the case was not wanted."""


def measure(quick: bool) -> dict[str, float]:
    """Everything of the wire: ms, MB, thousands of events a second, and ratios."""
    scale = QUICK if quick else FULL
    return numbers(run(scale, os.environ.get("PEERS", "")), scale)


def run(scale: Scale, peers: str = "") -> Results:
    """Run all cases, then the floor with the head that ours sent."""
    with serving(peers) as bench:
        results = measure_cases(bench, cases(scale, bool(peers)))
        kept = results[f"ours turn websocket steps.{scale.steps[COUNTED]}.keep"]
        if kept:
            results |= measure_cases(bench, [same_head(scale, head_of(kept[0]))])
    return results


def numbers(results: Results, scale: Scale) -> dict[str, float]:
    """The figures, by the names that the rows of the pages use."""
    runs = _Runs(results, scale)
    parts = (runs.turns(), runs.sent(), runs.streams(), runs.memory(), runs.lost(), runs.peers())
    return {name: it for part in parts for name, it in part.items() if it is not None}


class _Runs:
    """The runs of all cases, and the figures from them."""

    def __init__(self, results: Results, scale: Scale) -> None:
        self._results = results
        self._scale = scale
        self._counted = scale.steps[COUNTED]

    def of(self, key: str, figure: Callable[[Run], float]) -> float | None:
        """The median of a figure over the runs of a case."""
        found = self._results.get(key)
        return median(map(figure, found)) if found else None

    def turns(self) -> Some:
        """Milliseconds between two responses, and those of the last tenth over the first."""
        found: Some = {}
        for transport in TRANSPORTS:
            for named, steps in self._scale.steps.items():
                plan, at = f"turn {transport} steps.{steps}", f"{transport} {named}"
                for client in ("ours", "floor"):
                    found[f"{client} {at}"] = self.of(f"{client} {plan}", turnaround)
                    found[f"{client} drift {at}"] = self.of(f"{client} {plan}", drift)
                found[f"ratio {at}"] = ratio(found[f"ours {at}"], found[f"floor {at}"])
            alone = self.of(f"alone turn {transport} steps.{self._counted}", turnaround)
            found[f"alone {transport}"] = alone
            found[f"alone ratio {transport}"] = ratio(alone, found[f"floor {transport} {COUNTED}"])
        return found

    def sent(self) -> Some:
        """MB sent, and the ratio of the text that no prefix cache can have to the least."""
        plan = f"steps.{self._counted}"
        found = {f"MB {t}": self.of(f"ours turn {t} {plan}.keep", megabytes) for t in TRANSPORTS}
        packed = f"ours turn websocket {plan} compressed"
        found |= {"MB packed": self.of(packed, megabytes), "ms packed": self.of(packed, turnaround)}
        for name, head in (("least head", ""), ("same head", " same head")):
            floor = self.of(f"floor turn websocket {plan}{head}", megabytes)
            found |= {f"MB {name}": floor, f"ratio {name}": ratio(found["MB websocket"], floor)}
        found["ratio packed"] = ratio(found["MB packed"], found["MB least head"])
        key = f"ours turn http {plan}.keep"
        new = self.of(key, lambda run: uncached(run["bodies"]) / 1e6)
        least = self.of(key, lambda run: len(run["bodies"][-1]) / 1e6)
        return {**found, "MB uncached": new, "MB new": least, "ratio uncached": ratio(new, least)}

    def streams(self) -> Some:
        """Thousands of events a second."""
        found: Some = {}
        for transport, each in (*((t, "") for t in TRANSPORTS), ("http", ".each")):
            plan = f"{transport} stream.{self._scale.stream}{each}"
            at = f"{transport}{each.replace('.', ' ')}"
            floor = self._speed(f"floor typed {plan}")
            found |= {f"typed {at}": floor, f"untyped {at}": self._speed(f"floor read {plan}")}
            for work in ("read", "loop"):
                ours = self._speed(f"ours {work} {plan}")
                found |= {f"{work} {at}": ours, f"ratio {work} {at}": ratio(ours, floor)}
        return found

    def memory(self) -> Some:
        """MB that a turn adds to a bare kernel."""
        return {
            f"{what} {transport}": self.of(
                f"memory turn {transport} steps.{self._counted}", lambda run, what=what: run[what]
            )
            for transport in TRANSPORTS
            for what in ("added MB", "imports MB")
        }

    def lost(self) -> Some:
        """Seconds to the next request after a lost connection, and the things done twice."""
        found: Some = {}
        for transport in TRANSPORTS:
            for how in ("drop", "cut"):
                key, at = f"ours turn {transport} steps.{DROPPED}.{how}.5", f"{how} {transport}"
                needed = DROPPED + (how == "drop")
                found[f"s {at}"] = self.of(key, lambda run: run["turnarounds"][4] / 1e9)
                found[f"asked {at}"] = self.of(key, lambda run, n=needed: run["requests"] - n)
                found[f"twice {at}"] = self.of(key, lambda run: run["calls run twice"])
        return found

    def peers(self) -> Some:
        """For each peer: milliseconds, MB, and how fast the SDK reads a stream."""
        found: Some = {}
        for peer in PEERS:
            for steps in PEER_STEPS:
                found[f"{peer} {steps}"] = self.of(f"peers {peer} http steps.{steps}", turnaround)
            found[f"MB {peer}"] = self.of(f"peers {peer} http steps.{PEER_STEPS[-1]}", megabytes)
        return {
            **found,
            "sdk create": self._speed(f"peers create http stream.{FULL.stream}"),
            "sdk helper": self._speed(f"peers helper http stream.{FULL.helper}"),
        }

    def _speed(self, key: str) -> float | None:
        deltas = int(key.split("stream.")[1].split(".")[0])
        return self.of(key, lambda run: deltas / run["seconds"] / 1e3)


def ratio(one: float | None, other: float | None) -> float | None:
    """One over the other, if there are both."""
    return one / other if one is not None and other else None


def turnaround(run: Run) -> float:
    """The median of a run, in milliseconds."""
    return median(run["turnarounds"]) / 1e6


def drift(run: Run) -> float:
    """The last tenth of a run's turnarounds over the first, medians."""
    tenth = max(1, len(run["turnarounds"]) // 10)
    return median(run["turnarounds"][-tenth:]) / median(run["turnarounds"][:tenth])


def megabytes(run: Run) -> float:
    """MB that the server received, with heads and frames."""
    return sum(run["sizes"]) / 1e6


def uncached(bodies: Sequence[str]) -> int:
    """Characters that no prefix cache can have: those that differ from the previous request."""
    total, last = 0, ""
    for body in bodies:
        total += len(body) - common(last, body)
        last = body
    return total


def common(one: str, other: str) -> int:
    """The length of the common prefix of two texts."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def head_of(run: Run) -> str:
    """The fields of a WebSocket request that are the same in all of them, as JSON."""
    first = json.loads(run["bodies"][0])
    own = ("type", "input", "previous_response_id")
    return json.dumps({key: value for key, value in first.items() if key not in own})
