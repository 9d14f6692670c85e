"""Facts that come in the round trip that opens a mailbox: used if the server gives them, asked for again if not."""

import io

import pytest

from mailarchive.errors import ConnectionLost, MailboxUnavailable
from mailarchive.model import MessageFacts, RemoteUid
from mailarchive.remote.imap.mailbox import ImapMailbox
from tests.fault.imap_scripts import EXAMINE, INBOX, scripted
from tests.servers.scripted_imap import CUT, ScriptedServer, once

FACTS = b"".join(b"* %d FETCH (UID %d FLAGS () RFC822.SIZE 3)\r\n" % (n, n * 10) for n in (1, 2, 3))
OK = b"%T OK done\r\n"
OPEN = b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n%T OK [READ-ONLY] done\r\n"
EARLY = b"UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)"
UIDS: list[RemoteUid] = [10, 20, 30]


def after_examine(server: ScriptedServer) -> list[bytes]:
    """Return the commands from the first EXAMINE on, without the end."""
    begin = next(place for place, line in enumerate(server.commands) if line.startswith(b"EXAMINE"))
    return [line for line in server.commands[begin:] if line != b"LOGOUT"]


def described(mailbox: ImapMailbox) -> list[MessageFacts]:
    return list(mailbox.facts(UIDS))


def test_all_uids_and_facts_come_with_the_opening() -> None:
    with scripted((rb"UID FETCH", FACTS + OK), EXAMINE) as (source, server):
        mailbox = source.open(INBOX, 1)
        assert mailbox.uids() == UIDS
        assert described(mailbox) == [MessageFacts(uid, 3) for uid in UIDS]
    assert after_examine(server) == [b'EXAMINE "INBOX"', EARLY]


def test_the_second_command_does_not_wait_for_the_first() -> None:
    """This server answers EXAMINE only when it has the next command too."""

    def both(_command: bytes) -> bytes:
        opening = server.lines[-2].partition(b" ")[0]
        return OPEN.replace(b"%T", opening) + FACTS + OK

    with scripted((rb"EXAMINE", b""), (rb"UID FETCH", both)) as (source, server):
        assert source.open(INBOX, 1).uids() == UIDS


def test_facts_of_new_messages_only_are_asked_for() -> None:
    new = b"* 3 FETCH (UID 30 FLAGS () RFC822.SIZE 3)\r\n"
    with scripted((rb"UID FETCH 21:\*", new + OK), EXAMINE) as (source, server):
        mailbox = source.open(INBOX, 21)
        assert list(mailbox.facts([30])) == [MessageFacts(30, 3)]
    assert len(after_examine(server)) == 2


@pytest.mark.parametrize("refusal", [b"%T NO [LIMIT] too many\r\n", b"%T BAD what\r\n"])
def test_what_is_refused_at_once_is_asked_for_in_order(refusal: bytes) -> None:
    rules = ((rb"UID FETCH", once(refusal, FACTS + OK)), (rb"UID SEARCH", b"* SEARCH 10 20 30\r\n" + OK))
    with scripted(*rules, EXAMINE) as (source, server):
        mailbox = source.open(INBOX, 1)
        assert mailbox.uids() == UIDS
        assert len(described(mailbox)) == 3
    assert [line.split()[0] for line in after_examine(server)] == [b"EXAMINE", b"UID", b"UID", b"UID"]


def test_too_few_facts_are_no_listing() -> None:
    few = b"* 1 FETCH (UID 10 FLAGS () RFC822.SIZE 3)\r\n"
    rules = ((rb"UID FETCH", once(few + OK, FACTS + OK)), (rb"UID SEARCH", b"* SEARCH 10 20 30\r\n" + OK))
    with scripted(*rules, EXAMINE) as (source, _server):
        mailbox = source.open(INBOX, 1)
        assert mailbox.uids() == UIDS
        assert {facts.uid for facts in described(mailbox)} == set(UIDS)


def test_facts_without_size_and_date_are_asked_for_again() -> None:
    bare = FACTS.replace(b" RFC822.SIZE 3", b"")
    with scripted((rb"UID FETCH", once(bare + OK, FACTS + OK)), EXAMINE) as (source, _server):
        assert described(source.open(INBOX, 1)) == [MessageFacts(uid, 3) for uid in UIDS]


def test_after_a_message_was_asked_for_the_server_says_what_is_there() -> None:
    rules = ((rb"UID FETCH 10 \(UID BODY", OK), (rb"UID FETCH", once(FACTS + OK, OK)))
    with scripted(*rules, EXAMINE) as (source, _server):
        mailbox = source.open(INBOX, 1)
        assert list(mailbox.fetch([10], io.BytesIO)) == []
        assert described(mailbox) == []


def test_a_mailbox_that_cannot_be_opened_leaves_the_connection_of_use() -> None:
    rules = ((rb"EXAMINE", once(b"%T NO locked\r\n", OPEN)),)
    with scripted((rb"UID FETCH", once(b"%T BAD no mailbox\r\n", FACTS + OK)), *rules) as (source, _server):
        with pytest.raises(MailboxUnavailable, match="locked"):
            source.open(INBOX, 1)
        assert source.open(INBOX, 1).uids() == UIDS


def test_condstore_that_is_refused_costs_the_early_facts_only() -> None:
    rules = ((rb"EXAMINE .*CONDSTORE", b"%T BAD what\r\n"), (rb"UID FETCH", once(b"%T BAD no\r\n", FACTS + OK)))
    search = (rb"UID SEARCH", b"* SEARCH 10 20 30\r\n" + OK)
    with scripted(*rules, search, EXAMINE, capabilities=b"IMAP4rev1 CONDSTORE") as (source, _server):
        mailbox = source.open(INBOX, 1)
        assert mailbox.uids() == UIDS
        assert len(described(mailbox)) == 3


def test_a_server_that_limits_commands_is_not_asked_for_all() -> None:
    with scripted(EXAMINE, capabilities=b"IMAP4rev1 MESSAGELIMIT=2") as (source, server):
        source.open(INBOX, 1)
    assert after_examine(server) == [b'EXAMINE "INBOX"']


def test_a_connection_cut_within_the_facts_is_lost() -> None:
    with scripted((rb"UID FETCH", FACTS[:50] + CUT), EXAMINE) as (source, _server), pytest.raises(ConnectionLost):
        source.open(INBOX, 1)
