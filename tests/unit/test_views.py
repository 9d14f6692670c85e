"""Which of Gmail's mailboxes show labels, and what they are called."""

import pytest

from mailarchive.mail.mailbox_name import encode_name, mailbox_name
from mailarchive.model import Cursor, ListedMailbox, UidValidity
from mailarchive.ops import views
from mailarchive.records import KnownMailbox


def listed(name: str, *uses: str, uidvalidity: int = 1) -> ListedMailbox:
    cursor = Cursor(UidValidity(uidvalidity), None, None, 1)
    return ListedMailbox(mailbox_name(encode_name(name), "/"), frozenset(uses), cursor)


ALL = listed("[Gmail]/Alle Nachrichten", "\\All", uidvalidity=11)
OTHERS = [
    listed("INBOX"),
    listed("[Gmail]/Gesendet", "\\Sent"),
    listed("[Gmail]/Markiert", "\\Flagged"),
    listed("[Gmail]/Wichtig", "\\Important"),
    listed("[Gmail]/Entwürfe", "\\Drafts"),
    listed("Work/2024"),
    listed("Gmail"),
]
ELSEWHERE = [ALL, listed("[Gmail]/Spam", "\\Junk"), listed("[Gmail]/Papierkorb", "\\Trash"), listed("[Gmail]/Chats")]


def test_mailboxes_of_labels_are_told_from_places() -> None:
    found = views.views_of([*OTHERS, *ELSEWHERE], lambda _box: True)
    assert found is not None
    assert found.source == ALL
    assert all(found.show(box.name, box.special_use) for box in OTHERS)
    assert not any(found.show(box.name, box.special_use) for box in ELSEWHERE)


def test_without_all_mail_there_are_no_views() -> None:
    assert views.views_of(OTHERS, lambda _box: True) is None
    assert views.views_of([*OTHERS, ALL], lambda box: box != ALL) is None


def test_all_mail_may_stand_alone() -> None:
    found = views.views_of([listed("All", "\\All", uidvalidity=2), listed("x")], lambda _box: True)
    assert found is not None
    assert found.show(listed("x").name, ())


@pytest.mark.parametrize(
    ("label", "name", "uses"),
    [
        ("\\Inbox", "INBOX", ()),
        ("\\Sent", "any", ("\\Sent",)),
        ("\\Starred", "any", ("\\Flagged",)),
        ("\\flagged", "any", ("\\Flagged",)),
        ("\\Draft", "any", ("\\Drafts",)),
        ("\\Important", "any", ("\\Important", "\\HasNoChildren")),
        ("Work/日本", "Work/日本", ()),
        ("Sent", "Sent", ()),
    ],
)
def test_a_label_is_that_of_its_mailbox(label: str, name: str, uses: tuple[str, ...]) -> None:
    box = listed(name, *uses)
    assert views.label_key(label) == views.label_of(box.name, box.special_use)


def test_a_label_that_is_not_listed_has_a_name_too() -> None:
    found = views.Views(ALL)
    own, system = found.named("Work/Büro"), found.named("\\Important")
    assert own is not None
    assert (own.name.parts, own.name.raw) == (("Work", "Büro"), b"Work/B&APw-ro")
    assert system is not None
    assert (str(system.name), system.special_use) == ("[Gmail]/Important", frozenset({"\\Important"}))
    assert [found.named(label) for label in ("\\Trash", "\\Spam", "\\Junk", "\\All", "")] == [None] * 5


def test_a_mailbox_is_in_step_only_with_the_uidvalidity_of_all_mail() -> None:
    def known(uidvalidity: int, cursor: Cursor | None, *, present: bool = True) -> KnownMailbox:
        name = listed("x").name
        return KnownMailbox(1, "me", name, (), uidvalidity, present=present, cursor=cursor, since=None, excluded=0)

    assert views.is_in_step(known(views.labelled(11), views.mark(11)), 11)
    assert not views.is_in_step(known(views.labelled(11), views.mark(11)), 12)
    assert not views.is_in_step(known(views.labelled(11), views.mark(0)), 11)
    assert not views.is_in_step(known(views.labelled(11), views.mark(11), present=False), 11)
    assert not views.is_in_step(known(views.labelled(11), None), 11)
    assert not views.is_in_step(known(views.labelled(11), Cursor(UidValidity(11), 5, None, 3)), 11)
    assert not views.is_in_step(None, 11)
    assert not views.is_in_step(known(views.labelled(11), views.mark(11)), None)


def test_uids_of_labels_are_under_a_uidvalidity_that_no_server_has() -> None:
    name = mailbox_name(b"x", "/")
    own = KnownMailbox(1, "me", name, (), 11, present=True, cursor=None, since=None, excluded=0)
    assert not views.is_from_labels(own)
    assert views.is_from_labels(own._replace(uidvalidity=views.labelled(11)))
    assert views.labelled(11) < 2**53
