"""Streams of Chat Completions as vendors send them, and the message that each is.

Made by hand, after the vendors' own pages and what people reported of them (read in 2026-11).
"""

import json
from dataclasses import dataclass, field
from typing import Any

from inkernel.agent.protocol.events import Usage

Chunk = dict[str, Any]


def chunk(delta: Any = None, stop: Any = None, **more: Any) -> Chunk:
    """A chunk with one choice."""
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": stop}
    return {"id": "c1", "object": "chat.completion.chunk", "choices": [choice], **more}


def piece(
    index: Any = None, id_: Any = None, name: Any = None, arguments: Any = None, **more: Any
) -> Chunk:
    """A chunk with a piece of a call. None is left out."""
    function = {"name": name, "arguments": arguments}
    given = {"index": index, "id": id_, "type": "function" if id_ else None}
    made = {it: given[it] for it in given if given[it] is not None}
    made["function"] = {it: function[it] for it in function if function[it] is not None}
    return chunk({"tool_calls": [{**made, **more}]})


def texts(name: str, *pieces: Any) -> list[Chunk]:
    """A chunk for each piece of a member of the message."""
    return [chunk({name: it}) for it in pieces]


def usage(prompt: int = 10, output: int = 5, **more: Any) -> dict[str, Any]:
    """Counts of tokens."""
    total = {"total_tokens": prompt + output}
    return {"prompt_tokens": prompt, "completion_tokens": output, **total, **more}


def call(id_: str, arguments: str = "{}", **more: Any) -> dict[str, Any]:
    """A call as it goes back."""
    function = {"name": "look", "arguments": arguments}
    return {**more, "id": id_, "type": "function", "function": function}


@dataclass(frozen=True)
class Stream:
    """Chunks, the message that goes back, the text and the thoughts that are shown, and usage."""

    chunks: list[Chunk]
    back: dict[str, Any]
    text: str = ""
    thought: str = ""
    usage: Usage | None = None
    done: bool = True
    made_ids: bool = field(default=False)

    @property
    def data(self) -> list[bytes]:
        """The data of its events."""
        ends = [b"[DONE]"] if self.done else []
        return [*(json.dumps(it).encode() for it in self.chunks), *ends]

    @property
    def sse(self) -> bytes:
        """Its bytes."""
        return b"".join(b"data: %b\n\n" % data for data in self.data)


TWO = [call("a1", '{"what":"x"}'), call("a2")]
ARGUMENTS = ('{"wh', 'at":"x"}')
SIGNED = {"google": {"thought_signature": "EjQK+/=="}}
DETAIL = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
SEALED = {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", "index": 1}
DETAILS = [
    {**DETAIL, "text": "Let me see.", "signature": "Et8B"},
    {**SEALED, "format": "openai-responses-v1"},
]
THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm. Yes."}]}
CACHED = {"prompt_tokens_details": {"cached_tokens": 4}}
REASONED = {"completion_tokens_details": {"reasoning_tokens": 2}}

STREAMS = {
    "openai": Stream(
        [
            chunk({"role": "assistant", "content": None, "refusal": None}, logprobs=None),
            piece(0, "a1", "look", ""),
            *(piece(0, arguments=it) for it in ARGUMENTS),
            piece(1, "a2", "look", ""),
            piece(1, arguments="{}"),
            chunk({}, "tool_calls"),
            {"id": "c1", "choices": [], "usage": usage(**CACHED, **REASONED)},
        ],
        {"content": None, "tool_calls": TWO},
        usage=Usage(input=10, cached=4, output=5, reasoning=2),
    ),
    "azure": Stream(
        [
            {"id": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
            *texts("content", "", "Hel", "lo."),
            chunk({}, "stop", content_filter_results={}),
        ],
        {"content": "Hello."},
        "Hello.",
    ),
    "a refusal": Stream(
        [*texts("refusal", "I can", "not."), chunk({}, "stop")],
        {"content": "I cannot."},
        "I cannot.",
    ),
    "gemini": Stream(
        [
            chunk(
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"extra_content": SIGNED, **call("a1", '{"what":"x"}')},
                        call("a2"),
                    ],
                }
            ),
            chunk({"role": "assistant"}, "stop", usage=usage(10, 5) | {"total_tokens": 40}),
        ],
        {
            "content": None,
            "tool_calls": [call("a1", '{"what":"x"}', extra_content=SIGNED), call("a2")],
        },
        usage=Usage(input=10, output=30),
    ),
    "gemini, in pieces without indexes": Stream(
        [
            piece(None, "a1", "look", ARGUMENTS[0]),
            piece(None, None, None, ARGUMENTS[1]),
            chunk({"tool_calls": [{"extra_content": SIGNED}]}),
            piece(None, "a2", "look", "{}"),
            chunk({}, "stop"),
        ],
        {
            "content": None,
            "tool_calls": [call("a1", '{"what":"x"}', extra_content=SIGNED), call("a2")],
        },
    ),
    "gemini, a signed text": Stream(
        [
            *texts("content", "Yes", "."),
            chunk({"content": "", "extra_content": SIGNED}, "stop"),
        ],
        {"content": "Yes.", "extra_content": SIGNED},
        "Yes.",
    ),
    "deepseek": Stream(
        [
            chunk({"role": "assistant", "content": None, "reasoning_content": ""}),
            *texts("reasoning_content", "Hm", ". Yes."),
            piece(0, "a1", "look", '{"what":"x"}'),
            piece(1, "a2", "look", "{}"),
            chunk({"content": ""}, "tool_calls", usage=usage(prompt_cache_hit_tokens=3)),
        ],
        {"content": None, "reasoning_content": "Hm. Yes.", "tool_calls": TWO},
        thought="Hm. Yes.",
        usage=Usage(input=10, cached=3, output=5),
    ),
    "deepseek, without a thought": Stream(
        [
            chunk({"role": "assistant", "content": "", "reasoning_content": ""}),
            piece(0, "a1", "look", "{}"),
            chunk({}, "tool_calls"),
        ],
        {"content": None, "reasoning_content": "", "tool_calls": [call("a1")]},
    ),
    "deepseek, text without a thought": Stream(
        [chunk({"content": "So.", "reasoning_content": ""}, "stop")],
        {"content": "So.", "reasoning_content": ""},
        "So.",
    ),
    "groq": Stream(
        [
            *texts("reasoning", "Hm. ", "Yes."),
            chunk({"channel": "analysis", "executed_tools": []}),
            chunk({"tool_calls": [{"index": n, **it} for n, it in enumerate(TWO)]}),
            chunk({}, "tool_calls", x_groq={"id": "req", "usage": usage()}),
        ],
        {"content": None, "reasoning": "Hm. Yes.", "tool_calls": TWO},
        thought="Hm. Yes.",
        usage=Usage(input=10, output=5),
    ),
    "moonshot": Stream(
        [
            *texts("reasoning_content", "Hm."),
            *texts("content", "Yes."),
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {},
                        "finish_reason": "stop",
                        "usage": usage(cached_tokens=7),
                    }
                ]
            },
        ],
        {"content": "Yes.", "reasoning_content": "Hm."},
        "Yes.",
        "Hm.",
        Usage(input=10, cached=7, output=5),
    ),
    "vllm, which thinks under two names": Stream(
        [
            *(chunk({"reasoning": it, "reasoning_content": it}) for it in ("Hm. ", "Yes.")),
            *texts("content", "\n\n", "So."),
            chunk({"content": ""}, "stop", stop_reason=None),
        ],
        {"content": "\n\nSo.", "reasoning": "Hm. Yes.", "reasoning_content": "Hm. Yes."},
        "\n\nSo.",
        "Hm. Yes.",
    ),
    "mistral": Stream(
        [
            chunk({"role": "assistant", "content": ""}),
            *texts(
                "content",
                [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}],
                [{"type": "thinking", "thinking": [{"type": "text", "text": " Yes."}]}],
                [{"type": "text", "text": "So"}],
                ".",
            ),
            chunk({}, "stop", usage=usage()),
        ],
        {"content": [THINKING, {"type": "text", "text": "So."}]},
        "So.",
        "Hm. Yes.",
        Usage(input=10, output=5),
    ),
    "mistral, a thought and a call": Stream(
        [
            chunk({"content": [THINKING]}),
            chunk({"content": "", "tool_calls": [{"index": 0, **call("a1")}]}, "tool_calls"),
        ],
        {"content": [THINKING], "tool_calls": [call("a1")]},
        thought="Hm. Yes.",
    ),
    "openrouter": Stream(
        [
            *(
                chunk(
                    {"content": "", "reasoning": it, "reasoning_details": [{**DETAIL, "text": it}]}
                )
                for it in ("Let", " me see.")
            ),
            chunk({"reasoning_details": [{**DETAIL, "signature": "Et8B"}]}),
            chunk({"reasoning": None, "reasoning_details": [{**SEALED, "format": None}]}),
            chunk({"reasoning_details": [{**SEALED, "data": "", "format": "openai-responses-v1"}]}),
            chunk({"tool_calls": [{"index": 0, **call("a1")}]}, "tool_calls"),
        ],
        {
            "content": None,
            "reasoning": "Let me see.",
            "reasoning_details": DETAILS,
            "tool_calls": [call("a1")],
        },
        thought="Let me see.",
    ),
    "openrouter, details alone": Stream(
        [
            *texts("reasoning_details", [{"type": "reasoning.summary", "summary": "Hm."}]),
            chunk({"content": "So."}, "stop"),
        ],
        {
            "content": "So.",
            "reasoning_details": [{"type": "reasoning.summary", "summary": "Hm."}],
        },
        "So.",
        "Hm.",
    ),
    "litellm": Stream(
        [
            chunk(
                {
                    "reasoning_content": "Hm.",
                    "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": None}],
                    "provider_specific_fields": {"citation": None},
                }
            ),
            chunk({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "Eq"}]}),
            chunk({"content": "So."}, "stop"),
        ],
        {
            "content": "So.",
            "reasoning_content": "Hm.",
            "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "Eq"}],
            "provider_specific_fields": {"citation": None},
        },
        "So.",
        "Hm.",
    ),
    "transformers": Stream(
        [
            chunk({"role": "assistant", "content": "Hel"}),
            chunk({"content": "lo."}),
            chunk({}, "stop", usage=usage()),
        ],
        {"content": "Hello."},
        "Hello.",
        usage=Usage(input=10, output=5),
        done=False,
    ),
    "all indexes 0": Stream(
        [piece(0, "a1", "look", '{"what":"x"}'), piece(0, "a2", "look", "{}"), chunk({}, "stop")],
        {"content": None, "tool_calls": TWO},
    ),
    "no index and no id": Stream(
        [
            piece(None, None, "look", '{"what":"x"}'),
            piece(None, None, "look", "{}"),
            chunk({}, "stop"),
        ],
        {"content": None, "tool_calls": TWO},
        made_ids=True,
    ),
    "no id and all indexes 0": Stream(
        [
            *(piece(0, None, "look", ARGUMENTS[0]), piece(0, arguments=ARGUMENTS[1])),
            *(piece(0, None, "look", "{}"), chunk({}, "stop")),
        ],
        {"content": None, "tool_calls": TWO},
        made_ids=True,
    ),
    "no ids": Stream(
        [
            *(piece(0, "", "look", ARGUMENTS[0]), piece(0, "", arguments=ARGUMENTS[1])),
            *(piece(1, "", "look", "{}"), chunk({}, "tool_calls")),
        ],
        {"content": None, "tool_calls": TWO},
        made_ids=True,
    ),
    "one id for two calls": Stream(
        [
            *(piece(0, "a1", "look", '{"what":"x"}'), piece(1, "a1", "look", "{}")),
            chunk({}, "tool_calls"),
        ],
        {"content": None, "tool_calls": TWO},
        made_ids=True,
    ),
    "id and name in each piece": Stream(
        [
            *(piece(0, "a1", "look", it) for it in ARGUMENTS),
            *(piece(0, "a1", "look", ""), piece(1, "a2", "look", "{}"), chunk({}, "tool_calls")),
        ],
        {"content": None, "tool_calls": TWO},
    ),
    "another id in each piece": Stream(
        [
            *(piece(0, "a1", "look", ARGUMENTS[0]), piece(0, "b1", None, ARGUMENTS[1])),
            *(piece(1, "a2", "look", "{}"), chunk({}, "tool_calls")),
        ],
        {"content": None, "tool_calls": TWO},
    ),
    "pieces of two calls in turns": Stream(
        [
            *(piece(0, "a1", "look", ARGUMENTS[0]), piece(1, "a2", "look", "{")),
            *(piece(0, arguments=ARGUMENTS[1]), piece(1, arguments="}"), chunk({}, "tool_calls")),
        ],
        {"content": None, "tool_calls": TWO},
    ),
    "the same without indexes": Stream(
        [
            *(piece(None, "a1", "look", ARGUMENTS[0]), piece(None, "a2", "look", "{")),
            *(piece(None, "a1", None, ARGUMENTS[1]), piece(None, "a2", None, "}")),
            chunk({}, "tool_calls"),
        ],
        {"content": None, "tool_calls": TWO},
    ),
    "an id that comes late, and is a number": Stream(
        [
            *(piece(0, None, "look", "{"), piece(0, 7, None, "}"), chunk({}, "tool_calls")),
        ],
        {"content": None, "tool_calls": [call("a1")]},
        made_ids=True,
    ),
    "a call that is said again as a whole": Stream(
        [
            *(piece(0, "a1", "look", it) for it in ARGUMENTS),
            *(piece(0, "a1", "look", '{"what":"x"}'), chunk({}, "tool_calls")),
        ],
        {"content": None, "tool_calls": TWO[:1]},
    ),
    "arguments as an object": Stream(
        [
            *(piece(0, "a1", "look", {"what": "x"}), piece(1, "a2", "look", {})),
            chunk({}, "stop"),
        ],
        {"content": None, "tool_calls": TWO},
    ),
    "no arguments": Stream(
        [piece(0, "a1", "look"), chunk({}, "tool_calls")],
        {"content": None, "tool_calls": [call("a1")]},
    ),
    "unknown members of a call": Stream(
        [
            chunk(
                {"tool_calls": [{"index": 0, "thought": "s", "extra_content": 1, **call("a1", "")}]}
            ),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}", "thought": [1]}}]}),
            chunk({}, "tool_calls"),
        ],
        {
            "content": None,
            "tool_calls": [
                {
                    "thought": "s",
                    "extra_content": 1,
                    "id": "a1",
                    "type": "function",
                    "function": {"thought": [1], "name": "look", "arguments": "{}"},
                }
            ],
        },
    ),
    "several choices, nulls and unknown members": Stream(
        [
            {"ping": 1, "choices": None},
            {"choices": [None, {"index": 1, "delta": {"content": "other"}}]},
            {"choices": [{"index": 0, "delta": {"content": "So.", "audio": None, "x": {}}}]},
            {"choices": [{"index": 0, "delta": None}]},
            {"choices": [{"index": 1, "finish_reason": "length"}]},
            {"choices": [{"finish_reason": "stop", "delta": {"tool_calls": [None, 1]}}]},
        ],
        {"content": "So."},
        "So.",
    ),
}
"""The streams by their vendors, or by their faults. Where ids are made, `back` has others."""
