"""SQL within code: whether it computes, and the files and addresses that it names. Pure."""

import re

from ...frozen import frozen

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
    )
)
"""Words of statements that reach past the tables of a connection."""
_PRAGMAS = frozenset(("table_info", "index_list", "foreign_keys", "index_info", "database_list"))
_PATH = re.compile(r"[/\\~]|\.(csv|tsv|parquet|json|jsonl|ndjson|db|sqlite|arrow|xlsx)\b", re.I)


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
    quoted = tuple(it for pair in _QUOTED.findall(text) for it in pair if _PATH.search(it))
    words = {it.lower() for it in _WORDS.findall(text)}
    outside = words & _OUTSIDE - ({"set"} if "update" in words else set())
    unknown_pragma = "pragma" in words and not words & _PRAGMAS
    return SqlReading(looks_like_sql(text) and not outside and not unknown_pragma, quoted)
