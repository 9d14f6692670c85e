"""The targets by name."""

from pathlib import Path
from typing import Literal

from mailarchive.targets.base import Target
from mailarchive.targets.eml import EmlTarget
from mailarchive.targets.mbox import MboxTarget
from mailarchive.targets.paths import Tell, ignore_text

Format = Literal["mbox", "eml"]


def open_target(form: Format, destination: Path, tell: Tell = ignore_text) -> Target:
    """Return the target that writes ``form`` below ``destination``; ``tell`` gets a sentence about what is odd there.

    Raises UsageError, StorageFailed.
    """
    return EmlTarget(destination, tell) if form == "eml" else MboxTarget(destination, tell)
