"""From the chunks of a streamed completion to deltas, items and its end. Does no I/O.

The items come at the end, because only the end says whether they are whole. Servers differ in how
they send reasoning, calls, usage and the end, and all of that is read. A chunk that is broken
breaks the stream, because no later one repeats what it said.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, cast

from ..errors import (
    ModelError,
    ProtocolError,
)
from ..protocol.events import CallDelta, ReasoningDelta, TextDelta, Usage
from ..protocol.failures import Hide, error_in_stream
from ..protocol.verbatim_json import in_whole_pairs, loads
from .chat_answer import ChatAnswer, ChatPiece
from .dialect import Delta, ResponseDone, SamplePart
from .received import (
    as_count,
    as_dict,
    as_list,
    broken_event,
    cut_off,
    filtered,
    json_of,
    no_event,
    usage_of,
)

_CUT = ("length", "max_tokens", "model_length")
_FILTERED = ("content_filter", "safety")
_FAILED = ("error", "abort", "insufficient_system_resource", "function_call_filter")
"""Beginnings of reasons why an answer stopped before its end. Gemini has `content_filter: X`.

`abort` is of vLLM (vllm-project/vllm#57082), `insufficient_system_resource` of DeepSeek. Gemini has
`function_call_filter: MALFORMED_FUNCTION_CALL` when the model wrote a call that nobody can read.
"""


class ChatReader:
    """Reads the chunks of one completion and gives its parts.

    `finished`: the response is complete. `over`: it is finished, or the server said that no more
    comes. `whole`: the parts that were given are all that the server holds. `hide`: takes secrets
    out of a server's words.
    """

    def __init__(self, server: str, model: str, hide: Hide = str) -> None:
        self._server = server
        self._model = model
        self._hide = hide
        self.finished = False
        self.over = False
        self.whole = True
        self._answer = ChatAnswer()
        self._begun = self._of_api = self._chosen = False
        self._reason = ""
        self._usage = dict[str, Any]()

    @property
    def settled(self) -> bool:
        """True if the model has ended its answer. Its counts may follow, and the end."""
        return bool(self._reason)

    @property
    def usage(self) -> Usage | None:
        """The tokens that the server has counted so far."""
        return _usage(self._usage)

    def read_all(self, events: Iterable[bytes]) -> Iterator[SamplePart]:
        """The parts in events that came together. Neighbouring deltas of a kind become one.

        It reads nothing after the end. It raises the ModelError of a failed, incomplete or
        unreadable response, after it gave all earlier parts.
        """
        pieces: list[ChatPiece] = []
        failure: ModelError | None = None
        try:
            for data in filter(None, events):  # one without data only keeps the connection open
                if self.over or data.strip() == b"[DONE]":
                    self.over = True
                    break
                pieces += self._read(self._object(data))
        except ModelError as error:
            failure = error
        for (kind, call_id), alike in groupby(pieces, _whose):
            yield _delta(kind, call_id, list(alike))
        if failure:
            raise failure
        if self.over and not self.finished:
            yield from self._ended()

    def closed(self) -> Iterator[SamplePart]:
        """The parts that are complete because the server closed the stream. Raises as above.

        Some servers close it without a last event (transformers 5.24).
        """
        if self._reason and not self.over:
            self.over = True
            yield from self._ended()
        self._check()

    def _read(self, chunk: dict[str, Any]) -> Iterator[ChatPiece]:
        self._begun = True
        error = chunk.get("error") or (chunk if chunk.get("object") == "error" else None)
        if error:
            raise error_in_stream(error, self._server, self._model, self._hide)
        self._of_api = self._of_api or "choices" in chunk
        choices = map(as_dict, as_list(chunk.get("choices")))
        choice = next((it for it in choices if it and _is_ours(it)), as_dict(None))
        for of in (choice, as_dict(chunk.get("x_groq")), chunk):
            self._usage = as_dict(of.get("usage")) or self._usage
        if not choice:
            return
        self._chosen = True
        reason = choice.get("finish_reason")
        self._reason = reason if reason and isinstance(reason, str) else self._reason
        delta = choice.get("delta")
        if not delta and self._answer.is_empty:  # a completion that came whole
            delta = choice.get("message")
        yield from self._answer.take(as_dict(delta))

    def _ended(self) -> Iterator[SamplePart]:
        """The items of the answer and its end, or the error that its reason to stop is."""
        self._check()
        if not self._chosen:
            return
        reason = self._reason.lower()
        if reason.startswith(_FAILED):
            raise error_in_stream({"message": self._reason}, self._server, self._model, self._hide)
        if reason.startswith(_FILTERED):
            raise filtered(self._server, self._reason)
        cut = reason.startswith(_CUT)
        yield from self._answer.items(cut=cut, torn=not reason)
        if cut:
            raise cut_off(self._server, self._reason)
        self.finished = True
        yield ResponseDone(self.usage)

    def _check(self) -> None:
        """Raises ProtocolError if something came, and no chunk of this API among it."""
        if self._begun and not self._of_api:
            raise ProtocolError(
                f"{self._server} sent a stream without choices.",
                "That is not a Chat Completions stream. Check base_url and dialect.",
            )

    def _object(self, data: bytes) -> dict[str, Any]:
        """The chunk as a dict. A byte that is no UTF-8 is replaced, and a NaN, too."""
        try:
            chunk, data = json_of(data)
        except ValueError:
            raise self._unreadable(data) from None
        if b"NaN" in data or b"Infinity" in data:  # perhaps as a number, which is no JSON
            chunk = json.loads(in_whole_pairs(data), parse_constant=lambda _: None)
        if isinstance(chunk, list):  # Google's way to tell an error
            chunk = next(iter(cast("list[object]", chunk)), None)
        if not isinstance(chunk, dict):
            raise self._unreadable(data)
        return cast("dict[str, Any]", chunk)

    def _unreadable(self, data: bytes) -> ModelError:
        if self._begun:
            return broken_event(self._server)
        return no_event(self._server, data, "Chat Completions", self._hide)


def events_of_completion(body: bytes) -> list[bytes] | None:
    """The events of a completion that came whole. None if it is none."""
    try:
        completion = loads(body)
    except ValueError:
        return None
    return [body, b"[DONE]"] if as_list(as_dict(completion).get("choices")) else None


def _is_ours(choice: dict[str, Any]) -> bool:
    """True if it is the first choice. We ask for one."""
    return choice.get("index") in (0, None)


def _whose(piece: ChatPiece) -> tuple[str, str]:
    return piece.kind, piece.call.call_id if piece.call else ""


def _delta(kind: str, call_id: str, pieces: list[ChatPiece]) -> Delta:
    text = "".join(piece.text for piece in pieces)
    if kind == "text":
        return TextDelta(text=text)
    if kind == "thought":
        return ReasoningDelta(text=text)
    call = pieces[0].call
    return CallDelta(call_id=call_id, name=call.name if call else "", text=text)


def _usage(usage: dict[str, Any]) -> Usage | None:
    """The tokens that the server counted. The total has thoughts that Gemini counts nowhere else.

    The prompt cache is counted by OpenAI in details, by DeepSeek and Moonshot beside.
    """
    if not usage:
        return None
    asked, told = (as_dict(usage.get(f"{it}_tokens_details")) for it in ("prompt", "completion"))
    prompt, output = as_count(usage.get("prompt_tokens")), as_count(usage.get("completion_tokens"))
    counts = [asked.get("cached_tokens"), usage.get("prompt_cache_hit_tokens")]
    cached = max(map(as_count, [*counts, usage.get("cached_tokens")]))
    return usage_of(
        {
            "input": prompt,
            "cached": cached,
            "written": asked.get("cache_write_tokens"),
            "output": max(output, as_count(usage.get("total_tokens")) - prompt),
            "reasoning": told.get("reasoning_tokens"),
        }
    )
