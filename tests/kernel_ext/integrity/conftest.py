"""The checks after a step are tested under the policy that lets all code run."""

import pytest


@pytest.fixture(autouse=True)
def _full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKERNEL_POLICY", "full")
