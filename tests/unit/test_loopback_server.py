"""The loopback server, spoken to by imapclient and imaplib."""

import imaplib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError

from mailarchive.loopback.account import CAPABILITIES, LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from tests.servers.certificates import make_certificate

ODD = b"Subject: odd\r\n\r\nFrom \x00 here\n\xff\rbare"


@pytest.fixture
def account() -> LoopbackAccount:
    account = LoopbackAccount()
    account.append("INBOX", b"Subject: one\r\nFrom: a@example.org\r\n\r\nfirst\r\n", flags=["\\Seen", "$Done"])
    account.append("INBOX", ODD, internaldate=datetime(2020, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=-5))))
    account.append("INBOX", b"")
    return account


@pytest.fixture
def server(account: LoopbackAccount) -> Iterator[LoopbackServer]:
    with LoopbackServer(account) as server:
        yield server


@pytest.fixture
def client(server: LoopbackServer) -> Iterator[IMAPClient]:
    with connected(server) as client:
        yield client


def connected(server: LoopbackServer) -> IMAPClient:
    client = IMAPClient("127.0.0.1", server.port, ssl=False, timeout=10)
    client.normalise_times = False
    client.login("user", "secret")
    return client


def converse(server: LoopbackServer, *commands: str) -> list[str]:
    """Send commands and return their tagged answers, without the tag."""
    answers = []
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection, connection.makefile("rwb") as stream:
        for command in commands:
            stream.write(f"t {command}\r\n".encode())
            stream.flush()
            answers.append(next(line for line in stream if line.startswith(b"t ")).decode().strip()[2:])
    return answers


def test_a_body_arrives_octet_for_octet(client: IMAPClient) -> None:
    client.select_folder("INBOX", readonly=True)
    assert client.fetch([2], ["BODY.PEEK[]"])[2][b"BODY[]"] == ODD
    assert client.fetch([3], ["BODY.PEEK[]"])[3][b"BODY[]"] == b""


def test_facts_of_a_message(client: IMAPClient) -> None:
    client.select_folder("INBOX", readonly=True)
    facts = client.fetch([1, 2, 3], ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "MODSEQ", "EMAILID"])
    assert facts[1][b"FLAGS"] == (b"$Done", b"\\Seen")
    assert facts[2][b"RFC822.SIZE"] == len(ODD)
    assert facts[2][b"INTERNALDATE"] == datetime(2020, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=-5)))
    assert facts[2][b"MODSEQ"] == (3,)
    assert len({facts[uid][b"EMAILID"] for uid in facts}) == 3


def test_sections_and_partial_bodies(client: IMAPClient) -> None:
    client.select_folder("INBOX", readonly=True)
    answer = client.fetch([1], ["BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]", "BODY.PEEK[HEADER.FIELDS (FROM)]"])[1]
    assert answer[b"BODY[HEADER]"] == b"Subject: one\r\nFrom: a@example.org\r\n\r\n"
    assert answer[b"BODY[TEXT]"] == b"first\r\n"
    assert answer[b"BODY[HEADER.FIELDS (FROM)]"] == b"From: a@example.org\r\n\r\n"
    assert client.fetch([1], ["BODY.PEEK[]<9.3>"])[1][b"BODY[]<9>"] == b"one"
    assert client.fetch([1], ["BODY.PEEK[]<900.3>"])[1][b"BODY[]<900>"] == b""


def test_peek_leaves_unseen_and_body_sets_seen_only_after_select(client: IMAPClient, account: LoopbackAccount) -> None:
    client.select_folder("INBOX", readonly=True)
    client.fetch([2], ["BODY[]"])
    client.select_folder("INBOX")
    client.fetch([2], ["BODY.PEEK[]"])
    assert "\\Seen" not in account.messages("INBOX")[1].flags
    client.fetch([2], ["BODY[]"])
    assert "\\Seen" in account.messages("INBOX")[1].flags


def test_only_body_fetches_are_counted(client: IMAPClient, server: LoopbackServer) -> None:
    client.select_folder("INBOX", readonly=True)
    client.fetch([1, 2, 3], ["FLAGS", "BODY.PEEK[HEADER]"])
    assert not server.counts.body_fetches
    client.fetch([2], ["BODY.PEEK[]"])
    assert server.counts.body_fetches == {("INBOX", 2): 1}
    assert server.counts.body_octets == len(ODD)
    assert server.counts.commands[-1] == "UID FETCH 2 (BODY.PEEK[])"
    assert server.counts.connections == 1


def test_names_of_any_kind_are_listed(client: IMAPClient, account: LoopbackAccount) -> None:
    for name in ("Entwürfe & Ideen", 'quo"te\\d', "日本語", "case", "Case"):
        account.create(name)
    account.create("Parent/Child", special_use="\\Sent")
    listed = {name: flags for flags, _, name in client.list_folders()}
    assert {"Entwürfe & Ideen", 'quo"te\\d', "日本語", "case", "Case", "INBOX"} <= listed.keys()
    assert b"\\Noselect" in listed["Parent"]
    assert b"\\Sent" in listed["Parent/Child"]
    assert {name for _, _, name in client.list_folders("", "%")} >= {"Parent"}
    assert "Parent/Child" not in {name for _, _, name in client.list_folders("", "%")}
    with pytest.raises(IMAPClientError, match="doesn't exist"):
        client.select_folder("Parent", readonly=True)


def test_a_mailbox_name_of_raw_octets_survives(server: LoopbackServer, account: LoopbackAccount) -> None:
    account.create(b"caf\xc3\xa9 \xff")
    client = imaplib.IMAP4("127.0.0.1", server.port)
    client.login("user", "secret")
    assert b'(\\HasNoChildren) "/" "caf\xc3\xa9 \xff"' in client.list()[1]
    client.logout()


def test_list_status_tells_everything_in_one_command(server: LoopbackServer) -> None:
    client = imaplib.IMAP4("127.0.0.1", server.port)
    client.login("user", "secret")
    client.xatom("LIST", '"" "*" RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))')
    assert client.response("STATUS")[1] == [b'"INBOX" (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 1700000001 HIGHESTMODSEQ 4)']
    client.logout()


def test_search_esearch_and_criteria(client: IMAPClient, server: LoopbackServer) -> None:
    client.select_folder("INBOX", readonly=True)
    assert client.search("ALL") == [1, 2, 3]
    assert client.search(["UID", "2:*"]) == [2, 3]
    assert client.search(["SINCE", "2-Jan-2022"]) == [1, 3]
    assert client.search(["NOT", "SEEN"]) == [2, 3]
    assert client.search(["OR", "KEYWORD", "$Done", "SMALLER", "1"]) == [1, 3]
    assert client.search(["HEADER", "Subject", "ODD"]) == [2]
    raw = imaplib.IMAP4("127.0.0.1", server.port)
    raw.login("user", "secret")
    raw.select(readonly=True)
    raw.xatom("UID SEARCH", "RETURN (ALL COUNT MIN MAX) 1:*")
    (answer,) = raw.response("ESEARCH")[1]
    assert answer is not None
    assert answer.endswith(b"UID MIN 1 MAX 3 ALL 1:3 COUNT 3")
    raw.logout()


def test_changes_are_told_at_the_next_command(client: IMAPClient, account: LoopbackAccount) -> None:
    client.select_folder("INBOX", readonly=True)
    account.expunge("INBOX", 1)
    account.append("INBOX", b"new")
    account.set_flags("INBOX", 2, ["\\Flagged"])
    assert client.noop()[1] == [
        (1, b"EXPUNGE"),
        (1, b"FETCH", (b"UID", 2, b"FLAGS", (b"\\Flagged",))),
        (3, b"EXISTS"),
    ]


def test_changedsince_gives_what_changed(client: IMAPClient, account: LoopbackAccount) -> None:
    before = client.select_folder("INBOX", readonly=True)[b"HIGHESTMODSEQ"]
    account.set_flags("INBOX", 3, ["\\Answered"])
    changed = client.fetch([1, 2, 3], ["FLAGS"], [f"CHANGEDSINCE {before}"])
    assert {uid: facts[b"FLAGS"] for uid, facts in changed.items()} == {3: (b"\\Answered",)}


def test_a_connection_ends_when_its_mailbox_gets_a_new_uidvalidity(
    client: IMAPClient, account: LoopbackAccount
) -> None:
    before = account["INBOX"].uidvalidity
    client.select_folder("INBOX", readonly=True)
    assert account.reset_uidvalidity("INBOX", first_uid=10) != before
    with pytest.raises(IMAPClientError):
        client.noop()
    assert [message.uid for message in account.messages("INBOX")] == [10, 11, 12]


def test_append_store_copy_move_expunge(client: IMAPClient, account: LoopbackAccount) -> None:
    client.create_folder("Ärger")
    date = datetime(2021, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert b"APPENDUID" in client.append("Ärger", b"a\r\nb\r\n", ["\\Seen"], date)
    (appended,) = account.messages("Ärger")
    assert (appended.octets, appended.internaldate, appended.flags) == (
        b"a\r\nb\r\n",
        date,
        frozenset({"\\Seen"}),
    )
    client.multiappend("Ärger", [b"x", b"y\n"])
    assert [message.octets for message in account.messages("Ärger")[1:]] == [b"x", b"y\n"]
    client.select_folder("INBOX")
    client.copy([1], "Ärger")
    client.move([2], "Ärger")
    client.delete_messages([1])
    client.expunge()
    assert [message.uid for message in account.messages("INBOX")] == [3]
    assert account.messages("Ärger")[-1].octets == ODD
    with pytest.raises(IMAPClientError, match="TRYCREATE"):
        client.append("missing", b"x")


def test_rename_takes_children_along(client: IMAPClient, account: LoopbackAccount) -> None:
    account.create("a")
    account.create("a/b")
    client.rename_folder("a", "c")
    assert {box.name for box in account.mailboxes()} == {"INBOX", "c", "c/b"}
    client.delete_folder("c/b")
    assert "c/b" not in account


def test_capabilities_can_be_switched_off() -> None:
    account = LoopbackAccount(capabilities=CAPABILITIES - {"CONDSTORE", "ESEARCH", "LIST-STATUS"}, delimiter=".")
    with LoopbackServer(account) as server, connected(server) as client:
        assert not {b"CONDSTORE", b"ESEARCH", b"LIST-STATUS"} & set(client.capabilities())
        assert b"HIGHESTMODSEQ" not in client.select_folder("INBOX", readonly=True)
        with pytest.raises(IMAPClientError, match="Unknown"):
            client.fetch([1], ["MODSEQ"])
        assert client.list_folders()[0][1] == b"."


def test_gmail_items_when_switched_on() -> None:
    account = LoopbackAccount(capabilities=CAPABILITIES | {"X-GM-EXT-1"})
    account.append("INBOX", b"x", labels=["\\Inbox", "Über uns"])
    account.create("All")
    account.copy("INBOX", 1, "All")
    with LoopbackServer(account) as server, connected(server) as client:
        client.select_folder("INBOX", readonly=True)
        facts = client.fetch([1], ["X-GM-MSGID", "X-GM-LABELS"])[1]
        assert facts[b"X-GM-LABELS"] == (b"\\Inbox", b"&ANw-ber uns")
        client.select_folder("All", readonly=True)
        assert client.fetch([1], ["X-GM-MSGID"])[1][b"X-GM-MSGID"] == facts[b"X-GM-MSGID"]


def test_login_is_refused_with_a_wrong_password(server: LoopbackServer) -> None:
    client = IMAPClient("127.0.0.1", server.port, ssl=False, timeout=10)
    with pytest.raises(LoginError):
        client.login("user", "wrong")
    client.plain_login("user", "secret")
    client.logout()
    assert converse(server, 'LIST "" *') == ["BAD Log in first"]


def test_authenticate_plain_without_initial_response(server: LoopbackServer) -> None:
    client = imaplib.IMAP4("127.0.0.1", server.port)
    client.authenticate("PLAIN", lambda _: b"\0user\0secret")
    assert client.select(readonly=True)[0] == "OK"
    client.logout()


@pytest.mark.parametrize(
    "line",
    [
        "FETCH 1",
        "FETCH x FLAGS",
        "FETCH 1 (NONSENSE)",
        "FETCH 1 (FLAGS",
        "FETCH 1 FLAGS)",
        'SEARCH "',
        "SEARCH",
        "SEARCH FROBNICATE x",
        "LIST",
        "STATUS INBOX",
        "APPEND INBOX",
        "UID",
        "FROBNICATE",
    ],
)
def test_nonsense_is_answered_and_the_connection_lives(server: LoopbackServer, line: str) -> None:
    answers = converse(server, "LOGIN user secret", "EXAMINE INBOX", line, "NOOP")
    assert answers[2].startswith("BAD ")
    assert answers[3].startswith("OK ")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("CAPABILITY", "OK"),
        ("NAMESPACE", "OK"),
        ("ENABLE CONDSTORE QRESYNC", "OK"),
        ('ID ("name" NIL)', "OK"),
        ("CHECK", "OK"),
        ('LSUB "" "*"', "OK"),
        ('LIST "" ""', "OK"),
        ('LIST (SPECIAL-USE) "" "*" RETURN (SPECIAL-USE CHILDREN)', "OK"),
        ("STATUS INBOX (MESSAGES RECENT UNSEEN SIZE)", "OK"),
        ("STATUS INBOX (NONSENSE)", "BAD"),
        ("STATUS Missing (MESSAGES)", "NO [NONEXISTENT]"),
        ("SELECT INBOX (CONDSTORE)", "OK [READ-WRITE]"),
        ("CREATE INBOX", "NO [ALREADYEXISTS]"),
        ("CREATE a/", "OK"),
        ("DELETE INBOX", "NO [CANNOT]"),
        ("DELETE Missing", "NO [NONEXISTENT]"),
        ("RENAME INBOX x", "NO [CANNOT]"),
        ("RENAME Missing x", "NO [NONEXISTENT]"),
        ("STORE 1 FLAGS ()", "NO [READ-ONLY]"),
        ("COPY 1 INBOX", "OK [COPYUID"),
        ("COPY 1 Missing", "NO [TRYCREATE]"),
        ("FETCH 1:* FAST", "OK"),
        ("FETCH 1 RFC822.HEADER", "OK"),
        ("SEARCH BEFORE 1-Jan-2021 UNFLAGGED", "OK"),
        ("SEARCH LARGER 10 MODSEQ 1 (ON 3-Feb-2020)", "OK"),
        ("SEARCH CHARSET UTF-8 UNKEYWORD x", "OK"),
        ("SEARCH SINCE 31-Feb-2020", "BAD"),
        ("CLOSE", "OK"),
        ("UNSELECT", "OK"),
        ("STARTTLS", "BAD"),
        ("AUTHENTICATE GSSAPI", "NO [CANNOT]"),
        ("AUTHENTICATE PLAIN nonsense", "BAD"),
        ("LOGIN user", "BAD"),
        ("LOGOUT", "OK"),
        ('APPEND INBOX (\\Seen) "not a date" {1+}\r\nx', "BAD"),
        ("APPEND INBOX {1+}\r\n\0", "NO"),
        ("APPEND INBOX {1+}\r\nx", "OK [APPENDUID"),
    ],
)
def test_each_command_has_its_answer(server: LoopbackServer, command: str, answer: str) -> None:
    assert converse(server, "LOGIN user secret", "EXAMINE INBOX", command)[2].startswith(answer)


def test_uid_expunge_spares_what_is_not_named(server: LoopbackServer, account: LoopbackAccount) -> None:
    for uid in (1, 2, 3):
        account.set_flags("INBOX", uid, ["\\Deleted"])
    converse(server, "LOGIN user secret", "SELECT INBOX", "UID EXPUNGE 2")
    assert [message.uid for message in account.messages("INBOX")] == [1, 3]
    converse(server, "LOGIN user secret", "SELECT INBOX", "UNSELECT", "SELECT INBOX", "CLOSE")
    assert account.messages("INBOX") == []


def test_labels_and_copies_from_outside(account: LoopbackAccount) -> None:
    account.create("Other")
    account.set_labels("INBOX", 1, ["x"])
    moved = account.move("INBOX", 1, "Other")
    assert account["Other"].messages[moved].labels == ("x",)
    with pytest.raises(ValueError, match="exists"):
        account.create("Other")
    with pytest.raises(ValueError, match="exists"):
        account.rename("INBOX", "Other")


def test_counts_begin_anew(server: LoopbackServer, client: IMAPClient) -> None:
    client.select_folder("INBOX", readonly=True)
    client.fetch([1], ["BODY.PEEK[]"])
    server.counts.clear()
    assert (server.counts.commands, server.counts.body_octets, len(server.counts.body_fetches)) == ([], 0, 0)


@pytest.mark.parametrize("starttls", [False, True])
def test_tls_from_the_start_and_by_starttls(account: LoopbackAccount, tmp_path: Path, starttls: bool) -> None:
    certificate = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=certificate.ca)
    with LoopbackServer(account, ssl_context=certificate.server_context(), starttls=starttls) as server:
        client = IMAPClient("localhost", server.port, ssl=not starttls, ssl_context=trust, timeout=10)
        if starttls:
            assert b"LOGINDISABLED" in client.capabilities()
            client.starttls(trust)
        client.login("user", "secret")
        assert client.select_folder("INBOX", readonly=True)[b"EXISTS"] == 3
        client.logout()


def test_closing_the_server_ends_open_connections(account: LoopbackAccount) -> None:
    with LoopbackServer(account) as server:
        client = connected(server)
    with pytest.raises((IMAPClientError, OSError)):
        client.noop()
    client.shutdown()
