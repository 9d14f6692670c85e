import pytest

from mailarchive.errors import ConnectionLost, MailboxUnavailable, ProtocolViolation
from mailarchive.mail.mailbox_name import mailbox_name
from mailarchive.model import Cursor, ListedMailbox, UidValidity
from tests.fault.imap_scripts import INBOX, opened, scripted
from tests.servers.scripted_imap import CUT

LIST_STATUS = b"IMAP4rev1 LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE"


def test_names_come_as_literals_quoted_strings_and_atoms() -> None:
    lines = (
        b'* LIST (\\Noselect) "/" parent\r\n* LIST () "/" {6}\r\nli"t\\l\r\n'
        b'* LIST () "/" "quo\\"ted"\r\n* LIST () "/" Inbox\r\n'
    )
    with scripted((rb"LIST", lines + b"%T OK\r\n"), (rb"STATUS", b"%T NO no\r\n")) as (source, _server):
        assert [mailbox.name.raw for mailbox in source.mailboxes()] == [b'li"t\\l', b'quo"ted', b"INBOX"]


def test_one_command_lists_all_where_list_status_is_offered() -> None:
    lines = (
        b'* LIST (\\HasNoChildren) "." INBOX\r\n* STATUS INBOX (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 7 HIGHESTMODSEQ 5)\r\n'
        b'* LIST (\\Sent) "." Sent\r\n* STATUS Sent (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 8 HIGHESTMODSEQ 0)\r\n'
    )
    with scripted((rb"LIST", lines + b"%T OK\r\n"), capabilities=LIST_STATUS) as (source, server):
        inbox, sent = source.mailboxes()
    assert inbox.cursor == Cursor(UidValidity(7), 9, 5, 3)
    assert sent.cursor == Cursor(UidValidity(8), 1, None, 0)
    assert sent.special_use == {"\\Sent"}
    expected = b'LIST "" "*" RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))'
    assert [line for line in server.commands if line.startswith((b"LIST", b"STATUS"))] == [expected]


def test_only_what_is_offered_is_asked_of_list() -> None:
    with scripted((rb"LIST", b"%T OK\r\n"), capabilities=b"IMAP4rev1 LIST-STATUS") as (source, server):
        assert source.mailboxes() == []
    assert server.commands[-2:-1] == [b'LIST "" "*" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY))']


def test_a_mailbox_that_list_status_leaves_out_is_asked_by_itself() -> None:
    lines = (
        b'* LIST () "." INBOX\r\n* STATUS INBOX ()\r\n'
        b'* LIST () "." Sent\r\n* STATUS Sent (MESSAGES 1 UIDVALIDITY 8)\r\n'
    )
    with scripted(
        (rb"LIST", lines + b"%T OK\r\n"),
        (rb"STATUS", b"* STATUS INBOX (MESSAGES 2 UIDVALIDITY 7)\r\n%T OK\r\n"),
        capabilities=LIST_STATUS,
    ) as (source, server):
        cursors = [mailbox.cursor for mailbox in source.mailboxes()]
    assert cursors == [Cursor(UidValidity(7), None, None, 2), Cursor(UidValidity(8), None, None, 1)]
    assert [line for line in server.commands if line.startswith(b"STATUS")] == [
        b'STATUS "INBOX" (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)'
    ]


def test_when_the_extended_list_is_refused_the_plain_one_is_asked() -> None:
    with scripted(
        (rb"LIST .* RETURN", b"%T BAD what\r\n"),
        (rb"LIST", b'* LIST () "/" INBOX\r\n%T OK\r\n'),
        (rb"STATUS", b"* STATUS INBOX (MESSAGES 2 UIDVALIDITY 7)\r\n%T OK\r\n"),
        capabilities=LIST_STATUS,
    ) as (source, _server):
        assert source.mailboxes() == [ListedMailbox(INBOX.name, frozenset(), Cursor(UidValidity(7), None, None, 2))]


def test_hundreds_of_mailboxes_are_asked_many_at_a_time() -> None:
    names = [b"box%d" % number for number in range(170)]
    listing = b"".join(b'* LIST () "/" %s\r\n' % name for name in names)
    with scripted(
        (rb"LIST", listing + b"%T OK\r\n"),
        (rb"STATUS", lambda line: b"* STATUS %s (MESSAGES 2 UIDVALIDITY 7)\r\n%%T OK\r\n" % line.split()[1]),
    ) as (source, _server):
        found = source.mailboxes()
    assert [mailbox.name.raw for mailbox in found] == names
    assert all(mailbox.cursor is not None for mailbox in found)


def test_a_status_that_is_refused_or_empty_leaves_the_cursor_open() -> None:
    lines = b'* LIST () "/" a\r\n* LIST () "/" b\r\n* LIST () "/" c\r\n'
    with scripted(
        (rb"LIST", lines + b"%T OK\r\n"),
        (rb'STATUS "a"', b"%T NO no rights\r\n"),
        (rb'STATUS "b"', b"* STATUS b ()\r\n%T OK\r\n"),
        (rb'STATUS "c"', b"* STATUS c (UIDVALIDITY 7)\r\n%T OK\r\n"),
    ) as (source, _server):
        assert [mailbox.cursor is None for mailbox in source.mailboxes()] == [True, True, False]


def test_names_that_cannot_be_quoted_are_sent_as_literals() -> None:
    lines = b'* LIST () "/" a\r\n* LIST () "/" {6}\r\nb\r\nc\xc3\xa9\r\n* LIST () "/" d\r\n'
    status = (rb"STATUS", b"* STATUS {6}\r\nb\r\nc\xc3\xa9 (UIDVALIDITY 7)\r\n%T OK\r\n")
    for capabilities, marker in ((b"IMAP4rev1", b"{6}"), (b"IMAP4rev1 LITERAL-", b"{6+}")):
        with scripted((rb"LIST", lines + b"%T OK\r\n"), status, capabilities=capabilities) as (source, server):
            assert [mailbox.cursor is None for mailbox in source.mailboxes()] == [True, False, True]
        assert b"STATUS " + marker + b"\r\nb\r\nc\xc3\xa9 (MESSAGES UIDNEXT UIDVALIDITY)" in server.commands


def test_a_name_twice_in_the_list_is_one_mailbox() -> None:
    lines = b'* LIST () "/" INBOX\r\n* LIST () "/" inbox\r\n'
    with scripted((rb"LIST", lines + b"%T OK\r\n"), (rb"STATUS", b"%T NO\r\n")) as (source, _server):
        assert len(source.mailboxes()) == 1


def test_a_list_that_is_refused_is_an_error() -> None:
    with (
        scripted((rb"LIST", b"%T NO not today\r\n")) as (source, _server),
        pytest.raises(ProtocolViolation, match="not today"),
    ):
        source.mailboxes()


EXISTS = b"* 3 EXISTS\r\n"


@pytest.mark.parametrize(
    ("answer", "cursor"),
    [
        (
            EXISTS + b"* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 9]\r\n* OK [HIGHESTMODSEQ 4]\r\n",
            Cursor(UidValidity(7), 9, 4, 3),
        ),
        (EXISTS + b"* OK [UIDVALIDITY 7] x\r\n* OK [NOMODSEQ] none\r\n", Cursor(UidValidity(7), None, None, 3)),
        (EXISTS + b"* OK [UIDVALIDITY 0]\r\n", Cursor(UidValidity(0), None, None, 3)),
        (EXISTS, Cursor(UidValidity(0), None, None, 3)),
        (EXISTS + b"* 1 EXPUNGE\r\n* OK still here\r\n", Cursor(UidValidity(0), None, None, 2)),
    ],
)
def test_the_cursor_is_what_examine_says(answer: bytes, cursor: Cursor) -> None:
    with scripted((rb"EXAMINE", answer + b"%T OK [READ-ONLY]\r\n")) as (source, _server):
        assert source.open(INBOX).cursor == cursor


def test_condstore_is_asked_for_and_done_without_if_refused() -> None:
    rules = ((rb"EXAMINE .*CONDSTORE", b"%T BAD what\r\n"), (rb"EXAMINE", EXISTS + b"%T OK\r\n"))
    with scripted(*rules, capabilities=b"IMAP4rev1 CONDSTORE") as (source, server):
        assert source.open(INBOX).cursor.messages == 3
    assert server.commands[-3:-1] == [b'EXAMINE "INBOX" (CONDSTORE)', b'EXAMINE "INBOX"']


def test_a_mailbox_that_cannot_be_opened_is_unavailable_with_the_servers_words() -> None:
    rules = ((rb'EXAMINE "gone"', b"%T NO [NONEXISTENT] it is\x1b gone\r\n"), (rb"EXAMINE", EXISTS + b"%T OK\r\n"))
    with scripted(*rules) as (source, _server):
        with pytest.raises(MailboxUnavailable, match=r"it is\\x1b gone"):
            source.open(ListedMailbox(mailbox_name(b"gone", "/")))
        assert source.open(INBOX).cursor.messages == 3


def test_a_mailbox_whose_number_of_messages_is_not_told_is_unavailable() -> None:
    with scripted((rb"EXAMINE", b"%T OK\r\n")) as (source, _server), pytest.raises(MailboxUnavailable):
        source.open(INBOX)


@pytest.mark.parametrize("answer", [CUT, b"* BYE locked\r\n" + CUT])
def test_a_server_that_hangs_up_at_examine_is_lost(answer: bytes) -> None:
    with scripted((rb"EXAMINE", answer)) as (source, _server):
        with pytest.raises(ConnectionLost):
            source.open(INBOX)
        with pytest.raises(ConnectionLost):
            source.mailboxes()


def by_sequence(line: bytes) -> bytes:
    first, last = map(int, line.split()[1].split(b":"))
    return b"".join(b"* %d FETCH (UID %d)\r\n" % (n, n + 10) for n in range(first, last + 1)) + b"%T OK\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"* SEARCH 11 13 12\r\n%T OK\r\n",
        b"* SEARCH\r\n* SEARCH 11 13\r\n* 3 FETCH (FLAGS (\\Seen))\r\n* SEARCH 12 12\r\n%T OK\r\n",
        b"* SEARCH 11 12\r\n%T OK\r\n",
        b"* SEARCH 11 12 13 (MODSEQ 5)\r\n%T OK\r\n",
        b"* SEARCH\r\n%T OK\r\n",
        b"%T OK\r\n",
        b"%T NO cannot\r\n",
        b"%T BAD what\r\n",
    ],
)
def test_all_uids_are_found_however_search_answers(answer: bytes) -> None:
    with opened((rb"UID SEARCH ALL", answer), (rb"FETCH", by_sequence)) as (mailbox, _server):
        assert mailbox.uids() == [11, 12, 13]


@pytest.mark.parametrize(
    "answer",
    [
        b'* ESEARCH (TAG "%T") UID ALL 11:13\r\n%T OK\r\n',
        b'* ESEARCH (TAG "%T") UID ALL 13:12,11\r\n%T OK\r\n',
        b'* ESEARCH (TAG "%T") UID\r\n%T OK\r\n',
        b'* ESEARCH (TAG "%T") UID ALL 1:4294967295\r\n%T OK\r\n',
        b"* SEARCH 11 12 13\r\n%T OK\r\n",
    ],
)
def test_all_uids_are_found_however_esearch_answers(answer: bytes) -> None:
    rules = ((rb"UID SEARCH RETURN \(ALL\) ALL", answer), (rb"FETCH", by_sequence))
    with opened(*rules, capabilities=b"IMAP4rev1 ESEARCH") as (mailbox, _server):
        assert mailbox.uids() == [11, 12, 13]


def test_when_search_finds_all_nothing_else_is_asked() -> None:
    with opened((rb"UID SEARCH", b"* SEARCH 1 2 3\r\n%T OK\r\n")) as (mailbox, server):
        mailbox.uids()
    assert not [line for line in server.commands if line.startswith(b"FETCH")]


def test_messages_that_vanish_during_search_are_not_looked_for() -> None:
    with opened((rb"UID SEARCH", b"* SEARCH 1 3\r\n* 2 EXPUNGE\r\n%T OK\r\n")) as (mailbox, server):
        assert mailbox.uids() == [1, 3]
    assert not [line for line in server.commands if line.startswith(b"FETCH")]


def test_a_search_answer_of_several_megabytes_is_read() -> None:
    count = 400_000
    numbers = b" ".join(b"%d" % uid for uid in range(1_000_000, 1_000_000 + count))
    rules = (
        (rb"EXAMINE", b"* %d EXISTS\r\n%%T OK\r\n" % count),
        (rb"UID SEARCH", b"* SEARCH " + numbers + b"\r\n%T OK\r\n"),
    )
    with scripted(*rules) as (source, _server):
        assert len(source.open(INBOX).uids()) == count


def test_a_server_that_finds_a_tenth_is_asked_by_sequence_number_in_pieces() -> None:
    rules = ((rb"EXAMINE", b"* 12000 EXISTS\r\n%T OK\r\n"), (rb"UID SEARCH", b"* SEARCH 11 12\r\n%T OK\r\n"))
    with scripted(*rules, (rb"FETCH", by_sequence)) as (source, server):
        assert source.open(INBOX).uids() == list(range(11, 12_011))
    asked = [line for line in server.commands if line.startswith(b"FETCH")]
    assert asked == [b"FETCH 1:5000 (UID)", b"FETCH 5001:10000 (UID)", b"FETCH 10001:12000 (UID)"]


def test_what_cannot_be_found_in_any_way_is_left_out() -> None:
    with opened((rb"UID SEARCH", b"* SEARCH 7\r\n%T OK\r\n"), (rb"FETCH", b"%T NO\r\n")) as (mailbox, _server):
        assert mailbox.uids() == [7]
