"""What every Catalog promises; an implementation subclasses CatalogContract and provides ``catalog``."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mailarchive import facts as f
from mailarchive.catalog.base import Catalog
from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import BEGINNING, Fact, MessageStored, Position
from mailarchive.model import Account, Cursor, Digest, HeaderDigest, UidValidity

BEGAN = datetime(2024, 3, 1, 12, tzinfo=UTC)
DATE = datetime(2024, 2, 29, 23, 59, 58, tzinfo=timezone(timedelta(hours=-7)))


def digest(number: int) -> Digest:
    return Digest(bytes([number]) * 32)


def stored(number: int, block: int = 1, offset: int | None = None, size: int = 10) -> MessageStored:
    place = number * 100 if offset is None else offset
    return MessageStored(digest(number), HeaderDigest(bytes(16)), size, block, place, 100, "crlf")


def seen(number: int = 1, name: str = "INBOX", uidvalidity: int = 1) -> f.MailboxSeen:
    return f.MailboxSeen(number, "me@host", (name,), name, "/", ("\\All",), uidvalidity)


def placed(uid: int, number: int, mailbox: int = 1, uidvalidity: int = 1, *flags: str) -> f.Placed:
    return f.Placed(mailbox, uidvalidity, uid, digest(number), DATE, flags)


FIRST: tuple[Fact, ...] = (
    f.RunBegan(1, BEGAN, "pull", "test"),
    f.AccountSeen("me@host", "imap"),
    seen(),
    stored(1),
    placed(1, 1, 1, 1, "\\Seen"),
    stored(2),
    placed(2, 2),
    placed(3, 1),
    f.CursorMoved(1, 1, 4, 7, 3),
    f.RunEnded(1, BEGAN, 0, ("me@host",), {"new": 3}),
)
"""A first run: three placements of two messages."""


def fold(catalog: Catalog, *facts: Fact) -> None:
    """Apply ``facts`` at the place where the catalog is."""
    catalog.apply(facts, catalog.position())


def run(number: int, *facts: Fact) -> tuple[Fact, ...]:
    """Return what run ``number``, begun that many days later, found."""
    return f.RunBegan(number, BEGAN + timedelta(days=number), "pull", "test"), *facts


def into(box: int = 1, uidvalidity: int | None = 5) -> f.TargetMailboxSeen:
    return f.TargetMailboxSeen(box, 1, "Entw\xfcrfe", ".", uidvalidity, 9)


class CatalogContract:
    """Subclasses define the fixture ``catalog``: an empty one."""

    @pytest.fixture
    def first(self, catalog: Catalog) -> Catalog:
        fold(catalog, *FIRST)
        return catalog

    def uids(self, catalog: Catalog, *, gone: bool = False) -> list[object]:
        return [record.uid for record in catalog.placements(1, gone=gone)]

    def test_a_new_catalog_is_empty_and_at_the_beginning(self, catalog: Catalog) -> None:
        assert catalog.position() == BEGINNING
        assert (catalog.run_number(), catalog.newest_block(), catalog.blocks()) == (0, 0, [])
        assert (catalog.accounts(), catalog.mailboxes(), list(catalog.runs())) == ([], [], [])
        assert catalog.totals().placements == 0

    def test_the_position_moves_with_the_facts(self, catalog: Catalog) -> None:
        position = Position(3, 70, b"\1" * 32, 9)
        catalog.apply(FIRST, position)
        assert catalog.position() == position
        assert catalog.fingerprint()[0] == position

    def test_labels_and_ids_of_placements_are_kept(self, first: Catalog) -> None:
        labels = ("\\Inbox", "a b")
        fold(first, f.Placed(1, 1, 4, digest(1), DATE, (), "M1", labels, thread_id="T1"))
        assert first.labels(1, 1) == {1: (), 2: (), 3: (), 4: labels}
        record = first.placement(1, 1, 4)
        assert record is not None
        assert (record.account_id, record.thread_id, record.labels) == ("M1", "T1", labels)
        fold(first, f.LabelsChanged(1, 1, 4, ("c",)), f.Gone(1, 1, (3,)), f.Lost(digest(2), "damaged"))
        assert first.labels(1, 1) == {1: (), 4: ("c",)}
        assert first.labels(1, 2) == {}

    def test_messages_are_found_by_account_wide_id_within_their_account(self, catalog: Catalog) -> None:
        other = f.MailboxSeen(2, "you@host", ("INBOX",), "INBOX", "/", (), 1)
        named = f.Placed(1, 1, 1, digest(1), DATE, (), "M1")
        fold(catalog, *FIRST[:3], other, stored(1), stored(2), named, f.Placed(2, 1, 1, digest(2), DATE, (), "M2"))
        (found,) = catalog.with_ids("me@host", ["M1", "M2", "M3"])
        assert (found.account_id, found.digest, found.date, found.present) == ("M1", digest(1), DATE, True)
        fold(catalog, f.Lost(digest(1), "x"))
        assert list(catalog.with_ids("me@host", ["M1"])) == []

    def test_listings_look_alike_by_size_and_date(self, catalog: Catalog) -> None:
        lied = f.Placed(1, 1, 2, digest(2), None, rfc822size=99)
        fold(catalog, *FIRST[:3], stored(1, size=10), stored(2, size=20), placed(1, 1), lied)
        later = DATE + timedelta(seconds=1)
        asked = [(10, DATE), (10, later), (10, None), (99, DATE), (99, None), (20, None), (5, DATE)]
        assert catalog.look_alike(asked, None) == {(10, DATE), (10, None), (99, DATE), (99, None)}
        assert catalog.look_alike([(10, DATE.astimezone(UTC))], (2, 1)) == {(10, DATE)}
        assert catalog.look_alike(asked, (1, 1)) == set()
        fold(catalog, f.Gone(1, 1, (1,)))
        assert catalog.look_alike(asked, (1, 1)) == {(10, DATE), (10, None)}

    def test_messages_are_found_by_their_header(self, first: Catalog) -> None:
        found = first.with_header(HeaderDigest(bytes(16)), 10)
        assert sorted((seen.uid, seen.digest) for seen in found) == [(1, digest(1)), (2, digest(2)), (3, digest(1))]
        assert len(first.with_header(HeaderDigest(bytes(16)), 2)) == 2
        assert first.with_header(HeaderDigest(b"1" * 16), 10) == []

    def test_messages_are_found_by_their_form_until_a_server_has_them_as_they_are(self, catalog: Catalog) -> None:
        form = HeaderDigest(b"f" * 16)
        marked = stored(1)._replace(form=form, form_size=7)
        imported = placed(1, 1)._replace(by="import")
        fold(catalog, *FIRST[:3], seen(2, "Other"), marked, stored(2), imported, placed(2, 2))
        (found,) = catalog.with_form(form, 10)
        assert (found.digest, found.header, found.said_size, found.is_form) == (digest(1), form, 7, True)
        assert catalog.message(digest(1)) == marked
        assert catalog.look_alike([(7, DATE), (8, DATE)], None) == {(7, DATE)}
        fold(catalog, f.Placed(2, 1, 1, digest(1), DATE, rfc822size=7, by="variant"))
        assert len(catalog.with_form(form, 10)) == 2
        assert catalog.unproved(2, 1) == {1: digest(1)}
        assert catalog.unproved(1, 1) == {}
        fold(catalog, f.Placed(2, 1, 2, digest(1), DATE))
        assert catalog.with_form(form, 10) == []
        assert catalog.unproved(2, 1) == {}

    def test_the_newest_messages_are_those_with_the_largest_uids(self, first: Catalog) -> None:
        assert [seen.uid for seen in first.newest(1, 2)] == [3, 2]
        fold(first, f.Gone(1, 1, (3,)))
        assert [seen.uid for seen in first.newest(1, 2)] == [2, 1]

    def test_what_left_for_good_is_nowhere_else_in_the_account(self, first: Catalog) -> None:
        fold(first, f.RunBegan(2, BEGAN, "pull", "test"), f.Gone(1, 1, (1, 2)))
        assert (first.left_for_good(1, 2), first.left_for_good(1, 1)) == (1, 0)

    def test_a_message_is_found_by_its_digest_and_by_the_beginning_of_it(self, first: Catalog) -> None:
        assert first.message(digest(1)) == stored(1)
        assert first.message(digest(9)) is None
        assert first.digests("0101", 9) == [digest(1)]
        assert first.digests("0", 9) == [digest(1), digest(2)]
        assert first.digests("0", 1) == [digest(1)]
        assert first.digests(digest(2).hex(), 9) == [digest(2)]
        assert first.digests("f", 9) == []

    def test_a_mailbox_is_what_was_seen_of_it_last(self, first: Catalog) -> None:
        (box,) = first.mailboxes("me@host")
        assert (box.number, str(box.name), box.name.raw, box.name.delimiter) == (1, "INBOX", b"INBOX", "/")
        assert (box.present, box.uidvalidity, box.special_use) == (True, 1, ("\\All",))
        assert box.cursor == Cursor(UidValidity(1), 4, 7, 3)
        assert first.mailboxes("you@host") == []
        assert first.accounts() == [Account("me@host", "imap")]

    def test_placements_share_a_message_and_keep_their_own_flags(self, first: Catalog) -> None:
        assert first.uids(1, 1) == {1: True, 2: True, 3: True}
        assert first.uids(1, 1, 3) == {3: True}
        assert list(first.each_uid(1, 1)) == [(1, True), (2, True), (3, True)]
        assert first.flags(1, 1) == {1: ("\\Seen",), 2: (), 3: ()}
        assert [record.uid for record in first.placements_of(digest(1))] == [1, 3]
        record = first.placement(1, 1, 1)
        assert record is not None
        assert (record.date, record.flags, record.gone_at) == (DATE, ("\\Seen",), None)
        assert record.date is not None
        assert record.date.utcoffset() == DATE.utcoffset()

    def test_flags_change(self, first: Catalog) -> None:
        fold(first, f.FlagsChanged(1, 1, 2, ("\\Flagged", "x")), f.FlagsChanged(1, 1, 99, ("y",)))
        assert first.flags(1, 1)[2] == ("\\Flagged", "x")
        assert 99 not in first.uids(1, 1)

    def test_what_is_gone_stays_known_with_the_time_of_its_run(self, first: Catalog) -> None:
        later = BEGAN + timedelta(days=1)
        fold(first, f.RunBegan(2, later, "pull", "test"), f.Gone(1, 1, (1, 3, 99)))
        assert (self.uids(first), self.uids(first, gone=True)) == ([2], [1, 3])
        assert first.uids(1, 1) == {1: False, 2: True, 3: False}
        assert first.present(1) == 1
        record = first.placement(1, 1, 1)
        assert record is not None
        assert record.gone_at == later
        assert first.totals().gone == 2

    def test_placements_are_found_by_the_run_in_which_they_began_or_ended(self, first: Catalog) -> None:
        fold(first, f.RunBegan(2, BEGAN, "pull", "test"), seen(2, "Other"), placed(7, 1, 2), f.Gone(1, 1, (3, 1)))
        fold(first, f.RunBegan(3, BEGAN, "pull", "test"), f.Placed(2, 1, 8, digest(2), by="header"), f.Gone(1, 1, (2,)))
        assert [(one.run, one.mailbox, one.uid) for one in first.begun(1)] == [
            (1, 1, 1),
            (1, 1, 2),
            (1, 1, 3),
            (2, 2, 7),
            (3, 2, 8),
        ]
        assert [(one.run, one.uid, one.by) for one in first.begun(2)] == [(2, 7, None), (3, 8, "header")]
        assert [(one.gone_run, one.uid) for one in first.ended(1)] == [(2, 1), (2, 3), (3, 2)]
        assert [one.digest for one in first.ended(3)] == [digest(2)]

    def test_all_that_a_mailbox_was_is_remembered_once(self, first: Catalog) -> None:
        second, third = f.RunBegan(2, BEGAN, "pull", "test"), f.RunBegan(3, BEGAN, "pull", "test")
        fold(first, seen(), second, seen(name="Old"), seen(name="Old"), seen(name="Old", uidvalidity=2))
        fold(first, third, f.MailboxVanished(1), f.MailboxVanished(1), f.MailboxVanished(9), seen(name="Old"))
        states = [(one.run, str(one.name), one.uidvalidity, one.present) for one in first.mailbox_states()]
        assert states == [
            (1, "INBOX", 1, True),
            (2, "Old", 1, True),
            (2, "Old", 2, True),
            (3, "Old", 2, False),
            (3, "Old", 1, True),
        ]

    def test_what_comes_back_is_there_again(self, first: Catalog) -> None:
        fold(first, f.Gone(1, 1, (1,)), placed(1, 1))
        assert self.uids(first) == [1, 2, 3]

    def test_another_uidvalidity_ends_placements_failures_and_the_cursor(self, first: Catalog) -> None:
        fold(first, f.Failed(1, 1, 4, "why"), seen(uidvalidity=2))
        assert self.uids(first) == []
        assert first.failures(1, 1) == []
        assert first.mailboxes()[0].cursor is None
        fold(first, seen(uidvalidity=1))
        assert first.mailboxes()[0].cursor is None
        assert first.uids(1, 1) == {1: False, 2: False, 3: False}

    def test_the_same_uidvalidity_leaves_the_cursor(self, first: Catalog) -> None:
        fold(first, seen(name="Inbox"))
        assert first.mailboxes()[0].cursor is not None
        assert self.uids(first) == [1, 2, 3]

    def test_a_mailbox_that_vanished_keeps_its_history(self, first: Catalog) -> None:
        fold(first, f.Failed(1, 1, 4, "why"), f.MailboxVanished(1))
        (box,) = first.mailboxes()
        assert (box.present, box.cursor) == (False, None)
        assert self.uids(first, gone=True) == [1, 2, 3]
        assert first.failures(1, 1) == []
        assert [(row.messages, row.gone) for row in first.summaries()] == [(0, 3)]

    def test_failures_are_counted_until_the_message_comes_or_goes(self, first: Catalog) -> None:
        fold(first, f.Failed(1, 1, 4, "one"), f.Failed(1, 1, 4, "two"), f.Failed(1, 1, 5, "three"))
        assert [(one.uid, one.why, one.tries, one.last) for one in first.failures(1, 1)] == [
            (4, "two", 2, BEGAN),
            (5, "three", 1, BEGAN),
        ]
        fold(first, stored(4), placed(4, 4), f.Gone(1, 1, (5,)))
        assert first.failures(1, 1) == []

    def test_the_ledger_has_the_failures_of_all_mailboxes_by_account_and_name(self, first: Catalog) -> None:
        fold(
            first, seen(2, "Archive", 9), f.Failed(1, 1, 4, "one"), f.Failed(2, 9, 7, "two"), f.Failed(2, 9, 6, "three")
        )
        fold(first, f.MailboxSeen(3, "a@host", ("INBOX",), "INBOX", "/", (), 0), f.Failed(3, 0, "uidl", "four"))
        found = [(box.account, str(box.name), one.uid, one.why) for box, one in first.ledger()]
        assert found == [
            ("a@host", "INBOX", "uidl", "four"),
            ("me@host", "Archive", 6, "three"),
            ("me@host", "Archive", 7, "two"),
            ("me@host", "INBOX", 4, "one"),
        ]
        assert [(str(box.name), one.uid) for box, one in first.ledger("a@host")] == [("INBOX", "uidl")]
        fold(first, f.MailboxVanished(2), seen(1, "INBOX", 2))
        assert [one.why for _box, one in first.ledger()] == ["four"]

    def test_a_lost_message_is_as_if_it_had_never_come_until_it_comes_again(self, first: Catalog) -> None:
        fold(first, f.Lost(digest(1), "damaged"))
        assert first.message(digest(1)) is None
        assert first.uids(1, 1) == {2: True}
        assert first.present(1) == 1
        assert first.mailboxes()[0].cursor is None
        assert first.messages_in(1) == [stored(2)]
        assert first.totals().lost == 1
        fold(first, stored(1, block=2, offset=0))
        assert first.message(digest(1)) == stored(1, block=2, offset=0)
        assert first.uids(1, 1) == {1: True, 2: True, 3: True}

    def test_blocks_and_segments_are_known_by_what_is_in_them(self, first: Catalog) -> None:
        fold(first, stored(5, block=2, offset=0), f.BlockPacked(1, 1, 20, 300, 900))
        assert first.blocks() == [1, 2]
        assert first.newest_block() == 2
        assert (first.block_end(1), first.block_end(2), first.block_end(3)) == (300, 100, 0)
        assert first.messages_in(1) == [stored(1), stored(2)]
        assert first.block(1) == f.BlockPacked(1, 1, 20, 300, 900)
        assert first.block(2) is None
        assert first.segment_ends() == {1: 320}

    def test_summaries_and_totals_count_placements_and_messages(self, first: Catalog) -> None:
        (row,) = first.summaries()
        assert (row.messages, row.unseen, row.gone, row.octets, row.last_pull) == (3, 2, 0, 30, BEGAN)
        totals = first.totals()
        assert (totals.placements, totals.unique, totals.received_bytes, totals.unique_bytes) == (3, 2, 30, 20)

    def test_what_was_downloaded_since_a_moment_is_summed_by_account(self, first: Catalog) -> None:
        later = BEGAN + timedelta(days=1)
        linked = f.Placed(1, 1, 5, digest(3), DATE, (), by="header")
        fold(first, f.RunBegan(2, later, "pull", "test"), stored(3, size=7), placed(4, 3), linked)
        fold(first, f.MailboxSeen(2, "you@host", ("INBOX",), "INBOX", "/", (), 1), placed(1, 3, mailbox=2))
        assert first.downloaded("me@host", BEGAN) == 10 + 10 + 10 + 7
        assert first.downloaded("me@host", BEGAN + timedelta(seconds=1)) == 7
        assert first.downloaded("you@host", BEGAN.astimezone(DATE.tzinfo)) == 7
        assert first.downloaded("me@host", later + timedelta(seconds=1)) == 0

    def test_a_run_that_did_not_end_has_no_end(self, first: Catalog) -> None:
        fold(first, f.RunBegan(2, BEGAN, "verify", "test"))
        ended, open_run = first.runs()
        assert (ended.number, ended.end, ended.exit_code, ended.totals) == (1, BEGAN, 0, {"new": 3})
        assert (open_run.number, open_run.end, open_run.exit_code) == (2, None, None)
        assert first.run_number() == 2

    def test_the_run_of_a_moment_is_the_last_that_had_begun(self, first: Catalog) -> None:
        fold(first, *run(2), *run(3))
        assert first.run_at(BEGAN - timedelta(seconds=1)) == 0
        assert first.run_at(BEGAN.astimezone(DATE.tzinfo)) == 1
        assert first.run_at(BEGAN + timedelta(days=2)) == 2
        assert first.run_at(BEGAN + timedelta(days=9)) == 3

    def then(self, catalog: Catalog, number: int | None) -> dict[object, tuple[str, ...]]:
        """Return the flags by uid of what was in mailbox 1 after a run, or is there now."""
        return {one.uid: one.flags for one in catalog.restorable(1, number)}

    def test_what_can_be_restored_is_what_is_present(self, first: Catalog) -> None:
        fold(first, seen(2, "Other"), placed(1, 2, 2), f.Placed(1, 1, 4, digest(1), None, ("a",), labels=("x y",)))
        fold(first, f.Lost(digest(2), "damaged"), f.Gone(1, 1, (3,)))
        whole, lost, labelled = first.restorable(1)
        assert whole == (stored(1), False, 1, 1, DATE, ("\\Seen",), ())
        assert lost == (stored(2), True, 1, 2, DATE, (), ())
        assert labelled == (stored(1), False, 1, 4, None, ("a",), ("x y",))

    def test_a_mailbox_can_be_restored_as_it_was_after_any_run(self, first: Catalog) -> None:
        fold(first, *run(2, placed(4, 2), f.Gone(1, 1, (1,)), f.FlagsChanged(1, 1, 2, ("b",))))
        fold(first, *run(3, f.FlagsChanged(1, 1, 2, ("c",)), f.FlagsChanged(1, 1, 2, ("d",)), f.Gone(1, 1, (3,))))
        fold(first, *run(4, seen(uidvalidity=2), placed(1, 2, 1, 2)))
        assert self.then(first, 0) == {}
        assert self.then(first, 1) == {1: ("\\Seen",), 2: (), 3: ()}
        assert self.then(first, 2) == {2: ("b",), 3: (), 4: ()}
        assert self.then(first, 3) == {2: ("d",), 4: ()}
        assert self.then(first, 4) == self.then(first, None) == {1: ()}
        assert [(one.uidvalidity, one.uid) for one in first.restorable(1, 4)] == [(2, 1)]

    def test_what_came_back_or_came_again_was_there_before_too(self, first: Catalog) -> None:
        fold(first, *run(2, f.Gone(1, 1, (1,)), f.FlagsChanged(1, 1, 2, ("b",))))
        fold(first, *run(3, placed(1, 1, 1, 1, "c"), placed(2, 2, 1, 1, "d"), placed(2, 2, 1, 1, "e")))
        fold(first, *run(4, f.MailboxVanished(1)), *run(5, seen(), placed(1, 1), placed(2, 2)))
        assert self.then(first, 1) == {1: ("\\Seen",), 2: (), 3: ()}
        assert self.then(first, 2) == {2: ("b",), 3: ()}
        assert self.then(first, 3) == {1: ("c",), 2: ("e",), 3: ()}
        assert self.then(first, 4) == {}
        assert self.then(first, 5) == self.then(first, None) == {1: (), 2: ()}
        assert [one.date for one in first.restorable(1, 1)] == [DATE] * 3

    def test_targets_and_their_mailboxes_are_what_was_seen_of_them_last(self, first: Catalog) -> None:
        fold(first, f.TargetSeen(2, "you@host", "smtp"), f.TargetSeen(1, "me@new", "imap", "imap://new", "tls"))
        fold(first, f.TargetSeen(2, "you@host", "lmtp", "lmtp://host", "plain"), into(2), into())
        fold(first, f.TargetMailboxSeen(3, 2, ""), f.TargetMailboxSeen(1, 1, "INBOX", "/", 6, 10))
        assert first.targets() == [
            (1, "me@new", "imap", "imap://new", "tls"),
            (2, "you@host", "lmtp", "lmtp://host", "plain"),
        ]
        assert first.target_mailboxes(1) == [(1, 1, b"INBOX", "/", 6, 10), (2, 1, b"Entw\xfcrfe", ".", 5, 9)]
        assert first.target_mailboxes(2) == [(3, 2, b"", None, None, None)]
        assert first.target_mailboxes(3) == []

    def test_what_a_target_has_is_told_in_order_and_each_time(self, first: Catalog) -> None:
        fold(first, into(), f.Restored(1, digest(2), 9), f.Restored(1, digest(1), 10), f.Restored(2, digest(1)))
        fold(first, f.Restored(1, digest(2), 11, "copy"), f.Restored(1, digest(2), None, None, digest(7)))
        assert first.restored(1) == [
            (digest(2), 9, None),
            (digest(1), 10, None),
            (digest(2), 11, "copy"),
            (digest(2), None, "mended"),
        ]
        assert first.restored(2) == [(digest(1), None, None)]
        assert first.restored(3) == []

    def test_a_mailbox_that_was_made_anew_has_nothing(self, first: Catalog) -> None:
        fold(first, into(1), into(2), f.Restored(1, digest(1), 9), f.Sending(1, digest(2)), f.Restored(2, digest(1)))
        fold(first, into(1))
        assert len(first.restored(1)) == 2
        fold(first, into(1, 6), f.Restored(1, digest(2), 1))
        assert first.restored(1) == [(digest(2), 1, None)]
        assert len(first.restored(2)) == 1

    def test_what_is_being_sent_is_in_doubt_until_it_was_restored(self, first: Catalog) -> None:
        once, arrived = f.Sending(1, digest(1)), f.Restored(1, digest(1))
        fold(first, into(1, None), once, f.Sending(1, digest(2)), once, f.Sending(2, digest(1)), arrived)
        assert first.restored(1) == [
            (digest(2), None, "sending"),
            (digest(1), None, "sending"),
            (digest(1), None, None),
        ]
        fold(first, into(1, None), arrived, arrived)
        assert first.restored(1) == [(digest(2), None, "sending"), *[(digest(1), None, None)] * 3]
        assert first.restored(2) == [(digest(1), None, "sending")]

    def test_what_was_not_taken_is_in_doubt_no_longer(self, first: Catalog) -> None:
        once, refused = f.Sending(1, digest(1)), f.NotTaken(1, digest(1))
        fold(first, into(1, None), once, refused, f.Sending(1, digest(2)), f.Sending(2, digest(1)))
        assert first.restored(1) == [(digest(2), None, "sending")]
        fold(first, once)
        fold(first, once, refused)
        assert first.restored(1) == [(digest(2), None, "sending"), (digest(1), None, "sending")]
        fold(first, refused)
        assert first.restored(1) == [(digest(2), None, "sending")]
        fold(first, refused, f.Restored(1, digest(1)))
        assert first.restored(1) == [(digest(2), None, "sending"), (digest(1), None, None)]
        assert first.restored(2) == [(digest(1), None, "sending")]

    def test_what_is_not_there_any_more_was_not_restored(self, first: Catalog) -> None:
        once, twice = f.Restored(1, digest(1), 5), f.Restored(1, digest(1), 6)
        gone = f.NotThere(1, digest(1), 5)
        fold(first, into(1, None), once, twice, f.Sending(1, digest(1)), gone, gone, f.Restored(2, digest(1), 5))
        assert first.restored(1) == [(digest(1), 6, None), (digest(1), None, "sending")]
        fold(first, once)
        fold(first, gone._replace(box=2), f.NotThere(1, digest(1)), f.NotThere(1, digest(2), 6))
        assert first.restored(1) == [(digest(1), 6, None), (digest(1), 5, None)]
        fold(first, gone, gone, once)
        assert first.restored(1) == [(digest(1), 6, None), (digest(1), 5, None)]
        assert first.restored(2) == []

    def test_what_was_sent_to_a_target_since_a_moment_is_summed(self, first: Catalog) -> None:
        fold(first, into(1), into(2), f.TargetMailboxSeen(3, 2, ""), stored(3, size=7))
        fold(first, f.Restored(1, digest(1)), f.Restored(2, digest(1), sent=digest(7)), f.Restored(3, digest(3)))
        fold(first, f.Restored(1, digest(1), 9, "copy"), f.Restored(1, digest(1), 9, "there"), f.Sending(1, digest(1)))
        fold(first, *run(2, f.Restored(1, digest(3)), into(1, 6)))
        fold(first, f.RunEnded(2, BEGAN + timedelta(days=4), 0))
        assert (first.uploaded(1, BEGAN), first.uploaded(2, BEGAN), first.uploaded(3, BEGAN)) == (27, 7, 0)
        assert first.uploaded(1, (BEGAN + timedelta(days=3)).astimezone(DATE.tzinfo)) == 7
        assert first.uploaded(1, BEGAN + timedelta(days=5)) == 0

    def test_what_contradicts_itself_is_damage_and_changes_nothing(self, first: Catalog) -> None:
        before = first.fingerprint()
        with pytest.raises(ArchiveDamaged):
            first.apply([stored(7), placed(9, 200)], Position(2, 0, bytes(32), 3))
        assert first.fingerprint() == before

    def test_equal_content_has_equal_fingerprints_however_it_came_about(self, catalog: Catalog, other: Catalog) -> None:
        facts: Sequence[Fact] = (
            *FIRST,
            *run(2, placed(1, 1), f.Gone(1, 1, (1,))),
            *run(3, placed(1, 1)),
            f.FlagsChanged(1, 1, 2, ("a",)),
            f.Lost(digest(2), "x"),
            stored(2, 3, 0),
        )
        doubt, sent = f.Sending(1, digest(1)), f.Restored(1, digest(1), 7)
        facts = (*facts, f.TargetSeen(1, "me@new", "imap"), into(), doubt, f.Restored(1, digest(2)), doubt, sent)
        for fact in facts:
            fold(catalog, fact)
        fold(other, *facts)
        assert catalog.fingerprint() == other.fingerprint()
        for fact in (f.FlagsChanged(1, 1, 2, ("b",)), f.TargetSeen(2, "x", "smtp"), into(2), sent):
            before = other.fingerprint()[1]
            fold(other, fact)
            assert other.fingerprint()[1] != before
