"""``mailarchive doctor``: find out what is wrong, and what to do."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailarchive.cli import options
from mailarchive.cli.accounts import Chosen, choose
from mailarchive.cli.credentials import PasswordOptions
from mailarchive.cli.failure import Failed
from mailarchive.cli.render import clean, dump
from mailarchive.cli.terminal import ReaderGone, out
from mailarchive.cli.tokens import secret_for, token_standing
from mailarchive.clock import Clock, Stop, SystemClock
from mailarchive.config import Endpoint, parse_url
from mailarchive.configuration import configuration_file, load
from mailarchive.errors import MailArchiveError

if TYPE_CHECKING:
    from mailarchive.configuration import AccountEntry
    from mailarchive.ops.doctor import Finding, Level

_MARKS = {"fine": "ok", "note": "--", "warning": "!", "problem": "!!"}


def doctor(
    accounts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ACCOUNT|URL]...",
            help="Accounts by name, or URLs. Without any: all of the configuration, else all of the archive.",
            show_default=False,
        ),
    ] = None,
    archive: options.Archive = None,
    as_json: options.Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only what is not well.")] = False,
    starttls: Annotated[bool, typer.Option("--starttls", help="URLs of this machine: STARTTLS too.")] = False,
    insecure_plaintext: Annotated[
        bool, typer.Option("--insecure-plaintext", help="URLs: no encryption; anybody between can read along.")
    ] = False,
    ca_file: options.CaFile = None,
    config: options.Config = None,
    password_command: options.PasswordCommand = None,
    password_file: options.PasswordFile = None,
) -> int:
    """Reach each account's server step by step, log in, and look at the archive; nothing is changed anywhere.

    Who else can get at passwords, tokens and the configuration is said as well.

    Exit code 3 if there is a problem.
    """
    from mailarchive.ops.doctor import exit_code
    from mailarchive.ops.permissions import of_configuration

    named = options.named_archive(archive)
    directory = options.archive_directory(named, config)

    def read_url(url: str, security: str) -> Endpoint:
        return parse_url(
            url,
            starttls=starttls or security == "starttls",
            insecure_plaintext=insecure_plaintext,
            ca_file=ca_file,
        )

    found: dict[str, list[Finding]] = {}
    general: list[Finding] = []
    try:
        chosen = choose(accounts or [], directory if named else None, directory, config, read_url)
        secrets, clock = PasswordOptions(password_command, password_file), SystemClock()
        general += of_configuration(load(configuration_file(config)))
        if not as_json:
            _print("configuration", general, quiet=quiet)
        for one in chosen:
            name = one.entry.name if one.entry else one.account
            found[name] = []
            for finding in _findings(one, secrets, clock):
                found[name].append(finding)
            if not as_json:
                _print(name, found[name], quiet=quiet)
    except ReaderGone:
        pass
    except Exception as error:
        raise Failed(error, {"accounts": []}) from error
    code = exit_code([*general, *(finding for findings in found.values() for finding in findings)])
    if as_json:
        listed = [{"account": name, "findings": [asdict(one) for one in findings]} for name, findings in found.items()]
        out(dump({"exit_code": code, "configuration": [asdict(one) for one in general], "accounts": listed}))
    return code


def _findings(chosen: Chosen, secrets: PasswordOptions, clock: Clock) -> "Iterable[Finding]":
    from mailarchive.ops.doctor import Finding, Patient, examine
    from mailarchive.ops.permissions import of_account, secret_file
    from mailarchive.sources.registry import connect

    entry = chosen.entry
    if secrets.file is not None:
        yield from secret_file("password file", secrets.file)
    elif entry is not None:
        yield from of_account(entry)
    try:
        secret = secret_for(chosen.endpoint, chosen.account, secrets, entry)
        yield from _token_health(entry)
    except MailArchiveError as error:
        yield Finding("password", "problem", str(error), error.hint)
        return
    factory = connect(chosen.endpoint, secret, clock=clock, stop=Stop())
    yield from examine(Patient(chosen.endpoint, factory, Path(chosen.archive), entry.every if entry else None), clock)


def _token_health(entry: "AccountEntry | None") -> "Iterable[Finding]":
    """Say how a login by OAuth stands; nobody is asked. Raises UsageError, AuthenticationFailed."""
    from mailarchive.ops.doctor import Finding

    if entry is None or (standing := token_standing(entry)) is None:
        return
    levels: Mapping[str, Level] = {"good": "fine", "ending": "warning", "ended": "problem", "missing": "problem"}
    yield Finding("login", levels[standing.state], standing.sentence, standing.hint)


def _print(name: str, findings: "Iterable[Finding]", *, quiet: bool) -> None:
    shown = [one for one in findings if not quiet or one.level in {"warning", "problem"}]
    if shown:
        out(clean(name))
    for one in shown:
        out(clean(f"  {_MARKS[one.level]:<3}{one.what}: {one.sentence}"))
        if one.hint:
            out(clean(f"     hint: {one.hint}"))
