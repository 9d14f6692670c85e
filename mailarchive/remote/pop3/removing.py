"""A POP3 session that also removes messages, all of them together when it ends; for removers alone."""

from collections.abc import Sequence
from itertools import islice

from mailarchive.errors import MessageRefused
from mailarchive.remote.pop3.session import Pop3Session

_AHEAD = 100


class RemovingSession(Pop3Session):
    """A Pop3Session with DELE. What it marks is removed by ``commit`` (RFC 1939 section 6), and not without."""

    def remove(self, numbers: Sequence[int]) -> None:
        """Mark messages, and have them removed; the session ends. Raises MessageRefused if the server refuses one.

        If the process or the connection dies before QUIT, nothing is removed.
        """
        self._settle()
        waiting = iter(numbers)
        refused = ""
        while batch := list(islice(waiting, _AHEAD if self._takes_many else 1)):
            self._wire.start(*(b"DELE %d" % number for number in batch))
            for _number in batch:
                status = self._wire.answer()
                refused = refused or ("" if status.ok else status.words)
        if refused:
            self._wire.start(b"RSET")
            self._wire.answer()
            raise MessageRefused(f"nothing was removed: {refused}")
        self._wire.start(b"QUIT")
        status = self._wire.answer()
        self._wire.abandon()
        if not status.ok:
            raise MessageRefused(status.words)
