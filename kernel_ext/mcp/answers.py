"""Answers what a server asks during a call of a turn. Knows no server that runs."""

from ...agent.frozen import frozen
from ...agent.session import Session
from ...agent.tools.mcp.calls import Answered, ServerQuestion
from ...agent.tools.tool import ToolCall
from ..approval.approvals import Approvals
from ..approval.elicitation import elicited
from .sampling import sampled


@frozen
class ServerAnswers:
    """The answers of one turn. `asked`: puts questions to its person."""

    asked: Approvals
    session: Session

    async def answer(self, call: ToolCall, question: ServerQuestion) -> Answered:
        """The answer. Raises TurnInterrupted if the person stops the turn."""
        if question.kind == "sampling":
            return await sampled(self.session, call, question)
        with self.asked.stopping():
            return elicited(question.server, question.params, self.asked.put)
