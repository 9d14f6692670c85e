"""Fixtures of the fault tests."""

import pytest

from tests.fault.archives import SMALL


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few messages fill blocks, segments and parts of the journal."""
    for module, name, value in SMALL:
        monkeypatch.setattr(module, name, value)
