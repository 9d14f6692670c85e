"""Where the archive has seen messages, up to the last fact written: what linking before download looks in."""

from collections import defaultdict
from collections.abc import Iterable

from mailarchive.archive.placing import BY_IMPORT, BY_VARIANT
from mailarchive.catalog.base import Catalog
from mailarchive.model import Digest, HeaderDigest
from mailarchive.records import Here, Looks, Sighting

MOST = 4096
"""So many placements with one header say nothing about which message it is."""


class Sightings:
    """The catalog's placements and those that are journaled since its last transaction. Not thread-safe."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._accounts = {mailbox.number: mailbox.account for mailbox in catalog.mailboxes()}
        self._by_id: dict[tuple[str, str], Sighting] = {}
        self._by_looks: defaultdict[Looks, set[Here]] = defaultdict(set)
        self._by_size: defaultdict[int, set[Here]] = defaultdict(set)
        self._by_header: defaultdict[HeaderDigest, list[Sighting]] = defaultdict(list)
        self._as_they_are: set[Digest] = set()
        """Messages that a server was seen to have, and not only their form."""

    def mailbox(self, number: int, account: str) -> None:
        """Note whose mailbox it is."""
        self._accounts[number] = account

    def account(self, mailbox: int) -> str | None:
        """Return whose mailbox it is."""
        return self._accounts.get(mailbox)

    def add(self, sighting: Sighting) -> None:
        """Note a placement that has been journaled."""
        if sighting.account_id is not None:
            self._by_id[self._accounts.get(sighting.mailbox, ""), sighting.account_id] = sighting
        here = (sighting.mailbox, sighting.uidvalidity)
        if not sighting.is_form and sighting.by not in {BY_IMPORT, BY_VARIANT}:
            self._as_they_are.add(sighting.digest)
        date = None if sighting.by == BY_IMPORT else sighting.date
        self._by_looks[sighting.said_size, date].add(here)
        self._by_size[sighting.said_size].add(here)
        self._by_header[sighting.header].append(sighting)

    def forget(self) -> None:
        """Forget what was noted: the catalog has it now."""
        self._by_id.clear()
        self._by_looks.clear()
        self._by_size.clear()
        self._by_header.clear()
        self._as_they_are.clear()

    def with_ids(self, account: str, ids: Iterable[str]) -> dict[str, Sighting]:
        """Return for each of the account-wide ``ids`` that is known one placement of the message."""
        wanted = list(ids)
        found = {sighting.account_id or "": sighting for sighting in self._catalog.with_ids(account, wanted)}
        found |= {name: self._by_id[account, name] for name in wanted if (account, name) in self._by_id}
        return found

    def look_alike(self, looks: Iterable[Looks], here: Here | None) -> set[Looks]:
        """Return those of ``looks`` that a placement has, left out those present ``here``; no date is like any date."""
        wanted = set(looks)
        found = self._catalog.look_alike(wanted, here)
        return found | {looks for looks in wanted - found if self._places_of(looks) - {here}}

    def _places_of(self, looks: Looks) -> set[Here]:
        size, date = looks
        if date is None:
            return self._by_size.get(size, set())
        return self._by_looks.get(looks, set()) | self._by_looks.get((size, None), set())

    def with_header(self, header: HeaderDigest) -> list[Sighting]:
        """Return where messages with this header digest were seen, or with this one as their form's.

        Nothing if there are too many.
        """
        known = [*self._catalog.with_header(header, MOST), *self._catalog.with_form(header, MOST)]
        found = [*known, *self._by_header.get(header, ())]
        kept = [one for one in found if not (one.is_form and one.digest in self._as_they_are)]
        return kept if len(found) < MOST else []
