"""The entry of the program, and the one place that makes exit codes."""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from importlib import import_module
from pathlib import Path
from typing import Annotated, NoReturn, cast

import typer
from typer.core import TyperGroup

from mailarchive import __version__
from mailarchive.cli.failure import Failed
from mailarchive.cli.render import clean, dump
from mailarchive.cli.terminal import ReaderGone, flush, out, prepare, say
from mailarchive.errors import ExitCode, MailArchiveError

VERBS = {
    "init": "init",
    "pull": "pull",
    "mailboxes": "mailboxes",
    "list": "list_messages",
    "show": "show",
    "stats": "stats",
    "log": "log",
    "failures": "failures",
    "import": "import_mail",
    "export": "export",
    "restore": "restore",
    "verify": "verify",
    "convert": "convert",
    "rebuild": "rebuild",
    "repair": "repair",
    "cleanup": "cleanup",
    "status": "status",
    "doctor": "doctor",
    "demo": "demo",
    "completion": "completion",
    "manual": "manual",
}
"""Each verb and the function in ``<verb>_cmd.py`` that does it."""
GROUPS: Mapping[str, Mapping[str, str]] = {
    "account": {"add": "add", "list": "list_accounts", "check": "check", "login": "login", "remove": "remove"},
    "schedule": {"show": "show", "install": "install", "remove": "remove"},
}
"""Each group of verbs, and for each verb of it the function in ``<group>_cmd.py`` that does it."""


_DISTRIBUTION = re.compile(r"^([a-z]+)-([^-\n]+)\.dist-info$", re.MULTILINE)
_LIBRARIES = (
    "imapclient",
    "zstandard",
    "typer",
    "tqdm",
    "oauthlib",
    "dnspython",
    "tomlkit",
    "platformdirs",
    "keyring",
)
_COMPLETING = "_MAILARCHIVE_COMPLETE"
"""Set by a shell that asks what may follow; then typer answers in place of the command."""


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
    if _COMPLETING in os.environ:
        from typer._completion_classes import completion_init  # typer has no public way without its own options

        completion_init()
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


def whole_command() -> TyperGroup:
    """Return the parser of all commands."""
    command = typer.main.get_command(_app(()))  # a group, as it has many
    return cast("TyperGroup", command)


def _group(name: str) -> typer.Typer:
    """Return the parser of a group of verbs; the docstring of its module says what they are for."""
    purpose = (import_module(f"mailarchive.cli.{name}_cmd").__doc__ or "").partition(": ")[2]
    group = typer.Typer(rich_markup_mode=None)
    group.callback(invoke_without_command=True, help=purpose[:1].upper() + purpose[1:])(_demand_verb)
    for verb, function in GROUPS[name].items():
        group.command(verb)(_deferred(name, function))
    return group


def _verb(arguments: Sequence[str]) -> str:
    """Return the verb that ``arguments`` name, or an empty string."""
    first = next((word for word in arguments if not word.startswith("-")), "")
    return first if first in VERBS or first in GROUPS else ""


def _verbs(arguments: Sequence[str]) -> list[str]:
    """Return the verb that ``arguments`` name, and where that is a group, the verb of it."""
    verb = _verb(arguments)
    later = list(arguments)[list(arguments).index(verb) + 1 :] if verb in GROUPS else []
    return [*filter(None, [verb]), *[word for word in later[:1] if word in GROUPS[verb]]]


def _deferred(name: str, function: str) -> Callable[..., Callable[[], int]]:
    verb = getattr(import_module(f"mailarchive.cli.{name}_cmd"), function)

    @wraps(verb)
    def parsed(*args: object, **kwargs: object) -> Callable[[], int]:
        return partial(verb, *args, **kwargs)

    return parsed


def _version(wanted: bool) -> None:
    if wanted:
        out(f"mailarchive {__version__}")
        out(_runs_on())
        raise typer.Exit


def _runs_on() -> str:
    """Return the versions of what the program runs on; importlib.metadata would take longer than all else."""
    import platform

    beside = [path.name for path in Path(typer.__file__).parents[1].iterdir()]
    found = dict(_DISTRIBUTION.findall("\n".join(beside)))
    libraries = [f"{name} {found[name]}" for name in _LIBRARIES if name in found]
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return "; ".join((python, *libraries))


def _root(
    context: typer.Context,
    _version_wanted: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Back up mailboxes over IMAP and POP3 into a deduplicated, compressed archive that outlives this program."""
    _demand_verb(context)


def _demand_verb(context: typer.Context) -> None:
    """Print the help where no verb is named."""
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
        command = " ".join(("mailarchive", *_verbs(arguments), "--help"))
        return error.format_message(), f"see: {command}", ExitCode.USAGE
    return (
        f"this is a bug: {type(error).__name__}: {error}",
        "run the same command again with MAILARCHIVE_DEBUG=1 and report what it shows",
        ExitCode.BUG,
    )
