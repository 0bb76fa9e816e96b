"""`%agent model`: a name that cannot be used changes nothing, and a script is found for good."""

import pytest

SCRIPT = """
model = "scripted/test"
[[turn]]
[[turn.response]]
say = "Yes."
"""


def test_a_script_is_found_after_the_folder_was_left_and_deleted(agent, tmp_path):
    kernel, _ = agent()
    (tmp_path / "a folder" / "inner").mkdir(parents=True)
    (tmp_path / "a folder" / "skript größe.toml").write_text(SCRIPT)
    kernel.run(f"%cd -q {tmp_path / 'a folder'}")
    assert "scripted/test" in kernel.run('%agent model "scripted:skript größe.toml"').text
    kernel.run("import os\nos.chdir('inner'); os.rmdir(os.getcwd())")
    assert kernel.run("%%agent\nIs it?").status == "ok"
    assert kernel.run("%agent").status == "ok"


@pytest.mark.parametrize("name", ["scripted:missing.toml", "'scripted:a b.toml'", "scripted:."])
def test_a_script_that_cannot_be_read_is_named_and_the_model_stays(agent, name):
    kernel, server = agent()
    failed = kernel.run(f"%agent model {name}")
    assert failed.ename == "SettingsError"
    assert name.strip("'").partition(":")[2] in failed.evalue
    assert kernel.run("%%agent\nIs it?").status == "ok"
    assert len(server.requests) == 1


def test_a_script_with_blanks_in_its_name_is_chosen_for_one_turn(agent, tmp_path):
    kernel, server = agent()
    (tmp_path / "a b.toml").write_text(SCRIPT)
    assert kernel.run(f'%%agent -m "scripted:{tmp_path}/a b.toml" Is it?').status == "ok"
    assert server.requests == []


def test_a_provider_before_a_model_leaves_the_server_of_a_typed_address(agent):
    kernel, server = agent(ANTHROPIC_API_KEY="sk-ant-of-a-test")
    kernel.run(f"%agent config base_url {server.base_url}/chat/completions")
    kernel.run("%agent config dialect chat")
    assert "127.0.0.1" in kernel.run("%agent model").text
    shown = kernel.run("%agent model anthropic:claude-opus-5-5").text
    assert "claude-opus-5-5 at anthropic (https://api.anthropic.com/v1)" in shown
    assert "Messages API" in shown
    shown = kernel.run(f"%agent config base_url {server.base_url}\n%agent model").text
    assert "127.0.0.1" in shown
    assert "claude" not in shown


def test_a_typed_setting_is_taken_back(agent):
    kernel, _ = agent()
    kernel.run("%agent config window 9000")
    assert "9000" in kernel.run("%agent config window").text
    assert "9000" not in kernel.run("%agent config window default").text


@pytest.mark.parametrize("line", ["%agent model default", "%agent config model default"])
def test_a_typed_model_is_taken_back_with_the_server_that_it_left(agent, line: str):
    kernel, _ = agent(ANTHROPIC_API_KEY="sk-ant-of-a-test")
    assert "claude" in kernel.run("%agent model anthropic:claude-opus-5-5").text
    kernel.run(line)
    shown = kernel.run("%agent model").text
    assert "127.0.0.1" in shown and "claude" not in shown


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("config provider antropic", "Did you mean anthropic?"),
        (
            "config base_url here:1",
            "the `%agent config base_url` line: base_url = 'here:1' is not valid",
        ),
        ("config base_url http://a b", "such as http://localhost:8000/v1"),
        ("config effort hihg", "the `%agent config effort` line: effort = 'hihg' is not valid"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_the_line_that_has_it(agent, line: str, says: str):
    kernel, server = agent()
    ran = kernel.run(f"%agent {line}")
    assert ran.ename == "SettingsError" and says in ran.evalue
    assert "%%agent" not in ran.traceback
    assert kernel.run("%%agent\nIs it?").status == "ok"
    assert len(server.requests) == 1


KEY = "sk-proj-Zk81u9Ve0tQmGh7cXy2LwR"


@pytest.mark.parametrize("line", ["config api_key", "config api_key_env", "key"])
def test_a_key_that_is_typed_is_neither_kept_nor_shown_and_the_right_line_is_named(agent, line):
    kernel, server = agent()
    ran = kernel.run(f"%agent {line} {KEY}")
    assert ran.status == "error" and KEY not in ran.traceback
    assert KEY not in kernel.run("%agent config").text
    if line == "config api_key":
        assert "`%agent key`" in ran.evalue
    kernel.run(f"key = 'x{KEY}'\nprint(key)")
    assert kernel.run("%%agent\nIs it?").status == "ok"
    assert KEY.encode() not in server.requests[-1]


def test_a_key_that_is_missing_can_be_set_in_the_running_kernel(kernel):
    running = kernel(OPENAI_API_KEY="", INKERNEL_MODEL="openai:gpt-5.5")
    running.run("%load_ext inkernel")
    error = running.run("%%agent\nIs it?").evalue
    assert "%agent key openai" in error and "before the kernel starts" not in error
    running.run("%env OPENAI_API_KEY=sk-of-a-test")
    assert "gpt-5.5 at openai" in running.run("%agent model").text


def test_the_raw_request_is_in_the_words_of_its_api(agent):
    kernel, _ = agent(INKERNEL_DIALECT="chat")
    kernel.run("%%agent\nIs it?")
    raw = kernel.run("%agent context --raw").text
    assert '"messages"' in raw
    assert '"input_text"' not in raw


def test_a_resumed_session_says_which_model_goes_on_and_sends_it_nothing_sealed(
    agent, kernel, scripted
):
    thinking = SCRIPT.replace("say =", 'reasoning = "I think."\nsay =')
    first, server = agent(thinking, INKERNEL_DIALECT="chat")
    first.run("%%agent\nIs it?")
    first.close()
    other = scripted(thinking.replace("scripted/test", "scripted/other") + SCRIPT.split("\n", 2)[2])
    second = kernel(
        INKERNEL_BASE_URL=other.base_url, INKERNEL_MODEL="scripted/other", INKERNEL_DIALECT="chat"
    )
    second.run("%load_ext inkernel")
    told = second.run("%agent resume").text
    assert "scripted/other at 127.0.0.1" in told and "from now on. It was scripted/test at" in told
    assert second.run("%%agent\nAnd now?").status == "ok"
    assert b"I think." in server.requests[0] or b"reasoning_content" not in other.requests[-1]
    assert b"Yes." in other.requests[-1]
