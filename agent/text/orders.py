"""How far a text orders something: for good, for now, or not at all. Knows words, no grammar.

It only says which words of a person are the last to be left out. So a wrong guess loses nothing.
"""

import re
from collections.abc import Iterator
from typing import Literal

Order = Literal[0, 1, 2]
"""2: a rule, a decision or the task. 1: any other order or limit. 0: neither."""

_RULES = frozenset(
    """
    never always must mustn't shall forbidden prohibited mandatory henceforth rule rules decision
    decisions decided remember important
    nie niemals immer stets muss musst müssen darf dürfen verboten regel regeln entscheidung
    entschieden wichtig
    jamais toujours doit doivent interdit désormais dorénavant obligatoire règle décision décidé
    nunca siempre jamás debe debes deben prohibido regla decisión decidido obligatorio
    sempre deve devem proibido decisão vietato decisione
    никогда всегда нельзя обязательно запрещено решение
    """.split()  # noqa: SIM905
)
_RULE_PHRASES = (
    *("under no circumstances", "in no case", "at all times", "no matter", "not allowed"),
    *("may not", "is required", "are required", "off limits", "from now on", "from here on"),
    *("don't forget", "do not forget", "whatever happens", "task:", "goal:", "aim:", "objective:"),
    *("auf keinen fall", "unter keinen umständen", "von nun an", "ab jetzt", "ab sofort"),
    *("aufgabe:", "ziel:", "il faut", "objectif", "tarea:", "objetivo:"),
)
_RULE_SIGNS = (
    *("绝不", "绝对", "必须", "禁止", "永远", "总是", "一律", "不得", "不许", "不准"),
    *("決して", "必ず", "常に", "絶対", "必須", "반드시", "절대", "항상", "금지"),
)
_ORDERS = frozenset(
    """
    not no don't doesn't isn't aren't can't cannot won't shouldn't only without except instead
    rather unless should ought prefer avoid ignore exclude skip all every each any both
    nicht kein keine keinen keiner nur ohne statt außer sollte sollten alle allen jede jeden jeder
    jedes
    pas sans seulement sauf tous toutes chaque évite évitez
    sin solo sólo salvo todos todas cada evita não sem apenas non senza
    не без только все
    """.split()  # noqa: SIM905
)
_ORDER_SIGNS = (
    *("不要", "别", "只", "所有", "每"),
    *("ないで", "だけ", "しない", "すべて", "하지 마", "모든"),
)

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_BEGINS = re.compile(
    r"(?:please,? |and |then |so )?"
    r"(?:use|keep|ask|assume|treat|take|leave|stick|round|stop|wait|put|write|save|call|name)\b"
)
_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\s*\n\s*")


def order(sentence: str) -> Order:
    """How far it orders something."""
    lowered = sentence.lower().replace("’", "'")
    words = frozenset(_WORD.findall(lowered))
    if _has(lowered, words, _RULES, _RULE_SIGNS) or any(it in lowered for it in _RULE_PHRASES):
        return 2
    told = _has(lowered, words, _ORDERS, _ORDER_SIGNS) or _BEGINS.match(lowered)
    return 1 if told else 0


def _has(text: str, words: frozenset[str], known: frozenset[str], signs: tuple[str, ...]) -> bool:
    """True if the text has one of the known words, or a sign of a script without spaces."""
    return not words.isdisjoint(known) or (
        not text.isascii() and any(sign in text for sign in signs)
    )


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, in order. A line's end ends one, too."""
    return filter(None, map(str.strip, _END.split(text)))
