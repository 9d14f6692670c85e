"""``mailarchive restore``: put the archive into another account."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailarchive.cli import options
from mailarchive.cli.credentials import PasswordOptions
from mailarchive.cli.failure import Failed
from mailarchive.cli.progress import telling, watching
from mailarchive.cli.render import dump
from mailarchive.cli.resending import Letter, Mode, Running, check_unused, send
from mailarchive.cli.restore_report import as_object, print_problems, print_summary
from mailarchive.cli.signals import stoppable
from mailarchive.cli.terminal import ReaderGone, is_watched, out
from mailarchive.cli.tokens import secret_for
from mailarchive.clock import SystemClock
from mailarchive.config import Auth, Compress, Endpoint, account_of, parse_target_url, parse_url
from mailarchive.errors import UsageError
from mailarchive.ops.naming import Parts, Wishes, read_name
from mailarchive.ops.restore_options import RestoreOptions
from mailarchive.ops.restore_report import RestoreReport
from mailarchive.ops.selection import Selection

if TYPE_CHECKING:
    from mailarchive.ops.restore_verify import RestoreVerification


def restore(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="Where to: imaps://me@new.example.org[:port], or imap://; "
            "with --to also smtps://, smtp:// or lmtp://.",
        ),
    ],
    archive: options.Archive = None,
    account: options.Account = None,
    mailbox: options.Mailboxes = None,
    exclude: options.Exclude = None,
    since: options.Since = None,
    before: options.Before = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="DATE", help="As the account was at the end of that day, or at 2024-03-01T12:00."),
    ] = None,
    into: Annotated[
        str | None, typer.Option("--into", metavar="NAME", help="Put all mailboxes below this one.")
    ] = None,
    renames: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="OLD=NEW", help="Call a mailbox, and those below it, otherwise; may be repeated."
        ),
    ] = None,
    always: Annotated[bool, typer.Option("--always", help="Send also what the target had before.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Send again what was restored before and has been removed there.")
    ] = False,
    fix: Annotated[
        bool,
        typer.Option("--fix-for-target", help="Send a mended copy of messages that the target refuses, and list them."),
    ] = False,
    to: Annotated[
        list[str] | None, typer.Option("--to", metavar="ADDRESS", help="smtp, lmtp: whom to send each message to.")
    ] = None,
    sender: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help="smtp, lmtp: the sender on the envelope.")
    ] = None,
    resent: Annotated[
        bool,
        typer.Option("--resent", help="smtp, lmtp: put Resent-From, -To and so on before each message."),
    ] = False,
    rate: Annotated[
        int | None,
        typer.Option("--rate", metavar="N", min=1, help="smtp, lmtp: messages a minute (else 60 by smtp)."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Log in and say what would be done; change nothing.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare the target with the archive: sizes, dates, headers; send nothing.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="With --verify: download all and compare every octet.")] = False,
    as_json: options.JsonObject = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    connections: Annotated[
        int | None,
        typer.Option("--connections", metavar="N", min=1, max=16, help="Connections (else up to 4, where they help)."),
    ] = None,
    max_upload: Annotated[
        str | None, typer.Option("--max-upload", metavar="SIZE", help="At most so much a day (UTC): 500MB.")
    ] = None,
    wait: options.Wait = False,
    compress: Annotated[
        Compress, typer.Option("--compress", help="IMAP: compress the connection: always, or never.")
    ] = "auto",
    auth: Annotated[
        Auth,
        typer.Option("--auth", help="A password, a token in its place, or the OAuth login of the configuration."),
    ] = "password",
    starttls: Annotated[bool, typer.Option("--starttls", help="imap:// to this machine: STARTTLS too.")] = False,
    insecure_plaintext: Annotated[
        bool, typer.Option("--insecure-plaintext", help="imap://: no encryption; anybody between can read along.")
    ] = False,
    ca_file: options.CaFile = None,
    config: options.Config = None,
    password_command: options.PasswordCommand = None,
    password_file: options.PasswordFile = None,
) -> int:
    """Put messages of the archive into another account, octet for octet, each exactly once.

    What has been restored is written down in the archive: run it again after any interruption, or later, and only what
    is missing is sent. Nothing is removed or changed at the target.

    Password: as for pull.
    """
    directory = options.archive_directory(archive, config)
    try:
        endpoint = _endpoint(
            url,
            starttls=starttls,
            insecure_plaintext=insecure_plaintext,
            ca_file=ca_file,
            auth=auth,
            compress=compress,
        )
        selection = Selection(
            tuple(mailbox or ()),
            account,
            options.day(since, "--since"),
            options.day(before, "--before"),
            exclude=tuple(exclude or ()),
        )
        wanted = RestoreOptions(
            selection,
            _moment(at),
            Wishes(_parts(into, "--into") if into is not None else (), _renames(renames or [])),
            always,
            again,
            fix,
            connections,
            options.octets(max_upload, "--max-upload"),
        )
        is_quiet = quiet or as_json
        waits = wait or (is_watched() and not is_quiet)
        secrets = PasswordOptions(password_command, password_file, config)
        mode = _mode(dry_run=dry_run, verify=verify, full=full)
        how = Running(directory, endpoint, wanted, secrets, mode, quiet=is_quiet, verbose=verbose, waits=waits)
        if endpoint.protocol == "imap":
            check_unused(endpoint, {"--to": to, "--from": sender, "--resent": resent, "--rate": rate})
            report = _run(how)
        else:
            unfit = {"--into": into, "--map": renames, "--again": again, "--fix-for-target": fix, "--verify": verify}
            check_unused(endpoint, {**unfit, "--connections": connections, "--compress": compress != "auto"})
            report = send(how, Letter(to, sender, is_resent=resent, rate=rate))
    except Exception as error:
        raise Failed(error, {"archive": str(directory), "mailboxes": []}) from error
    print_problems(report)
    try:
        if as_json:
            out(dump(as_object(report)))
        elif not quiet:
            print_summary(report, verbose=verbose)
    except ReaderGone:
        pass
    return report.exit_code


def _run(how: Running) -> "RestoreReport | RestoreVerification":
    from mailarchive.ops.restore import restore as run_restore
    from mailarchive.ops.restore_options import RestoreTarget
    from mailarchive.ops.restore_rehearsal import rehearse
    from mailarchive.ops.restore_verify import verify_restore
    from mailarchive.targets.registry import connect

    account = account_of(how.endpoint)
    secret = secret_for(how.endpoint, account.name, how.secrets)
    clock = SystemClock()
    verb = "restore" if how.mode in {"restore", "rehearse"} else "compare"
    with watching(verb, quiet=how.quiet, verbose=how.verbose) as watcher, stoppable() as stop:
        lines = connect(
            how.endpoint,
            secret,
            clock=clock,
            stop=stop,
            on_wait=telling(watcher, account.name),
            waits=how.waits,
        )
        target = RestoreTarget(account, lines)
        if how.mode == "rehearse":
            return rehearse(how.directory, target, how.wanted, observer=watcher, clock=clock, stop=stop)
        if how.mode != "restore":
            full = how.mode == "verify everything"
            return verify_restore(
                how.directory, target, how.wanted, full=full, observer=watcher, clock=clock, stop=stop
            )
        return run_restore(how.directory, target, how.wanted, observer=watcher, clock=clock, stop=stop)


def _mode(*, dry_run: bool, verify: bool, full: bool) -> Mode:
    if full and not verify:
        raise UsageError("--full says how to compare", hint="give --verify --full")
    if verify and dry_run:
        raise UsageError("--verify and --dry-run exclude each other", hint="neither of them sends anything")
    return "rehearse" if dry_run else "verify everything" if full else "verify" if verify else "restore"


def _endpoint(
    url: str, *, starttls: bool, insecure_plaintext: bool, ca_file: Path | None, auth: Auth, compress: Compress
) -> Endpoint:
    if url.partition("://")[0].lower() in {"smtp", "smtps", "lmtp"}:
        return parse_target_url(
            url, starttls=starttls, insecure_plaintext=insecure_plaintext, ca_file=ca_file, auth=auth
        )
    endpoint = parse_url(
        url,
        starttls=starttls,
        insecure_plaintext=insecure_plaintext,
        ca_file=ca_file,
        auth=auth,
        compress=compress,
    )
    if endpoint.protocol == "pop3":
        raise UsageError("nothing can be restored over POP3", hint="give a URL like imaps://me@new.example.org")
    return endpoint


def _moment(text: str | None) -> datetime | None:
    """Return the moment that ``--at`` names; of a day, in this machine's zone, its end. Raises UsageError."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--at {text!r} is no date", hint="write it like 2024-03-01 or 2024-03-01T12:00") from None
    if len(text) <= len("2024-03-01"):
        moment = datetime.combine(moment.date(), time()) + timedelta(days=1, microseconds=-1)
    return moment.astimezone()


def _parts(text: str, option: str) -> Parts:
    parts = read_name(text)
    if "" in parts:
        what = f"{text!r} has an empty part" if text else "names no mailbox"
        raise UsageError(f"{option} {what}", hint="write names as they are printed, like Work/2024")
    return parts


def _renames(pairs: list[str]) -> Mapping[Parts, Parts]:
    found: dict[Parts, Parts] = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not equals:
            raise UsageError(f"--map {pair!r} has no =", hint="write --map 'Old/Name=New/Name'")
        found[_parts(old, "--map")] = _parts(new, "--map")
    return found
