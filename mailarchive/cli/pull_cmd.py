"""``mailarchive pull``: bring what is new into the archive."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mailarchive.cli import options
from mailarchive.cli.credentials import PasswordOptions, password_for
from mailarchive.cli.failure import Failed
from mailarchive.cli.progress import Watcher, telling, watching
from mailarchive.cli.pull_report import as_object, print_problems, print_summary
from mailarchive.cli.render import dump
from mailarchive.cli.signals import stoppable
from mailarchive.cli.terminal import ReaderGone, is_watched, out
from mailarchive.clock import Clock, SystemClock
from mailarchive.config import Auth, Compress, Endpoint, parse_url
from mailarchive.errors import ArchiveMissing, AuthenticationFailed, MailArchiveError, UsageError
from mailarchive.ops.events import Detail
from mailarchive.ops.options import PullAccount, PullOptions
from mailarchive.ops.report import PullReport
from mailarchive.sources.base import Source, SourceFactory


def pull(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[URL|ACCOUNT]...",
            help="imaps://user@host[:port], or imap:// (STARTTLS); pop3s:// or pop3:// (STLS); "
            "or an account of the archive by its name. "
            "Without any: all accounts of the archive.",
            show_default=False,
        ),
    ] = None,
    archive: options.Archive = None,
    mailbox: options.Mailboxes = None,
    exclude: options.Exclude = None,
    since: options.Since = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would be fetched.")] = False,
    as_json: options.JsonObject = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    connections: Annotated[
        int | None,
        typer.Option(
            "--connections",
            metavar="N",
            min=1,
            max=16,
            help="Connections to each account, if there is work for them (else up to 4, while they are waited for).",
        ),
    ] = None,
    paranoid: Annotated[
        bool, typer.Option("--paranoid", help="Download also what is recognised as known, and compare.")
    ] = False,
    gone_alarm: Annotated[
        int,
        typer.Option("--gone-alarm", metavar="PERCENT", min=0, max=100, help="Warn when more of a mailbox vanished."),
    ] = 50,
    max_download: Annotated[
        str | None,
        typer.Option("--max-download", metavar="SIZE", help="At most so much for each account and day (UTC): 2GB."),
    ] = None,
    newest_first: Annotated[
        bool, typer.Option("--newest-first", help="The newest mail of each mailbox first.")
    ] = False,
    wait: options.Wait = False,
    compress: Annotated[
        Compress,
        typer.Option("--compress", help="IMAP: compress the connection where the network is slow, always, or never."),
    ] = "auto",
    auth: Annotated[
        Auth, typer.Option("--auth", help="Log in with a password, or with an OAuth access token in its place.")
    ] = "password",
    starttls: Annotated[
        bool, typer.Option("--starttls", help="imap:// and pop3:// to this machine: STARTTLS too.")
    ] = False,
    insecure_plaintext: Annotated[
        bool,
        typer.Option("--insecure-plaintext", help="imap://, pop3://: no encryption; anybody between can read along."),
    ] = False,
    ca_file: options.CaFile = None,
    password_command: options.PasswordCommand = None,
    password_file: options.PasswordFile = None,
) -> int:
    """Bring what is new into the archive.

    The archive is made on first use. The server is only read.
    Nothing is downloaded twice; run it again after any interruption.

    Password: --password-command, --password-file, MAILARCHIVE_PASSWORD, the system keyring, or a prompt.
    """
    directory = options.archive_directory(archive)
    try:
        endpoints = [
            parse_url(
                url,
                starttls=starttls or security == "starttls",
                insecure_plaintext=insecure_plaintext,
                ca_file=ca_file,
                auth=auth,
                compress=compress,
            )
            for url, security in _urls(targets or [], directory)
        ]
        wanted = PullOptions(
            tuple(mailbox or ()),
            tuple(exclude or ()),
            options.day(since, "--since"),
            dry_run,
            connections,
            paranoid,
            gone_alarm / 100,
            options.octets(max_download, "--max-download"),
            newest_first,
        )
        secrets = PasswordOptions(password_command, password_file)
        is_quiet = quiet or as_json
        waits = wait or (is_watched() and not is_quiet)
        report = _run(directory, endpoints, wanted, secrets, quiet=is_quiet, verbose=verbose, waits=waits)
    except Exception as error:
        raise Failed(error, {"archive": str(directory), "accounts": []}) from error
    code = report.exit_code
    print_problems(report)
    try:
        if as_json:
            out(dump(as_object(report, code)))
        elif not quiet:
            print_summary(report, verbose=verbose)
    except ReaderGone:
        return code
    return code


def _urls(targets: Sequence[str], directory: Path) -> list[tuple[str, str]]:
    """Return for each URL or account name, or for all accounts of the archive, its URL and how it was protected."""
    if all("://" in target for target in targets) and targets:
        return [(target, "") for target in targets]
    from mailarchive.ops import browse

    try:
        known = {account.name: account for account in browse.accounts(directory) if account.url}
    except ArchiveMissing:
        known = {}
    if not targets and not known:
        raise UsageError("no account to pull from", hint="give a URL: mailarchive pull imaps://user@host")
    urls = []
    for target in targets or known:
        if "://" in target:
            urls.append((target, ""))
        elif target in known:
            urls.append((known[target].url, known[target].security))
        else:
            names = f"; the archive knows {', '.join(known)}" if known else ""
            shown = "what is given" if ":" in target else repr(target)  # it may hold a password
            raise UsageError(
                f"{shown} is neither a URL nor an account of {directory}{names}",
                hint="give a URL: mailarchive pull imaps://user@host",
            )
    return urls


def _run(
    directory: Path,
    endpoints: Sequence[Endpoint],
    wanted: PullOptions,
    secrets: PasswordOptions,
    *,
    quiet: bool,
    verbose: bool,
    waits: bool,
) -> PullReport:
    from mailarchive.config import account_of
    from mailarchive.ops.pull import pull as run_pull

    names = [account_of(endpoint).name for endpoint in endpoints]
    if len(set(names)) < len(names):
        raise UsageError("an account is named twice", hint="name each account once")
    passwords = _passwords(names, secrets)
    clock = SystemClock()
    with watching("pull", quiet=quiet, verbose=verbose) as watcher, stoppable() as stop:
        accounts = [
            _account(endpoint, password, clock, stop, watcher, waits=waits)
            for endpoint, password in zip(endpoints, passwords, strict=True)
        ]
        return run_pull(directory, accounts, wanted, observer=watcher, clock=clock, stop=stop)


def _passwords(names: Sequence[str], secrets: PasswordOptions) -> list[str | MailArchiveError]:
    """Return each account's password, or why there is none. Raises that if no account has one."""
    found: list[str | MailArchiveError] = []
    for name in names:
        try:
            found.append(password_for(name, secrets))
        except MailArchiveError as error:
            found.append(error)
    reasons = [password for password in found if isinstance(password, MailArchiveError)]
    if len(reasons) == len(found):
        raise reasons[0]
    return found


def _account(
    endpoint: Endpoint,
    password: str | MailArchiveError,
    clock: Clock,
    stop: threading.Event,
    watcher: Watcher,
    *,
    waits: bool,
) -> PullAccount:
    """Return the account to pull; without a password each connection fails with the reason."""
    from mailarchive.config import account_of
    from mailarchive.sources.registry import connect, most_connections

    account = account_of(endpoint)
    if isinstance(password, MailArchiveError):
        return PullAccount(account, _refusing(password))

    def tell(sentence: str) -> None:
        watcher(Detail(f"{account.name}: {sentence}"))

    factory = connect(
        endpoint,
        lambda: password,
        clock=clock,
        stop=stop,
        on_wait=telling(watcher, account.name),
        waits=waits,
        tell=tell,
    )
    return PullAccount(account, factory, most_connections(endpoint))


def _refusing(error: MailArchiveError) -> SourceFactory:
    def refuse() -> Source:
        raise AuthenticationFailed(str(error), hint=error.hint)

    return refuse
