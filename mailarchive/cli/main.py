"""The entry of the program, and the one place that makes exit codes."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from importlib import import_module
from typing import Annotated, NoReturn

import typer

from mailarchive import __version__
from mailarchive.cli.failure import Failed
from mailarchive.cli.render import clean, dump
from mailarchive.cli.terminal import ReaderGone, flush, out, prepare, say
from mailarchive.errors import ExitCode, MailArchiveError

VERBS = {
    "pull": "pull",
    "mailboxes": "mailboxes",
    "list": "list_messages",
    "show": "show",
    "stats": "stats",
    "log": "log",
    "failures": "failures",
    "export": "export",
    "restore": "restore",
    "verify": "verify",
    "rebuild": "rebuild",
    "repair": "repair",
    "demo": "demo",
}
"""Each verb and the function in ``<verb>_cmd.py`` that does it."""
GROUPS: Mapping[str, Mapping[str, str]] = {"account": {"login": "login"}}
"""Each group of verbs, and for each verb of it the function in ``<group>_cmd.py`` that does it."""


def run() -> NoReturn:
    """Run the command line of this process and exit."""
    prepare()
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run the program with ``arguments`` and return its exit code; nothing is raised."""
    try:
        code = _perform(arguments)
        flush()
    except (ReaderGone, SystemExit):  # the latter is how typer ends when the reader of its help has gone
        return ExitCode.COMPLETE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is becomes a sentence and an exit code here
        return _fail(error, arguments)
    return code


def _perform(arguments: Sequence[str]) -> int:
    """Parse ``arguments`` with typer, then run the verb outside of typer, which would handle some errors itself."""
    parsed = _app(arguments)(args=list(arguments), prog_name="mailarchive", standalone_mode=False)
    return int(parsed() if callable(parsed) else parsed or 0)


def _app(arguments: Sequence[str]) -> typer.Typer:
    """Return the parser; where a verb is named, with that verb only, so that no other is imported."""
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_root)
    named = _verb(arguments)
    for name in [named] if named else [] if list(arguments) == ["--version"] else [*VERBS, *GROUPS]:
        if name in GROUPS:
            app.add_typer(_group(name), name=name)
        else:
            app.command(name)(_deferred(name, VERBS[name]))
    return app


def _group(name: str) -> typer.Typer:
    """Return the parser of a group of verbs; the docstring of its module says what they are for."""
    purpose = (import_module(f"mailarchive.cli.{name}_cmd").__doc__ or "").partition(": ")[2]
    group = typer.Typer(help=purpose[:1].upper() + purpose[1:], rich_markup_mode=None, no_args_is_help=True)
    for verb, function in GROUPS[name].items():
        group.command(verb)(_deferred(name, function))
    return group


def _verb(arguments: Sequence[str]) -> str:
    """Return the verb that ``arguments`` name, or an empty string."""
    first = next((word for word in arguments if not word.startswith("-")), "")
    return first if first in VERBS or first in GROUPS else ""


def _deferred(name: str, function: str) -> Callable[..., Callable[[], int]]:
    verb = getattr(import_module(f"mailarchive.cli.{name}_cmd"), function)

    @wraps(verb)
    def parsed(*args: object, **kwargs: object) -> Callable[[], int]:
        return partial(verb, *args, **kwargs)

    return parsed


def _version(wanted: bool) -> None:
    if wanted:
        out(f"mailarchive {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    _version_wanted: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Back up mailboxes over IMAP and POP3 into a deduplicated, compressed archive that outlives this program."""
    if context.invoked_subcommand is None:
        out(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


def _fail(error: Exception, arguments: Sequence[str]) -> int:
    """Say what went wrong, on standard error and with ``--json`` on standard output; return the exit code."""
    facts: dict[str, object] = {}
    if isinstance(error, Failed):
        facts = error.facts
        error = error.error
    verbose = bool({"--verbose", "-v"} & set(arguments)) or bool(os.environ.get("MAILARCHIVE_DEBUG"))
    if verbose and not isinstance(error, typer.TyperException):
        import traceback

        traceback.print_exception(error)
    sentence, hint, code = _explain(error, arguments)
    say(f"mailarchive: {clean(sentence)}")
    if hint:
        say(f"  hint: {clean(hint)}")
    if "--json" in arguments:
        try:
            out(dump({"status": "failed", "exit_code": int(code), **facts, "error": sentence, "hint": hint}))
            flush()
        except (ReaderGone, MailArchiveError):
            return code
    return code


def _explain(error: Exception, arguments: Sequence[str]) -> tuple[str, str, int]:
    if isinstance(error, MailArchiveError):
        return str(error), error.hint, error.exit_code
    if isinstance(error, typer.TyperException):
        command = " ".join(filter(None, ("mailarchive", _verb(arguments), "--help")))
        return error.format_message(), f"see: {command}", ExitCode.USAGE
    return (
        f"this is a bug: {type(error).__name__}: {error}",
        "run the same command again with MAILARCHIVE_DEBUG=1 and report what it shows",
        ExitCode.BUG,
    )
