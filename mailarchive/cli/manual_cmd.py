"""``mailarchive manual``: the manual page, made from the commands themselves."""

import re
from collections.abc import Iterator

import typer
from typer.core import TyperCommand, TyperGroup

from mailarchive import __version__
from mailarchive.cli.terminal import out
from mailarchive.errors import ExitCode

_MEANINGS = {
    ExitCode.COMPLETE: "complete",
    ExitCode.BUG: "a bug, or something unclassified",
    ExitCode.USAGE: "the command line or the configuration is wrong",
    ExitCode.PARTIAL: "partial: some messages or mailboxes failed, were refused, or wait for another run",
    ExitCode.ARCHIVE_MISSING: "there is no archive at that place",
    ExitCode.ARCHIVE_LOCKED: "another process is writing to the archive",
    ExitCode.AUTHENTICATION: "user name or password refused, or there is no password",
    ExitCode.INTEGRITY: "the archive is damaged",
    ExitCode.FORMAT_TOO_NEW: "the archive was made by a newer version",
    ExitCode.STORAGE_FAILED: "disk full, or failing",
    ExitCode.SOURCE_UNREACHABLE: "the server cannot be reached, or the connection failed for good",
    ExitCode.TARGET_REFUSED: "the account that messages are sent to takes none at all",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C); everything that had arrived is safe",
    ExitCode.TERMINATED: "ended by SIGTERM; everything that had arrived is safe",
}
_VARIABLES = {
    "MAILARCHIVE_ARCHIVE": "The archive, if --archive does not name one.",
    "MAILARCHIVE_CONFIG": "The configuration file, if --config does not name one.",
    "MAILARCHIVE_PASSWORD": "The password, if nothing else says where it is.",
    "MAILARCHIVE_DEBUG": "If set, a bug shows where it happened.",
}


def manual() -> int:
    """Print the manual page of all commands: mailarchive manual | man -l -."""
    from mailarchive.cli.main import whole_command

    out("\n".join(page(whole_command())))
    return 0


def page(command: TyperGroup) -> Iterator[str]:
    """Yield the lines of a manual page (man(7))."""
    yield f'.TH MAILARCHIVE 1 "" "mailarchive {__version__}"'
    yield from (".SH NAME", f"mailarchive \\- {_text(_first(command.help or ''))}")
    yield from (".SH SYNOPSIS", ".B mailarchive", ".I command", "[options] [arguments]")
    yield ".SH COMMANDS"
    for name, each in sorted(command.commands.items()):
        yield from _command(name, each)
    yield ".SH ENVIRONMENT"
    for name, meaning in _VARIABLES.items():
        yield from (".TP", f".B {name}", _text(meaning))
    yield ".SH EXIT STATUS"
    for code, meaning in _MEANINGS.items():
        yield from (".TP", f".B {int(code)}", _text(meaning))


def _command(name: str, command: object) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        for verb, each in sorted(command.commands.items()):
            yield from _command(f"{name} {verb}", each)
    elif isinstance(command, TyperCommand):
        yield from _verb(name, command)


def _verb(name: str, command: TyperCommand) -> Iterator[str]:
    context = typer.Context(command, info_name=f"mailarchive {name}")
    yield f".SS mailarchive {_text(name)} {_text(' '.join(command.collect_usage_pieces(context)))}"
    for paragraph in re.split(r"\n\s*\n", command.help or ""):
        yield from (_text(" ".join(paragraph.split())), ".PP")
    for parameter in command.get_params(context):
        if record := parameter.get_help_record(context):
            yield from (".TP", f".B {_text(record[0])}", _text(record[1]))


def _first(text: str) -> str:
    return text.partition("\n")[0].removesuffix(".")


def _text(text: str) -> str:
    """Return text that roff shows as it is."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
