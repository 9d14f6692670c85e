"""Where the configuration file is."""

import os
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
        from platformdirs import user_config_path  # noqa: PLC0415 - start-up: not needed where the file is named

        return user_config_path("mailarchive", appauthor=False) / "config.toml"
    except RuntimeError:
        raise UsageError(
            "there is no home directory to look for it in", hint="name the file with --config FILE"
        ) from None
