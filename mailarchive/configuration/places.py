"""Where the configuration file is."""

import os
import platform
from pathlib import Path

from mailarchive.errors import UsageError

VARIABLE = "MAILARCHIVE_CONFIG"


def configuration_file(given: Path | None = None) -> Path:
    """Return what ``--config`` or MAILARCHIVE_CONFIG names, else ``config.toml`` where the platform keeps such files.

    Raises UsageError without a home directory.
    """
    named = given or os.environ.get(VARIABLE)
    try:
        if named:
            return Path(named).expanduser().absolute()
        return _directory() / "config.toml"
    except RuntimeError:
        raise UsageError(
            "there is no home directory to look for it in", hint="name the file with --config FILE"
        ) from None


def _directory() -> Path:
    if platform.system() == "Linux":
        # What platformdirs says too (XDG Base Directory Specification); start-up: importing it takes a while.
        named = Path(os.environ.get("XDG_CONFIG_HOME", ""))
        return (named if named.is_absolute() else Path("~/.config").expanduser()) / "mailarchive"
    from platformdirs import user_config_path  # noqa: PLC0415 - start-up: not needed where the file is named

    return user_config_path("mailarchive", appauthor=False)
