"""All tables of figures: for each row its words, the template of its figures, and the script.

`python -m bench NAME` prints the figures of script NAME with their names.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from string import Template

from .page import BY, TARGET, Row, Table

README, PERFORMANCE, COMPACTION = "README.md", "docs/performance.md", "docs/compaction.md"
STEPS = (10, 50, 200, 2000)

Choice = Sequence[dict[str, str]]
"""Values of `$names` in a row, one after the other."""

WIRE: Choice = ({"wire": "http", "title": "HTTP"}, {"wire": "websocket", "title": "WebSocket"})


def _each(row: Row, *choices: Choice) -> list[Row]:
    """The row once for each choice, or pair of choices."""
    found: list[Row] = []
    for chosen in product(*choices):
        names = {name: value for each in chosen for name, value in each.items()}
        words, cells, judged = (
            Template(it).substitute(names) for it in (row.words, row.cells, row.judged)
        )
        found.append(replace(row, words=words, cells=cells, judged=judged))
    return found


LOAD = Row("added to a bare kernel by `%load_ext inkernel`", "{load_ext ms:.1f} ms", "startup", 150)
STOP = Row(
    "from ■ to a free kernel: in a sample, a running step, an awaiting step, an approval; the"
    " longest of {runs:.0f}",
    "{a sample:.0f}, {a running step:.0f}, {an awaiting step:.0f}, {an approval:.0f} ms;"
    " {longest:.0f} ms",
    "interrupt",
    300,
)
STEP = Row(
    "a step that does nothing, from response to request, in a kernel with the live view, over a"
    " WebSocket; of it the bare cell",
    "{live websocket:.1f} ms; {cell:.2f} ms",
    "steps",
    3,
    judged="live websocket",
)
BETWEEN = Row(
    "the loop and the client alone, from response to request, over a WebSocket, 200 steps; the same"
    " ÷ the least client; a loop on the `openai` SDK",
    "{ours websocket 200:.2f} ms; {ratio websocket 200:.1f}; {sdk 200:.0f} ms",
    "wire",
    5,
    judged="ratio websocket 200",
)
CHECKPOINT = Row(
    "the checkpoint before a turn's first step, with 1 GB of arrays, with 1 GB in pages of 4 KiB,"
    " with 3 million small dicts",
    "{huge_pages take:.0f}, {small_pages take:.0f}, {small_objects take:.0f} ms",
    "checkpoint",
    50,
)
CELL = Row(
    "added to each of your cells, 10,000 variables live: the least and the most of four kinds;"
    " work after its answer",
    "{least:.2f}, {most:.2f}; {most later:.1f} ms",
    "cells",
    1,
    judged="most",
)
BESIDE = (
    LOAD,
    Row("imports of the first `%%agent` after it", "{first imports ms:.0f} ms", "startup", 200),
    STOP,
    CHECKPOINT,
    Row("a trial run of `pass`, nothing live", "{nothing:.0f} ms", "trial", 40),
    Row(
        "the same, 1 GB of arrays live, 8 GB",
        "{1 GB:.0f}, {8 GB:.0f} ms",
        "trial",
        60,
        judged="1 GB",
    ),
    Row(
        "{steps:.0f} ordinary steps of data work: asked about, ended otherwise than under `full`",
        "{asked:.0f} ({asked percent:.1f} %), {differ:.0f}",
        "ordinary",
        2,
        judged="asked percent",
    ),
    Row(
        "added to them by the default policy: median, longest",
        "{added:.1f}, {longest added:.0f} ms",
        "ordinary",
        5,
        judged="added",
    ),
    Row("a verdict", "{judge:.3f} ms", "checks", 0.2),
    Row(
        "reading 20 lines of code for it; of it Python's own parser",
        "{read:.2f}; {parse:.2f} ms",
        "checks",
        0.2,
        judged="read",
    ),
    Row(
        "a check of {modules:.0f} modules of ours, twice a step",
        "{own code:.2f} ms",
        "checks",
        0.15,
    ),
    Row(
        "one cell of a notebook of 2,000 cells and {lines MB:.0f} MB, in lines or in one line",
        "{lines read:.0f}, {one line read:.0f} ms",
        "notebook_file",
        100,
    ),
    STEP,
    Row("the same where nobody looks", "{headless websocket:.1f} ms", "steps", 2),
    Row("both over HTTP", "{live http:.1f}, {headless http:.1f} ms", "steps"),
    Row(
        "bytes that a view without widgets sends ÷ outputs: 20, 100, 300 steps of 2 KB; 40 figures"
        " of 68 KB",
        "{notebook 20 steps sent:.1f}, {notebook 100 steps sent:.1f},"
        " {notebook 300 steps sent:.1f}; {notebook 40 figures sent:.1f}",
        "views",
        3,
    ),
    Row(
        "the same where nobody looks: 300 steps; 40 figures",
        "{headless 300 steps sent:.1f}; {headless 40 figures sent:.1f}",
        "views",
        3,
    ),
    Row(
        "the same in the live view",
        "{jupyterlab 300 steps sent:.1f}; {jupyterlab 40 figures sent:.1f}",
        "views",
    ),
    Row("bytes a step without widgets, 300 steps ÷ 100", "{growth:.2f}", "views", 1.1),
    Row(
        "bytes of the saved cell ÷ outputs: 300 steps of 2 KB; 40 figures",
        "{notebook 300 steps saved:.2f}; {notebook 40 figures saved:.2f}",
        "views",
        1.5,
    ),
    Row("100 tool calls from code in one step", "{calls:.0f} ms", "steps", 50),
    Row(
        "added to the first turn by {servers:.0f} MCP servers with {tools:.0f} tools,"
        " which have run before; at their very first start",
        "{first:,.0f}; {never:,.0f} ms",
        "mcp",
        1000,
        judged="first",
    ),
    Row("added by them to later turns", "{later:.1f} ms", "mcp", 1),
    Row("a call of a server's tool from code", "{call:.1f} ms", "mcp", 4),
    Row("reading {pages:,.0f} pages of PDF for the first search, CPU", "{cpu s:.1f} s", "files", 5),
    Row(
        "a new look at them; a search in them, the worst",
        "{again:.0f}; {search worst:.0f} ms",
        "files",
        50,
    ),
    CELL,
    Row(
        "a new look at 10,000 variables: nothing changed, 50 changed",
        "{nothing changed:.1f}, {50 changed:.1f} ms",
        "names",
        5,
    ),
    Row("the first look at them", "{first:.0f} ms", "names"),
    Row("resuming a session of 1,000 turns, {MB:.0f} MB", "{resume:.2f} s", "resume", 1),
    Row(
        "a search in 10,000 cell runs: median, worst", "{median:.1f}, {worst:.1f} ms", "recall", 10
    ),
    Row(
        "tokens not cached ÷ the least possible, {cache turns} turns, {http asked compactions}"
        " compactions",
        "{least ratio:.2f} to {most ratio:.2f}",
        "compaction",
        1.05,
    ),
    Row(
        "a turn after {grown cells:,} cells, beside one of the first hundred turns",
        "{grown last:.1f}, {grown first:.1f} ms",
        "compaction",
    ),
)

TURNAROUND = Row(
    "turnaround ÷ floor, $title, N=$n",
    "{ours $wire $n:.2f} ms | {floor $wire $n:.2f} ms | {ratio $wire $n:.2f}",
    "wire",
    5,
)
ALONE = Row(
    "$library alone, turnaround of a small request ÷ floor, N=200",
    "{alone $wire:.2f} ms | {floor $wire 200:.2f} ms | {alone ratio $wire:.2f}",
    "wire",
)
DRIFT = Row(
    "last ÷ first tenth of turnarounds, $title, N=$n",
    "{ours drift $wire $n:.2f} | {floor drift $wire $n:.2f} | {ours drift $wire $n:.2f}",
    "wire",
    1.1,
)
BYTES = Row(
    "bytes sent ÷ floor with $words, WebSocket, N=200, 2 KB outputs",
    "{MB websocket:.2f} MB | {MB $head:.2f} MB | {ratio $head:.2f}",
    "wire",
    1.2,
)
PACKED = (
    Row(
        "the same with the least head, the WebSocket compressed",
        "{MB packed:.2f} MB | {MB least head:.2f} MB | {ratio packed:.2f}",
        "wire",
        1.2,
    ),
    Row(
        "turnaround over a WebSocket, compressed beside as it is, N=200",
        "{ms packed:.2f} ms | {ours websocket 200:.2f} ms | ",
        "wire",
    ),
)
UNCACHED = Row(
    "uncached tokens ÷ the least possible, HTTP, N=200",
    "{MB uncached:.2f} MB | {MB new:.2f} MB | {ratio uncached:.2f}",
    "wire",
    1.05,
)
STREAM = Row(
    "stream events/s ÷ floor, $words, $title",
    "{$work $wire:.0f}k/s | {typed $wire:.0f}k/s; {untyped $wire:.0f}k/s untyped"
    " | {ratio $work $wire:.2f}",
    "wire",
    0.6,
    least=True,
)
EACH = {"wire": "http each", "title": "HTTP, a chunk an event"}
MEMORY = Row(
    "peak RSS added to a bare kernel by 200 steps, $title, MB",
    "{added MB $wire:.0f} MB | imports {imports MB $wire:.0f} MB | {added MB $wire:.2f}",
    "wire",
    40,
)
LOST = Row(
    "next request after a connection lost $when, $title, s",
    "{s $how $wire:.2f} s | {asked $how $wire:.0f} asked twice, {twice $how $wire:.0f} run twice"
    " | {s $how $wire:.2f}",
    "wire",
    0.2,
)
READ: Choice = (
    {"work": "read", "words": "the client"},
    {"work": "loop", "words": "the whole loop"},
)
HEADS: Choice = (
    {"head": "same head", "words": "our instructions and tools"},
    {"head": "least head", "words": "the least head"},
)
BREAKS: Choice = (
    {"how": "drop", "when": "in mid-response"},
    {"how": "cut", "when": "after a call"},
)
BETWEEN_ROWS = (
    *_each(TURNAROUND, WIRE, [{"n": str(n)} for n in STEPS]),
    *_each(ALONE, [{**WIRE[0], "library": "httpx"}, {**WIRE[1], "library": "websockets"}]),
    *_each(DRIFT, WIRE, [{"n": "200"}, {"n": "2000"}]),
    *_each(BYTES, HEADS),
    *PACKED,
    UNCACHED,
    *_each(STREAM, WIRE[:1], READ),
    *_each(replace(STREAM, bound=0.4), WIRE[1:], READ),
    *_each(replace(STREAM, bound=None), [{**READ[0], **EACH}]),
    *_each(MEMORY, WIRE),
    *_each(LOST, WIRE, BREAKS),
)

PEERS = (
    *_each(
        Row(
            "inkernel, $title",
            "{ours $wire 10:.2f} | {ours $wire 50:.2f} | {ours $wire 200:.2f}"
            " | {MB $wire:.2f} MB | {read $wire:.0f}k/s",
            "wire",
        ),
        WIRE,
    ),
    *_each(
        Row("the same in a kernel, live view, $title", " |  | {live $wire:.2f} |  | ", "steps"),
        WIRE,
    ),
    Row(
        "`openai` SDK loop",
        "{sdk 10:.0f} | {sdk 50:.0f} | {sdk 200:.0f} | {MB sdk:.2f} MB | {sdk create:.0f}k/s",
        "wire",
    ),
    Row(
        "`openai-agents`",
        "{agents 10:.0f} | {agents 50:.0f} | {agents 200:.0f} | {MB agents:.2f} MB | ",
        "wire",
    ),
)

KINDS = (
    *("task", "rule of the person", "decision of the person", "decision of the model"),
    *(
        "value printed",
        "variable name",
        "error",
        "value deep in a long output",
        "value of a superseded run",
    ),
    *("path in a source", "open plan item", "all"),
)
NEEDLE = Row(
    "$kind",
    "{$kind number} | {$kind ours} | {$kind codex} | {$kind truncation} | {$kind back}"
    " | {$kind tokens:,.0f} | {$kind most:,}",
    "compaction",
)
MEMORY_LEFT = Row(
    "$size",
    "$notes | {memory $size $notes compactions} | {memory $size $notes binding:.2f}"
    " | {memory $size $notes binding summary:.2f} | {memory $size $notes binding truncation:.2f}"
    " | {memory $size $notes decisions ours:.2f} | {memory $size $notes facts ours:.2f}"
    " | {memory $size $notes facts summary:.2f} | {memory $size $notes facts truncation:.2f}",
    "compaction",
    1,
    least=True,
    judged="memory $size $notes binding",
)
SIZES: Choice = [{"size": size} for size in ("8k", "16k", "32k", "128k")]
FARING: Choice = [{"notes": notes} for notes in ("good", "stalled", "absent", "garbage")]
NOTES: Choice = (
    {"how": "asked", "words": "when needed"},
    {"how": "behind", "words": "in the background"},
)
CACHE = Row(
    "$wire",
    "$words | {$wire $how compactions} | {$wire $how read:,} | {$wire $how uncached:,}"
    " | {$wire $how least:,} | {$wire $how ratio:.4f}",
    "compaction",
    1.05,
)
ASKED = (
    *_each(
        Row(
            "$title",
            "{$how found:.2f} | {$how old:.2f} | {$how told:.2f} | {$how tokens:.0f}"
            " | {$how most:.0f}",
            "asked",
        ),
        [
            {"title": "a sentence", "how": "sentence"},
            {"title": "a sentence, unseen", "how": "unseen sentence"},
            {"title": "keywords", "how": "keywords"},
            {"title": "keywords, unseen", "how": "unseen keywords"},
            {"title": "its name", "how": "name"},
        ],
    ),
)
GROWTH = (
    Row("largest request, tokens", "{grown largest:,}", "compaction", 32_000),
    Row("ms of a turn, first and last tenth", "{grown first:.1f}, {grown last:.1f}", "compaction"),
    Row(
        "the same, mean, compactions included",
        "{grown first mean:.1f}, {grown last mean:.1f}",
        "compaction",
    ),
    Row("compactions", "{grown compactions}", "compaction"),
    Row("digest at the end, kB", "{grown digest kB:.1f}", "compaction"),
    Row(
        "recall by query, median and worst, ms",
        "{search median:.1f}, {search worst:.1f}",
        "compaction",
        10,
    ),
    Row("building the search index, s", "{search build s:.1f}", "compaction"),
    Row("resume, {grown record MB:.0f} MB, s", "{grown resume s:.2f}", "compaction", 1),
)

WEEK = (
    Row(
        "the least share of the task and {rules} rules in the window, after any turn",
        "{binding:.2f}",
        "week",
        1,
        least=True,
    ),
    Row("cells and steps that no run of the record has", "{missing}", "week", 0),
    Row("lines of the record that were lost", "{lines lost}", "week", 0),
    Row("largest request, tokens", "{largest:,}", "week", 16_000),
    Row("compactions", "{compactions}", "week"),
    Row("resume, {MB:.0f} MB, s", "{resume s:.2f}", "week", 1),
)

APIS: Choice = (
    {"api": "responses", "title": "Responses"},
    {"api": "messages", "title": "Messages"},
    {"api": "chat", "title": "Chat Completions"},
)
SPOKEN = Row(
    "$title",
    "{$api ms 10:.2f} | {$api ms 200:.2f} | {$api ms 2000:.2f}"
    " | {$api 1 share:.1%} | {$api 1 price:.3f} | {$api 14 share:.1%} | {$api 14 price:.3f}",
    "dialects",
)

COLUMNS = ("", "measured", TARGET, BY)
TABLES = (
    Table(README, "figures", COLUMNS, (LOAD, STOP, STEP, BETWEEN, CHECKPOINT, CELL), placed=False),
    Table(PERFORMANCE, "beside", COLUMNS, BESIDE),
    Table(
        PERFORMANCE,
        "measured",
        ("ratio", "ours", "floor, or beside it", "value", TARGET),
        BETWEEN_ROWS,
    ),
    Table(
        PERFORMANCE,
        "peers",
        ("peer", *(f"ms at N={n}" for n in STEPS[:3]), "sent, N=200", "reads a stream at"),
        PEERS,
        after="`responses.stream()` of the SDK reads {sdk helper:.0f}k/s of a stream of 10,000"
        " deltas; it copies its whole text at each of them.",
    ),
    Table(
        PERFORMANCE,
        "dialects",
        (
            *("", *(f"ms a sample, N={n}" for n in (10, 200, "2,000"))),
            *("cached, 200 steps", "price", "cached, 20 steps of 14 calls", "price"),
        ),
        (*_each(SPOKEN, APIS),),
    ),
    Table(
        COMPACTION,
        "needles",
        (
            *("planted", "number", "in the window: inkernel", "in the window: Codex's local way"),
            *("in the window: truncation", "brought back: inkernel", "tokens, median", "most"),
        ),
        (*_each(NEEDLE, [{"kind": kind} for kind in KINDS]),),
        before="{cells} cells, {told:,} tokens told, window {window:,}: {compactions} compactions,"
        " from {before:,.0f} to {after:,.0f} tokens in the median; the largest request has"
        " {largest:,}.",
        after="Questions about task, plan and decisions that the window alone answers, of {intent"
        " number}: inkernel {intent ours}, Codex's local way {intent codex}, truncation {intent"
        " truncation}. Tokens of the window at the end: inkernel {tokens ours:,}, Codex's local way"
        " {tokens codex:,}, truncation {tokens truncation:,}.\n\n"
        "Of {value of a superseded run number} values that a later run of the cell replaced, the"
        " window presents as current: inkernel {value of a superseded run current ours}, Codex's"
        " local way {value of a superseded run current codex}, truncation"
        " {value of a superseded run current truncation}.",
    ),
    Table(
        COMPACTION,
        "asked",
        ("asked by", "found", "in the oldest quarter", "told", "tokens, median", "most"),
        ASKED,
        before="{facts} facts in {sessions} sessions of {cells} cells:",
    ),
    Table(
        COMPACTION,
        "memory",
        (
            *("window", "notes", "compactions", "task and rules: inkernel", "one summary"),
            *("truncation", "decisions: inkernel", "all facts: inkernel", "one summary"),
            *("truncation", TARGET),
        ),
        (*_each(MEMORY_LEFT, SIZES, FARING),),
        before="Shares of the task with ten rules, of 12 decisions, and of all {memory facts}"
        " facts:",
    ),
    Table(
        COMPACTION,
        "growth",
        ("", "measured", TARGET),
        GROWTH,
        before="{grown cells:,} cells in {grown turns:,} turns, {grown names:,} live names:",
    ),
    Table(
        COMPACTION,
        "week",
        ("", "measured", TARGET),
        WEEK,
        before="{cells:,} cells in {turns} turns, {kills} kills and {restarts} restarts:",
    ),
    Table(
        COMPACTION,
        "cache",
        ("transport", "notes", "compactions", "read", "uncached", "least", "ratio", TARGET),
        (*_each(CACHE, WIRE, NOTES),),
        before="{cache turns} turns:",
    ),
)

CURVES = {
    "inkernel, HTTP": "ours http",
    "inkernel, WebSocket": "ours websocket",
    "floor, HTTP": "floor http",
    "floor, WebSocket": "floor websocket",
    "openai SDK loop": "sdk",
    "openai-agents": "agents",
}
"""The curves of the picture: turnarounds of the wire, by their names before the steps."""
