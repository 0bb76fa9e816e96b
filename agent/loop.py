"""One turn, from the prompt to the answer. This is the loop, and there is no second one.

Knows no transport, no shell and no screen. It calls the session's seams and yields events.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from .compaction.compact import make_room, overflowed
from .compaction.note_taking import look_ahead, stop_notes
from .dialects.dialect import Counted, ResponseDone, SamplePart
from .dialects.request import Request, fixed_tokens
from .dispatch.calls import Calls, budget_of
from .dispatch.heard import LEAST_COUNTED, Heard
from .dispatch.spending import Spending
from .errors import (
    AgentError,
    AnswerRefusedError,
    ContextLengthError,
    ModelError,
    ProtocolError,
    RecordError,
    RequestRefusedError,
    ServerFaultError,
    StreamBrokenError,
    TurnInterrupted,
    TurnLimited,
)
from .protocol.events import (
    AnswerWithdrawn,
    Compacted,
    Event,
    ItemDone,
    Notice,
    Retrying,
    SampleEnded,
    SampleStarted,
    TurnEnded,
    TurnStarted,
    Usage,
)
from .protocol.items import TOOL_SEARCH, FunctionCall, Item, Message, OtherCall, Reasoning
from .protocol.record_lines import EndedLine, SampleLine
from .providers.pricing import cost_of
from .session import Prompt, Session
from .text.lines import count_of
from .transport import retry

_ENDS_A_STREAM = (StreamBrokenError, ServerFaultError, ProtocolError)
"""These may come in place of the end of a response, when its last item is whole."""


@dataclass(slots=True)
class _Tally:
    """The sums of a turn so far."""

    started: float = field(default_factory=time.monotonic)
    samples: int = 0
    usage: Usage = field(default_factory=Usage)
    answer: str = ""
    answered: bool = False
    """True if the last part of the present response is a whole message that may be the answer."""
    said: bool = False
    """True if the present response has an item that is not reasoning."""
    fields: bytes = b""
    """The fixed part of the requests."""
    more: bool = False
    """True if the model is to be asked again, although it called nothing of ours."""
    spending: Spending = field(default_factory=Spending)
    unrecorded: RecordError | None = None
    """The error of a line that is missing in the record, where another error was on its way."""


async def turn(session: Session, said: Prompt) -> AsyncGenerator[Event]:
    """Run one turn. The last event is always `TurnEnded`.

    After it, raises the AgentError that ended the turn early, or CancelledError when the task was
    cancelled. However the turn ends, every call in the history has an output.
    """
    tally = _Tally()
    error: AgentError | asyncio.CancelledError | None = None
    try:
        notices = session.begin(said)
        target = session.target
        yield TurnStarted(
            session=session.id,
            turn=session.conversation.turns,
            model=target.model,
            provider=target.provider,
            scripted=target.scripted,
        )
        for text in notices:
            yield Notice(text=text)
        async with aclosing(_samples(session, tally)) as events:
            async for event in events:
                yield event
    except (AgentError, asyncio.CancelledError) as caught:
        error = caught
    except BaseException:  # a bug, or the host has left
        stop_notes(session.conversation)
        with suppress(RecordError):
            session.journal.close_open_calls()
        raise
    if isinstance(error, TurnInterrupted | asyncio.CancelledError):
        stop_notes(session.conversation)
    error = error or tally.unrecorded
    try:
        session.journal.close_open_calls()
        ended = _ended(session, tally, error)
        session.journal.write(EndedLine(**_told(ended)))
        session.journal.record.sync()
    except RecordError as caught:
        tally.unrecorded, error = caught, error or caught
        ended = _ended(session, tally, error)
    if tally.unrecorded not in (None, error):
        yield Notice(text=f"{tally.unrecorded}")
    yield ended
    if error is not None:
        raise error


async def _samples(session: Session, tally: _Tally) -> AsyncGenerator[Event]:
    """Sample and answer calls until a response has none."""
    tally.fields, asked_again = session.fields(), False
    while tally.samples < session.settings.max_samples:
        if tally.samples:
            session.refresh()
        tally.spending.usage = tally.usage
        for notice in tally.spending.check(session):
            yield notice
        steps_left = tally.spending.steps_left(session)
        calls = Calls(session, budget_of(session.settings, steps_left))
        async with aclosing(make_room(session, tally.fields)) as events:
            async for event in events:
                yield _tallied(event, tally)
        try:
            async with aclosing(_accepted(session, calls, tally)) as events:
                async for event in events:
                    yield event
            async with aclosing(calls.answer()) as events:
                async for event in events:
                    yield event
        finally:
            calls.cancel()
            tally.spending.count(calls)
            tally.usage += calls.budget.usage
        tally.spending.check_failures(calls)
        if calls.calls or (tally.more and tally.said):
            continue
        if tally.said or asked_again:
            if not tally.said:
                yield Notice(text="The model ended the turn without an answer.")
            look_ahead(session, tally.fields)
            return
        asked_again = True
        yield Notice(text="The model answered nothing. It is asked once more.")
    raise TurnLimited(
        f"The turn stopped after {count_of(tally.samples, 'sample')}, its limit.",
        "Say `go on` in a new %%agent cell, or raise it: `%agent config max_samples NUMBER`.",
    )


async def _accepted(session: Session, calls: Calls, tally: _Tally) -> AsyncGenerator[Event]:
    """One sample, if need be without tools of others that the server does not take."""
    while True:
        try:
            async with aclosing(_sample(session, calls, tally)) as events:
                async for event in events:
                    yield event
            return
        except RequestRefusedError as error:
            names = session.leave_out(error.message) if type(error) is RequestRefusedError else ()
            if not names:
                raise
            words = ["tools that are searched for" if it == TOOL_SEARCH else it for it in names]
            told = f"{', '.join(words)}: for code alone in this session. {error.message}"
            tally.samples, tally.fields = tally.samples - 1, session.fields()
            yield Notice(text=told)


async def _sample(session: Session, calls: Calls, tally: _Tally) -> AsyncGenerator[Event]:
    """One sample. It is tried again while that may help and the model has made no call yet."""
    tally.samples += 1
    attempt, compacted = 0, False
    while True:
        attempt += 1
        history = session.conversation.history
        request, kept = Request.of(tally.fields, history.wire), len(history.entries)
        try:
            async with aclosing(_attempt(session, request, calls, tally)) as events:
                async for event in events:
                    yield event
            return
        except ContextLengthError as error:
            if compacted or calls.calls:
                raise
            compacted, attempt = True, attempt - 1
            async with aclosing(overflowed(session, tally.fields, error)) as events:
                async for event in events:
                    yield _tallied(event, tally)
        except ModelError as error:
            if whole := _whole_part(error, calls, tally):
                yield Notice(text=f"{error.message} {whole}")
                return
            attempts = retry.attempts_at(error, session.settings.max_attempts)
            wait = retry.wait_before(error, attempt, attempts, random.random())
            new = [entry.item for entry in history.entries[kept:]]
            if not calls.calls and _is_spoiled(new, error, again=wait is not None):
                session.journal.withdraw(kept)
                tally.answer = ""
                yield AnswerWithdrawn()
            if wait is None:
                raise
            yield Retrying(attempt=attempt + 1, attempts=attempts, wait=wait, cause=error.message)
            await asyncio.sleep(wait)


def _whole_part(error: ModelError, calls: Calls, tally: _Tally) -> str:
    """A sentence on what is whole of a response that failed, if the turn can go on from that."""
    if calls.calls and error.retryable:
        return "The calls before that were whole."
    whole = tally.answered and isinstance(error, _ENDS_A_STREAM)
    return "The answer was whole." if whole else ""


def _is_spoiled(new: Sequence[Item], error: ModelError, *, again: bool) -> bool:
    """True if the items of a failed answer must go: it is refused, or asked for `again`.

    Another try says it all once more. Work that the server did is kept.
    """
    said = all(isinstance(it, Message | Reasoning) for it in new)
    return said and (isinstance(error, AnswerRefusedError) or (again and bool(new)))


async def _attempt(
    session: Session, request: Request, calls: Calls, tally: _Tally
) -> AsyncGenerator[Event]:
    started = time.monotonic()
    pending: list[Item] = []
    tally.answered = tally.said = tally.more = False
    yield SampleStarted(sample=tally.samples, size=request.size)
    async with aclosing(_heard(session, request, tally)) as parts:
        async for part in parts:
            tally.answered = isinstance(part, Message) and part.may_be_the_answer
            match part:
                case Reasoning():  # kept with the item after it, because a server refuses it alone
                    pending.append(part)
                case Item():
                    tally.said = tally.said or not (isinstance(part, Message) and part.is_blank)
                    done = (*pending, part)
                    pending.clear()
                    for item in done:  # commit all before a host may leave
                        session.journal.commit(item)
                    for item in done:
                        yield ItemDone(item=item)
                    for event in await _taken(part, calls, tally):
                        yield event
                case ResponseDone():
                    tally.more = part.more
                    _count(session, tally, part.usage, request)
                    seconds = time.monotonic() - started
                    yield SampleEnded(sample=tally.samples, usage=part.usage, seconds=seconds)
                case _:
                    yield part


async def _heard(
    session: Session, request: Request, tally: _Tally
) -> AsyncGenerator[SamplePart | Notice]:
    """The parts of an answer. The tokens of one that breaks off count, too."""
    heard, held = Heard(), session.conversation.history.tokens
    try:
        async with aclosing(session.seams.sample(request)) as parts:
            async for part in parts:
                heard.take(part)
                if not isinstance(part, Counted):
                    yield part
    finally:
        asked = 0 if heard.ended else fixed_tokens(request.fields) + held
        if lost := heard.of_broken(asked):
            tally.usage += lost
            try:
                session.journal.write(SampleLine(sample=tally.samples, usage=asdict(lost)))
            except RecordError as caught:
                tally.unrecorded = caught


async def _taken(item: Item, calls: Calls, tally: _Tally) -> list[Event]:
    if isinstance(item, Message):
        tally.answer = item.text
    if isinstance(item, FunctionCall | OtherCall):
        return [it async for it in calls.add(item)]
    return []


def _tallied(event: Event, tally: _Tally) -> Event:
    """Adds the tokens of notes to those of the turn."""
    if isinstance(event, Compacted):
        tally.usage += event.usage
    return event


def _told(ended: TurnEnded) -> dict[str, Any]:
    """The values for its line in the record, where `kind` says that it is the end."""
    values: dict[str, Any] = asdict(ended)
    del values["event"]
    return values


def _count(session: Session, tally: _Tally, usage: Usage | None, request: Request) -> None:
    if usage is None:
        return
    tally.usage += usage
    counted = fixed_tokens(request.fields) + session.conversation.history.tokens
    if usage.input + usage.output < counted * LEAST_COUNTED:
        counted = 0  # the server counts only a part, or nothing
    line = SampleLine(sample=tally.samples, usage=asdict(usage), counted=counted)
    session.journal.write(line)


def _ended(
    session: Session, tally: _Tally, error: AgentError | asyncio.CancelledError | None
) -> TurnEnded:
    match error:
        case None:
            status = "completed"
        case TurnLimited():
            status = "limited"
        case TurnInterrupted() | asyncio.CancelledError():
            status = "interrupted"
        case _:
            status = "failed"
    told = error if isinstance(error, AgentError) else None
    cancelled = f"{error}" or "The turn was cancelled."
    paid = tally.usage != Usage()
    cost = cost_of(tally.usage, session.settings, session.target) if paid else None
    return TurnEnded(
        status=status,
        answer=tally.answer,
        usage=tally.usage,
        cost=cost,
        seconds=time.monotonic() - tally.started,
        samples=tally.samples,
        steps=tally.spending.steps,
        sent=tally.spending.sent,
        error=told.message if told else cancelled if error else None,
        hint=told.hint if told else None,
    )
