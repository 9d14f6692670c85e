"""The SQLite catalog keeps what the contract promises, on disk and in memory, whatever the facts."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailarchive.catalog import sqlite
from mailarchive.catalog.base import Catalog, CatalogUnusable
from mailarchive.facts import BEGINNING, Fact, Position
from tests.contract.catalog_contract import FIRST, CatalogContract, fold, stored
from tests.property.fact_strategies import ordinary


class TestInMemory(CatalogContract):
    @pytest.fixture
    def catalog(self) -> Iterator[Catalog]:
        catalog = sqlite.create(None)
        yield catalog
        catalog.close()

    @pytest.fixture
    def other(self) -> Iterator[Catalog]:
        other = sqlite.create(None)
        yield other
        other.close()


class TestOnDisk(CatalogContract):
    @pytest.fixture
    def catalog(self, tmp_path: Path) -> Iterator[Catalog]:
        catalog = sqlite.create(tmp_path / "one")
        yield catalog
        catalog.close()

    @pytest.fixture
    def other(self, tmp_path: Path) -> Iterator[Catalog]:
        """Open anew between any two uses, as another process would."""
        other = sqlite.create(tmp_path / "other")
        other.close()
        other = sqlite.open_existing(tmp_path / "other")
        yield other
        other.close()


def test_a_catalog_is_there_after_closing(tmp_path: Path) -> None:
    catalog = sqlite.create(tmp_path / "c")
    catalog.apply(FIRST, Position(1, 9, bytes(32), 1))
    before = catalog.fingerprint()
    catalog.close()
    again = sqlite.open_existing(tmp_path / "c")
    assert again.fingerprint() == before
    again.close()


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        catalog = sqlite.create(tmp_path / "c")
        fold(catalog, *FIRST)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    catalog.close()


def test_what_is_no_catalog_is_said_to_be_unusable(tmp_path: Path) -> None:
    path = tmp_path / "c"
    with pytest.raises(CatalogUnusable, match="missing"):
        sqlite.open_existing(path)
    for octets in (b"", b"SQLite format 3\0", b"x" * 5000):
        path.write_bytes(octets)
        with pytest.raises(CatalogUnusable):
            sqlite.open_existing(path).position()


def test_a_schema_that_is_no_text_is_said_to_be_unusable(tmp_path: Path) -> None:
    path = tmp_path / "c"
    sqlite.create(path).close()
    octets = path.read_bytes()
    assert b"CREATE TABLE message" in octets
    path.write_bytes(octets.replace(b"CREATE TABLE message", b"CREATE TAB\xa5E message"))
    with pytest.raises(CatalogUnusable):
        sqlite.open_existing(path)


def test_another_schema_is_said_to_be_unusable(tmp_path: Path) -> None:
    sqlite.create(tmp_path / "c").close()
    with sqlite3.connect(tmp_path / "c") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(CatalogUnusable, match="schema 99"):
        sqlite.open_existing(tmp_path / "c")


MESSAGES = [stored(number) for number in range(8)]
"""All that placements speak of."""


@pytest.mark.parametrize(
    "change", ["DELETE FROM state", "UPDATE state SET chain = 7", "INSERT INTO state VALUES (1, 0, x'', 0)"]
)
def test_a_catalog_without_its_place_in_the_journal_is_unusable(tmp_path: Path, change: str) -> None:
    sqlite.create(tmp_path / "c").close()
    with closing(sqlite3.connect(tmp_path / "c", isolation_level=None)) as db:
        db.execute(change)
    catalog = sqlite.open_existing(tmp_path / "c")
    with pytest.raises(CatalogUnusable, match="place in the journal"):
        catalog.position()
    catalog.close()


@settings(max_examples=150)
@given(st.lists(ordinary, max_size=12).map(lambda facts: [*MESSAGES, *facts]), st.integers(0, 20))
def test_any_facts_fold_the_same_in_one_piece_or_in_two(facts: list[Fact], place: int) -> None:
    one, two = sqlite.create(None), sqlite.create(None)
    try:
        one.apply(facts, BEGINNING)
        two.apply(facts[:place], BEGINNING)
        two.apply(facts[place:], BEGINNING)
        assert one.fingerprint() == two.fingerprint()
        for box in one.mailboxes():
            list(one.placements(box.number, gone=False))
        one.summaries()
        one.totals()
        list(one.runs())
    finally:
        one.close()
        two.close()
