"""What is left of a partial message, whatever was done to its files, is the beginning of the message or nothing."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailarchive.archive.partials import LONGEST, Partials
from mailarchive.catalog import sqlite
from mailarchive.catalog.base import Catalog
from mailarchive.facts import BEGINNING, Fact, MailboxSeen, MessageStored, Placed, RunBegan
from mailarchive.mail.digest import digest_of, header_digest_of
from mailarchive.store import partial
from mailarchive.store.partial import Key, Partial
from tests.servers.still_clock import StillClock

KEY = Key("me@host", b"Entw&APw-rfe/..", 7, 42)
OCTETS = bytes(range(256)) * 4


def begun(directory: Path, *pieces: bytes, key: Key = KEY, size: int | None = 1024) -> None:
    """Receive ``pieces`` and stop."""
    one = Partial(directory, key, size, StillClock())
    for piece in pieces:
        one.append(piece)
    one.close()


def opened(directory: Path, key: Key = KEY, size: int | None = 1024) -> bytes:
    """Return what a new process finds, by each way to see it."""
    one = Partial(directory, key, size, StillClock())
    body = one.body()
    octets = b"".join(body.chunks())
    body.close()
    one.close()
    assert one.length == len(octets)
    assert one.tail == octets[-partial.TAIL :]
    return octets


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_message_goes_on_where_it_stopped(tmp_path: Path) -> None:
    begun(tmp_path, OCTETS[:100], OCTETS[100:300])
    assert opened(tmp_path) == OCTETS[:300]
    one = Partial(tmp_path, KEY, 1024, StillClock())
    one.append(OCTETS[300:])
    one.close()
    assert opened(tmp_path) == OCTETS


def test_the_files_are_as_the_format_says(tmp_path: Path) -> None:
    begun(tmp_path, OCTETS[:100])
    name = hashlib.sha256(b'["me@host", "Entw&APw-rfe/..", 7, 42]').hexdigest()[:32]
    assert files(tmp_path).keys() == {f"{name}.part", f"{name}.json"}
    assert json.loads(files(tmp_path)[f"{name}.json"]) == {
        "account": "me@host",
        "mailbox": "Entw&APw-rfe/..",
        "uidvalidity": 7,
        "uid": 42,
        "size": 1024,
        "length": 100,
        "sha256": hashlib.sha256(OCTETS[:100]).hexdigest(),
        "at": "2024-01-01T00:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("key", "size"),
    [
        (KEY, 1025),
        (KEY, None),
        (Key("me@host", KEY.mailbox, 8, 42), 1024),
        (Key("me@host", KEY.mailbox, 7, 43), 1024),
        (Key("me@host", b"other", 7, 42), 1024),
        (Key("you@host", KEY.mailbox, 7, 42), 1024),
        (Key("me@host", KEY.mailbox, 7, "42"), 1024),
    ],
)
def test_another_message_begins_anew(tmp_path: Path, key: Key, size: int | None) -> None:
    begun(tmp_path, OCTETS[:100])
    assert opened(tmp_path, key, size) == b""
    assert len(files(tmp_path)) == (0 if key == KEY else 2)


def test_what_is_thrown_away_leaves_nothing(tmp_path: Path) -> None:
    one = Partial(tmp_path, KEY, None, StillClock())
    one.append(OCTETS)
    one.restart()
    assert files(tmp_path) == {}
    one.append(b"other")
    one.close()
    assert opened(tmp_path, size=None) == b"other"


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=4),
    st.sampled_from([partial.OCTETS, partial.ABOUT]),
    st.sampled_from(["cut", "zero", "garbage", "append", "remove", "empty"]),
    st.integers(0, 400),
)
def test_damage_of_any_kind_gives_the_beginning_or_nothing(
    tmp_path: Path, pieces: list[bytes], suffix: str, damage: str, place: int
) -> None:
    whole = b"".join(pieces)
    for path in tmp_path.iterdir():
        path.unlink()
    begun(tmp_path, *pieces)
    path = tmp_path / (KEY.name + suffix)
    octets = path.read_bytes()
    place %= len(octets)
    match damage:
        case "cut":
            path.write_bytes(octets[:place])
        case "zero":
            path.write_bytes(octets[:place] + bytes(len(octets) - place))
        case "garbage":
            path.write_bytes(octets[:place] + bytes([octets[place] ^ 0x15]) + octets[place + 1 :])
        case "append":
            path.write_bytes(octets + whole[:place])
        case "remove":
            path.unlink()
        case _:
            path.write_bytes(b"")
    found = opened(tmp_path)
    assert found in {b"", whole}
    if suffix == partial.OCTETS and damage == "append":
        assert found == whole
    begun(tmp_path, b"more")
    assert opened(tmp_path) == found + b"more"


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b"null", b"{}", b"\xff", b"[" * 100_000, b'{"account": 1}'])
def test_a_pair_without_readable_json_is_removed(tmp_path: Path, rubbish: bytes) -> None:
    begun(tmp_path, OCTETS[:10])
    (tmp_path / f"{KEY.name}.json").write_bytes(rubbish)
    assert list(partial.partials(tmp_path)) == []
    assert files(tmp_path) == {}


def test_files_of_any_other_kind_are_removed(tmp_path: Path) -> None:
    begun(tmp_path, OCTETS[:10])
    kept = files(tmp_path)
    for name in ("x.part", f"{KEY.name}.json.tmp", "tmpabc.tmp", "notes.txt", "0" * 32 + ".json"):
        (tmp_path / name).write_bytes(kept[f"{KEY.name}.json"])
    assert [about.length for about in partial.partials(tmp_path)] == [10]
    assert files(tmp_path) == kept


# -- which of them matter ---------------------------------------------------------------------------------------------


def seen(uidvalidity: int = 7) -> MailboxSeen:
    return MailboxSeen(1, KEY.account, ("x",), KEY.mailbox.decode("latin-1"), "/", (), uidvalidity)


def placed(uid: int) -> list[Fact]:
    digest = digest_of(b"x")
    stored = MessageStored(digest, header_digest_of(b"x"), 1, 1, 0, 1, "lf", False)
    return [stored, Placed(1, 7, uid, digest, None, (), None, (), None, None, None)]


def catalog_of(*facts: Fact) -> Catalog:
    catalog = sqlite.create(None)
    catalog.apply([RunBegan(1, datetime(2024, 1, 1, tzinfo=UTC), "pull", "test"), *facts], BEGINNING)
    return catalog


@pytest.mark.parametrize(
    ("facts", "matters"),
    [
        ([], True),
        ([seen()], True),
        ([seen(), *placed(41)], True),
        ([seen(), *placed(42)], False),
        ([seen(8)], False),
    ],
)
def test_what_no_longer_matters_is_removed_when_the_archive_is_opened(
    tmp_path: Path, facts: list[Fact], matters: bool
) -> None:
    begun(tmp_path, OCTETS[:10])
    catalog = catalog_of(*facts)
    Partials(tmp_path, catalog, StillClock())
    catalog.close()
    assert bool(files(tmp_path)) == matters


@pytest.mark.parametrize(("days", "matters"), [(29, True), (31, False)])
def test_what_nothing_was_added_to_for_long_is_removed(tmp_path: Path, days: int, matters: bool) -> None:
    begun(tmp_path, OCTETS[:10])
    clock = StillClock()
    clock.sleeps.append(timedelta(days=days).total_seconds())
    catalog = catalog_of()
    Partials(tmp_path, catalog, clock)
    catalog.close()
    assert bool(files(tmp_path)) == matters
    assert timedelta(days=29) < LONGEST < timedelta(days=31)


def test_a_mailbox_read_whole_keeps_only_what_failed(tmp_path: Path) -> None:
    keys = [Key("me@host", b"x", 7, uid) for uid in (1, 2, 3)] + [Key("me@host", b"y", 7, 1)]
    for key in keys:
        begun(tmp_path, OCTETS[:10], key=key)
    begun(tmp_path, OCTETS[:10], key=Key("me@host", b"x", 6, 2))
    catalog = catalog_of()
    held = Partials(tmp_path, catalog, StillClock())
    held.settle("me@host", b"x", 7, {2})
    catalog.close()
    assert {about.key for about in partial.partials(tmp_path)} == {keys[1], keys[3]}


def test_what_is_stored_goes_at_the_checkpoint(tmp_path: Path) -> None:
    catalog = catalog_of()
    held = Partials(tmp_path / "partial", catalog, StillClock())
    one = held.open(KEY, 1024)
    one.append(OCTETS)
    held.stored(KEY)
    assert len(files(tmp_path / "partial")) == 2
    held.checkpoint()
    one.close()
    catalog.close()
    assert files(tmp_path / "partial") == {}
