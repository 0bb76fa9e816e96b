"""What a person does to the window, in a real kernel: compact, digest, pin, hide, show, rewind."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.kernel

NOTES = json.dumps(
    {
        "state": "Rain is loaded; the plot is missing.",
        "plan": [{"text": "plot the months", "done": False}],
        "decisions": [{"text": "millimetres, not inches", "from": []}],
        "facts": [{"text": "April had 96.5 mm", "from": ["out-1"]}],
    }
)
STEP = """
[[turn]]
[[turn.response]]
[[turn.response.call]]
name = "run_cell"
arguments = {{ title = "count", code = "print('line of numbers {} 2.5\\\\n' * 150)" }}
[[turn.response]]
say = "Counted."
"""
STEPS = "".join(STEP.format(n) for n in range(6))
SCRIPT = f"""{STEPS}
[[turn]]
on = 'about to be shortened'
[[turn.response]]
say = '''{NOTES}'''
"""


def sent(server: Any) -> list[str]:
    """The text of each item of the last whole request for an answer."""
    body = [b for b in server.requests if b"about to be shortened" not in b][-1]
    texts: list[str] = []
    for item in json.loads(body)["input"]:
        content = item.get("content", item.get("output", item.get("arguments", "")))
        parts = [content] if isinstance(content, str) else [p.get("text", "") for p in content]
        texts.append("\n".join(parts))
    return texts


def test_a_window_that_is_full_is_made_shorter_and_the_turn_goes_on(agent):
    kernel, server = agent(INKERNEL_WINDOW="7000", INKERNEL_TRANSPORT="http")
    kernel.run("april = 96.5\nprint(april)", cell_id="c1")
    shown = [kernel.run(f"%%agent\nCount once more, the time is {n}.") for n in range(5)]
    assert all(ran.status == "ok" for ran in shown)
    assert any("Made room" in ran.text for ran in shown)
    digest = next(text for text in sent(server) if text.startswith("<digest>"))
    assert "> Count once more, the time is 0." in digest
    assert "- [ ] plot the months" in digest
    assert "April had 96.5 mm (out-1)" in digest
    assert "out-1 run 1, In [2]: ok; bound april `april = 96.5`" in digest
    assert "april: 96.5" in digest
    assert all(len(b) // 4 < 7000 for b in server.requests)


def test_the_person_compacts_previews_reads_and_edits_the_digest(agent):
    kernel, server = agent(INKERNEL_TRANSPORT="http")
    assert "no conversation yet" in kernel.run("%agent compact").evalue
    for n in range(4):
        kernel.run(f"%%agent\nCount {n}.")
    assert "no digest yet" in kernel.run("%agent digest").text
    before = len(server.requests)
    preview = kernel.run("%agent compact --preview").text
    assert "in the digest" in preview and "> Count 0." in preview and "<digest>" in preview
    assert len(server.requests) == before
    assert "no option '--all'" in kernel.run("%agent compact --all").evalue
    done = kernel.run('%agent compact "keep the schema decisions"').text
    assert "→" in done and "in the digest" in done and "new" in done
    (asked,) = [b for b in server.requests if b"about to be shortened" in b]
    assert b"says what matters most: keep the schema decisions\\n" in asked
    text = kernel.run("%agent digest").text
    assert "plot the months" in text and "> Count 0." in text
    assert "is in a new cell" in kernel.run("%agent digest --edit").text
    inner = text.partition("<digest>")[2].replace("plot the months", "plot the years")
    assert kernel.run(f"%%agent --digest\n<digest>{inner}").status == "ok"
    kernel.run("%%agent\nGo on.")
    own = kernel.run("%%agent --digest\n## State\nHalf done.\n\n## My own\nThe whale count.").text
    assert "the next one takes over  State, My own" in own
    digest = next(text for text in sent(server) if text.startswith("<digest>"))
    assert "plot the years" in digest and "plot the months" not in digest


def test_waiting_for_notes_can_be_interrupted(agent):
    slow = SCRIPT + "fault = { first = 60 }\n"
    kernel, _ = agent(slow, INKERNEL_TRANSPORT="http")
    for n in range(4):
        kernel.run(f"%%agent\nCount {n}.")
    asked = kernel.start("%agent compact")
    said = kernel.wait_for(asked, "stream")["text"]
    assert said == "Asking the model for notes, for 90 s at most … 0 s. ■ or Ctrl-C ends it."
    assert "at most … 0 s" not in kernel.wait_for(asked, "stream")["text"]  # it counts
    kernel.interrupt()
    ran = kernel.finish(asked)
    assert ran.traceback.splitlines() == [
        "LineInterrupted: You interrupted the %agent line.",
        "→ Run it again to have it done.",
    ]
    assert ran.seconds < 30
    assert "no digest yet" in kernel.run("%agent digest").text


@pytest.mark.parametrize(
    ("notes", "why"),
    [
        ("say = 'Later.'", "none. The model's answer holds none."),
        ("fault = { status = 400 }", "400"),
    ],
)
def test_notes_that_fail_name_the_cause_and_what_became_of_the_words(agent, notes, why):
    kernel, _ = agent(SCRIPT.partition("say = '''")[0] + notes)
    for n in range(4):
        kernel.run(f"%%agent\nCount {n}.")
    shown = kernel.run('%agent compact "keep the schema"').text
    assert why in shown and "your words" in shown and "no effect" in shown


def test_no_model_is_asked_where_nothing_can_be_left_out(agent):
    kernel, server = agent('[[turn]]\n[[turn.response]]\nsay = "Yes."\n')
    kernel.run("%%agent\nCount.")
    before = len(server.requests)
    ran = kernel.run("%agent compact 'keep it'")
    assert "would not help now" in ran.text and "Asking" not in ran.text
    assert len(server.requests) == before


def test_a_cell_is_hidden_and_brought_back(agent):
    kernel, server = agent(INKERNEL_TRANSPORT="http")
    kernel.run("pay = 'a salary'\npay", cell_id="pay-cell")
    kernel.run("%%agent\nCount.")
    assert any("pay = 'a salary'" in text for text in sent(server))
    assert "Hidden from the next request on: out-1" in kernel.run("%agent hide pay-cell").text
    kernel.run("%%agent\nAgain.")
    assert not any("pay = 'a salary'" in text for text in sent(server))
    assert "has it whole" in kernel.run("%agent show 2").text
    kernel.run("%%agent\nAnd again.")
    assert sum("pay = 'a salary'" in text for text in sent(server)) == 1


@pytest.mark.parametrize("last", ["hide", "rewind"])
def test_a_kernel_that_dies_while_a_cell_is_hidden_leaves_it_hidden(agent, tmp_path, last):
    kernel, server = agent(INKERNEL_TRANSPORT="http", INKERNEL_DATA_DIR=str(tmp_path / "data"))
    kernel.run("pay = 'a salary'\npay", cell_id="pay-cell")
    kernel.run("%%agent\nCount.")
    kernel.run("%%agent\nAgain.")
    kernel.run("%agent hide pay-cell")
    kernel.run("%agent rewind turn 2")
    kernel.run("%agent new")
    (path,) = tmp_path.glob("data/sessions/*/*.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    kind = {"hide": '"kind":"mark"', "rewind": '"kind":"rewind"'}[last]
    upto = next(at for at, line in enumerate(lines, 1) if kind in line)
    assert any('"why":"hidden"' in line for line in lines[upto:])
    path.write_text("".join(lines[:upto]))
    assert "goes on" in kernel.run(f"%agent resume {path.stem}").text
    kernel.run("%%agent\nWhat now?")
    assert "What now?" in sent(server)
    assert not any("pay = 'a salary'" in text for text in sent(server))


def test_a_cell_that_is_hidden_stays_hidden_when_it_runs_again(agent):
    kernel, server = agent(INKERNEL_TRANSPORT="http")
    kernel.run("secret = 1", cell_id="c1")
    kernel.run("%%agent\nCount.")
    kernel.run("%agent hide c1")  # too short for an id
    kernel.run("%agent hide 2")
    kernel.run("secret = 2", cell_id="c1")
    kernel.run("%%agent\nAgain.")
    assert not any("secret = " in text for text in sent(server))


def test_a_pinned_cell_stays_whole_through_a_compaction(agent):
    kernel, server = agent(INKERNEL_TRANSPORT="http")
    kernel.run("key = {'a': 1}\nprint('the key table')", cell_id="key-cell")
    kernel.run("other = 2\nprint('another table')", cell_id="other-cell")
    for n in range(4):
        kernel.run(f"%%agent\nCount {n}.")
    assert "Pinned: out-1" in kernel.run("%agent pin key-cell").text
    assert "out-1" not in kernel.run("%agent unpin out-2").text
    kernel.run("%agent compact")
    kernel.run("%%agent\nGo on.")
    assert any("stdout:\nthe key table" in text for text in sent(server))
    assert not any("stdout:\nanother table" in text for text in sent(server))


def test_rewind_goes_back_to_before_a_turn_and_keeps_variables(agent):
    kernel, server = agent(INKERNEL_TRANSPORT="http")
    kernel.run("%%agent\nCount first.", cell_id="ask-1")
    first = server.requests[-1]
    kernel.run("kept = 5", cell_id="c2")
    kernel.run("%%agent\nCount second.", cell_id="ask-2")
    assert "no turn" in kernel.run("%agent rewind out-1").evalue
    assert "Back to before turn 2" in kernel.run("%agent rewind ask-2").text
    assert kernel.run("kept").text == "5"
    kernel.run("%%agent\nCount third.", cell_id="ask-3")
    texts = sent(server)
    assert not any("Count second." in text for text in texts)
    assert sum("kept = 5" in text for text in texts) == 1
    assert any("Count first." in text for text in texts)
    last = next(b for b in server.requests if b"Count third" in b)
    assert last.startswith(first[:-2])


def test_a_turn_that_was_taken_back_is_marked_and_is_no_last_turn(agent):
    kernel, _ = agent(INKERNEL_TRANSPORT="http")
    kernel.run("%%agent\nCount first.")
    kernel.run("%%agent\nCount second.")
    kernel.run("%agent rewind turn 2")
    first, second = kernel.run("%agent history").text.split("Count second.")
    assert "taken back" in second and "taken back" not in first
    assert ", 1 turn, " in kernel.run("%agent").text
    record = kernel.run("%agent history").text.split()[1]
    kernel.run("%agent new")
    resumed = kernel.run(f"%agent resume {record}").text
    assert "goes on: 1 turn," in resumed
    assert "Count first." in resumed and "Count second." not in resumed


def test_keep_takes_no_turn_that_was_taken_back(agent):
    kernel, _ = agent(INKERNEL_TRANSPORT="http")
    kernel.run("%%agent\nCount first.")
    kernel.run("%%agent\nCount second.")
    assert "numbers 1 2.5" in kernel.run("%agent keep").payload[0]["text"]
    kernel.run("%agent rewind turn 2")
    assert "numbers 0 2.5" in kernel.run("%agent keep").payload[0]["text"]
    kernel.run("%agent rewind turn 1")
    assert "no conversation yet" in kernel.run("%agent keep").evalue


def test_a_number_that_two_kernels_counted_names_the_present_ones_cell(agent, kernel):
    first, server = agent(INKERNEL_TRANSPORT="http")
    for cell in ("old = 2", "%%agent\nCount first.", "old = 4", "%agent"):
        first.run(cell)  # the last is there, so the one before is in the record
    first.close()
    address = {"INKERNEL_BASE_URL": server.base_url, "INKERNEL_MODEL": "scripted/test"}
    other = kernel(**address, INKERNEL_TRANSPORT="http")
    assert other.run("%load_ext inkernel\n%agent resume").status == "ok"
    assert "Pinned: out-1 (run 1, In [2])." in other.run("%agent pin 2").text
    assert other.run("new = 3").count == 3
    asked = other.run("%%agent\nCount second.")
    assert asked.count == 4
    assert "Pinned: out-4 (run 1, In [3])." in other.run("%agent pin 3").text
    assert "Pinned: turn 2." in other.run("%agent pin 4").text


def test_a_name_of_no_cell_is_said_with_what_to_do(agent):
    kernel, _ = agent()
    kernel.run("%%agent\nCount.")
    for command in ("pin 99", "hide nothing", "show", "rewind turn 7", "unpin out-50"):
        ran = kernel.run(f"%agent {command}")
        assert ran.ename == "UsageError" and "turn 3" in ran.traceback, command


@pytest.mark.parametrize("words", ["99", "In [99]", "nowhere", " 99 "])
def test_a_cell_that_is_not_there_reads_the_same_in_every_command(agent, words):
    kernel, _ = agent()
    kernel.run("%%agent\nCount.")
    for command in ("pin", "unpin", "hide", "show", "rewind", "explain"):
        ran = kernel.run(f"%agent {command} {words}")
        assert ran.traceback.startswith(f"UsageError: There is no cell {words.strip()!r}.\n"), (
            command
        )
        assert "notebook_read" not in ran.traceback


def test_context_says_what_the_next_compaction_would_drop(agent):
    kernel, _ = agent(INKERNEL_WINDOW="20000")
    for n in range(3):
        kernel.run(f"%%agent\nCount {n}.")
    told = kernel.run("%agent context").text
    assert "A compaction comes at 80%" in told and "Now it would take: nothing" in told
    assert "turn 1, In [2], 1 step: Count 0." in told


def test_what_is_told_of_a_turn_whose_cell_ran_before(agent):
    kernel, server = agent(INKERNEL_TRANSPORT="http")
    kernel.run("%%agent\nCount.", cell_id="ask-1")
    kernel.run("%%agent\nCount better.", cell_id="ask-1")
    assert any("This cell ran before, as turn 1" in text for text in sent(server))


def test_a_compaction_that_would_not_help_is_not_offered(agent):
    script = '[[turn]]\n[[turn.response]]\nsay = "Yes."\n'
    kernel, server = agent(script, INKERNEL_TRANSPORT="http")
    kernel.run("%%agent\nCount.")
    before = len(server.requests)
    preview = kernel.run("%agent compact --preview").text
    assert "would not help now" in preview and "`%agent compact` does it" not in preview
    assert "<digest>" not in preview and len(server.requests) == before


def test_after_a_change_of_model_the_new_one_takes_the_notes_and_gets_nothing_sealed(
    agent, scripted
):
    thinking = SCRIPT.replace('say = "Counted."', 'reasoning = "I sum."\nsay = "Counted."')
    kernel, server = agent(thinking, INKERNEL_WINDOW="7000", INKERNEL_TRANSPORT="http")
    for n in range(3):
        kernel.run(f"%%agent\nCount, the time is {n}.")
    assert b'"encrypted_content"' in server.requests[-1]
    other = scripted(f'model = "scripted/other"\n{SCRIPT}')
    kernel.run(f"%agent config base_url {other.base_url}\n%agent model scripted/other")
    assert kernel.run("%agent compact").status == "ok"
    body = json.loads(other.requests[-1])
    assert body["model"] == "scripted/other" and "about to be shortened" in json.dumps(body)
    assert not [item for item in body["input"] if item["type"] == "reasoning"]
