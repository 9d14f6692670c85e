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
from mailarchive.facts import BEGINNING, Fact, Lost, Position
from mailarchive.model import Digest
from tests.contract.catalog_contract import FIRST, CatalogContract, fold, placed, stored
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


def test_what_is_begun_and_not_complete_is_no_catalog(tmp_path: Path) -> None:
    begun, whole = sqlite.begin(tmp_path / "c"), sqlite.create(tmp_path / "w")
    for catalog in (begun, whole):
        catalog.apply(FIRST, Position(1, 9, bytes(32), 1))
    with pytest.raises(CatalogUnusable):
        sqlite.open_existing(tmp_path / "c")
    begun.complete()
    assert begun.fingerprint() == whole.fingerprint()
    begun.close()
    assert plan_of(tmp_path / "c") == plan_of(tmp_path / "w")
    whole.close()
    sqlite.open_existing(tmp_path / "c").close()


def plan_of(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


def test_messages_whose_digests_begin_alike_are_told_apart(tmp_path: Path) -> None:
    one, two, three = (Digest(bytes(31) + bytes([number])) for number in range(3))
    kept = [stored(1)._replace(digest=one), stored(2)._replace(digest=two)]
    with closing(sqlite.create(tmp_path / "c")) as catalog:
        fold(catalog, *FIRST[:3], *kept, placed(7, 1)._replace(digest=two), Lost(one, "x"))
        assert (catalog.message(one), catalog.message(two)) == (None, kept[1])
        assert catalog.known([one, two, three]) == {two}
        assert [record.uid for record in catalog.placements_of(two)] == [7]
        assert catalog.placements_of(one) == []
        assert catalog.digests("00" * 31, 9) == [one, two]
        assert catalog.digests(two.hex(), 9) == [two]


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
            there = [record.digest for record in one.placements(box.number, gone=False)]
            assert one.present(box.number) == sum(one.message(digest) is not None for digest in there)
        one.summaries()
        one.totals()
        list(one.runs())
    finally:
        one.close()
        two.close()
