"""SQL within code: whether it computes, and the files and addresses that it names. Pure."""

import re

from ...frozen import frozen
from .literals import UNKNOWN

_QUOTED = re.compile(r"'([^']*)'" + r'|"([^"]*)"')
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_WORDS = re.compile(r"[A-Za-z_]\w*")
_AT_BEGINNING = frozenset(
    (
        *("select", "with", "insert", "update", "delete", "create", "drop", "alter", "replace"),
        *("begin", "commit", "rollback", "explain", "describe", "summarize", "show", "from"),
        *("values", "pivot", "unpivot", "analyze", "truncate", "merge", "pragma", "savepoint"),
    )
)
_OUTSIDE = frozenset(
    (
        *(
            "copy",
            "export",
            "attach",
            "detach",
            "install",
            "load",
            "vacuum",
            "into_file",
            "outfile",
        ),
        *("load_extension", "readfile", "writefile", "read_text", "read_blob", "getenv", "secret"),
        *("glob", "call", "import", "set", "persistent", "httpfs", "postgres_scan", "sqlite_scan"),
        *("getvariable", "query", "query_table", "prepare", "use"),
    )
)
"""Words of statements that reach past the tables of a connection."""
_PRAGMAS = frozenset(("table_info", "index_list", "foreign_keys", "index_info", "database_list"))
_DATA = re.compile(r"\.(csv|tsv|txt|parquet|json|jsonl|ndjson|db|sqlite|arrow|xlsx)\b", re.I)
_PATH = re.compile(r"[/\\~]|" + _DATA.pattern, re.I)
_OTHER_QUOTES = re.compile(r"\$\w*\$|\b[a-z]'", re.I)
"""Beginnings of texts in which a quote means no end, or a letter is written by its number."""
_READS_FILE = re.compile(r"\b(?:read_\w+|\w+_scan|sniff_csv|parquet_\w+)\s*\(", re.I)
_WORD_FOR_WORD = re.compile(r"\s*(?:'[^']*'|\[\s*'[^']*'(?:\s*,\s*'[^']*')*\s*\])\s*[,)]")
_SETS_COLUMNS = ("update", "insert", "merge", "with")


@frozen
class SqlReading:
    """`plain`: it reads and changes tables, and no more. `files`: what it quotes that is a path."""

    plain: bool
    files: tuple[str, ...] = ()


def looks_like_sql(text: str) -> bool:
    """Whether a text begins as a statement does."""
    word = _WORDS.search(_COMMENTS.sub(" ", text))
    return word is not None and word.group().lower() in _AT_BEGINNING | _OUTSIDE


def read_sql(text: str) -> SqlReading:
    """Read statements. Files that it names are read: those that write need a word like COPY.

    Words in comments and quotes count, since a quote within a comment may hide where both end.
    """
    found = _QUOTED.findall(text)
    quoted = tuple(it for pair in found for it in pair if _PATH.search(it))
    words = {it.lower() for it in _WORDS.findall(text)}
    outside = words & _OUTSIDE - ({"set"} if _is_one_change(text) else set())
    unknown_pragma = "pragma" in words and not words & _PRAGMAS
    made = UNKNOWN in text or _OTHER_QUOTES.search(text) is not None
    files = all(_WORD_FOR_WORD.match(text, it.end()) for it in _READS_FILE.finditer(text))
    plain = looks_like_sql(text) and not (outside or unknown_pragma or made) and files
    return SqlReading(plain, quoted)


def is_data(path: str) -> bool:
    """Whether a text names a file as databases read them."""
    return _DATA.search(path) is not None


def _is_one_change(text: str) -> bool:
    """Whether it is one statement, in which `set` changes columns."""
    alone = ";" not in text.strip().removesuffix(";") and not re.search(r"--|/\*", text)
    return alone and text.lstrip().lower().startswith(_SETS_COLUMNS)
