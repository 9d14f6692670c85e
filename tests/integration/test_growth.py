"""A pull that brings little costs the same however much is there: counted, not timed."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailarchive.catalog import database, sqlite
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops.pull import PullOptions
from tests.integration.sites import Site, filled, mail

FEW, MANY = 150, 1200
CHANGED = 20
EACH = 10
"""So many instructions of SQLite are one count."""


class Steps:
    """Counts what SQLite does for all catalogs."""

    def __init__(self) -> None:
        self.count = 0

    def connect(self, path: Path | str) -> sqlite3.Connection:
        db = database.connect(path)
        db.set_progress_handler(self.note, EACH)
        return db

    def note(self) -> None:
        self.count += EACH


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    counter = Steps()
    monkeypatch.setattr(sqlite, "connect", counter.connect)
    return counter


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[list[Site]]:
    with LoopbackServer(filled(FEW)) as few, LoopbackServer(filled(MANY)) as many:
        found = [Site(few, tmp_path / "few"), Site(many, tmp_path / "many")]
        for site in found:
            site.pull()
        yield found


def add(site: Site) -> None:
    for number in range(CHANGED):
        site.account.append("INBOX", mail(5000 + number), internaldate=datetime(2025, 1, 1, tzinfo=UTC))


def flag(site: Site) -> None:
    count = len(site.account.messages("INBOX"))
    for uid in range(1, count, count // CHANGED):
        site.account.set_flags("INBOX", uid, ["\\Flagged"])


def nothing(_site: Site) -> None:
    pass


@pytest.mark.parametrize("change", [add, flag, nothing])
def test_neither_the_catalog_nor_the_server_does_more_where_more_is_there(
    sites: list[Site], steps: Steps, change: Callable[[Site], None]
) -> None:
    took, sent = [], []
    for site in sites:
        change(site)
        steps.count, before = 0, site.server.counts.octets_sent
        report = site.pull()
        assert report.status == "complete"
        took.append(steps.count)
        sent.append(site.server.counts.octets_sent - before)
    assert took[1] <= 1.2 * took[0]
    assert sent[1] <= 1.2 * sent[0]


def test_what_came_today_is_known_without_a_look_at_all_messages(sites: list[Site], steps: Steps) -> None:
    took = []
    for site in sites:
        add(site)
        steps.count = 0
        site.pull(PullOptions(connections=1, max_download=1 << 30))
        took.append(steps.count)
    assert took[1] <= 1.2 * took[0]


def test_a_catalog_made_anew_takes_the_same_for_each_message(sites: list[Site], steps: Steps) -> None:
    took = []
    for site in sites:
        (site.root / "catalog.sqlite3").unlink()
        steps.count = 0
        site.pull()
        took.append(steps.count)
    assert took[1] <= 1.2 * took[0] * MANY / FEW
