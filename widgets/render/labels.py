"""The words in which views describe a turn, a step or a figure. Knows no markup."""

import json
import time
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, assert_never, cast

from ...agent.printable import hidden_parts, visible
from ...agent.protocol.actions import Verdict
from ...agent.protocol.trials import Deed
from ...agent.text.lines import count_of
from ..state.blocks import (
    AnswerBlock,
    AnswerSource,
    CompactionBlock,
    HostedBlock,
    Note,
    ReasoningBlock,
    StepBlock,
)
from ..state.fold import TurnState

GLYPHS = {
    "writing": "✎",
    "ready": "○",
    "asking": "?",
    "running": "●",
    "ok": "✓",
    "error": "✗",
    "denied": "⊘",
    "interrupted": "■",
}
"""One sign for each status of a step."""

_MOST_WITHIN = 12
"""Deeds of a trial run within the walls that are listed. All others always are."""

_STATUS = {
    "writing": "being written",
    "ready": "waiting",
    "asking": "waiting for your answer",
    "running": "running",
    "ok": "",
    "error": "failed",
    "denied": "denied",
    "interrupted": "interrupted",
}


_OF_SERVER = "mcp__"
"""Before the name of a server in the name of its tool, with `__` between both."""

UNENDED = "A turn of the agent. Its end is not kept here."
"""In place of a live view where nothing shows it, as in a file that was saved while it ran."""


def seconds_text(seconds: float) -> str:
    """`20 ms`, `0.8 s`, `48 s`, `3 min 20 s`."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def header_text(state: TurnState) -> str:
    """The model's name, and whether a script plays it."""
    if state.started is None:
        return "agent"
    if state.started.scripted:
        return f"{state.started.model} · scripted model: its words come from a script file"
    return f"{state.started.model} · {state.started.provider}"


def footer_text(state: TurnState, timing: bool) -> str:
    """The turn's status, on one line."""
    return " · ".join(footer_parts(state, timing))


def footer_parts(state: TurnState, timing: bool) -> list[str]:
    """The status, the time once the turn has ended, steps and samples, tokens, cost."""
    ended = state.ended
    parts = [ended.status if ended else doing(state)]
    if ended and timing:
        parts.append(seconds_text(ended.seconds))
    parts.append(counts_text(state))
    usage = ended.usage if ended else state.usage
    if usage.input or usage.output:
        cached = f" ({usage.cached:,} cached)" if usage.cached else ""
        guessed = f" ({usage.estimated:,} of them estimated)" if usage.estimated else ""
        parts.append(f"{usage.input:,} tokens in{cached}, {usage.output:,} out{guessed}")
    if ended and ended.cost is not None:
        parts.append(cost_text(ended.cost))
    return parts


def began_text(state: TurnState, began: float | None) -> str:
    """The header, and when the turn began, if it is given: seconds since the epoch."""
    if began is None:
        return header_text(state)
    return f"{header_text(state)} · {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(began))}"


def seen_text(state: TurnState, timing: bool, now: float) -> str:
    """The turn's status on one line, in words that stay true if its end is never shown."""
    if state.ended:
        return footer_text(state, timing)
    when = f"as of {time.strftime('%H:%M:%S', time.localtime(now))}" if timing else "last seen"
    return f"{when}: {footer_text(state, timing)}"


def counts_text(state: TurnState) -> str:
    """`2 steps, 3 samples`."""
    steps = sum(isinstance(block, StepBlock) for block in state.blocks)
    samples = max(state.samples, state.ended.samples if state.ended else 0)
    return f"{count_of(steps, 'step')}, {count_of(samples, 'sample')}"


def cost_text(dollars: float) -> str:
    """`$1.25`, `$0.00`, `$0.0031`, `under $0.0001`."""
    if 0 < dollars < 0.0001:
        return "under $0.0001"
    return f"${dollars:.2f}" if dollars >= 1 or not dollars else f"${dollars:.4f}"


def doing(state: TurnState) -> str:
    """The present activity of a turn that has not ended."""
    for status in ("asking", "running"):
        if any(isinstance(block, StepBlock) and block.status == status for block in state.blocks):
            return _STATUS[status]
    match state.blocks[-1] if state.blocks else None:
        case StepBlock(status="writing"):
            return "writing a step"
        case ReasoningBlock(done=False):
            return "thinking"
        case AnswerBlock(done=False):
            return "answering"
        case HostedBlock(status="running") as block:
            return block.title.lower()
        case Note(kind="retry", wait=int() | float()):
            return "waiting to try again"
        case CompactionBlock(status="running"):
            return "making room"
        case _:
            return "waiting for the model"


def title_text(step: StepBlock) -> str:
    """The step's title: the one that its call gives, or the tool's name."""
    title = step.named.get("title")
    if isinstance(title, str) and title.strip():
        return " ".join(title.split())
    return _tool_words(step.tool) or "step"


def _tool_words(name: str) -> str:
    """A tool's name in words, behind the name of its server."""
    server, _, tool = name.removeprefix(_OF_SERVER).rpartition("__")
    named = f"{server}: {tool}" if server and name.startswith(_OF_SERVER) else name
    return named.replace("_", " ")


def arguments_text(step: StepBlock) -> str:
    """The arguments of a tool that runs no code, on one line."""
    objects = _objects(step)
    left = ("title", "code", *objects)
    named: Mapping[str, Any] = {k: v for k, v in step.named.items() if k not in left}
    if not named and not objects and step.code is None and step.status != "writing":
        return clip(step.arguments.replace("{}", ""), 120)
    return clip(", ".join(f"{name}={_value(value)}" for name, value in named.items()), 120)


def objects_text(step: StepBlock) -> str:
    """Arguments that are lists of objects, such as edits. Their texts are not clipped."""
    items = [item for value in _objects(step).values() for item in value]
    return "\n".join(_object_text(n, item) for n, item in enumerate(items, 1))


def _objects(step: StepBlock) -> dict[str, list[Mapping[str, Any]]]:
    """Arguments that are lists of objects. While they are written, a list may hold other values."""
    lists = {k: cast("list[Any]", v) for k, v in step.named.items() if isinstance(v, list) and v}
    return {k: v for k, v in lists.items() if all(isinstance(item, dict) for item in v)}


def _object_text(number: int, item: Mapping[str, Any]) -> str:
    """The short values on one line. Below it comes each long text and each source."""
    named = {name: str(value) for name, value in item.items() if value not in ("", None)}
    long = {k: v for k, v in named.items() if "\n" in v or len(v) > 40 or k in ("source", "old")}
    head = f"{number}. {' · '.join(value for name, value in named.items() if name not in long)}"
    texts = (
        _indented(text) if len(long) == 1 else f"{name}:\n{_indented(text)}"
        for name, text in long.items()
    )
    return "\n".join([head, *texts])


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))


def status_text(step: StepBlock, timing: bool) -> str:
    """Its number, status unless ok, tools called, question or verdict, and seconds."""
    verdict = step.verdict
    parts = ["" if step.count is None else f"In [{step.count}]", _STATUS[step.status]]
    parts += [f"{_tool_words(name)} × {count:,}" for name, count in step.called]
    if step.status == "asking" and step.asked:
        parts.append(step.asked)
    if verdict and verdict.decision == "deny":
        parts.append(verdict.reason)
    elif verdict and verdict.decision == "try":
        parts.append("trial")
    elif verdict and verdict.by == "user":
        parts.append(_allowed_text(step, verdict))
    if timing and step.ran and step.seconds is not None:
        parts.append(seconds_text(step.seconds))
    return " · ".join(part for part in parts if part)


def literal_text(step: StepBlock) -> str:
    """The call word for word while you are asked, and later where it hides something: whole, with
    all that it hides."""
    text = step.code or "" if step.edited else step.literal or step.code or ""
    shown = step.status == "asking" or (step.asked and hidden_parts(text))
    return visible(text) if shown else ""


def trial_text(step: StepBlock) -> str:
    """The evidence of a trial run, until the step runs live."""
    trial, verdict = step.tried, step.verdict
    if trial is None or step.ran or (verdict and verdict.decision == "allow"):
        return ""
    if verdict and verdict.decision == "try":
        return "This ran as a trial, in a copy of the kernel. Nothing of it is left."
    if trial.status == "none":
        return visible(f"A trial run was not possible: {trial.why}.")
    ends = {"cut": " It was ended at its time limit.", "killed": f" It was killed: {trial.why}."}
    more = len(trial.deeds) - _MOST_WITHIN
    lines = [
        f"This was tried in a copy of your kernel.{ends.get(trial.status, '')}",
        *_listed("The walls refused:", trial.denied),
        *_listed("Within the walls it did:", trial.deeds[:_MOST_WITHIN]),
        *([f"  … {more} more within the walls"] if more > 0 else []),
        *([f"It failed: {trial.error}"] if trial.error and not trial.denied else []),
    ]
    return visible("\n".join(lines))


def deeds_text(step: StepBlock) -> str:
    """All that a yes would allow beyond the walls, unless the trial run has shown it."""
    if step.status != "asking" and (step.ran or step.status != "denied"):
        return ""
    shown = step.tried.denied if step.tried else ()
    head = "The running code waits before this:" if step.ran else "Beyond the walls, it would:"
    return visible("\n".join(_listed(head, [it for it in step.deeds if it not in shown])))


def evidence_text(step: StepBlock) -> str:
    """The evidence for a question."""
    return "\n".join(filter(None, (trial_text(step), deeds_text(step))))


def deed_text(deed: Deed) -> str:
    """A deed on one line: code chooses the names in it."""
    target = deed.target.replace("\n", "⏎")
    return f"{deed.kind} {target}" + (f" ({deed.call})" if deed.call else "")


def _listed(head: str, deeds: Sequence[Deed]) -> list[str]:
    """A line for each thing, with all ways to it."""
    found: dict[tuple[str, str], Deed] = {}
    for it in deeds:
        key = it.kind, it.target or it.call
        known = found.get(key)
        found[key] = replace(it, call=f"{known.call}, {it.call}") if known else it
    return [head, *(f"  {deed_text(it)}" for it in found.values())] if found else []


def _allowed_text(step: StepBlock, verdict: Verdict) -> str:
    word = "changed and allowed by you" if step.edited else "allowed by you"
    deeds = ", ".join(f"{it.kind} {it.target}" for it in verdict.deeds)
    return clip(f"{word}: {deeds}", 120) if deeds else word


def told_text(step: StepBlock) -> str:
    """The tool's text for the model, unless the user has seen it as outputs of code already."""
    seen = step.code is not None or (step.count is not None and step.outputs)
    return "" if step.ran and seen else step.told.strip("\n")


def hosted_text(block: HostedBlock) -> str:
    """The progress of a call at the server. Empty when it went well."""
    return block.at.replace("_", " ") or _STATUS[block.status]


def source_text(source: AnswerSource) -> str:
    """A source on one line."""
    words = (source.title, source.url) if source.url != source.title else (source.title,)
    return " · ".join(" ".join(word.split()) for word in words if word)


REFUSED = "⊘ The model refused:"


def reasoning_title(block: ReasoningBlock) -> str:
    """`Thought` or `Thinking`, with the last heading of the summary if there is one."""
    lines = [line.strip() for part in block.parts for line in part.splitlines()]
    headings = [s.strip("*") for s in lines if len(s) > 4 and s[:2] == s[-2:] == "**"]
    word = "Thought" if block.done else "Thinking"
    return f"{word} · {clip(headings[-1], 80)}" if headings else word


def note_text(note: Note, timing: bool) -> str:
    """The note with its sign. A retry that still waits has its wait in seconds."""
    first, rest = note_parts(note)
    wait = f" in {seconds_text(note.wait)}" if timing and note.wait is not None else ""
    return first + wait + rest


def note_parts(note: Note) -> tuple[str, str]:
    """The text before the wait, and the text after it."""
    if note.kind != "retry":
        return f"• {note.text}", ""
    verb = "Tried" if note.wait is None else "Trying"
    return f"↻ {verb} again", f" ({note.attempt}): {note.text}"


def room_text(room: CompactionBlock, timing: bool) -> str:
    """The state of a compaction, with a sign, on one line."""
    seconds = seconds_text(room.seconds) if timing and room.seconds is not None else ""
    match room.status:
        case "running":
            return " · ".join(filter(None, (f"{GLYPHS['running']} {_making_text(room)}", seconds)))
        case "ok":
            return f"• {_made_text(room, seconds)}"
        case "interrupted":
            return f"{GLYPHS['interrupted']} Making room was interrupted."
        case _:
            assert_never(room.status)


def _making_text(room: CompactionBlock) -> str:
    if room.overflow:
        return "The server found the request too long; making room …"
    if room.window is None:
        return f"Making room: {room.tokens:,} tokens are in the window …"
    return f"Making room: {room.tokens:,} of {room.window:,} tokens are in the window …"


def _made_text(room: CompactionBlock, seconds: str) -> str:
    """It mentions the digest and its notes only when the window became shorter."""
    if room.after >= room.tokens:
        return "Nothing could be left out."
    took = f" in {seconds}" if seconds else ""
    dropped = " ".join(room.dropped.split())
    what = f" ({dropped})" if dropped not in ("", "nothing") else ""
    made = f"Made room{took}: {room.tokens:,} → {room.after:,} tokens{what}."
    lack = " The model gave no notes. The digest has the rest."
    return made + ("" if room.noted else lack)


def figure_text(mime: str, payload: str) -> str:
    """`figure 640×480`, or `figure` when the header gives no size."""
    try:
        header = b64decode(payload[:32]) if mime == "image/png" else b""
    except ValueError:
        return "figure"
    if header[12:16] != b"IHDR" or len(header) < 24:
        return "figure"
    width, height = (int.from_bytes(header[at : at + 4], "big") for at in (16, 20))
    return f"figure {width}×{height}"


def left_out_text(count: int, noun: str) -> str:
    """The line that says how much is not shown."""
    return f"… {count_of(count, noun)} left out …"


def clip(text: str, width: int) -> str:
    """`text` on one line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: max(0, width - 1)] + "…"


def _value(value: object) -> str:
    """Texts, and lists of texts, are shown without quotes."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):  # pyright: ignore[reportUnknownVariableType]
        return "[" + ", ".join(value) + "]"  # pyright: ignore[reportUnknownArgumentType]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
