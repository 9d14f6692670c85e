"""The targets by name."""

from pathlib import Path
from typing import Literal

from mailarchive.targets.base import Target
from mailarchive.targets.eml import EmlTarget
from mailarchive.targets.mbox import MboxTarget

Format = Literal["mbox", "eml"]


def open_target(form: Format, destination: Path) -> Target:
    """Return the target that writes ``form`` below ``destination``. Raises UsageError, StorageFailed."""
    return EmlTarget(destination) if form == "eml" else MboxTarget(destination)
