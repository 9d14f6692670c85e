"""What a target has already is recognised; nothing is taken for another message on the word of one witness."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, cast

from mailarchive.archive.messages import MessageReader
from mailarchive.errors import FetchRefused
from mailarchive.facts import MessageStored
from mailarchive.mail.digest import digest_of, header_digest_of, header_section
from mailarchive.mail.eol import lf_text
from mailarchive.model import MessageFacts, RemoteUid
from mailarchive.ops.matching import Match, matches, message_id, numbers
from mailarchive.ops.outgoing_mail import Evidence
from mailarchive.ops.wanted import Wanted
from mailarchive.targets.accounts import OpenTarget

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


class Kept(NamedTuple):
    """A message of the target."""

    octets: bytes
    date: datetime | None = NOON


@dataclass
class There:
    """A mailbox of a target that can be looked at; ``asked`` are the UIDs whose headers were."""

    messages: dict[int, Kept]
    refuses: bool = False
    asked: list[RemoteUid] = field(default_factory=list)

    def facts(self, uids: Sequence[RemoteUid]) -> Iterator[MessageFacts]:
        for uid, kept in self.messages.items():
            if uid in uids:
                yield MessageFacts(uid, len(kept.octets), kept.date)

    def headers(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, bytes]]:
        self.asked += uids
        if self.refuses:
            raise FetchRefused("not today")
        for uid, kept in self.messages.items():
            if uid in uids:
                yield uid, header_section(kept.octets)


@dataclass
class Archived:
    """What an archive has."""

    messages: dict[MessageStored, bytes]

    def head(self, message: MessageStored) -> bytes:
        return header_section(self.messages[message])

    def octets(self, message: MessageStored) -> Iterator[bytes]:
        yield self.messages[message]


def mail(number: int = 1, body: bytes = b"body\r\n") -> bytes:
    return b"Message-ID: <%d@example.org>\r\nSubject: %d\r\n\r\n" % (number, number) + body


def wanted(octets: bytes, date: datetime | None = NOON) -> Wanted:
    eol = lf_text(octets)[1]
    stored = MessageStored(digest_of(octets), header_digest_of(octets), len(octets), 1, 0, len(octets), eol)
    return Wanted(stored, lost=False, date=date, flags=(), source=1)


def found(there: There, looked_for: Iterable[tuple[bytes, datetime | None]], since: int | None = None) -> list[Match]:
    items = {wanted(octets, date): octets for octets, date in looked_for}
    asked = [wanted(octets, date) for octets, date in looked_for]
    opened = cast("OpenTarget", there)
    reader = cast("MessageReader", Archived({item.message: octets for item, octets in items.items()}))
    found = matches(opened, sorted(there.messages), asked, since, Evidence(reader))
    return [one._replace(size=None) for one in found]


def test_header_and_size_and_date_are_those_of_the_message() -> None:
    assert found(There({7: Kept(mail())}), [(mail(), NOON)]) == [Match(0, 7)]


def test_of_old_messages_header_and_size_are_enough() -> None:
    assert found(There({7: Kept(mail(), LATER)}), [(mail(), NOON)]) == [Match(0, 7)]
    assert found(There({7: Kept(mail(), None)}), [(mail(), None)]) == [Match(0, 7)]


def test_what_was_cut_short_is_not_the_message_though_header_and_date_are_the_same() -> None:
    assert found(There({7: Kept(mail()[:-4])}), [(mail(), NOON)]) == []
    assert found(There({7: Kept(mail()[:-4])}), [(mail(), NOON)], since=8) == []


def test_the_same_header_with_another_size_and_date_is_another_message() -> None:
    assert found(There({7: Kept(mail() + b"footer\r\n", LATER)}), [(mail(), NOON)]) == []
    assert found(There({7: Kept(mail() + b"footer\r\n", None)}), [(mail(), None)]) == []


def test_another_header_with_the_same_size_and_date_is_another_message() -> None:
    assert found(There({7: Kept(mail(2))}), [(mail(1), NOON)]) == []


def test_of_old_messages_the_message_id_is_not_believed() -> None:
    changed = b"X-Scanned: yes\r\n" + mail()
    assert found(There({7: Kept(changed)}), [(mail(), NOON)]) == []
    assert found(There({7: Kept(changed)}), [(mail(), NOON)], since=8) == []


def test_of_new_messages_the_header_alone_is_believed() -> None:
    there = There({7: Kept(mail() + b"footer\r\n", LATER)})
    assert found(there, [(mail(), NOON)], since=7) == [Match(0, 7)]
    assert found(there, [(mail(), NOON)], since=8) == []


def test_of_new_messages_the_message_id_is_believed_with_the_date() -> None:
    changed = b"X-Scanned: yes\r\n" + mail()
    assert found(There({7: Kept(changed)}), [(mail(), NOON)], since=7) == [Match(0, 7)]
    assert found(There({7: Kept(changed, LATER)}), [(mail(), NOON)], since=7) == []
    assert found(There({7: Kept(changed, None)}), [(mail(), None)], since=7) == []


def test_what_has_no_message_id_is_not_taken_for_another_such() -> None:
    first, second = b"Subject: 1\r\n\r\n", b"Subject: 22\r\n\r\n"
    assert found(There({7: Kept(first)}), [(second, NOON)], since=1) == []


def test_equal_messages_are_each_matched_once() -> None:
    there = There({3: Kept(mail()), 5: Kept(mail()), 9: Kept(mail())})
    assert found(there, [(mail(), NOON)]) == [Match(0, 3)]
    assert found(there, [(mail(), NOON)] * 2) == [Match(0, 3), Match(1, 5)]
    assert found(there, [(mail(), NOON)] * 4) == [Match(0, 3), Match(1, 5), Match(2, 9)]
    changed = There({uid: Kept(b"X: y\r\n" + kept.octets) for uid, kept in there.messages.items()})
    assert found(changed, [(mail(), NOON)] * 2, since=1) == [Match(0, 3), Match(1, 5)]


def test_one_header_with_several_bodies_goes_by_size() -> None:
    bodies = [mail(1, b"x" * length) for length in (10, 20, 30)]
    there = There({uid: Kept(octets, LATER) for uid, octets in enumerate(reversed(bodies), 1)})
    assert sorted(found(there, [(octets, NOON) for octets in bodies])) == [Match(0, 3), Match(1, 2), Match(2, 1)]


def test_one_header_with_several_bodies_goes_by_size_among_new_ones_too() -> None:
    bodies = [mail(1, b"x" * length) for length in (10, 20, 30)]
    there = There({uid: Kept(octets, LATER) for uid, octets in enumerate(reversed(bodies), 1)})
    assert sorted(found(there, [(octets, NOON) for octets in bodies], 1)) == [Match(0, 3), Match(1, 2), Match(2, 1)]


def test_a_message_without_header_needs_size_and_date() -> None:
    octets = b"\r\nbody\r\n"
    assert found(There({7: Kept(octets)}), [(octets, NOON)]) == [Match(0, 7)]
    assert found(There({7: Kept(octets, LATER)}), [(octets, NOON)], since=1) == []
    assert found(There({7: Kept(octets + b"more")}), [(octets, NOON)], since=1) == []
    assert found(There({7: Kept(octets, None)}), [(octets, None)], since=1) == []


def test_an_empty_message_needs_size_and_date() -> None:
    assert found(There({7: Kept(b"")}), [(b"", NOON)]) == [Match(0, 7)]
    assert found(There({7: Kept(b"", LATER)}), [(b"", NOON)]) == []


def test_headers_are_asked_only_of_those_that_may_be_it() -> None:
    there = There({1: Kept(b"Subject: other size\r\n\r\n", LATER), 2: Kept(mail(), LATER), 3: Kept(b"X: y\r\n\r\n")})
    assert found(there, [(mail(), NOON)]) == [Match(0, 2)]
    assert there.asked == [2, 3]
    there.asked.clear()
    assert found(There({}), [(mail(), NOON)]) == []
    assert there.asked == []


def test_nothing_is_recognised_where_no_header_is_shown() -> None:
    assert found(There({7: Kept(mail())}, refuses=True), [(mail(), NOON)]) == []


def test_what_a_target_is_asked_is_by_its_numbers() -> None:
    assert numbers([1, "uidl", 3]) == [1, 3]
    assert message_id(b"Subject: x\r\nmessage-id:\r\n <a@b>\r\n\r\n") == "<a@b>"
    assert message_id(b"\r\nMessage-ID: <a@b>\r\n") == ""


def test_a_message_whose_line_ends_the_server_made_crlf_is_still_that_message() -> None:
    bare, ended = mail().replace(b"\r\n", b"\n"), mail(body=b"body").replace(b"\r\n", b"\n")
    assert found(There({7: Kept(mail())}), [(bare, NOON)]) == [Match(0, 7)]
    assert found(There({7: Kept(mail())}), [(ended, NOON)]) == [Match(0, 7)]
    assert found(There({7: Kept(mail(body=b"body\r\n\r\n\r\n"))}), [(bare, NOON)]) == []
