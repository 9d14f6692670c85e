"""Each message of an archive is sent to the right mailboxes of a target, and what they were given before is known."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailarchive.archive.archive import Catalog, Kind, open_for_writing
from mailarchive.archive.prepare import prepare
from mailarchive.archive.restoring import Landed, RestoreLog
from mailarchive.archive.writer import Arrival, Writer
from mailarchive.clock import SystemClock
from mailarchive.errors import UsageError
from mailarchive.facts import MessageStored
from mailarchive.mail.body import MemoryBody
from mailarchive.mail.mailbox_name import encode_name, mailbox_name
from mailarchive.model import Account, Cursor, Digest, HeaderDigest, ListedMailbox, MessageFacts, UidValidity
from mailarchive.ops.copies import Copies
from mailarchive.ops.naming import Destination, Wishes
from mailarchive.ops.restore_options import RestoreOptions
from mailarchive.ops.restore_report import RestoredMailbox
from mailarchive.ops.restore_scope import Scope, scope_of
from mailarchive.ops.routes import Route, copies_between, distinct, routes
from mailarchive.ops.selection import Selection
from mailarchive.ops.standing import Have, Standing
from mailarchive.ops.wanted import Past, Wanted
from mailarchive.records import KnownMailbox, KnownTargetMailbox
from mailarchive.targets.accounts import Abilities
from tests.fault.archives import ignore_text, message

NEW = Account("me@new.example.org", "imap")
DAY = datetime(2024, 2, 29, 12, tzinfo=UTC)
PLAIN = Abilities(b"", "/", None, None, takes_nul=False, tells_uids=True, has_labels=False)
GMAIL = PLAIN._replace(has_labels=True)
EVERYTHING = RestoreOptions()
ALL_MAIL, SPAM = ("[Gmail]/All Mail", "\\All"), ("[Gmail]/Spam", "\\Junk")


def there(path: str, use: str = "", uidvalidity: int | None = 5, messages: int | None = 0) -> ListedMailbox:
    cursor = None if uidvalidity is None else Cursor(UidValidity(uidvalidity), 1, None, messages)
    return ListedMailbox(mailbox_name(encode_name(path), "/"), frozenset({use} - {""}), cursor)


def wanted(number: int, days: int | None = 0, *flags: str, source: int = 1) -> Wanted:
    stored = MessageStored(Digest(bytes([number]) * 32), HeaderDigest(bytes(32)), 10, 1, 0, 10, "crlf")
    return Wanted(stored, lost=False, date=None if days is None else DAY + timedelta(days), flags=flags, source=source)


class Old:
    """An archive that tests put messages into, and ask where they go."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._boxes: list[str] = []

    def has(self, path: str, *numbers: int, use: str = "", flags: Sequence[str] = ()) -> None:
        """Put messages into a new mailbox; the day of each is that of its number."""
        self._boxes.append(path)
        box = len(self._boxes)
        listed = ListedMailbox(mailbox_name(encode_name(path), "/"), frozenset({use} - {""}))
        self._writer.mailbox(box, "me@old", listed, 1)
        arrivals = [
            Arrival(
                MessageFacts(uid, None, DAY + timedelta(days=number), frozenset(flags)),
                prepare(MemoryBody(message(number))),
            )
            for uid, number in enumerate(numbers, 1)
        ]
        self._writer.add(box, 1, arrivals)
        self._writer.checkpoint()

    def gave(self, path: str, *landed: Landed, uidvalidity: int | None = 5) -> KnownTargetMailbox:
        """Remember that messages were put into a mailbox of the target."""
        log = RestoreLog(self._writer)
        target, raw = log.target(NEW), encode_name(path)
        box = log.mailbox(target, raw, "/", uidvalidity, 1)
        log.restored(box, landed)
        self._writer.checkpoint()
        return KnownTargetMailbox(box, target, raw, "/", uidvalidity, 1)

    def routes(
        self,
        *listed: ListedMailbox,
        abilities: Abilities = PLAIN,
        options: RestoreOptions = EVERYTHING,
        target: int | None = 1,
        only: Collection[str] = (),
    ) -> list[Route]:
        with self._writer.catalog() as catalog:
            return routes(catalog, _scope(catalog, only), abilities, listed, options, target)

    def scope(self, options: RestoreOptions) -> Scope:
        with self._writer.catalog() as catalog:
            return scope_of(catalog, NEW, options)


def _scope(catalog: Catalog, names: Collection[str]) -> Scope:
    boxes = catalog.mailboxes()
    chosen = [box for box in boxes if not names or str(box.name) in names]
    return Scope(Past(), chosen, boxes, {}, [])


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Old]:
    with open_for_writing(tmp_path, "pull", SystemClock(), ignore_text, make=Kind()) as writer:
        writer.begin("pull")
        yield Old(writer)


def digest(number: int) -> Digest:
    return prepare(MemoryBody(message(number))).digest


def plan(found: Sequence[Route]) -> dict[str, list[Digest]]:
    """Return what goes where."""
    return {str(route.destination.name): [item.message.digest for item in route.wanted] for route in found}


def digests(*numbers: int) -> list[Digest]:
    return [digest(number) for number in numbers]


def test_each_mailbox_wants_what_it_has_in_the_archive(old: Old) -> None:
    old.has("Work", 1, 2)
    old.has("INBOX", 2, 3, 3)
    found = old.routes(there("INBOX"))
    assert plan(found) == {"INBOX": digests(2, 3, 3), "Work": digests(1, 2)}
    assert [route.destination.listed is None for route in found] == [False, True]
    assert all((route.known, route.have, route.label, route.moved) == (None, (), None, None) for route in found)


def test_an_empty_mailbox_is_made_unless_days_are_selected(old: Old) -> None:
    old.has("INBOX", 1)
    old.has("Empty")
    assert plan(old.routes()) == {"INBOX": digests(1), "Empty": []}
    one_day = RestoreOptions(Selection(since=DAY.date()))
    assert plan(old.routes(options=one_day)) == {"INBOX": digests(1)}
    assert plan(old.routes(options=RestoreOptions(Selection(before=DAY.date() + timedelta(days=9))))) == {
        "INBOX": digests(1)
    }


@pytest.mark.parametrize("selection", [Selection(before=DAY.date()), Selection(since=DAY.date() + timedelta(days=9))])
def test_nothing_to_restore_is_a_usage_error(old: Old, selection: Selection) -> None:
    old.has("INBOX", 1)
    with pytest.raises(UsageError, match="nothing is restored"):
        old.scope(RestoreOptions(selection))


def test_names_are_wished_for_and_messages_of_joined_mailboxes_come_once(old: Old) -> None:
    old.has("A", 1, 2)
    old.has("B", 2, 3, 3)
    wishes = Wishes(renames={("B",): ("A",)})
    assert plan(old.routes(options=RestoreOptions(wishes=wishes))) == {"A": digests(1, 2, 3, 3)}


# -- what is remembered ----------------------------------------------------------------------------------------------


def test_what_a_mailbox_was_given_is_remembered_for_this_target_only(old: Old) -> None:
    old.has("INBOX", 1, 2)
    known = old.gave("INBOX", Landed(digest(1), 7), Landed(digest(2), None, "there"))
    (route,) = old.routes(there("INBOX", messages=2))
    assert (route.known, [*route.have]) == (known, [Have(digest(1), 7), Have(digest(2), None, "there")])
    assert (route.is_lost, route.lost_note, route.moved) == (False, "", None)
    for target in (None, 2):
        (route,) = old.routes(there("INBOX"), target=target)
        assert (route.known, [*route.have]) == (None, [])


def test_a_mailbox_that_is_gone_is_lost_and_may_be_found_by_its_uidvalidity(old: Old) -> None:
    old.has("Work", 1)
    old.gave("Work", Landed(digest(1), 7), uidvalidity=42)
    (route,) = old.routes(there("INBOX"), there("Job", uidvalidity=41), there("Jobs", uidvalidity=None))
    assert (route.is_lost, route.moved) == (True, None)
    assert route.lost_note == "Work, filled by an earlier run, is not there any more: it is made again"
    assert route.why_not(again=False) is None
    job = there("Job", uidvalidity=42)
    (route,) = old.routes(there("INBOX"), job)
    assert (route.is_lost, route.moved) == (True, job.name)
    why = route.why_not(again=False)
    assert why is not None
    assert why[0] == "Work, filled by an earlier run, seems to be called Job there now"
    assert "--map" in why[1]
    assert route.why_not(again=True) is None


def test_a_mailbox_that_was_given_nothing_has_not_moved(old: Old) -> None:
    old.has("Work", 1)
    old.gave("Work", uidvalidity=42)
    (route,) = old.routes(there("Job", uidvalidity=42))
    assert (route.is_lost, route.moved) == (True, None)


def test_a_mailbox_that_is_there_has_not_moved_although_another_has_its_uidvalidity(old: Old) -> None:
    old.has("Work", 1)
    old.gave("Work", Landed(digest(1), 7), uidvalidity=42)
    (route,) = old.routes(there("Work", uidvalidity=42), there("Job", uidvalidity=42))
    assert (route.is_lost, route.moved) == (False, None)


def test_a_mailbox_has_not_moved_to_one_that_is_known_or_wanted_for_itself(old: Old) -> None:
    old.has("Work", 1)
    old.has("Play", 2)
    old.gave("Work", Landed(digest(1), 7), uidvalidity=42)
    old.gave("Other", Landed(digest(1), 8), uidvalidity=42)
    found = old.routes(there("Play", uidvalidity=42), there("Other", uidvalidity=42))
    assert [route.moved for route in found] == [None, None]
    old.gave("Other", Landed(digest(1), 7, "there"), uidvalidity=42)
    other = there("Other", uidvalidity=42)
    assert {route.moved for route in old.routes(there("Play", uidvalidity=42), other)} == {None, other.name}


# -- Gmail -----------------------------------------------------------------------------------------------------------


def test_each_message_goes_to_all_mail_once_the_oldest_first_and_labels_show_it(old: Old) -> None:
    old.has("INBOX", 3, 1)
    old.has("Work", 2, 1)
    old.has("Sent", 4, use="\\Sent")
    sent = there("[Gmail]/Gesendet", "\\Sent")
    first, *shown = old.routes(there("INBOX"), there(*ALL_MAIL), sent, abilities=GMAIL)
    assert (first.label, plan([first])) == (None, {"[Gmail]/All Mail": digests(1, 2, 3, 4)})
    assert {route.label: plan([route]) for route in shown} == {
        "\\Inbox": {"INBOX": digests(1, 3)},
        "\\Sent": {"[Gmail]/Gesendet": digests(4)},
        "Work": {"Work": digests(1, 2)},
    }


def test_a_message_has_the_date_and_the_flags_that_all_mail_has_in_the_archive(old: Old) -> None:
    old.has("INBOX", 1, flags=["\\Flagged"])
    old.has("[Gmail]/All Mail", 1, use="\\All", flags=["\\Seen"])
    first, inbox = old.routes(there("INBOX"), there(*ALL_MAIL), abilities=GMAIL)
    assert [item.flags for item in first.wanted] == [("\\Seen",)]
    assert inbox.wanted == first.wanted
    assert [source.special_use for source in first.destination.sources] == [("\\All",)]


def test_spam_keeps_its_own_and_has_no_label(old: Old) -> None:
    old.has("INBOX", 1)
    old.has("Spam", 1, 2, use="\\Junk")
    first, spam, inbox = old.routes(there(*SPAM), there("INBOX"), there(*ALL_MAIL), abilities=GMAIL)
    assert plan([first, spam, inbox]) == {
        "[Gmail]/All Mail": digests(1),
        "[Gmail]/Spam": digests(2),
        "INBOX": digests(1),
    }
    assert [route.label for route in (first, spam, inbox)] == [None, None, "\\Inbox"]


def test_reserved_names_are_changed_at_gmail_only(old: Old) -> None:
    old.has("Outbox", 1)
    assert plan(old.routes(there(*ALL_MAIL), abilities=GMAIL)) == {
        "[Gmail]/All Mail": digests(1),
        "Outbox_": digests(1),
    }
    assert plan(old.routes(there(*ALL_MAIL), abilities=PLAIN)) == {"Outbox": digests(1)}


def test_wishes_come_before_what_gmail_reserves_and_changes_are_told(old: Old) -> None:
    for name in ("Outbox", "Sent", "Bin"):
        old.has(name, 1)
    wishes = Wishes((), {("Outbox",): ("Out",), ("Sent",): ("[Gmail]", "Sent Mail"), ("Bin",): ("Spam",)})
    listed = there("[Gmail]/All Mail", "\\All"), there("[Gmail]/Sent Mail", "\\Sent")
    found = old.routes(*listed, abilities=GMAIL, options=RestoreOptions(wishes=wishes))
    assert {str(route.destination.name) for route in found} == {"[Gmail]/All Mail", "Out", "[Gmail]/Sent Mail", "Spam_"}
    changed = [route.destination.changed for route in found if route.destination.changed]
    assert changed == ["Bin is called Spam_ there: Gmail keeps that name to itself"]
    below = old.routes(there(*ALL_MAIL), abilities=GMAIL, options=RestoreOptions(wishes=Wishes(("Old",))))
    assert {"Old/Outbox", "Old/Sent", "Old/Bin"} <= {str(route.destination.name) for route in below}


def test_a_name_does_not_depend_on_what_else_is_restored(old: Old) -> None:
    for name in ("a.b", "a_b", "c"):
        old.has(name, 1)
    dotted = PLAIN._replace(delimiter=".")
    every = {route.destination.name.raw for route in old.routes(abilities=dotted)}
    (alone,) = old.routes(abilities=dotted, only={"a_b"})
    assert every == {b"a_b", b"a_b~2", b"c"}
    assert alone.destination.name.raw == b"a_b~2"


def test_gmail_that_hides_all_mail_is_filled_mailbox_by_mailbox(old: Old) -> None:
    old.has("INBOX", 1)
    old.has("Outbox", 1)
    found = old.routes(there("INBOX"), abilities=GMAIL)
    assert plan(found) == {"INBOX": digests(1), "Outbox": digests(1)}
    assert [route.label for route in found] == [None, None]


def test_a_label_that_is_gone_has_not_moved(old: Old) -> None:
    old.has("Work", 1)
    old.gave("Work", Landed(digest(1), 7), uidvalidity=42)
    _first, work = old.routes(there(*ALL_MAIL), there("Job", uidvalidity=42), abilities=GMAIL)
    assert (work.is_lost, work.moved) == (True, None)


# -- routes by themselves ----------------------------------------------------------------------------------------------


def route_to(listed: ListedMailbox | None, known_uidvalidity: int | None = None, **more: object) -> Route:
    name = mailbox_name(b"Work", "/")
    known = KnownTargetMailbox(1, 1, b"Work", "/", known_uidvalidity, 1) if known_uidvalidity else None
    return Route(Destination(name, listed, []), [wanted(1)], known)._replace(**more)  # type: ignore[arg-type]


def test_a_mailbox_is_remembered_unless_it_is_gone_or_was_made_anew() -> None:
    assert route_to(there("Work"), 5).remembered is not None
    assert route_to(there("Work"), 6).remembered is None
    assert route_to(there("Work", uidvalidity=None), 6).remembered is not None
    assert route_to(None, 5).remembered is None
    assert route_to(there("Work")).remembered is None


def standing(route: Route, *have: Have) -> Standing:
    stands = Standing(0, route.report(), route.wanted, have, Copies(set(), tells_uids=True))
    stands.recall(route.remembered)
    return stands


@pytest.mark.parametrize(
    ("listed", "known", "has", "again", "opened"),
    [
        (None, None, False, True, False),
        (there("Work"), None, False, False, True),
        (there("Work", messages=1), 5, True, False, False),
        (there("Work", messages=1), 5, True, True, True),
        (there("Work", messages=2), 5, True, False, True),
        (there("Work", messages=0), 5, True, False, True),
        (there("Work", uidvalidity=None), 5, True, False, True),
        (there("Work", messages=1), 6, True, False, True),
    ],
    ids=["absent", "new", "as given", "again", "more there", "less there", "not told", "made anew"],
)
def test_a_mailbox_is_opened_if_it_lacks_something_or_has_changed(
    listed: ListedMailbox | None, known: int | None, has: bool, again: bool, opened: bool
) -> None:
    route = route_to(listed, known)
    have = [Have(route.wanted[0].message.digest, 7)] if has else []
    assert route.must_be_opened(standing(route, *have), again=again) is opened


def test_a_report_begins_with_the_sources_and_what_is_wanted() -> None:
    name = mailbox_name(b"Work/Old", "/")
    boxes = [
        KnownMailbox(number, account, mailbox_name(raw, "/"), (), 1, True, None, None, 0)
        for number, account, raw in [(1, "you@old", b"B"), (2, "me@old", b"A"), (3, "me@old", b"A")]
    ]
    route = Route(Destination(name, None, boxes), [wanted(1), wanted(2)])
    assert route.report() == RestoredMailbox("Work/Old", ["me@old A", "you@old B"], 2)


def test_distinct_messages_come_once_as_they_were_first_and_the_oldest_first() -> None:
    items = [wanted(1, 3, "a"), wanted(2, 1), wanted(1, 0, "b"), wanted(3, None), wanted(4, 1)]
    assert distinct(items) == [items[3], items[1], items[4], items[0]]
    assert distinct([]) == []


@pytest.mark.parametrize(("label", "sends"), [(None, False), ("Work", True)])
def test_what_two_mailboxes_want_is_copied_unless_a_label_shows_it(label: str | None, sends: bool) -> None:
    routes_to_both = [route_to(None), route_to(None, label=label)]
    copies = copies_between(routes_to_both, PLAIN)
    shared = wanted(1).message.digest
    assert copies.is_for(0, shared)
    assert copies.is_for(1, shared) is sends
    assert copies.is_for(1, wanted(2).message.digest)


@pytest.mark.parametrize(("tells", "keeps"), [(True, None), (False, False)])
def test_nothing_is_copied_where_nobody_says_under_which_uid(tells: bool, keeps: bool | None) -> None:
    assert copies_between([route_to(None)], PLAIN._replace(tells_uids=tells)).keeps is keeps
