"""Text as a screen may show it: without characters that act on a terminal, or with all that it
hides made visible. Knows no view and no failure."""

import re
import unicodedata

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC: titles, links, anything
    r"|[ -/]*[0-~])?"  # short sequences, or a lone ESC
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_DECEIVING = re.compile(r"[\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

MOST_BLANKS = 24
"""Blanks within a line that are shown as they are."""
MOST_INDENT = 60
"""Blanks at the start of a line that are shown as they are."""
MOST_EMPTY_LINES = 3
"""Empty lines in a row that are shown as they are."""

_EMPTY_LINES = re.compile(rf"\n(?:[ \t]*\n){{{MOST_EMPTY_LINES + 1},}}")
_BLANKS = re.compile(rf"(?<![ \t\n])[ \t]{{{MOST_BLANKS + 1},}}|^[ \t]{{{MOST_INDENT + 1},}}", re.M)
_WORD = re.compile(r"\w*[^\W\x00-\x7f]\w*")
_NO_SIGN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
_BLANK_SIGNS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
"""Signs without a mark, though Unicode counts them as letters, marks or symbols."""
_CONTROLS = {"\x1b": "ESCAPE", "\r": "CARRIAGE RETURN", "\b": "BACKSPACE", "\x00": "NULL"}
_LOOK_LATIN = frozenset("аВеЕіІјЈкКМНоОрРсСТуУхХѕЅһԁԛԝАοΟρνΑΒΕΖΗΙΚΜΝΡΤΥΧіΙɑɡıｌӀӏүҮѵԌԍ")
"""Letters of other scripts that look like Latin ones."""
_ODD_LATIN = re.compile(
    "[\u01c0-\u01c3\u0250-\u02af\u1d00-\u1dbf\u2c60-\u2c7f\ua720-\ua7ff\uab30-\uab6f]"
)
"""Letters of phonetics and of old prints, which no language of today writes in names."""
_TOLD_APART = frozenset(
    (
        *("LATIN", "GREEK", "CYRILLIC", "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "ARABIC"),
        *(
            "HEBREW",
            "DEVANAGARI",
            "BENGALI",
            "GUJARATI",
            "GURMUKHI",
            "TAMIL",
            "TELUGU",
            "KANNADA",
            "THAI",
        ),
    )
)
"""Scripts whose letters differ from Latin ones, or have those that do not in the list above."""
_LATIN_SHAPED = frozenset(("LISU", "COPTIC", "CHEROKEE", "LYCIAN", "CARIAN", "OLD", "DESERET"))
"""Scripts that can spell whole Latin words."""


def printable(text: str) -> str:
    """`text` without escape sequences and control characters, except tabs and line ends. Direction
    overrides and lone surrogates become �."""
    return _DECEIVING.sub("\ufffd", _UNSEEN.sub("", _ESCAPES.sub("", text)))


def visible(text: str) -> str:
    """`text` with a name in place of each character without a sign, and a count in place of long
    runs of blanks and empty lines. A letter that looks like another has its name behind it."""
    text = _WORD.sub(lambda word: _named(word[0]), text)
    text = "".join(f"⟨{_name(it)}⟩" if _is_hidden(it) else it for it in text)
    text = _EMPTY_LINES.sub(lambda run: f"\n⟨{run[0].count(chr(10)) - 1} empty lines⟩\n", text)
    return _BLANKS.sub(lambda run: f"⟨{len(run[0])} blanks⟩", text)


def hidden_parts(text: str) -> str:
    """The number of such places in a text, by kind, in words. Empty if there are none."""
    alike = sum(1 for word in _WORD.findall(text) for it in word if _is_alike(word, it))
    hidden = sum(map(_is_hidden, text))
    empty = sum(run.count("\n") - 1 for run in _EMPTY_LINES.findall(text))
    blanks = sum(map(len, _BLANKS.findall(text)))
    counts = (
        (hidden, "character without a sign", "characters without a sign"),
        (alike, "letter that looks like another", "letters that look like others"),
        (blanks, "blank in a long run", "blanks in long runs"),
        (empty, "empty line in a row", "empty lines in a row"),
    )
    return ", ".join(f"{n} {one if n == 1 else more}" for n, one, more in counts if n)


def _named(word: str) -> str:
    return "".join(f"{it}⟨{_name(it)}⟩" if _is_alike(word, it) else it for it in word)


def _is_alike(word: str, letter: str) -> bool:
    """Whether a letter of a word may be taken for another. Python reads it as another one, or its
    neighbours are of another script, or all of the word looks like Latin."""
    if letter.isascii() or _is_hidden(letter):
        return False
    if not unicodedata.is_normalized("NFKC", letter):
        return True
    if _ODD_LATIN.match(letter):
        return True
    mixed = len({_script(it) for it in word if it.isalpha()}) > 1
    if letter in _LOOK_LATIN:
        return mixed or _LOOK_LATIN.issuperset(filter(str.isalpha, word))
    script = _script(letter)
    return script in _LATIN_SHAPED or (mixed and letter.isalpha() and script not in _TOLD_APART)


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


def _is_hidden(char: str) -> bool:
    if char in "\n\t" or " " <= char <= "~":
        return False
    kind = unicodedata.category(char)
    return (
        kind in _NO_SIGN
        or kind == "Zs"
        or char in _BLANK_SIGNS
        or "\ufe00" <= char <= "\ufe0f"
        or "\U000e0100" <= char <= "\U000e01ef"
    )


def _name(char: str) -> str:
    return unicodedata.name(char, "") or _CONTROLS.get(char) or f"U+{ord(char):04X}"
