"""Labels at Gmail: which mailboxes show one, what it is called, and which names Gmail does not take."""

import pytest

from mailarchive.loopback.gmail_names import no_label
from mailarchive.mail.mailbox_name import encode_name, mailbox_name
from mailarchive.model import ListedMailbox
from mailarchive.ops.gmail_names import as_label, is_place, label_of
from mailarchive.ops.naming import Destination, Parts


def destination(path: str, *uses: str, there: bool = True) -> Destination:
    name = mailbox_name(encode_name(path), "/")
    return Destination(name, ListedMailbox(name, frozenset(uses)) if there else None, [])


def taken(*parts: str) -> Parts:
    """Return the name of a mailbox as a label that Gmail takes."""
    return as_label(parts)[0]


@pytest.mark.parametrize("use", ["\\All", "\\Junk", "\\Trash"])
def test_all_mail_spam_and_trash_have_messages_of_their_own(use: str) -> None:
    assert is_place(destination("[Gmail]/Any", use))
    assert is_place(destination("[Gmail]/Any", "\\HasNoChildren", use))


@pytest.mark.parametrize("use", ["\\Sent", "\\Drafts", "\\Flagged", "\\Important"])
def test_mailboxes_for_another_use_show_a_label(use: str) -> None:
    assert not is_place(destination("[Gmail]/Any", use))


def test_what_is_not_there_yet_shows_a_label_whatever_it_is_called() -> None:
    assert not is_place(destination("Trash", there=False))
    assert not is_place(destination("[Gmail]/All Mail"))


@pytest.mark.parametrize(
    ("use", "label"),
    [("\\Sent", "\\Sent"), ("\\Drafts", "\\Draft"), ("\\Flagged", "\\Starred"), ("\\Important", "\\Important")],
)
def test_a_mailbox_for_a_use_shows_a_system_label_in_any_language(use: str, label: str) -> None:
    assert label_of(destination("[Gmail]/Gesendet", use)) == label
    assert label_of(destination("[Gmail]/Gesendet", "\\Noinferiors", use)) == label


def test_inbox_shows_its_label_and_what_is_below_or_like_it_does_not() -> None:
    assert label_of(destination("INBOX")) == "\\Inbox"
    assert label_of(destination("INBOX", there=False)) == "\\Inbox"
    assert label_of(destination("INBOX/Work")) == "INBOX/Work"
    assert label_of(destination("Inbox_")) == "Inbox_"


def test_a_mailbox_of_the_user_shows_the_label_with_its_decoded_name() -> None:
    assert label_of(destination("Entwürfe/日本")) == "Entwürfe/日本"
    assert label_of(destination("Work", there=False)) == "Work"
    assert label_of(destination("Work", "\\Archive")) == "Work"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Sent", "Sent_"),
        ("sPAM", "sPAM_"),
        ("All Mail", "All Mail_"),
        ("Inbox", "Inbox_"),
        ("[Gmail]", "[Gmail]_"),
        ("Sent Items", "Sent Items"),
        ("a^b", "a_b"),
        ("  two   spaces ", "two spaces"),
        ("   ", "_"),
        (" Muted ", "Muted_"),
    ],
)
def test_names_that_gmail_refuses_are_changed_and_others_are_not(name: str, label: str) -> None:
    assert taken(name) == (label,)


def test_only_the_first_part_of_a_name_is_reserved() -> None:
    assert taken("Work", "Sent") == ("Work", "Sent")
    assert taken("Sent", "2024") == ("Sent_", "2024")
    assert taken("Work", " a^ ", "  ") == ("Work", "a_", "_")


def test_inbox_is_itself_and_may_have_others_below_it() -> None:
    assert taken("INBOX") == ("INBOX",)
    assert taken("INBOX", "Work") == ("INBOX", "Work")
    assert taken("Inbox", "Work") == ("Inbox", "Work")


@pytest.mark.parametrize("own", ["[Gmail]", "[Google Mail]", "[GMAIL]"])
def test_what_lay_below_the_mailboxes_of_gmail_comes_to_the_top(own: str) -> None:
    assert taken(own, "Work", "2024") == ("Work", "2024")
    assert taken(own, "Chats") == ("Chats_",)


@pytest.mark.parametrize(
    ("name", "why"),
    [("Sent", "keeps that name"), ("a^b", "takes no ^"), ("Work", ""), ("INBOX", ""), ("a  b", "no spaces")],
)
def test_what_is_changed_is_told(name: str, why: str) -> None:
    assert why in as_label((name,))[1]
    assert bool(as_label((name,))[1]) is bool(why)


@pytest.mark.parametrize("name", ["Sent", "trash", "Starred", "a^b", " x", "x  y", "[Gmail]", "Chats", "outbox"])
def test_the_gmail_of_the_tests_refuses_the_name_and_takes_the_label(name: str) -> None:
    assert no_label(name)
    assert not no_label(*taken(name))
