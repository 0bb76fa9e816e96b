"""The text for the model about live variables: new, rebound, changed or gone. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..conversation.state import ToldName, name_digest
from ..protocol.observed import Variable
from ..text.blocks import block
from ..text.tokens import estimate


def tell_names(
    told: Mapping[str, ToldName],
    now: Mapping[str, Variable],
    budget: int,
    mentioned: frozenset[str],
    new_kernel: Sequence[str] = (),
) -> str:
    """The difference in at most about `budget` tokens, or "" when there is none.

    Variables that do not fit are counted. Those `mentioned` come first, then the latest.
    `new_kernel`: lines on a kernel that is new.
    """
    new = [seen for name, seen in now.items() if name not in told]
    other = [seen for name, seen in now.items() if name in told and not _same(told[name], seen)]
    gone = [name for name in told if name not in now]
    if not (new or other or gone or new_kernel):
        return ""
    chosen = set(_fitting([*other, *new], mentioned, budget))
    lines = [*new_kernel]
    changed = [seen for seen in other if _in_place(told[seen.name], seen)]
    in_place = {seen.name for seen in changed}
    rebound = [seen for seen in other if seen.name not in in_place]
    for title, group in (("new", new), ("rebound", rebound), ("changed in place", changed)):
        shown = [f"  {seen.line}" for seen in group if seen.name in chosen]
        left = len(group) - len(shown)
        if group:
            more = f" ({left:,} more: inspect shows any)" if left else ""
            lines += [f"{title}:{more}", *shown]
    if gone:
        lines.append(f"gone: {_cut_list(gone)}")
    return block("names", "\n".join(lines))


def _fitting(names: Sequence[Variable], mentioned: frozenset[str], budget: int) -> Iterator[str]:
    latest = sorted(reversed(names), key=lambda seen: seen.name not in mentioned)
    for seen in latest:
        budget -= estimate(seen.line) + 1
        if budget < 0:
            return
        yield seen.name


def _cut_list(names: Iterable[str], most: int = 50) -> str:
    listed = list(names)
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _in_place(told: ToldName, now: Variable) -> bool:
    if isinstance(told, str) or ":" not in now.evidence:
        return False
    return told.evidence.partition(":")[0] == now.evidence.partition(":")[0]


def _same(told: ToldName, now: Variable) -> bool:
    return told is now or (told == name_digest(now) if isinstance(told, str) else told == now)
