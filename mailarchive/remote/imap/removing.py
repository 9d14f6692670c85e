"""A session that also removes messages, each by its UID; for removers alone."""

from mailarchive.errors import MessageRefused
from mailarchive.model import MailboxName
from mailarchive.remote.imap.wire import astring
from mailarchive.remote.imap.writing import WritingSession


class RemovingSession(WritingSession):
    """A WritingSession that moves and expunges by UID. Methods raise what its methods raise, and MessageRefused."""

    def move(self, numbers: bytes, name: MailboxName) -> None:
        """Move messages of the open mailbox to another (UID MOVE, RFC 6851 section 3.2)."""
        self._finish(self._wire.start(b"UID MOVE " + numbers + b" ", astring(name.raw)))

    def copy(self, numbers: bytes, name: MailboxName) -> None:
        """Copy messages of the open mailbox to another; all of them, or none (RFC 9051 section 6.4.7)."""
        self._finish(self.start_copy(numbers, name))

    def expunge(self, numbers: bytes) -> None:
        r"""Remove messages of the open mailbox, these alone (UID EXPUNGE, RFC 4315 section 2.1).

        If the process dies between the two commands they have ``\Deleted``, and are there. If the server refuses the
        second, that is taken off again.
        """
        self._finish(self._wire.start(b"UID STORE " + numbers + b" +FLAGS.SILENT (\\Deleted)"))
        try:
            self._finish(self._wire.start(b"UID EXPUNGE " + numbers))
        except MessageRefused:
            self._finish(self._wire.start(b"UID STORE " + numbers + b" -FLAGS.SILENT (\\Deleted)"))
            raise
