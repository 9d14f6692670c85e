"""Pull from a server that shows its mail part after part (Gmail's POP): session after session, until nothing is new."""

import contextlib
from collections.abc import Sequence

from mailarchive.archive.writer import Writer
from mailarchive.errors import FetchRefused
from mailarchive.model import RemoteUid
from mailarchive.ops.mailbox_pull import MailboxPull
from mailarchive.ops.plan import MailboxPlan
from mailarchive.sources.base import OpenMailbox, Source

_STUCK = 5
"""A part is stuck if not one in so many of its messages is new."""
_WHOLE = 0.8
"""What has less than this share of the largest part is the last one."""


class Parts:
    """What one mailbox has shown in this run. Every message is counted with the first part that shows it."""

    def __init__(self, writer: Writer) -> None:
        self.fetched_again = 0
        self._writer = writer
        self._shown: set[RemoteUid] = set()
        self._again: set[RemoteUid] = set()
        self._largest = 0

    def narrow(self, plan: MailboxPlan, uids: Sequence[RemoteUid]) -> None:
        """Take out of the plan for ``uids`` what was shown before, and what vanished: that is only not shown."""
        before = self._shown.intersection(uids)
        todo = [*plan.fresh, *plan.returned, *(failure.uid for failure in plan.waiting)]
        plan.known -= len(before.difference(todo))
        plan.listed -= len(before)
        plan.fresh = [uid for uid in plan.fresh if uid not in before]
        plan.returned = [uid for uid in plan.returned if uid not in before]
        plan.waiting = [failure for failure in plan.waiting if failure.uid not in before]
        plan.gone.clear()
        plan.ended.clear()
        self._shown.update(uids)

    def turn(self, source: Source, pull: MailboxPull) -> bool:
        """End the session that ``pull`` was made in, if another one may show what is new; return whether it may."""
        opened = source.open(pull.look.listed)
        uids = opened.uids()
        is_last = len(uids) < _WHOLE * self._largest
        self._largest = max(self._largest, len(uids))
        has_more = pull.report.new > 0
        if source.shows == "next" and not is_last and _STUCK * pull.report.new < len(uids):
            has_more = self._fetch_again(opened, pull, uids) or has_more
        if has_more:
            source.leave(self._writer.checkpoint)
        return has_more

    def _fetch_again(self, opened: OpenMailbox, pull: MailboxPull, uids: Sequence[RemoteUid]) -> bool:
        """Fetch what the archive has, and the server goes on showing because the session in which it came was cut.

        Otherwise what comes after it is never shown.
        """
        self._writer.checkpoint()
        with self._writer.catalog() as catalog:
            held = catalog.uids(pull.number, pull.look.cursor.uidvalidity)
        came = self._again.union(pull.look.plan.fresh)
        stuck = [uid for uid in uids if uid in held and uid not in came]
        self._again.update(stuck)
        count = 0
        with contextlib.suppress(FetchRefused):
            for item in opened.fetch(stuck, self._writer.spool):
                item.body.close()
                count += 1
        self.fetched_again += count
        return count > 0
