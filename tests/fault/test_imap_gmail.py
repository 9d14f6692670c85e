"""What Gmail and Yahoo answer: labels in any form, conversations, and fewer messages at a time than were asked for."""

import re

import pytest

from mailarchive.model import Cursor, MessageFacts, RemoteUid, UidValidity
from mailarchive.remote.imap import answers
from mailarchive.remote.imap.mailbox import ImapMailbox
from tests.fault.imap_scripts import INBOX, opened, scripted

OK = b"%T OK done\r\n"


def described(mailbox: ImapMailbox, *uids: int) -> dict[RemoteUid, MessageFacts]:
    return {facts.uid: facts for facts in mailbox.facts(uids)}


@pytest.mark.parametrize(
    ("sent", "labels"),
    [
        (b"", ()),
        (b'"\\\\Important" "a b" c', ("\\Important", "a b", "c")),
        (b"\\Inbox \\Sent", ("\\Inbox", "\\Sent")),
        (b'"\\Inbox"', ("\\Inbox",)),
        (b"2024 NIL", ("2024", "NIL")),
        (b'"say \\"hi\\"" "back\\\\slash"', ('say "hi"', "back\\slash")),
        (b'"()" "(x)" "[y]" "a/b c/d"', ("()", "(x)", "[y]", "a/b c/d")),
        (b'Entw&APw-rfe "&ZeVnLIqe- x" "A &- B"', ("Entwürfe", "日本語 x", "A & B")),
        (b'"&broken" "&AB-" Caf\xc3\xa9 "\xe9"', ("&broken", "&AB-", "Café", "é")),
        (b'{4}\r\na"\\b {0}\r\n {3}\r\n\r\nx plain', ('a"\\b', "", "\r\nx", "plain")),
    ],
)
@pytest.mark.parametrize(
    "shape", [b"X-GM-LABELS (%s) UID 1", b"UID 1 X-GM-LABELS (%s)", b"UID 1 FLAGS (a{0}) X-GM-LABELS (%s)"]
)
def test_gmails_ids_and_labels_are_facts_in_any_form(sent: bytes, labels: tuple[str, ...], shape: bytes) -> None:
    line = b'* 1 FETCH (X-GM-THRID 77 X-GM-MSGID 123 %s RFC822.SIZE 5 INTERNALDATE "x")\r\n' % (shape % sent)
    with opened((rb"UID FETCH", line + OK), capabilities=b"IMAP4rev1 X-GM-EXT-1") as (mailbox, _server):
        found = described(mailbox, 1)[1]
    assert (found.size, found.account_id, found.thread_id, found.labels) == (5, "123", "77", labels)


@pytest.mark.parametrize(("sent", "thread"), [(b"(T1)", "T1"), (b"NIL", None), (b'("T 1")', "T 1"), (b"()", None)])
def test_a_conversation_has_an_id_or_none(sent: bytes, thread: str | None) -> None:
    line = b"* 1 FETCH (UID 1 RFC822.SIZE 5 EMAILID (M1) THREADID %s)\r\n" % sent
    with opened((rb"UID FETCH", line + OK), capabilities=b"IMAP4rev1 OBJECTID") as (mailbox, _server):
        assert described(mailbox, 1)[1] == MessageFacts(1, 5, account_id="M1", thread_id=thread)


def test_what_gmail_usually_answers_needs_no_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "read_fetch", None)
    line = (
        b'* 1 FETCH (X-GM-THRID 77 X-GM-MSGID 123 X-GM-LABELS ("\\\\Inbox" "a \\"b\\"" 2024) UID 1 RFC822.SIZE 5 '
        b'INTERNALDATE "17-Jul-1996 02:44:25 -0700" FLAGS (\\Seen) MODSEQ (9))\r\n'
        b"* 2 FETCH (EMAILID (M1) THREADID NIL UID 2 RFC822.SIZE 5)\r\n"
    )
    with opened((rb"UID FETCH", line + OK), capabilities=b"IMAP4rev1 X-GM-EXT-1") as (mailbox, _server):
        assert described(mailbox, 1, 2)[1].labels == ("\\Inbox", 'a "b"', "2024")


def test_a_highestmodseq_without_words_is_accepted() -> None:
    examine = b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 9] ok\r\n* OK [HIGHESTMODSEQ 123]\r\n%T OK\r\n"
    with scripted((rb"EXAMINE", examine), capabilities=b"IMAP4rev1 CONDSTORE") as (source, _server):
        assert source.open(INBOX).cursor == Cursor(UidValidity(7), 9, 123, 3)


def test_no_command_names_more_messages_than_the_server_takes() -> None:
    def answer(line: bytes) -> bytes:
        first, last = map(int, re.findall(rb"\d+", line)[:2])
        assert last - first < 2
        facts = b"".join(b"* %d FETCH (UID %d FLAGS (x) RFC822.SIZE 5)\r\n" % (n, n) for n in range(first, last + 1))
        return facts + OK

    examine = b"* 4 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n" + OK
    with scripted((rb"EXAMINE", examine), (rb"(UID )?FETCH", answer), capabilities=b"IMAP4rev1 MESSAGELIMIT=2") as (
        source,
        _server,
    ):
        mailbox = source.open(INBOX)
        assert mailbox.uids() == [1, 2, 3, 4]
        assert set(described(mailbox, 1, 2, 3, 4)) == {1, 2, 3, 4}
        assert dict(mailbox.flags_since(1)) == dict.fromkeys((1, 2, 3, 4), frozenset({"x"}))


def test_what_a_limit_left_out_of_an_answer_is_asked_again() -> None:
    def answer(line: bytes) -> bytes:
        ends = [int(n) for n in re.findall(rb"\d+", line.split()[2])]
        uids = range(ends[0], ends[-1] + 1)[-2:]
        code = b"[MESSAGELIMIT 2 %d] " % uids[0] if uids[0] > ends[0] else b""
        return b"".join(b"* %d FETCH (UID %d RFC822.SIZE 5)\r\n" % (n, n) for n in uids) + b"%T OK " + code + b"x\r\n"

    with opened((rb"UID FETCH", answer)) as (mailbox, _server):
        found = described(mailbox, 1, 2, 3, 4, 5)
    assert {uid: facts.size for uid, facts in found.items()} == dict.fromkeys((1, 2, 3, 4, 5), 5)
