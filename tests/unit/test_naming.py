"""Every mailbox of an archive finds one mailbox of a target, whatever that calls its own."""

from collections.abc import Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.mail.mailbox_name import encode_name, mailbox_name
from mailarchive.model import ListedMailbox, MailboxName
from mailarchive.ops.naming import Destination, Naming, Parts, Wishes, destinations, matchless, read_name
from mailarchive.records import KnownMailbox

PARTS = st.text(min_size=1, max_size=6).filter(str.strip)
NAMES = st.lists(st.lists(PARTS, min_size=1, max_size=3).map(tuple), unique=True, min_size=1, max_size=6)


def box(number: int, *parts: str, use: str = "", account: str = "me@old") -> KnownMailbox:
    name = MailboxName(parts, "/", "/".join(parts).encode("utf-8", "replace"))
    return KnownMailbox(number, account, name, (use,) if use else (), 1, True, None, None, 0)


def there(raw: bytes, *uses: str, delimiter: str = "/") -> ListedMailbox:
    return ListedMailbox(mailbox_name(raw, delimiter), frozenset(uses))


def found(
    *boxes: KnownMailbox,
    listed: tuple[ListedMailbox, ...] = (),
    prefix: bytes = b"",
    delimiter: str | None = "/",
    wishes: Wishes = Wishes(),  # noqa: B008 - frozen
    filled: Collection[bytes] = (),
) -> list[Destination]:
    return destinations(boxes, Naming(listed, prefix, delimiter, filled=filled), wishes)


def raws(places: list[Destination]) -> list[bytes]:
    return [place.name.raw for place in places]


def test_inbox_is_first_and_names_take_the_delimiter_of_the_target() -> None:
    boxes = box(1, "Work", "2024"), box(2, "A"), box(3, "INBOX")
    assert raws(found(*boxes, delimiter=".")) == [b"INBOX", b"A", b"Work.2024"]
    assert not any(place.changed for place in found(*boxes, delimiter="."))


def test_names_go_below_the_prefix_and_inbox_stays() -> None:
    places = found(box(1, "INBOX"), box(2, "Work", "a/b"), prefix=b"INBOX.", delimiter=".")
    assert raws(places) == [b"INBOX", b"INBOX.Work.a/b"]
    assert raws(found(box(1, "Entwürfe & mehr"), prefix=b"INBOX.", delimiter=".")) == [b"INBOX.Entw&APw-rfe &- mehr"]


def test_a_prefix_in_the_archive_is_not_part_of_the_names() -> None:
    boxes = box(1, "INBOX"), box(2, "INBOX", "Work"), box(3, "INBOX", "Work", "2024")
    assert raws(found(*boxes)) == [b"INBOX", b"Work", b"Work/2024"]
    assert raws(found(*boxes, prefix=b"INBOX.", delimiter=".")) == [b"INBOX", b"INBOX.Work", b"INBOX.Work.2024"]


def test_below_inbox_is_kept_where_it_is_no_prefix() -> None:
    boxes = box(1, "INBOX", "Work"), box(2, "Other")
    assert raws(found(*boxes)) == [b"INBOX/Work", b"Other"]
    assert raws(found(*boxes, prefix=b"INBOX.", delimiter=".")) == [b"INBOX.Work", b"INBOX.Other"]


def test_what_separates_mailboxes_there_is_replaced_and_told() -> None:
    (place,) = found(box(1, "v1.2", "notes"), delimiter=".")
    assert place.name.raw == b"v1_2.notes"
    assert place.changed == "v1.2/notes is called v1_2/notes there: '.' separates mailboxes there"
    (place,) = found(box(1, "a_b"), delimiter="_")
    assert place.name.raw == b"a-b"


def test_two_names_that_a_change_makes_one_stay_two() -> None:
    places = found(box(1, "a.b"), box(2, "a_b"), box(3, "a_b~2"), delimiter=".")
    assert [(place.sources[0].number, place.name.raw) for place in places] == [
        (1, b"a_b"),
        (2, b"a_b~2"),
        (3, b"a_b~2~2"),
    ]
    assert all(place.changed for place in places)
    assert "another mailbox has its name" in places[1].changed


def test_who_came_first_has_the_first_choice_whatever_is_added_later() -> None:
    boxes = box(1, "x_y"), box(2, "x.y"), box(3, "x!y")
    for some in (boxes[:1], boxes[:2], boxes):
        for order in (some, reversed(some)):
            raw = {place.sources[0].number: place.name.raw for place in found(*order, delimiter=".")}
            assert raw == dict(list({1: b"x_y", 2: b"x_y~2", 3: b"x!y"}.items())[: len(some)])
    assert raws(found(box(1, "x.y"), box(2, "x_y"), delimiter=".")) == [b"x_y", b"x_y~2"]


def test_what_an_earlier_restore_filled_goes_on_although_there_is_another_for_its_use_now() -> None:
    sent = box(1, "Gesendet", use="\\Sent")
    listed = there(b"Gesendet"), there(b"Sent", "\\Sent")
    assert raws(found(sent, listed=listed)) == [b"Sent"]
    assert raws(found(sent, listed=listed, filled={b"Gesendet"})) == [b"Gesendet"]


def test_the_mailbox_for_a_special_use_is_found_by_its_mark() -> None:
    listed = there(b"INBOX"), there(b"Gesendet", "\\Sent"), there(b"Sent")
    (place,) = found(box(1, "Sent Items", use="\\Sent"), listed=listed)
    assert (place.name.raw, place.listed, place.use, place.changed) == (b"Gesendet", listed[1], None, "")


@pytest.mark.parametrize(
    ("use", "raw"),
    [("\\Sent", b"INBOX.Sent Messages"), ("\\Trash", b"INBOX.deleted items"), ("\\Junk", b"Spam")],
)
def test_the_mailbox_for_a_special_use_is_found_by_a_usual_name(use: str, raw: bytes) -> None:
    listed = there(b"INBOX", delimiter="."), there(raw, delimiter=".")
    (place,) = found(box(1, "Besonderes", use=use), listed=listed, prefix=b"INBOX.", delimiter=".")
    assert (place.name.raw, place.listed) == (raw, listed[1])


def test_a_usual_name_that_is_marked_for_another_use_is_not_taken() -> None:
    (place,) = found(box(1, "Gone", use="\\Trash"), listed=(there(b"Bin", "\\Junk"),))
    assert (place.name.raw, place.listed, place.use) == (b"Gone", None, "\\Trash")


def test_two_mailboxes_of_an_account_do_not_become_one_by_special_use() -> None:
    listed = (there(b"Sent", "\\Sent"),)
    places = found(box(1, "Sent"), box(2, "Sent Items", use="\\Sent"), listed=listed)
    assert [(place.name.raw, len(place.sources)) for place in places] == [(b"Sent", 1), (b"Sent Items", 1)]
    places = found(box(1, "Gesendet", use="\\Sent"), box(2, "Sent"), listed=listed)
    assert [(place.name.raw, place.sources[0].number) for place in places] == [(b"Sent", 1), (b"Sent~2", 2)]
    assert places[1].changed


def test_the_mailboxes_of_two_accounts_for_one_use_become_one() -> None:
    boxes = box(1, "Gesendet", use="\\Sent"), box(2, "Sent Items", use="\\Sent", account="you@old")
    (place,) = found(*boxes, listed=(there(b"Sent", "\\Sent"),))
    assert (place.name.raw, len(place.sources)) == (b"Sent", 2)


def test_a_mailbox_is_made_for_its_special_use_unless_it_is_there() -> None:
    (place,) = found(box(1, "Sent", use="\\Sent"))
    assert (place.name.raw, place.listed, place.use) == (b"Sent", None, "\\Sent")
    (place,) = found(box(1, "Kept", use="\\Important"))
    assert place.use is None


def test_into_goes_before_all_names_and_special_uses_do_not_count() -> None:
    boxes = box(1, "INBOX"), box(2, "Sent", use="\\Sent")
    places = found(*boxes, listed=(there(b"Sent", "\\Sent"),), wishes=Wishes(("Old", "2024")))
    assert raws(places) == [b"Old/2024/INBOX", b"Old/2024/Sent"]
    assert all(place.use is None for place in places)
    assert raws(found(*boxes, prefix=b"INBOX.", delimiter=".", wishes=Wishes(("Old",))))[0] == b"INBOX.Old.INBOX"


RENAMES: Mapping[Parts, Parts] = {("Work",): ("Job",), ("Work", "2024"): ("This year",), ("INBOX",): ("In", "old")}


@pytest.mark.parametrize(
    ("parts", "raw"),
    [
        (("Work",), b"Job"),
        (("Work", "2023", "May"), b"Job/2023/May"),
        (("Work", "2024"), b"This year"),
        (("Work", "2024", "May"), b"This year/May"),
        (("Workshop",), b"Into/Workshop"),
        (("INBOX",), b"In/old"),
    ],
)
def test_the_longest_name_that_is_mapped_counts_and_comes_before_into(parts: Parts, raw: bytes) -> None:
    assert raws(found(box(1, *parts, use="\\Sent"), wishes=Wishes(("Into",), RENAMES))) == [raw]


def test_a_map_may_lead_two_mailboxes_into_one() -> None:
    (place,) = found(box(1, "A"), box(2, "B"), wishes=Wishes((), {("B",): ("A",)}))
    assert (place.name.raw, [source.number for source in place.sources], place.changed) == (b"A", [1, 2], "")


def test_a_map_knows_inbox_in_any_case() -> None:
    (place,) = found(box(1, "INBOX"), box(2, "B"), wishes=Wishes((), {read_name("B"): read_name("inbox")}))
    assert (place.name.raw, len(place.sources)) == (b"INBOX", 2)
    (place,) = found(box(1, "INBOX"), wishes=Wishes((), {read_name("Inbox"): read_name("Old")}))
    assert place.name.raw == b"Old"


@pytest.mark.parametrize(
    ("parts", "raw", "why"),
    [
        (("a\nb\x7f",), b"a_b_", "it has control characters"),
        (("\ud800",), b"_", "it has control characters"),
        (("", "x"), b"_/x", "a part of it is empty"),
        (("  ",), b"_", "a part of it is empty"),
        (("x" * 300,), None, "it is too long"),
        (("ü" * 100,), None, "it is too long"),
        (("a/b",), b"a_b", "'/' separates mailboxes there"),
    ],
)
def test_what_no_server_takes_in_a_name_is_changed_and_told(parts: Parts, raw: bytes | None, why: str) -> None:
    (place,) = found(box(1, *parts))
    assert raw is None or place.name.raw == raw
    assert len(place.name.raw) <= 200
    assert place.changed.endswith(f"there: {why}")


def test_a_server_without_hierarchy_has_names_side_by_side() -> None:
    places = found(box(1, "INBOX"), box(2, "Work", "2024"), box(3, "Work"), box(4, "Work-2024"), delimiter=None)
    assert raws(places) == [b"INBOX", b"Work", b"Work-2024~2", b"Work-2024"]
    assert "the server has no mailboxes below others" in places[-1].changed


def test_what_two_accounts_call_the_same_is_one_mailbox() -> None:
    boxes = (box(1, "INBOX"), box(2, "INBOX", account="you@old"), box(3, "Sent"), box(4, "Sent", account="you@old"))
    places = found(*boxes)
    assert [(place.name.raw, [one.number for one in place.sources]) for place in places] == [
        (b"INBOX", [1, 2]),
        (b"Sent", [3, 4]),
    ]


def test_the_mailbox_that_is_there_is_taken() -> None:
    listed = there(b"Work")
    (place,) = found(box(1, "Work", use="\\Archive"), listed=(listed,))
    assert (place.listed, place.use) == (listed, None)


@given(NAMES, st.sampled_from(["/", ".", "_", None]), st.sampled_from([b"", b"INBOX.", b"me/"]))
def test_no_two_mailboxes_of_an_account_become_one(names: list[Parts], delimiter: str | None, prefix: bytes) -> None:
    names = [name for name in names if name[0].upper() != "INBOX"]
    places = found(*(box(number, *name) for number, name in enumerate(names)), prefix=prefix, delimiter=delimiter)
    assert len({place.name.raw for place in places}) == len(names)
    assert all(place.name.raw.startswith(prefix) for place in places)
    assert all(len(place.sources) == 1 for place in places)
    for place in places:
        as_wished = prefix + (delimiter or "-").encode().join(map(_encoded, place.sources[0].name.parts))
        assert (place.name.raw == as_wished) or place.changed


def _encoded(part: str) -> bytes:
    return encode_name(part) if not any("\ud800" <= letter <= "\udfff" for letter in part) else b"\0"


@given(st.lists(PARTS, min_size=1, max_size=3).map(tuple))
def test_a_printed_name_is_read_back(parts: Parts) -> None:
    if len(parts) > 1 or parts[0].upper() != "INBOX":
        assert read_name(str(MailboxName(parts, "/", b""))) == parts


def test_a_map_of_nothing_is_known() -> None:
    boxes = box(1, "Work", "2024"), box(2, "INBOX")
    assert list(matchless([("Work",), ("INBOX",), ("Wrok",), ("Work", "2025")], boxes)) == [("Wrok",), ("Work", "2025")]


def test_inbox_as_the_first_level_is_found_in_whatever_case() -> None:
    place = found(box(1, "inbox", "Sub"), box(2, "Work"), listed=(there(b"INBOX/Sub"),))[-1]
    assert (place.name.raw, place.listed, place.changed) == (b"INBOX/Sub", there(b"INBOX/Sub"), "")


def test_two_names_that_differ_in_the_case_of_inbox_do_not_become_one() -> None:
    boxes = box(1, "inbox", "Sub"), box(2, "INBOX", "Sub"), box(3, "Work")
    for listed in ((), (there(b"INBOX/Sub"),), (there(b"inbox/Sub"),)):
        assert sorted(map(len, (place.sources for place in found(*boxes, listed=listed)))) == [1, 1, 1]
        assert len({place.name.raw.lower() for place in found(*boxes, listed=listed)}) == 3
    both = there(b"INBOX/Sub"), there(b"inbox/Sub")
    assert set(raws(found(*boxes, listed=both))) == {b"INBOX/Sub", b"inbox/Sub", b"Work"}


def test_a_mailbox_that_is_there_under_an_odd_name_keeps_it() -> None:
    name = mailbox_name(b"a\x01b", "/")
    odd = box(1)._replace(name=name)
    (place,) = found(odd, listed=(ListedMailbox(name),))
    assert (place.name, place.listed, place.changed) == (name, ListedMailbox(name), "")
    (place,) = found(odd)
    assert (place.name.raw, bool(place.changed)) == (b"a_b", True)


@pytest.mark.parametrize(
    ("text", "parts"), [("", ("",)), ("a//b", ("a", "", "b")), ("a/", ("a", "")), ("a\\", ("a\\",))]
)
def test_empty_parts_of_a_printed_name_are_seen(text: str, parts: Parts) -> None:
    assert read_name(text) == parts


def test_long_names_that_begin_alike_are_numbered_one_after_the_other() -> None:
    places = found(*(box(number, "x" * 250 + str(number)) for number in range(12)))
    assert len({place.name.raw for place in places}) == 12
    assert all(len(place.name.raw) <= 200 for place in places)
