"""A tool is found among two hundred in other words than its name."""

import builtins
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkernel.agent.tools.mcp.find import MAX_TOLD_CHARS, ToolRow, best_tools, listing

MEANT = """
git.log | Show the commit history of a repository. | earlier changes, the history of commits
git.blame | Show who last modified each line of a file. | author of a line
git.checkout | Switch to another branch. | change the branch
git.stash | Put uncommitted work aside to restore it later. | set aside work that is not committed
git.diff_unstaged | Compare the working tree with the index. | compare my working tree
files.read_text | Return the contents of a file as text. | contents of a document
files.move | Rename or relocate a file. | rename a document
files.tree | Recursive listing of a directory as JSON. | list a folder recursively
files.head | The first lines of a long file. | beginning of a large file, first lines
files.grep | Search files by regular expression. | find lines that match a regex or expression
mail.send | Compose an e-mail and deliver it to recipients. | write an e-mail to recipients
mail.archive | Take a message out of the inbox without deleting it. | clear a message from the inbox
mail.mark_spam | Report a message as junk. | this message is junk
calendar.create_event | Schedule a meeting with attendees. | arrange a meeting with attendees
calendar.free_busy | When people are available. | availability of people
weather.forecast | Predicted temperature and rain for the coming days. | will it rain tomorrow
weather.alerts | Warnings of storms and floods for a region. | storm warnings
maps.geocode | Coordinates of a postal address. | latitude and coordinates of an address
maps.directions | Route and distance between places. | distance and way from one place to another
db.query | Run a read-only SELECT statement. | execute sql
db.describe_table | Columns and types of a table. | schema: which columns
db.explain | The execution plan of a statement. | why is my statement slow, its plan
chat.post_message | Write to a channel. | tell the channel
chat.list_members | People in a channel. | who is in the channel
chat.pin | Keep a message at the top of a channel. | message at the top
web.fetch | Download a page and convert it to Markdown. | get a page from the internet as markdown
web.screenshot | A picture of a page as rendered. | picture of a page
images.resize | Scale a picture to a width and height. | make a picture smaller in width
images.ocr | Recognise printed text in a picture. | extract printed text from a scan or picture
pdf.extract_tables | Rows and cells from the tables of a PDF. | table cells out of a pdf
pdf.merge | Join several PDF documents into one. | combine documents
issues.close | Mark a ticket as resolved. | the ticket is resolved
issues.assign | Make a person responsible for a ticket. | who is responsible for the ticket
ci.rerun | Start a failed pipeline again. | restart a failed build pipeline
ci.logs | Console output of a job. | console output of the job
cloud.scale | Change the number of running instances. | more instances
cloud.list_buckets | Object storage containers of the account. | object storage
money.convert | Exchange an amount for another currency. | dollars to euros, exchange rate
money.invoice | Bill a customer. | send a bill
translate.text | Put a passage into another language. | say this passage in another language
speech.transcribe | Turn a recording into written words. | written words of an audio recording
stocks.quote | Latest price of a share. | the cost of one stock now
"""
NOUNS = """
account alarm asset badge batch board booking budget campaign cart contact contract coupon course
dashboard deployment device draft order parcel
"""
VERBS = {
    "get": "Get one {0} by its id.",
    "list": "List each {0}, with pages.",
    "create": "Create a {0} from fields.",
    "update": "Update fields of a {0}.",
    "delete": "Delete a {0} for ever.",
    "search": "Search {0} entries by text.",
    "export": "Export {0} entries as CSV.",
    "share": "Share a {0} with a user.",
    "lock": "Lock a {0} against edits.",
}


def row(server: str, tool: str, description: str, *arguments: str) -> ToolRow:
    signature = ", ".join(f"{it}: str" for it in arguments)
    return ToolRow(server, tool, f"agent_tools.{server}.{tool}", signature, description, arguments)


LINES = [line.split(" | ") for line in MEANT.strip().splitlines()]
ROWS = [row(*line[0].split("."), line[1]) for line in LINES] + [
    row(f"crm{at % 3}", f"{verb}_{noun}", told.format(noun), f"{noun}_id", "limit")
    for at, noun in enumerate(NOUNS.split())
    for verb, told in VERBS.items()
]


def names(found: list[ToolRow]) -> list[str]:
    return [f"{it.server}.{it.tool}" for it in found]


@pytest.mark.parametrize(("name", "_told", "query"), LINES)
def test_the_meant_tool_is_among_the_first_three(name: str, _told: str, query: str):
    assert len(ROWS) >= 200 and len(LINES) >= 40
    assert name in names(best_tools(ROWS, query, limit=3))


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("git log", "git.log"),
        ("delete_coupon", "crm0.delete_coupon"),
        ("remove a coupon", "crm0.delete_coupon"),
        ("DIFF", "git.diff_unstaged"),
        ("coupon_id", "crm0.create_coupon"),
    ],
)
def test_a_name_or_an_argument_finds_its_tool(query: str, name: str):
    assert name in names(best_tools(ROWS, query))


def test_a_word_in_the_name_counts_most():
    rows = [
        row("a", "other", "rain rain rain rain"),
        row("b", "rain", " ".join(f"word{at}" for at in range(200))),
        *(row("c", f"t{at}", "something else of some length") for at in range(20)),
    ]
    assert names(best_tools(rows, "rain")) == ["b.rain", "a.other"]


def test_a_name_in_camel_case_is_several_words():
    assert names(best_tools([row("a", "listOpenPullRequests", "")], "pull request")) == [
        "a.listOpenPullRequests"
    ]


def test_the_order_does_not_depend_on_that_of_the_rows():
    shuffled = random.Random(1).sample(ROWS, len(ROWS))
    for query in ("delete", "list of entries", ""):
        assert best_tools(shuffled, query) == best_tools(ROWS, query)
    same = [row(server, "same", "one") for server in "cab"]
    assert names(best_tools(same, "one")) == ["a.same", "b.same", "c.same"]


def test_one_server_is_searched_and_without_a_query_listed():
    assert {it.server for it in best_tools(ROWS, "delete get list", "crm1")} == {"crm1"}
    assert names(best_tools(ROWS, " ", "weather", limit=1)) == [
        "weather.alerts",
        "weather.forecast",
    ]
    assert (
        listing(ROWS, "", "weather") == "agent_tools.weather.alerts\nagent_tools.weather.forecast"
    )
    assert best_tools(ROWS, "rain", "nobody") == []


def test_the_model_reads_calls_and_purposes():
    rows = [row("a", "find", "\x1b[31mFinds\n  things.", "what"), row("a", "b", "x" * 1000)]
    assert listing(rows, "things") == "await agent_tools.a.find(what: str)\n    Finds things."
    assert len(listing(rows, "b")) < MAX_TOLD_CHARS + 50
    assert listing(rows, "zebra").startswith("No tool fits.")


@given(st.text(), st.text(max_size=3))
def test_any_query_has_an_answer(query: str, server: str):
    assert isinstance(best_tools(ROWS[:20], query, server), list)


@given(st.lists(st.builds(row, st.text(max_size=4), st.text(max_size=8), st.text(max_size=9))))
def test_any_tools_are_searched(rows: list[ToolRow]):
    assert set(best_tools(rows, "a query")) <= set(rows)


def test_a_plain_scan_answers_without_sqlite(monkeypatch: pytest.MonkeyPatch):
    found = builtins.__import__

    def without(name: str, *others: Any) -> Any:
        if name == "sqlite3":
            raise ImportError(name)
        return found(name, *others)

    monkeypatch.setattr(builtins, "__import__", without)
    assert names(best_tools(ROWS, "commit history"))[0] == "git.log"
