"""How a person installs what an extra brings."""

import tomllib
from pathlib import Path

import pytest

from inkernel.agent.config.extras import install_command

PROJECT = tomllib.loads(Path(__file__).parents[3].joinpath("pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]


@pytest.mark.parametrize("extra", ["headless", "keyring", "zstd"])
def test_the_packages_of_an_extra_are_installed_by_their_own_names(extra: str):
    packages = " ".join(f"'{package}'" for package in EXTRAS[extra])
    assert install_command(extra) == f"pip install {packages}"


def test_an_extra_within_an_extra_is_listed_by_its_packages():
    command = install_command("demo")
    assert "inkernel" not in command and "'pandas" in command and "'nbclient" in command
