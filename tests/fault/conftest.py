"""Fixtures of the fault tests."""

import pytest

from mailarchive.archive.archive import Kind
from tests.fault import archives
from tests.fault.archives import MAILDIR, MBOX, SMALL


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few messages fill blocks, segments and parts of the journal."""
    for module, name, value in SMALL:
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def maildir(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the archives of a test be of the layout maildir."""
    monkeypatch.setattr(archives, "kind", MAILDIR)


@pytest.fixture(params=(MBOX, MAILDIR), ids=("mbox", "maildir"))
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kind:
    """Let the archives of a test be of each layout in turn."""
    chosen: Kind = request.param
    monkeypatch.setattr(archives, "kind", chosen)
    return chosen
