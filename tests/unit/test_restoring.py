"""What a restore writes down has the right numbers at once, and is there after a crash."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailarchive.archive.archive import Kind, open_for_reading, open_for_writing
from mailarchive.archive.prepare import prepare
from mailarchive.archive.restoring import Landed, RestoreLog
from mailarchive.archive.writer import Arrival, Writer
from mailarchive.clock import SystemClock
from mailarchive.errors import StorageFailed
from mailarchive.facts import Fact
from mailarchive.mail.body import MemoryBody
from mailarchive.mail.mailbox_name import mailbox_name
from mailarchive.model import Account, Digest, ListedMailbox, MessageFacts
from tests.fault.archives import ignore_text, message, no_damage

NEW = Account("me@new.example.org", "imap", "imap://new.example.org", "tls")
SMTP = Account("me@mx.example.org", "smtp")


@contextmanager
def opened(root: Path) -> Iterator[Writer]:
    with open_for_writing(root, "restore", SystemClock(), ignore_text, make=Kind()) as writer:
        writer.begin("restore")
        yield writer


def pulled(writer: Writer, count: int) -> list[Digest]:
    """Put messages into the archive."""
    writer.mailbox(1, "me@host", ListedMailbox(mailbox_name(b"INBOX", "/")), 1)
    bodies = [MemoryBody(message(number)) for number in range(count)]
    arrivals = [Arrival(MessageFacts(uid), prepare(body)) for uid, body in enumerate(bodies, 1)]
    return [added.digest for added in writer.add(1, 1, arrivals)]


def journaled(root: Path, kind: str) -> int:
    return (root / "journal" / "tail.jsonl").read_bytes().count(b'{"t":"' + kind.encode() + b'"')


def test_targets_and_mailboxes_are_numbered_at_once_and_for_ever(tmp_path: Path) -> None:
    with opened(tmp_path) as writer:
        log = RestoreLog(writer)
        assert [log.target(NEW), log.target(SMTP), log.target(NEW)] == [1, 2, 1]
        assert log.mailbox(1, b"INBOX", "/", 5, 1) == 1
        assert log.mailbox(1, b"Entw\xfcrfe", "/", 6, 1) == 2
        assert log.mailbox(2, b"", None, None, None) == 3
        assert log.mailbox(1, b"INBOX", "/", 5, 3) == 1
    with opened(tmp_path) as writer:
        log = RestoreLog(writer)
        assert [log.target(SMTP), log.target(NEW)] == [2, 1]
        assert log.mailbox(1, b"Entw\xfcrfe", "/", 6, 1) == 2
        assert log.mailbox(2, b"INBOX", None, None, None) == 4
    with open_for_reading(tmp_path, ignore_text) as archive:
        assert [box.raw for box in archive.catalog.target_mailboxes(1)] == [b"INBOX", b"Entw\xfcrfe"]


def test_a_target_is_recorded_when_it_is_new_or_reached_in_another_way(tmp_path: Path) -> None:
    with opened(tmp_path) as writer:
        log = RestoreLog(writer)
        for account in (NEW, NEW, NEW._replace(security="starttls"), NEW._replace(security="starttls")):
            assert log.target(account) == 1
        assert journaled(tmp_path, "target") == 2
        writer.checkpoint()
        with writer.catalog() as catalog:
            assert [target.security for target in catalog.targets()] == ["starttls"]


def test_what_was_restored_is_known_after_a_crash(tmp_path: Path) -> None:
    with opened(tmp_path) as writer:
        one, two, three = pulled(writer, 3)
        writer.checkpoint()
        log = RestoreLog(writer)
        box = log.mailbox(log.target(NEW), b"INBOX", "/", 5, 1)
        log.restored(box, [Landed(one, 1), Landed(two, 2, "copy"), Landed(one, 3, sent=three)])
        log.sending(box, three)
        writer._failed = True
    with opened(tmp_path) as writer, writer.catalog() as catalog:
        assert catalog.restored(box) == [(one, 1, None), (two, 2, "copy"), (one, 3, "mended"), (three, None, "sending")]
    no_damage(tmp_path)


def test_many_are_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as writer:
        digests = pulled(writer, 20)
        log = RestoreLog(writer)
        box = log.mailbox(log.target(NEW), b"INBOX", "/", 5, 1)
        appended: list[int] = []
        real = writer._log.append

        def append(*facts: Fact) -> None:
            appended.append(len(facts))
            real(*facts)

        monkeypatch.setattr(writer._log, "append", append)
        log.restored(box, [Landed(digest, uid) for uid, digest in enumerate(digests, 1)])
        assert appended == [20]


def test_the_catalog_does_not_tell_what_a_mailbox_had_that_was_made_anew(tmp_path: Path) -> None:
    with opened(tmp_path) as writer:
        [digest] = pulled(writer, 1)
        log = RestoreLog(writer)
        box = log.mailbox(log.target(NEW), b"INBOX", "/", 5, 1)
        log.restored(box, [Landed(digest, 1)])
        writer.checkpoint()
        assert log.mailbox(1, b"INBOX", "/", 6, 1) == box
        with writer.catalog() as catalog:
            assert catalog.restored(box) == []


def test_threads_read_messages_while_another_holds_the_writer(tmp_path: Path) -> None:
    found: list[bytes] = []
    with opened(tmp_path) as writer:
        digests = pulled(writer, 3)
        writer.checkpoint()
        with writer.catalog() as catalog:
            wanted = [one.message for one in catalog.restorable(1)]

            def read() -> None:
                with writer.reading() as reader:
                    for each in wanted:
                        reader.hold(each.block)
                        found.append(b"".join(reader.octets(each)))

            thread = threading.Thread(target=read)
            thread.start()
            thread.join(20)
    assert [one.digest for one in wanted] == digests
    assert found == [message(number) for number in range(3)]


def test_after_the_storage_failed_nothing_is_recorded(tmp_path: Path) -> None:
    with opened(tmp_path) as writer:
        log = RestoreLog(writer)
        writer._failed = True
        with pytest.raises(StorageFailed):
            log.target(NEW)
        with pytest.raises(StorageFailed):
            log.mailbox(1, b"INBOX", "/", 5, 1)
        writer._failed = False
        assert log.target(NEW) == 1
        assert log.mailbox(1, b"INBOX", "/", 5, 1) == 1
