"""What the mailboxes of one restore have in common, and where they note what did not go as it should."""

import threading
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from mailarchive.archive.restoring import RestoreLog
from mailarchive.mail.mending import FIXES, WHAT, Flaw
from mailarchive.ops.copies import Copies
from mailarchive.ops.events import Notice, Observer
from mailarchive.ops.options import Around
from mailarchive.ops.restore_options import RestoreOptions
from mailarchive.ops.restore_report import Refusal, RestoreReport
from mailarchive.ops.uploads import Uploads
from mailarchive.ops.wanted import Wanted
from mailarchive.targets.accounts import Abilities

SETTLING = 3.0
"""Seconds in which a server ends what a client that is gone had sent whole."""


def warn(warnings: list[str], sentences: Iterable[str], observer: Observer) -> None:
    """Say what a user should know before anything is sent, and note it in a report's ``warnings``."""
    for sentence in sentences:
        warnings.append(sentence)
        observer(Notice(sentence))


class Notes:
    """Notes refusals and flags that are dropped in the report. Thread-safe."""

    def __init__(self, report: RestoreReport, names: Callable[[int], str]) -> None:
        """``names`` returns what a mailbox of the archive is called, by its number."""
        self._report = report
        self._names = names
        self._odd_ends = 0
        self._lock = threading.Lock()

    def refused(
        self, mailbox: str, item: Wanted, reason: str, flaws: Collection[Flaw] = (), *, mended: bool = False
    ) -> None:
        """Note a message that the target did not take as it is, and what is odd about it."""
        message = item.message
        odd, fix = ("; ".join(words[flaw] for flaw in sorted(flaws)) for words in (WHAT, FIXES))
        source = self._names(item.source)
        refusal = Refusal(mailbox, message.digest.hex(), source, message.size, reason, odd, fix, mended)
        with self._lock:
            self._report.refusals.append(refusal)

    def dropped(self, flags: Iterable[str]) -> None:
        """Count flags that a message loses."""
        with self._lock:
            for flag in flags:
                self._report.dropped_flags[flag] = self._report.dropped_flags.get(flag, 0) + 1

    def odd_ends(self, messages: int) -> None:
        """Count messages that were sent and have line ends other than CRLF."""
        with self._lock:
            self._odd_ends += messages

    def conclude(self) -> None:
        """Say what was counted."""
        if self._odd_ends:
            self.note(
                f"{self._odd_ends} of the messages sent have line ends other than CRLF, which many servers change; "
                "see: --verify"
            )

    def note(self, sentence: str) -> None:
        """Note a sentence, once."""
        with self._lock:
            if sentence not in self._report.notes:
                self._report.notes.append(sentence)


class Common(NamedTuple):
    """What the mailboxes of one restore have in common."""

    log: RestoreLog
    target: int
    abilities: Abilities
    copies: Copies
    uploads: Uploads
    options: RestoreOptions
    notes: Notes
    around: Around
    is_stopping: Callable[[], bool]
    done: Callable[[str, int, int], None]
    """Is told of a mailbox how many more messages are settled, and how many octets were sent for them."""
