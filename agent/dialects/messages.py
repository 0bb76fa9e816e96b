"""The Anthropic Messages API as a dialect: items become blocks of messages. Does no I/O.

Read in 2026-11 under platform.claude.com/docs/en: api/messages, build-with-claude/prompt-caching,
build-with-claude/preserved-thinking, agents-and-tools/tool-use/handle-tool-calls.
"""

from collections.abc import Mapping
from typing import Any, cast

from ..config.settings import Settings
from ..protocol.items import NATIVE
from ..protocol.verbatim_json import dumps
from ..providers.resolve import Target
from .blocks.answer import AFTER, MESSAGES
from .blocks.content import (
    answer_text,
    blocks_of,
    call_block,
    is_wire_id,
    text_block,
    tools_of,
    wire_id,
)
from .blocks.exchange import Exchange
from .blocks.model_rules import rules_of
from .blocks.transcript import digest_of, grown_digest
from .dialect import Translation
from .messages_stream import MessagesReader, whole_message
from .native import native_of
from .request import HeldPrefix, Request

_MARKS: Mapping[str, dict[str, str]] = {
    "5m": {"type": "ephemeral"},
    "1h": {"type": "ephemeral", "ttl": "1h"},
}

_SMALL = 128_000
"""Tokens. A smaller window is no window of a present Claude model."""


class Messages(Translation):
    """Requests as `POST /messages` wants them, and the answers to them.

    Three of the four marks that the cache allows are used: after the instructions, where the last
    request ended, and at the end. A mark finds an entry at most 20 blocks before it, and a step may
    have more. So the second is put where an entry certainly is.
    """

    path = "/messages"

    def __init__(self, target: Target, settings: Settings) -> None:
        super().__init__()
        self._target = target
        self._rules = rules_of(target.model)
        self._omitted = {*target.traits.omits, *settings.omit}
        self._mark = None if "cache_control" in self._omitted else _MARKS[settings.cache_ttl]
        self._seed = self._asked = self._budget = b""
        self.clear()

    def clear(self) -> None:
        """Forget all items, because the window was rewritten."""
        self._exchange = Exchange(self._seed)
        self._marked = self._ended = -1
        self._ids: set[str] = set()
        self._alike: dict[str, int] = {}

    def body(self, request: Request, held: HeldPrefix | None = None) -> bytes:
        """The JSON object to send for a stream, always with all items."""
        head = self.head(request)
        self.grow(request)
        said, tail = self._exchange.said, self._exchange.tail()
        if self._exchange.goes_on_without_a_thought:  # an older model may not, if it is to think
            head = head.replace(self._budget, b"", 1)
        self._asked = said.digest
        for role, block in tail:
            self._asked = grown_digest(self._asked, role, block)
        if said.end != self._ended:  # another try has the marks of the first
            self._marked, self._ended = self._ended, said.end
        places = (self._marked, said.end) if self._mark else ()
        return said.body(head, tail, places, b',"cache_control":' + dumps(self._mark))

    def reader(self) -> MessagesReader:
        """A reader for the answer to the next request."""
        target = self._target
        return MessagesReader(target.server, target.model, target.hide, lambda: self._asked)

    def events_of(self, body: bytes) -> list[bytes] | None:
        """The events of a message that came whole. None if the body is no message."""
        return whole_message(body)

    def translated(self, fields: dict[str, Any]) -> bytes:
        """The fixed fields as members of this API, without braces."""
        system, tools = fields.get("instructions"), tools_of(fields)
        seed = digest_of(dumps([tools.get("tools"), system]))
        if seed != self._seed:  # thoughts hold only after the same tools and instructions
            self._seed, self._done = seed, 0
            self.clear()
        most = fields.get("max_output_tokens") or self._most_output()
        made = {"model": fields["model"], "max_tokens": most}
        if (reasoning := fields.get("reasoning")) is not None:
            made |= self._rules.fields(reasoning, most)
        budget = made.get("thinking") if self._rules.thinks == "enabled" else None
        self._budget = b'"thinking":%b,' % dumps(budget) if budget else b""
        made |= {"stream": True, **tools}
        if system:
            marked = {"cache_control": self._mark} if self._mark else {}
            made["system"] = [{**text_block(system), **marked}]
        return dumps({name: made[name] for name in made if name not in self._omitted})[1:-1]

    def add(self, item: dict[str, Any], text: str) -> None:
        """Translate the next item. The words of a server of this API go back as they came."""
        if (raw := native_of(item, text, MESSAGES)) is not None and self._own(item, raw.encode()):
            return
        exchange = self._exchange
        match item:
            case {"type": "message", "role": "assistant"}:
                if (said := answer_text(item.get("content"))).strip():
                    exchange.model(dumps(text_block(said)))
            case {"type": "message"}:
                for block in blocks_of(item.get("content"), self._target.traits.images):
                    exchange.person(dumps(block))
            case {"type": "function_call", "call_id": str(call_id)}:
                id_ = self._new_id(call_id)
                block = call_block(id_, item.get("name"), item.get("arguments"))
                exchange.call(block, call_id, id_)
            case {"type": "function_call_output", "call_id": str(call_id)}:
                output = item.get("output")
                blocks = list(blocks_of(output, self._target.traits.images))
                exchange.result(call_id, output if isinstance(output, str) else blocks)
            case _:
                pass  # only its own provider can read it

    def _own(self, item: dict[str, Any], raw: bytes) -> bool:
        """Add a block that a server of this API made. False if it must be made anew."""
        kept, exchange = cast("dict[str, Any]", item[NATIVE])[MESSAGES], self._exchange
        if not isinstance(kept, dict):
            return False
        block = cast("dict[str, Any]", kept)
        answer = str(item.get("id") or "").rpartition("_")[0]
        match block.get("type"):
            case "thinking" | "redacted_thinking":
                exchange.think(raw, answer, str(item.get(AFTER)) if self._rules.binds else None)
            case "text":
                if str(block.get("text") or "").strip():
                    exchange.model(raw, answer)
            case "tool_use":
                id_ = str(block.get("id"))
                if not is_wire_id(block.get("id")) or id_ in self._ids:
                    return False
                self._ids.add(id_)
                exchange.call(raw, str(item.get("call_id")), id_, answer)
            case "tool_result":
                pass  # only we may send it
            case _:
                if self._is_paired(block):
                    exchange.servers(raw, answer)
        return True

    def _is_paired(self, block: Mapping[str, Any]) -> bool:
        """False if a block of the server's is the result of a call that is gone."""
        if isinstance(id_ := block.get("id"), str):
            self._ids.add(id_)
        of = block.get("tool_use_id")
        return not isinstance(of, str) or of in self._ids

    def _new_id(self, call_id: str) -> str:
        """An id for a call that another server made. Some give the same one to many calls."""
        made = plain = wire_id(call_id)
        while made in self._ids:
            self._alike[plain] = self._alike.get(plain, 1) + 1
            made = f"{plain}_{self._alike[plain]}"
        self._ids.add(made)
        return made

    def _most_output(self) -> int:
        """Most tokens of an answer. Of a small window it takes a quarter."""
        most, window = self._rules.most_output, self._target.window
        return min(most, max(1, window // 4)) if window and window < _SMALL else most
