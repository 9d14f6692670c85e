"""One mailbox of Gmail that shows a label: its messages are sent to the one with all mail, and get the label there."""

from collections.abc import Mapping

from mailarchive.archive.messages import MessageReader
from mailarchive.archive.restoring import Landed
from mailarchive.errors import MailboxUnavailable, MessageRefused
from mailarchive.model import Digest, ListedMailbox
from mailarchive.ops.mailbox_restore import MailboxRestore
from mailarchive.ops.restore_common import Common
from mailarchive.ops.restore_report import RestoredMailbox
from mailarchive.ops.routes import Route
from mailarchive.ops.standing import COPY, Standing
from mailarchive.targets.accounts import AccountTarget

_AT_A_TIME = 500


class LabelRestore:
    """Gives messages of the mailbox with all mail the label of one mailbox. See ``MailboxRestore``."""

    def __init__(self, place: int, route: Route, all_mail: MailboxRestore, common: Common) -> None:
        self.report = route.report()
        self.is_given_up = False
        self._route = route
        self._all_mail = all_mail
        self._common = common
        self._standing = Standing(place, self.report, route.wanted, route.have, common.copies)

    def prepare(self) -> bool:
        """Compare what is wanted with what the archive remembers; return whether there is something to do."""
        is_labelled = self._is_same and not self._route.is_lost and not self._common.options.again
        self._standing.recall(self._route.known if is_labelled else None)
        return bool(self._standing.pending) or self._route.destination.listed is None

    @property
    def _is_same(self) -> bool:
        """Whether what the archive remembers is of the mailbox with all mail that is there."""
        known = self._route.known
        return known is not None and known.uidvalidity == self._all_mail.uidvalidity

    def planned(self) -> tuple[str, int, int]:
        """Return what the mailbox is called; its messages are those of the one with all mail."""
        return self.report.mailbox, len(self._standing.pending), 0

    @property
    def settled(self) -> int:
        """How many messages need nothing more."""
        return self._standing.settled

    @property
    def is_unfinished(self) -> bool:
        """Whether something is left to be labelled."""
        return bool(self._standing.pending) and not self.report.error and not self.is_given_up

    def send(self, target: AccountTarget, reader: MessageReader) -> None:
        """Make the mailbox. Raises SourceError."""
        del reader
        if self._route.destination.listed is None and not self.report.made:
            target.create(self._route.destination.name)
            self.report.made = True

    def fail(self, error: MailboxUnavailable) -> None:
        """Note that the mailbox cannot be used."""
        self.report.error, self.report.hint = str(error), error.hint

    def label(self, target: AccountTarget, reader: MessageReader) -> None:
        """Label what has been sent to the mailbox with all mail. Raises SourceError, StorageFailed."""
        del reader
        uids: Mapping[Digest, int] = self._all_mail.uids()
        found = sorted(
            (uids[item.message.digest], place)
            for place, item in self._standing.pending.items()
            if item.message.digest in uids
        )
        if not found:
            return
        opened = target.open(ListedMailbox(self._all_mail.name))
        name = self._route.destination.name
        if opened.cursor.uidvalidity != self._all_mail.uidvalidity:
            raise MailboxUnavailable(
                f"{self._all_mail.name} was made anew while it was filled", hint="run the same command again"
            )
        box = self._common.log.mailbox(
            self._common.target, name.raw, name.delimiter, opened.cursor.uidvalidity, opened.cursor.uidnext
        )
        before = {one.digest for one in self._route.have} if self._is_same else set()
        for start in range(0, len(found), _AT_A_TIME):
            if self._common.is_stopping():
                return
            some = found[start : start + _AT_A_TIME]
            try:
                opened.label([uid for uid, _place in some], [self._route.label or ""])
            except MessageRefused as error:
                self.report.error = f"{name} cannot be filled: {error}"
                return
            landed = [(place, Landed(self._standing.pending[place].message.digest, None, COPY)) for _uid, place in some]
            self._common.log.restored(box, [one for _place, one in landed if one.digest not in before])
            self._standing.landed(landed)
            self.report.copied += len(landed)
            self._common.done(self.report.mailbox, len(landed), 0)

    def conclude(self) -> RestoredMailbox:
        """Return the counts, when nothing more is done; what could not be sent is listed with all mail."""
        pending = [item.message.digest for item in self._standing.pending.values()]
        refused, damaged = self._all_mail.refused(), self._all_mail.damaged()
        self.report.refused = sum(digest in refused for digest in pending)
        self.report.damaged += sum(digest in damaged for digest in pending)
        self.report.left = sum(digest not in refused and digest not in damaged for digest in pending)
        return self.report
