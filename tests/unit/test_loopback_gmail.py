"""The loopback Gmail shows what Gmail shows."""

from collections.abc import Iterator

import pytest
from imapclient import IMAPClient

from mailarchive.loopback.gmail import GmailAccount
from mailarchive.loopback.gmail_names import GERMAN
from mailarchive.loopback.server import LoopbackServer

ALL = "[Gmail]/All Mail"


@pytest.fixture
def account() -> GmailAccount:
    return GmailAccount()


@pytest.fixture
def client(account: GmailAccount) -> Iterator[IMAPClient]:
    with LoopbackServer(account) as server:
        client = IMAPClient("127.0.0.1", server.port, ssl=False, timeout=10)
        client.login(account.user, account.password)
        yield client
        client.logout()


def held(account: GmailAccount) -> dict[str, list[bytes]]:
    return {box.name: [m.octets for m in account.messages(box.raw)] for box in account.mailboxes() if box.messages}


def test_a_message_is_in_all_mail_and_in_each_of_its_labels(account: GmailAccount, client: IMAPClient) -> None:
    account.deliver(b"one", ["\\Inbox", "\\Starred", "Work/2024"], thread_id="T")
    account.deliver(b"two", [], thread_id="T")
    assert held(account) == {
        "INBOX": [b"one"],
        ALL: [b"one", b"two"],
        "[Gmail]/Starred": [b"one"],
        "Work/2024": [b"one"],
    }
    client.select_folder(ALL, readonly=True)
    facts = client.fetch([1, 2], ["X-GM-MSGID", "X-GM-THRID", "X-GM-LABELS", "FLAGS"])
    assert facts[1][b"X-GM-THRID"] == facts[2][b"X-GM-THRID"]
    assert facts[1][b"X-GM-MSGID"] != facts[2][b"X-GM-MSGID"]
    assert set(facts[1][b"X-GM-LABELS"]) == {b"\\Inbox", b"\\Starred", b"Work/2024"}
    assert b"\\Flagged" in facts[1][b"FLAGS"]
    client.select_folder("INBOX", readonly=True)
    assert set(client.fetch([1], ["X-GM-LABELS"])[1][b"X-GM-LABELS"]) == {b"\\Starred", b"Work/2024"}


def test_the_mailboxes_are_listed_as_gmail_does(account: GmailAccount, client: IMAPClient) -> None:
    account.hide("[Gmail]/Important")
    listed = {name: set(attributes) for attributes, _delimiter, name in client.list_folders()}
    assert b"\\Noselect" in listed["[Gmail]"]
    assert b"\\All" in listed[ALL]
    assert b"\\Flagged" in listed["[Gmail]/Starred"]
    assert "[Gmail]/Important" not in listed
    account.show("[Gmail]/Important")
    assert "[Gmail]/Important" in {name for _attributes, _delimiter, name in client.list_folders()}


def test_names_may_be_of_another_language() -> None:
    account = GmailAccount(names=GERMAN)
    account.deliver(b"one")
    assert held(account) == {"INBOX": [b"one"], "[Gmail]/Alle Nachrichten": [b"one"]}


def test_a_change_of_labels_is_a_change_in_all_mail(account: GmailAccount) -> None:
    name = account.deliver(b"one")
    before = account[ALL].modseq
    account.label(name, "Work")
    account.unlabel(name, "\\Inbox")
    assert account[ALL].modseq > before
    assert account[ALL].messages[1].modseq == account[ALL].modseq
    assert account[ALL].messages[1].labels == ("Work",)
    assert held(account) == {ALL: [b"one"], "Work": [b"one"]}


def test_spam_and_trash_are_not_in_all_mail(account: GmailAccount) -> None:
    one, two = account.deliver(b"one"), account.deliver(b"two")
    account.put(one, "\\Junk")
    account.put(two, "\\Trash")
    assert held(account) == {"[Gmail]/Spam": [b"one"], "[Gmail]/Trash": [b"two"]}
    account.put(two, "\\All")
    account.forget(one)
    assert held(account) == {"INBOX": [b"two"], ALL: [b"two"]}


def test_only_the_newest_are_shown_with_a_limit(account: GmailAccount) -> None:
    for number in range(5):
        account.deliver(b"%d" % number)
    account.limit(2)
    assert held(account) == {"INBOX": [b"3", b"4"], ALL: [b"3", b"4"]}
    account.limit(None)
    assert len(held(account)[ALL]) == 5


def test_over_imap_labels_are_given_and_taken(account: GmailAccount, client: IMAPClient) -> None:
    client.append("INBOX", b"one\r\n")
    client.create_folder("Work")
    client.select_folder("INBOX")
    client.copy([1], "Work")
    client.add_flags([1], [b"\\Flagged"])
    assert held(account)["[Gmail]/Starred"] == held(account)["Work"] == [b"one\r\n"]
    client.move([1], "[Gmail]/Trash")
    assert held(account) == {"[Gmail]/Trash": [b"one\r\n"]}
    client.select_folder("[Gmail]/Trash")
    client.move([1], ALL)
    client.rename_folder("Work", "Job")
    assert held(account)["Job"] == [b"one\r\n"]
    client.delete_folder("Job")
    assert set(account.expected()[ALL]) == {"G1"}
    client.select_folder(ALL)
    client.delete_messages([2])
    client.expunge()
    assert held(account) == {"[Gmail]/Trash": [b"one\r\n"]}
