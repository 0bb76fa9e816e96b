"""What a stream of events breaks of the protocol's order. Knows no network and no script.

Validators look at one event at a time; these are the rules between events, of Open Responses
2026-04-24 (https://www.openresponses.org/specification) and of OpenAI's Responses API.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]

BEGINNINGS = ("created", "queued", "in_progress")
ENDINGS = ("completed", "failed", "incomplete")
CHANGING = {
    "status",
    "output",
    "usage",
    "completed_at",
    "error",
    "incomplete_details",
    "service_tier",
}
"""The fields in which the snapshots of a response may differ."""
PARTS = {
    "content_part": ("content_index", "content"),
    "reasoning_summary_part": ("summary_index", "summary"),
}
"""Where a part's index stands in events, and where the part stands in the item."""
VALUES = {
    "output_text": ("text", "content_part"),
    "refusal": ("refusal", "content_part"),
    "reasoning": ("text", "content_part"),
    "reasoning_text": ("text", "content_part"),
    "reasoning_summary_text": ("text", "reasoning_summary_part"),
    "function_call_arguments": ("arguments", None),
    "custom_tool_call_input": ("input", None),
}
"""What comes in deltas: its field in a done event, and the kind of part it lies in."""
WHOLE = {"function_call": "arguments", "custom_tool_call": "input"}
"""Which field of an item comes in deltas."""


def read_frames(body: bytes) -> tuple[list[Event], list[str]]:
    """The events of an SSE body, and what its framing breaks."""
    *frames, rest = body.decode().split("\n\n")
    found = ["the last frame is not whole"] if rest else []
    if frames[-1:] == ["data: [DONE]"]:
        frames.pop()
    else:
        found.append("the last frame is not [DONE]")
    events: list[Event] = []
    for number, frame in enumerate(frames):
        read = re.fullmatch(r"event: (\S+)\ndata: (\{.*\})", frame)
        if read is None:
            found.append(f"frame {number} is not one event line and one data line: {frame[:80]!r}")
            continue
        events.append(json.loads(read[2]))
        if events[-1].get("type") != read[1]:
            found.append(f"frame {number} is named {read[1]}, its type is {events[-1].get('type')}")
    return events, found


def violations(events: Sequence[Event]) -> list[str]:
    """The rules that the events of one response break, each with the place; none is good."""
    stream = _Stream()
    found = [
        f"event {number}, {event.get('type')}: {what}"
        for number, event in enumerate(events)
        for what in stream.read(number, event)
    ]
    return found if stream.ended else [*found, "the stream has no terminal event"]


@dataclass
class _Value:
    """What comes in deltas, and whether its done event came."""

    text: str = ""
    done: bool = False


@dataclass
class _Part:
    kind: str
    index: int
    value: _Value = field(default_factory=_Value)
    done: Event | None = None


@dataclass
class _Item:
    added: Event
    parts: list[_Part] = field(default_factory=list[_Part])
    value: _Value = field(default_factory=_Value)
    done: Event | None = None

    def read(self, kind: str, event: Event) -> Iterator[str]:
        """Read an event of this item, between its added and its done event."""
        if event.get("item_id", self.added.get("id")) != self.added.get("id"):
            yield f"item_id is {event.get('item_id')!r}, not {self.added.get('id')!r}"
        stem, _, what = kind.rpartition(".")
        if (stem, what) == ("output_item", "done"):
            yield from self._close(event.get("item") or {})
        elif stem in PARTS and what == "added":
            yield from self._add_part(stem, event)
        elif stem in PARTS:
            yield from self._close_part(stem, event)
        elif stem in VALUES:
            yield from self._stream(stem, what, event)

    def _open(self, kind: str, event: Event) -> _Part | None:
        """The part that `event` belongs to, when it is the open one."""
        last = self.parts[-1] if self.parts else None
        at = (kind, event.get(PARTS[kind][0]))
        return last if last and not last.done and (last.kind, last.index) == at else None

    def _add_part(self, kind: str, event: Event) -> Iterator[str]:
        index, due = event.get(PARTS[kind][0]), sum(part.kind == kind for part in self.parts)
        if index != due:
            yield f"the part's index is {index}, not {due}"
        if any((event.get("part") or {}).get(name) for name in ("text", "refusal")):
            yield "the part is not empty when added"
        self.parts.append(_Part(kind, due))

    def _close_part(self, kind: str, event: Event) -> Iterator[str]:
        part = self._open(kind, event)
        if part is None:
            yield "no such part is open"
            return
        part.done = event.get("part") or {}
        whole = part.done.get("refusal" if part.done.get("type") == "refusal" else "text")
        if whole is not None and not part.value.done:
            yield "the value's done event is missing"
        if whole is not None and whole != part.value.text:
            yield f"the part is not what its deltas add up to: {part.value.text!r}"

    def _stream(self, stem: str, what: str, event: Event) -> Iterator[str]:
        name, kind = VALUES[stem]
        holder = self._open(kind, event) if kind else self
        if holder is None:
            yield "no such part is open"
        elif holder.value.done:
            yield "the value is done"
        elif what == "delta":
            holder.value.text += event.get("delta", "")
        elif what == "done":
            holder.value.done = True
            if event.get(name) != holder.value.text:
                yield f"the deltas add up to {holder.value.text!r}"

    def _close(self, item: Event) -> Iterator[str]:
        self.done = item
        if item.get("status") == "in_progress":
            yield "the item is done and in progress"
        for name, value in self.added.items():
            if name != "status" and value not in (None, "", []) and item.get(name) != value:
                yield f"{name} was {value!r} when added"
        for kind, (_, name) in PARTS.items():
            parts = [part.done for part in self.parts if part.kind == kind]
            if (item.get(name) or []) != parts:
                yield f"{name} is not the parts that were done"
        name = WHOLE.get(item.get("type", ""))
        if name and not (self.value.done and item.get(name) == self.value.text):
            yield f"{name} is not what the deltas add up to: {self.value.text!r}"


@dataclass
class _Stream:
    """What was read of a stream so far."""

    first: Event | None = None
    stage: int = -1
    items: list[_Item] = field(default_factory=list[_Item])
    failing: bool = False
    ended: bool = False

    def read(self, number: int, event: Event) -> Iterator[str]:
        """Read the next event; what it breaks."""
        kind = str(event.get("type")).removeprefix("response.")
        if event.get("sequence_number") != number:
            yield f"sequence_number is {event.get('sequence_number')!r}, not {number}"
        if self.ended:
            yield "it comes after the end"
        if self.failing and kind != "failed":
            yield "it comes after an error"
        if kind == "error":
            self.failing = True
        elif kind in BEGINNINGS or kind in ENDINGS:
            yield from self._snapshot(kind, event.get("response") or {})
        elif self.stage != BEGINNINGS.index("in_progress"):
            yield "the response is not in progress"
        elif kind == "output_item.added":
            yield from self._add(event)
        else:
            index = event.get("output_index")
            item = dict(enumerate(self.items)).get(index)
            if item is None or item.done is not None:
                yield f"no item is open at {index!r}"
            else:
                yield from item.read(kind, event)

    def _snapshot(self, kind: str, response: Event) -> Iterator[str]:
        first = self.first = self.first or response
        for name in sorted({*first, *response} - CHANGING):
            if first.get(name) != response.get(name):
                yield f"{name} differs from the first event's"
        if kind in ENDINGS:
            if self.stage < 0:
                yield "response.created did not come"
            self.ended = True
            yield from self._end(kind, response)
            return
        stage = BEGINNINGS.index(kind)
        if self.stage >= stage or (self.stage < 0) != (kind == "created"):
            yield "it is not due"
        self.stage = stage
        if response.get("status") not in ((kind,) if stage else BEGINNINGS[1:]):
            yield f"the status is {response.get('status')!r}"
        if response.get("output") or response.get("usage"):
            yield "there is output or usage before the end"

    def _add(self, event: Event) -> Iterator[str]:
        item = event.get("item") or {}
        if event.get("output_index") != len(self.items):
            yield f"output_index is {event.get('output_index')!r}, not {len(self.items)}"
        if item.get("id") in [known.added.get("id") for known in self.items]:
            yield "another item has its id"
        if item.get("status") == "completed":
            yield "the item is completed when added"
        if any(item.get(name) for name in ("content", "summary", "arguments", "input")):
            yield "the item is not empty when added"
        self.items.append(_Item(item))

    def _end(self, kind: str, response: Event) -> Iterator[str]:
        if response.get("status") != kind:
            yield f"the status is {response.get('status')!r}"
        for name, end in (("error", "failed"), ("incomplete_details", "incomplete")):
            if (response.get(name) is not None) != (kind == end):
                yield f"{name} is {response.get(name)!r}"
        output: list[Event] = response.get("output") or []
        done = [item.done for item in self.items if item.done is not None]
        cut = {item.added.get("id") for item in self.items if item.done is None}
        if cut and kind == "completed":
            yield "an item was added and never done"
        if [item for item in output if item.get("id") not in cut] != done:
            yield "the output is not the items that were done"
        short = [item.get("status") == "incomplete" for item in output]
        if any(short[:-1]) or (any(short) and kind != "incomplete"):
            yield "an incomplete item is not the last of an incomplete response"
        if any(i.get("id") in cut and i.get("status") == "completed" for i in output):
            yield "an item is completed that was never done"
