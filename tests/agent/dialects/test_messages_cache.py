"""The marks of the prompt cache, by a small model of its rules, and the work of a request.

The rules: platform.claude.com/docs/en/build-with-claude/prompt-caching. An entry is written at each
mark, and a mark reads the longest entry that ends at most 20 blocks before it.
"""

import json
from typing import Any

import pytest

from inkernel.agent.config.settings import Settings
from inkernel.agent.dialects.messages import Messages
from inkernel.agent.protocol.items import Item
from inkernel.agent.protocol.verbatim_json import dumps

from .messages_rules import check
from .messages_wire import (
    Window,
    called,
    dialect,
    end,
    items_in,
    output,
    read,
    said,
    start,
    target,
    text,
    thinking,
    use,
)

LOOKS_BACK = 20


class PromptCache:
    """What a server would read from its cache, in bytes of prompt."""

    def __init__(self) -> None:
        self.entries: set[tuple[int, int]] = set()
        self.asked = self.read = 0

    def take(self, body: bytes) -> None:
        prefixes, marks = self._blocks(json.loads(body))
        found = [0]
        for mark in marks:
            for at in range(mark, max(-1, mark - LOOKS_BACK), -1):
                if prefixes[at] in self.entries:
                    found.append(prefixes[at][0])
                    break
        self.entries |= {prefixes[mark] for mark in marks}
        self.asked += prefixes[-1][0]
        self.read += max(found)

    @property
    def share(self) -> float:
        return self.read / self.asked

    def _blocks(self, request: dict[str, Any]) -> tuple[list[tuple[int, int]], list[int]]:
        """Size and hash of the prompt up to each block, and the blocks that are marked."""
        blocks = [("system", it) for it in request["system"]]
        blocks += [(it["role"], block) for it in request["messages"] for block in it["content"]]
        marks = [at for at, (_, block) in enumerate(blocks) if block.pop("cache_control", None)]
        prefixes: list[tuple[int, int]] = []
        size, seen = len(dumps(request.get("tools"))), hash(dumps(request.get("tools")))
        for role, block in blocks:
            wire = dumps(block)
            size, seen = size + len(wire), hash((seen, role, wire))
            prefixes.append((size, seen))
        return prefixes, marks


def steps(by: Messages, count: int, calls: int) -> PromptCache:
    """The cache after as many steps, each of a thought and so many parallel calls."""
    cache, window = PromptCache(), Window(said("Look at all of them. " * 20))
    for step in range(count):
        body = by.body(window.request())
        check(body)
        cache.take(body)
        uses = [use(at, f"toolu_{step}_{at}", '{"what":"x"}') for at in range(1, calls + 1)]
        made = [event for it in uses for event in it]
        events = [start(f"msg_{step}"), *thinking(0, "Hm."), *made, *end("tool_use")]
        window.add(*items_in(read(events, by=by.reader())))
        outputs = [output(f"toolu_{step}_{at}", "seen " * 40) for at in range(1, calls + 1)]
        window.add(*outputs)
    return cache


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-haiku-4-5"])
def test_steps_of_many_calls_are_read_from_the_cache(model: str):
    assert steps(dialect(model), 20, 14).share >= 0.90


def test_steps_of_one_call_are_read_from_the_cache():
    assert steps(dialect(), 60, 1).share >= 0.95


def test_with_a_mark_at_the_end_alone_most_would_be_paid_again():
    """The model of the cache has teeth."""

    class AtTheEnd(Messages):
        def body(self, request: Any, held: Any = None) -> bytes:
            self._marked = self._ended = -1
            return super().body(request, held)

    assert steps(AtTheEnd(target(), Settings()), 20, 14).share < 0.5


def marked(body: bytes) -> list[Any]:
    request = json.loads(body)
    blocks = [*request["system"], *(block for it in request["messages"] for block in it["content"])]
    return [block for block in blocks if "cache_control" in block]


def test_marks_are_at_the_instructions_the_last_end_and_the_end():
    by, window = dialect(), Window(said("One."))
    assert [it["text"] for it in marked(by.body(window.request()))][1:] == ["One."]
    assert [it["text"] for it in marked(by.body(window.request()))][1:] == ["One."]
    items = items_in(read([start(), *thinking(0, "Hm."), *text(1, "Two."), *end()], by=by.reader()))
    body = by.body(window.add(*items, said("Three.")).request())
    assert [it["text"] for it in marked(body)][1:] == ["One.", "Three."]
    body = by.body(window.add(said("Four.")).request())
    assert [it["text"] for it in marked(body)][1:] == ["Three.", "Four."]


def test_marks_begin_anew_after_a_rewrite():
    by = dialect()
    by.body(Window(said("One."), said("Two.")).request())
    body = by.body(Window(said("A digest.")).request())
    assert [it["text"] for it in marked(body)][1:] == ["A digest."]


def test_no_mark_is_on_a_line_that_only_this_request_has():
    by, window = dialect(), Window(said("One."), called("a"))
    assert marked(by.body(window.request()))[-1]["type"] == "tool_use"
    assert marked(by.body(window.add(output("a")).request()))[-1]["type"] == "tool_result"


@pytest.mark.parametrize(
    ("choices", "mark"),
    [
        ({}, {"type": "ephemeral"}),
        ({"cache_ttl": "1h"}, {"type": "ephemeral", "ttl": "1h"}),
        ({"omit": ("cache_control",)}, None),
    ],
)
def test_the_settings_say_how_long_the_cache_keeps_it(choices: dict[str, Any], mark: Any):
    found = marked(dialect(**choices).body(Window(said()).request()))
    assert [it["cache_control"] for it in found] == ([mark] * 2 if mark else [])


class Counted(Messages):
    """Counts the bytes that it translates."""

    work = 0

    def add(self, item: dict[str, Any], text: str) -> None:
        self.work += len(text)
        super().add(item, text)


def test_a_request_translates_only_what_is_new():
    by = Counted(target(), Settings())
    window, works = Window(said()), list[int]()
    for step in range(300):
        before = by.work
        by.body(window.request())
        works.append(by.work - before)
        items: list[Item] = items_in(
            read([start("m"), *use(0, f"toolu_{step:03}"), *end("tool_use")], by=by.reader())
        )
        window.add(*items, output(f"toolu_{step:03}", "seen " * 100))
    assert len(set(works[1:])) == 1
