"""What is said on standard error, kept for machines: with its moment, as text or JSON, in a file of bounded size."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mailarchive.cli.render import clean
from mailarchive.cli.terminal import also_to
from mailarchive.errors import StorageFailed

if TYPE_CHECKING:
    from logging import Logger

LogFormat = Literal["text", "json"]
_LARGEST, _OLDER = 5 << 20, 5
"""Octets of a log file, and how many older ones are kept beside it."""


def begin_log(file: Path | None, form: LogFormat) -> None:
    """Let what is said go to ``file`` as well, and to standard error as JSON if ``form`` is that.

    Raises StorageFailed.
    """
    logger = None if file is None else _logger(file)

    def write(line: str) -> str:
        told = _told(line, form)
        if logger is not None:
            logger.info(told)
        return told if form == "json" else line

    if logger is not None or form == "json":
        also_to(write)


def _logger(file: Path) -> "Logger":
    """Return a logger of our own, which no other library writes to."""
    from logging import INFO, Logger, LogRecord
    from logging.handlers import RotatingFileHandler

    class Handler(RotatingFileHandler):
        """Says once that the file cannot be written; the run goes on without it."""

        has_failed = False

        def handleError(self, record: LogRecord) -> None:  # noqa: ARG002, N802 - as logging calls it
            if not self.has_failed:
                self.has_failed = True
                sys.stderr.write(f"mailarchive: the log {clean(str(file))} cannot be written\n")

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = Handler(file, "a", _LARGEST, _OLDER, "utf-8", errors="backslashreplace")
    except OSError as error:
        sentence = f"the log {file} cannot be written: {error.strerror}"
        raise StorageFailed(sentence, hint="name another --log-file") from None
    logger = Logger("mailarchive", INFO)  # noqa: LOG001 - no other library may write to it, nor find it
    logger.addHandler(handler)
    return logger


def _told(line: str, form: LogFormat) -> str:
    moment = datetime.now().astimezone().isoformat(timespec="seconds")
    sentence = line.strip().removeprefix("mailarchive: ")
    if form == "text":
        return f"{moment} {sentence}"
    kind = "hint" if sentence.startswith("hint: ") else "message"
    return json.dumps({"time": moment, kind: sentence.removeprefix("hint: ")}, ensure_ascii=True)
