"""A Gmail account on loopback, an archive of it, and what must be true of the two after a pull."""

from mailarchive.archive.archive import open_for_reading
from mailarchive.loopback.gmail import GmailAccount
from mailarchive.ops.report import MailboxReport, PullReport
from tests.fault.archives import ignore_text, no_damage
from tests.integration.sites import Site

ALL, SPAM, TRASH = "[Gmail]/All Mail", "[Gmail]/Spam", "[Gmail]/Trash"


class Gmail(Site):
    """A Gmail account and its archive."""

    @property
    def gmail(self) -> GmailAccount:
        assert isinstance(self.account, GmailAccount)
        return self.account

    def placed(self, *, gone: bool = False) -> dict[str, dict[str, bytes]]:
        """Return the octets that the archive has in each mailbox by account-wide id."""
        found: dict[str, dict[str, bytes]] = {}
        with open_for_reading(self.root, ignore_text) as archive:
            for box in archive.catalog.mailboxes():
                records = list(archive.catalog.placements(box.number, gone=gone))
                octets = {str(record.account_id): b"".join(archive.octets(record.digest)) for record in records}
                assert len(octets) == len(records)
                if octets:
                    found["/".join(box.name.parts)] = octets
        return found

    def is_gmail(self) -> None:
        """Assert that the archive has in each mailbox what Gmail shows there, and is sound."""
        shown = {name: sorted(octets.values()) for name, octets in self.gmail.expected().items() if octets}
        assert {name: sorted(octets.values()) for name, octets in self.placed().items()} == shown
        no_damage(self.root)

    def opened(self) -> set[str]:
        commands = self.server.counts.commands
        return {line.partition('"')[2].partition('"')[0] for line in commands if line.startswith("EXAMINE")}

    def bodies(self) -> int:
        return sum(self.server.counts.body_fetches.values())


def boxes(report: PullReport) -> dict[str, MailboxReport]:
    return {box.mailbox: box for box in report.accounts[0].mailboxes}
