"""How long a text is for a model, and how to cut its middle. Knows no tokenizer and no network."""

import re

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-Z\\-_]")


def estimate(text: str | bytes) -> int:
    """About how many tokens `text` has: four bytes each, two for digits.

    Four bytes a token alone would count tables of numbers, which notebooks are full of, at half of
    their tokens.
    """
    data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    others = len(data.translate(None, b"0123456789"))
    return others // 4 + (len(data) - others) // 2 + 1


def cut_middle(text: str, limit: int) -> str:
    """`text` when it has at most about `limit` tokens; else its head and tail, and what is missing.

    The cut falls on line ends where that leaves out little.
    """
    if estimate(text) <= limit:
        return text
    half = (limit - 1) // 2
    head = _start(text, half)
    tail = _start(text[: -4 * half - 1 : -1], half)[::-1]
    line_end, line_start = head.rfind("\n") + 1, tail.find("\n") + 1
    if line_end > len(head) // 2:
        head = head[:line_end]
    if line_start <= len(tail) // 2:
        tail = tail[line_start:]
    missing = text[len(head) : len(text) - len(tail)]
    what = f"{missing.count(chr(10))} lines, about {estimate(missing)} tokens"
    return f"{head}\n[… {what} left out …]\n{tail}"


def _start(text: str, limit: int) -> str:
    """As much of the start of `text` as has at most `limit` tokens."""
    text = text[: 4 * limit]
    while text and (tokens := estimate(text)) > limit:
        text = text[: len(text) * limit // tokens]
    return text


def without_ansi(text: str) -> str:
    """`text` without terminal colours and cursor movements."""
    return _ANSI.sub("", text)
