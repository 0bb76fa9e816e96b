"""Computes the figures and their ratios, all as medians of runs. Does no I/O."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from .cases import DROPPED, HELPER_STREAM, PEER_STEPS, PEERS, STREAM, TRANSPORTS
from .measure import Results

Run = dict[str, Any]
TITLES = {"http": "HTTP", "websocket": "WebSocket"}


@dataclass(frozen=True)
class Row:
    """One line of the table of targets. `bound`: the target. `least`: it is a minimum."""

    what: str
    ours: str
    other: str
    value: float
    bound: float | None = None
    least: bool = False
    unit: str = ""

    @property
    def verdict(self) -> str:
        """Whether the target is met, in words. Empty where there is none."""
        if self.bound is None:
            return ""
        return "met" if (self.value >= self.bound) == self.least else "**missed**"

    @property
    def target(self) -> str:
        """The target in words."""
        sign = "≥" if self.least else "≤"
        return f"{sign} {self.bound:g}{self.unit}" if self.bound is not None else ""


@dataclass(frozen=True)
class Figures:
    """The runs of each case, and the figures from them."""

    results: Results

    def of(self, key: str, figure: Callable[[Run], float]) -> float | None:
        """The median of a figure over the runs of a case. None when there are none."""
        runs = self.results.get(key)
        return median(map(figure, runs)) if runs else None

    def turnaround(self, client: str, transport: str, steps: int) -> float | None:
        """The median turnaround, in milliseconds."""
        return self.of(f"{client} {transport} steps.{steps}", turnaround)

    def rows(self, steps: Sequence[int], stream: int) -> list[Row]:
        """The table: our figures, the figures to compare with, and the targets."""
        long = [number for number in steps if number >= 200] or [steps[-1]]
        counted = next(key for key in self.results if key.endswith(".keep")).split(".")[1]
        found = [
            *(self._turnaround_row(t, n) for t in TRANSPORTS for n in steps),
            *(self._alone_row(t, int(counted)) for t in TRANSPORTS),
            *(self._drift_row(t, n) for t in TRANSPORTS for n in long),
            *self._byte_rows(int(counted)),
            self._uncached_row(int(counted)),
            *self._stream_rows(stream),
            *(self._memory_row(t, int(counted)) for t in TRANSPORTS),
            *(self._resume_row(t, how) for t in TRANSPORTS for how in ("drop", "cut")),
        ]
        return [row for row in found if row]

    def _turnaround_row(self, transport: str, steps: int) -> Row | None:
        ours = self.turnaround("ours turn", transport, steps)
        floor = self.turnaround("floor turn", transport, steps)
        if ours is None or floor is None:
            return None
        what = f"turnaround ÷ floor, {TITLES[transport]}, N={steps:,}"
        return Row(what, f"{ours:.2f} ms", f"{floor:.2f} ms", ours / floor, 5)

    def _alone_row(self, transport: str, steps: int) -> Row | None:
        alone = self.turnaround("alone turn", transport, steps)
        floor = self.turnaround("floor turn", transport, steps)
        if alone is None or floor is None:
            return None
        library = {"http": "httpx", "websocket": "websockets"}[transport]
        what = f"{library} alone, turnaround of a small request ÷ floor, N={steps}"
        return Row(what, f"{alone:.2f} ms", f"{floor:.2f} ms", alone / floor)

    def _drift_row(self, transport: str, steps: int) -> Row | None:
        ours = self.of(f"ours turn {transport} steps.{steps}", drift)
        floor = self.of(f"floor turn {transport} steps.{steps}", drift)
        if ours is None or floor is None:
            return None
        what = f"last ÷ first tenth of turnarounds, {TITLES[transport]}, N={steps:,}"
        return Row(what, f"{ours:.2f}", f"{floor:.2f}", ours, 1.1)

    def _byte_rows(self, steps: int) -> list[Row]:
        ours = self.of(f"ours turn websocket steps.{steps}.keep", sent)
        plan = f"floor turn websocket steps.{steps}"
        found: list[Row] = []
        for head, name in (("", "the least head"), (" same head", "our instructions and tools")):
            floor = self.of(plan + head, sent)
            if ours and floor:
                what = f"bytes sent ÷ floor with {name}, WebSocket, N={steps}, 2 KB outputs"
                found.append(Row(what, megabytes(ours), megabytes(floor), ours / floor, 1.2))
        return found

    def _uncached_row(self, steps: int) -> Row | None:
        runs = self.results.get(f"ours turn http steps.{steps}.keep")
        if not runs:
            return None
        bodies = runs[0]["bodies"]
        ours, least = uncached(bodies), len(bodies[-1])
        what = f"uncached tokens ÷ the least possible, HTTP, N={steps}"
        return Row(what, megabytes(ours), megabytes(least), ours / least, 1.05)

    def _stream_rows(self, stream: int) -> list[Row]:
        found: list[Row] = []
        plans = [(transport, "", work) for transport in TRANSPORTS for work in ("read", "loop")]
        for transport, each, work in [*plans, ("http", ".each", "read")]:
            plan = f"{transport} stream.{stream}{each}"
            ours = self._speed(f"ours {work} {plan}", stream)
            floor = self._speed(f"floor typed {plan}", stream)
            untyped = self._speed(f"floor read {plan}", stream)
            if ours is None or floor is None or untyped is None:
                continue
            reader = "the client" if work == "read" else "the whole loop"
            how = ", a chunk an event" if each else ""
            what = f"stream events/s ÷ floor, {reader}, {TITLES[transport]}{how}"
            other = f"{thousands(floor)}; {thousands(untyped)} untyped"
            bound = None if each else 0.6
            found.append(Row(what, thousands(ours), other, ours / floor, bound, least=True))
        return found

    def _memory_row(self, transport: str, steps: int) -> Row | None:
        key = f"memory turn {transport} steps.{steps}"
        added = self.of(key, lambda run: run["added MB"])
        imports = self.of(key, lambda run: run["imports MB"])
        if added is None or imports is None:
            return None
        what = f"peak RSS added to a bare kernel by {steps} steps, {TITLES[transport]}"
        return Row(what, f"{added:.0f} MB", f"imports {imports:.0f} MB", added, 40, unit=" MB")

    def _resume_row(self, transport: str, how: str) -> Row | None:
        runs = self.results.get(f"ours turn {transport} steps.{DROPPED}.{how}.5")
        if not runs:
            return None
        seconds = median(run["turnarounds"][4] / 1e9 for run in runs)
        asked = max(run["requests"] for run in runs) - DROPPED - (how == "drop")
        twice = max(run["calls run twice"] for run in runs)
        when = "in mid-response" if how == "drop" else "after a call"
        what = f"next request after a connection lost {when}, {TITLES[transport]}"
        told = f"{asked} asked twice, {twice} run twice"
        return Row(what, f"{seconds:.2f} s", told, seconds, 0.2, unit=" s")

    def peer_lines(self) -> list[list[str]]:
        """For each peer: turnarounds, MB sent, and how fast it reads a stream."""
        found: list[list[str]] = []
        for peer in PEERS:
            turns = [self.turnaround(f"peers {peer}", "http", steps) for steps in PEER_STEPS]
            bytes_sent = self.of(f"peers {peer} http steps.{PEER_STEPS[-1]}", sent)
            read = self._read("create", STREAM) if peer == "sdk" else "–"
            told = [f"{ms:.0f}" if ms is not None else "–" for ms in turns]
            found.append([peer, *told, megabytes(bytes_sent) if bytes_sent else "–", read])
        return found

    @property
    def helper(self) -> str:
        """Events a second of the SDK's `responses.stream()`."""
        return self._read("helper", HELPER_STREAM)

    def _read(self, work: str, deltas: int) -> str:
        read = self._speed(f"peers {work} http stream.{deltas}", deltas)
        return thousands(read) if read else "–"

    def _speed(self, key: str, deltas: int) -> float | None:
        return self.of(key, lambda run: deltas / run["seconds"])


def turnaround(run: Run) -> float:
    """The median of a run, in milliseconds."""
    return median(run["turnarounds"]) / 1e6


def drift(run: Run) -> float:
    """The last tenth of a run's turnarounds over the first, medians."""
    tenth = max(1, len(run["turnarounds"]) // 10)
    return median(run["turnarounds"][-tenth:]) / median(run["turnarounds"][:tenth])


def sent(run: Run) -> float:
    """Bytes that the server received, with heads and frames."""
    return sum(run["sizes"])


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


def megabytes(size: float) -> str:
    """Bytes in readable form."""
    return f"{size / 1e6:.2f} MB"


def thousands(number: float) -> str:
    """Events a second in readable form."""
    return f"{number / 1000:,.0f}k/s"
