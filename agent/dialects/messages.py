"""The Anthropic Messages API as a dialect: items become blocks of messages. Does no I/O.

Read in 2026-11 under platform.claude.com/docs/en: api/messages, build-with-claude/prompt-caching,
build-with-claude/preserved-thinking, agents-and-tools/tool-use/handle-tool-calls.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from ..config.settings import Settings
from ..protocol.items import NATIVE
from ..protocol.verbatim_json import dumps
from ..providers.resolve import Target
from .blocks.answer import AFTER, MESSAGES
from .blocks.claude_models import rules_of
from .blocks.content import (
    answer_text,
    blocks_of,
    call_block,
    is_wire_id,
    result_block,
    text_block,
    tools_of,
    wire_id,
)
from .blocks.transcript import Said, Transcript, digest_of, said_after
from .dialect import Translation
from .messages_stream import MessagesReader, whole_message
from .native import native_of
from .request import HeldPrefix, Request

_GO_ON = text_block("Go on.")
_BEGINNING = text_block("The conversation goes on from here.")
_LOST = "This output is missing. The call may have had effects."
_ALONE = "An output whose call is no longer here:"

_MARKS: Mapping[str, dict[str, str]] = {
    "5m": {"type": "ephemeral"},
    "1h": {"type": "ephemeral", "ttl": "1h"},
}


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
        self._said = Transcript(self._seed)
        self._marked = -1
        self._open: list[tuple[str, str]] = []
        self._later: list[bytes] = []
        self._ids: set[str] = set()
        self._alike: dict[str, int] = {}
        self._answer: str = ""
        self._paused = False
        self._thought: bool | None = None

    def body(self, request: Request, held: HeldPrefix | None = None) -> bytes:
        """The JSON object to send for a stream, always with all items."""
        head = self.head(request)
        self.grow(request)
        said, tail = self._said, list(self._missing())
        if not tail and not self._paused and said.role != "user":
            tail = [("user", dumps(_GO_ON if said.role else _BEGINNING))]
        elif self._thought is False:
            head = head.replace(self._budget, b"", 1)
        self._asked = said.digest
        for role, block in tail:
            self._asked = said_after(self._asked, role, block)
        places = (self._marked, said.end) if self._mark else ()
        self._marked = said.end
        mark = b',"cache_control":' + dumps(self._mark)
        return said.body(head, tail, places, mark)

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
        """Translate the next item. What this API's server said goes back as it was said."""
        if (raw := native_of(item, text, MESSAGES)) is not None and self._own(item, raw.encode()):
            return
        match item:
            case {"type": "message", "role": "assistant"}:
                if (said := answer_text(item.get("content"))).strip():
                    self._assistant(dumps(text_block(said)))
            case {"type": "message"}:
                for block in blocks_of(item.get("content")):
                    self._user(dumps(block))
            case {"type": "function_call", "call_id": str(call_id)}:
                id_ = self._new_id(call_id)
                self._assistant(call_block(id_, item.get("name"), item.get("arguments")))
                self._open.append((call_id, id_))
            case {"type": "function_call_output", "call_id": str(call_id)}:
                self._result(call_id, item.get("output"))
            case _:
                pass  # only its own provider can read it

    def _own(self, item: dict[str, Any], raw: bytes) -> bool:
        """Add a block that a server of this API made. False if it must be made anew."""
        block = cast("dict[str, Any]", item[NATIVE])[MESSAGES]
        if not isinstance(block, dict):
            return False
        block = cast("dict[str, Any]", block)
        answer: str = str(item.get("id") or "").rpartition("_")[0]
        match block.get("type"):
            case "thinking" | "redacted_thinking":
                self._begin_answer(answer)
                if not self._rules.binds or self._holds(item, raw):
                    self._said.think(raw)
                    self._thought = self._thought is not False
            case "text":
                if str(block.get("text") or "").strip():
                    self._assistant(raw, answer)
            case "tool_use":
                id_ = str(block.get("id"))
                if not is_wire_id(block.get("id")) or id_ in self._ids:
                    return False
                self._ids.add(id_)
                self._assistant(raw, answer)
                self._open.append((str(item.get("call_id")), id_))
            case "tool_result":
                pass  # only we may send it
            case _:
                self._servers(block, raw, answer)
        return True

    def _servers(self, block: Mapping[str, Any], raw: bytes, answer: str) -> None:
        """Add a block of a kind that is not ours, unless it is the result of a call that is gone.

        The model may go on right after it: so it does when the server has paused a turn.
        """
        if isinstance(id_ := block.get("id"), str):
            self._ids.add(id_)
        elif isinstance(of := block.get("tool_use_id"), str) and of not in self._ids:
            return
        self._begin_answer(answer)
        self._said.add("assistant", raw, markable=False)
        self._paused, self._thought = True, bool(self._thought)

    def _holds(self, item: dict[str, Any], raw: bytes) -> bool:
        """True if nothing has changed before this thought, nor in it. Else it is refused."""
        return item.get(AFTER) == self._said.digest_with(raw).hex()

    def _assistant(self, block: bytes, answer: str = "") -> None:
        """Add a block of the model. `answer`: the id of the message that it is of, if known."""
        self._begin_answer(answer)
        self._said.add("assistant", block)
        self._thought = bool(self._thought)

    def _begin_answer(self, answer: str) -> None:
        """Make room for a block of the model: calls have outputs, and a person speaks first."""
        said = self._said
        other = bool(answer and self._answer and answer != self._answer)
        goes_on = bool(answer) and answer == self._answer
        if self._open and (said.role == "user" or other or (self._later and not goes_on)):
            self._end_results()
        if other:
            said.forget_thoughts()
        if said.role == "":
            said.add("user", dumps(_BEGINNING))
        elif said.role == "assistant" and other and not self._paused:
            said.add("user", dumps(_GO_ON))
        self._answer, self._paused = answer, False

    def _user(self, block: bytes) -> None:
        """Add a block of the person. It waits until every call has an output."""
        if self._open:
            self._later.append(block)
        else:
            self._said.add("user", block)
            self._thought = None

    def _result(self, call_id: str, output: object) -> None:
        found = next((call for call in self._open if call[0] == call_id), None)
        if found is None:
            for block in (text_block(_ALONE), *blocks_of(output)):
                self._user(dumps(block))
            return
        self._open.remove(found)
        self._said.add("user", dumps(result_block(found[1], output)))
        if not self._open:
            self._end_results()

    def _end_results(self) -> None:
        """Give every open call an output. Then add what was said in the meantime."""
        for role, block in self._missing():
            self._said.add(role, block)
        self._thought = None if self._later else self._thought
        self._open.clear()
        self._later.clear()

    def _missing(self) -> Iterator[Said]:
        """Outputs for the open calls, and then what was said in the meantime."""
        for _, id_ in self._open:
            yield "user", dumps(result_block(id_, _LOST))
        for block in self._later:
            yield "user", block

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
        window = self._target.window
        return min(self._rules.most_output, window // 4) if window else self._rules.most_output
