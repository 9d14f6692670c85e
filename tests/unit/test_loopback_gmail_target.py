"""The loopback Gmail as the target of a restore, spoken to in bare IMAP."""

from collections.abc import Iterator

import pytest

from mailarchive.loopback.gmail import CAPABILITIES, GmailAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.mail.mailbox_name import encode_name
from tests.servers.raw import RawClient

ALL = "[Gmail]/All Mail"
ONE, TWO = b"Subject: one\r\n\r\nfirst\r\n", b"Subject: two\r\n\r\nsecond\r\n"


@pytest.fixture
def account() -> GmailAccount:
    return GmailAccount()


@pytest.fixture
def client(account: GmailAccount) -> Iterator[RawClient]:
    with LoopbackServer(account) as server, RawClient(server) as client:
        yield client


def held(account: GmailAccount) -> dict[str, list[bytes]]:
    return {box.name: [m.octets for m in account.messages(box.raw)] for box in account.mailboxes() if box.messages}


def labels(account: GmailAccount) -> set[str]:
    return set(account.messages(ALL)[0].labels)


@pytest.mark.parametrize("name", [ALL, "INBOX", "Work", "[Gmail]/Sent Mail", "[Gmail]/Spam", "[Gmail]/Trash"])
def test_a_message_is_appended_to_any_mailbox(account: GmailAccount, client: RawClient, name: str) -> None:
    client.run("CREATE Work")
    for number, octets in enumerate((ONE, TWO), 1):
        answer = client.append(f'"{name}"', octets, arguments="(\\Seen) ")
        assert answer == f"OK [APPENDUID {account[name].uidvalidity} {number}] Append completed"
    assert [message.octets for message in account.messages(name)] == [ONE, TWO]
    assert account.messages(name)[0].flags == {"\\Seen"}
    assert (ALL in held(account)) is (name not in {"[Gmail]/Spam", "[Gmail]/Trash"})


def test_octets_that_are_there_are_known_again(account: GmailAccount, client: RawClient) -> None:
    client.run("CREATE Work")
    first = client.append(f'"{ALL}"', ONE)
    assert client.append(f'"{ALL}"', ONE) == first
    assert " 1] " in client.append("Work", ONE)
    assert held(account) == {ALL: [ONE], "Work": [ONE]}
    assert client.append('"[Gmail]/Trash"', ONE).startswith("OK")
    assert held(account) == {ALL: [ONE], "Work": [ONE], "[Gmail]/Trash": [ONE]}


def test_labels_are_stored(account: GmailAccount, client: RawClient) -> None:
    client.append(f'"{ALL}"', ONE)
    client.run(f'SELECT "{ALL}"')
    umlauts = encode_name("Büro/Ä").decode()
    given = f'\\Inbox \\Sent \\Draft \\Starred "\\\\Important" Work "a b" {umlauts}'
    assert client.run(f"UID STORE 1 +X-GM-LABELS.SILENT ({given})") == ["OK Store completed"]
    assert labels(account) == {"\\Inbox", "\\Sent", "\\Draft", "\\Starred", "\\Important", "Work", "a b", "Büro/Ä"}
    assert {"Work", "a b", "Büro/Ä", "INBOX", "[Gmail]/Sent Mail"} <= held(account).keys()
    assert client.run("UID STORE 1 -X-GM-LABELS (\\Sent Work)")[0].startswith("* 1 FETCH (UID 1 X-GM-LABELS (")
    assert client.run("UID STORE 1 X-GM-LABELS ({4}", b"Work", ")")[-1] == "OK Store completed"
    assert labels(account) == {"Work"}
    client.run("SELECT Work")
    client.run("STORE 1 +X-GM-LABELS (More)")
    assert labels(account) == {"Work", "More"}


@pytest.mark.parametrize(
    "name", ["Sent", "inbox", "Muted", "[Gmail]/Mine", " x", "x ", "a  b", "a /b", "a/ b", "a^b", "Trash/x"]
)
def test_some_names_are_not_for_labels(account: GmailAccount, client: RawClient, name: str) -> None:
    client.append(f'"{ALL}"', ONE)
    client.run(f'SELECT "{ALL}"')
    assert client.run(f'UID STORE 1 +X-GM-LABELS (Work "{name}")')[-1].startswith("NO [CANNOT] ")
    assert labels(account) == set()
    refused = "NO [ALREADYEXISTS] " if name == "inbox" else "NO [CANNOT] "
    assert client.run(f'CREATE "{name}"')[-1].startswith(refused)


def test_what_exists_is_not_made_again(client: RawClient) -> None:
    assert client.run("CREATE INBOX/Work") == ["OK Create completed"]
    for name in ("INBOX/Work", "[Gmail]/Sent Mail"):
        assert client.run(f'CREATE "{name}"')[-1].startswith("NO [ALREADYEXISTS] ")


def test_labels_are_gmails_own(account: GmailAccount, client: RawClient) -> None:
    client.append(f'"{ALL}"', ONE)
    client.run(f'SELECT "{ALL}"')
    assert client.run("UID STORE 1 +X-GM-LABELS (\\Odd)")[-1].startswith("NO [CANNOT] ")
    account.capabilities = CAPABILITIES - {"X-GM-EXT-1"}
    assert client.run("UID STORE 1 +X-GM-LABELS (Work)")[-1].startswith("BAD ")


def test_uploads_are_limited(account: GmailAccount, client: RawClient) -> None:
    account.upload_limit = len(ONE)
    assert client.append("INBOX", ONE).startswith("OK")
    assert client.append("INBOX", TWO) == "NO [OVERQUOTA] Account exceeded command or bandwidth limits."
    account.uploaded = 0
    account.upload_limit = len(TWO)
    assert client.append("INBOX", TWO).startswith("OK")


def test_the_quota_counts_a_message_once(account: GmailAccount, client: RawClient) -> None:
    account.quota = len(ONE)
    client.run("CREATE Work")
    client.append("INBOX", ONE)
    client.run("SELECT INBOX")
    assert client.run("UID COPY 1 Work")[-1].startswith("OK")
    assert client.append("INBOX", TWO) == "NO [OVERQUOTA] Quota exceeded"


def test_what_is_appended_as_deleted_vanishes(account: GmailAccount, client: RawClient) -> None:
    assert client.append("INBOX", ONE, arguments="(\\Deleted \\Seen) ").startswith("OK [APPENDUID")
    assert held(account) == {}


def test_flagged_is_starred(account: GmailAccount, client: RawClient) -> None:
    client.append("INBOX", ONE, arguments="(\\Flagged) ")
    assert held(account).keys() == {"INBOX", ALL, "[Gmail]/Starred"}
