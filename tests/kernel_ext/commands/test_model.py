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
