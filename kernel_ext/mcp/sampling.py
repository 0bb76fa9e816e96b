"""A server asks the model during a call: judged like any call, then one small request of its own.

The request has no tools and nothing of the conversation. Shapes: MCP's `sampling/createMessage`.
"""

import secrets
from contextlib import aclosing
from dataclasses import asdict, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ...agent.context.instructions import aside_fields
from ...agent.dialects.dialect import Counted, ResponseDone
from ...agent.dialects.request import Request
from ...agent.dispatch.gate import GatedCall, JudgedCall, tool_ended
from ...agent.errors import ModelError
from ...agent.printable import printable
from ...agent.protocol.actions import Touches
from ...agent.protocol.events import Usage
from ...agent.protocol.items import Message, message, text_part
from ...agent.protocol.record_lines import AsideLine
from ...agent.session import Session
from ...agent.tools.mcp.calls import Answered, ServerQuestion
from ...agent.tools.schema import FieldsOf
from ...agent.tools.tool import Tool, ToolCall, ToolOutput, text_output
from ..approval.wording import SAMPLING

MAX_SAMPLED_TOKENS = 1_024
_REFUSED: Answered = {"action": "decline"}


class SampleMessage(BaseModel):
    """One message of the server's conversation. Only its texts count."""

    role: str = "user"
    content: dict[str, Any] | list[dict[str, Any]] = Field({})

    @property
    def text(self) -> str:
        """Its texts. A picture or a sound is named."""
        parts = self.content if isinstance(self.content, list) else [self.content]
        texts = (it.get("text", f"[{it.get('type')}, not sent]") for it in parts)
        return "\n".join(map(str, texts))


class SamplingRequest(BaseModel):
    """The question of a server."""

    model_config = ConfigDict(populate_by_name=True)

    says: str = Field("", alias="systemPrompt")
    messages: tuple[SampleMessage, ...] = ()
    tokens: int = Field(MAX_SAMPLED_TOKENS, alias="maxTokens")


async def sampled(session: Session, call: ToolCall, question: ServerQuestion) -> Answered:
    """The model's answer, or that it was refused. Raises TurnInterrupted.

    The tokens count to the turn of the call.
    """
    asked = SamplingRequest.model_validate(question.params)
    mine = replace(call, id=f"{call.id}.{secrets.token_hex(3)}")
    gated = GatedCall(session, mine, _tool(session, question.server), asked, only_looks=False)
    output = text_output("Not run.", "denied")
    async for it in gated.admit():
        if isinstance(it, JudgedCall):
            output = await it.run()
        else:
            call.show(it)
    call.show(tool_ended(mine.id, output))
    if output.status != "ok":
        return _REFUSED
    return {
        "role": "assistant",
        "content": {"type": "text", "text": output.text},
        "model": session.target.model,
        "stopReason": "endTurn",
    }


def _tool(session: Session, server: str) -> Tool[SamplingRequest]:
    async def run(call: ToolCall, asked: SamplingRequest) -> ToolOutput:
        try:
            text, usage = await _ask(session, asked)
        except ModelError as error:
            return text_output(error.message, "error")
        call.budget.usage += usage
        line = AsideLine(server=server, usage=asdict(usage), answer=text)
        session.journal.write(line)
        return text_output(text)

    def touches(asked: SamplingRequest) -> Touches:
        texts = [asked.says, *(f"{it.role}: {it.text}" for it in asked.messages)]
        literal = printable("\n".join(filter(None, texts)))
        return Touches(effects=frozenset(("server",)), literal=literal)

    name = f"{SAMPLING}{server}"
    return Tool(name, "A question of a server.", FieldsOf(SamplingRequest), run, touches)


async def _ask(session: Session, asked: SamplingRequest) -> tuple[str, Usage]:
    """The model's text and the tokens. Raises ModelError."""
    target, settings = session.target, session.settings
    mask = session.journal.record.mask.text
    tokens = max(1, min(asked.tokens, MAX_SAMPLED_TOKENS))
    items = b",".join(
        message("assistant" if it.role == "assistant" else "user", text_part(mask(it.text))).wire
        for it in asked.messages
    )
    request = Request.of(aside_fields(target, settings, mask(asked.says), tokens), bytearray(items))
    text, usage = "", Usage()
    async with aclosing((session.seams.aside or session.seams.sample)(request)) as parts:
        async for part in parts:
            if isinstance(part, Message):
                text = part.text
            elif isinstance(part, ResponseDone | Counted) and part.usage:
                usage = part.usage
    return text, usage
