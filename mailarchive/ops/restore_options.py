"""What a restore is asked to do, and where to."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from mailarchive.model import Account
from mailarchive.ops.naming import Wishes
from mailarchive.ops.selection import Selection
from mailarchive.targets.accounts import AccountTarget, Line


class RestoreOptions(NamedTuple):
    """What to restore, and how. ``at`` is the moment as of which; None: as the archive is now."""

    selection: Selection = Selection()
    at: datetime | None = None
    wishes: Wishes = Wishes()
    always: bool = False
    """Send also what the target had before."""
    again: bool = False
    """Send again what was restored and has been removed there since."""
    fix: bool = False
    """Send a mended copy of what the target refuses as it is."""
    connections: int | None = None
    max_upload: int | None = None
    """Octets that may be sent to the target on one day (UTC)."""


class RestoreTarget(NamedTuple):
    """An account and how to open connections to it that survive being lost."""

    account: Account
    connect: Callable[[], Line[AccountTarget]]
