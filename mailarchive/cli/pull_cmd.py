"""``mailarchive pull``: bring what is new into the archive."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from mailarchive.cli import options
from mailarchive.cli.accounts import choose
from mailarchive.cli.credentials import PasswordOptions
from mailarchive.cli.failure import Failed
from mailarchive.cli.log import LogFormat, begin_log
from mailarchive.cli.notifying import tell, telling_errors, whom
from mailarchive.cli.pull_report import as_one_object, exit_code, print_problems, print_summary, summary, total_line
from mailarchive.cli.pulling import Running, run_pulls
from mailarchive.cli.render import dump
from mailarchive.cli.terminal import ReaderGone, is_watched, note_down, out
from mailarchive.cli.watchdog import check_metrics, pinged, put_metrics
from mailarchive.config import Auth, Compress, Endpoint, parse_url
from mailarchive.ops.options import PullOptions


def pull(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[URL|ACCOUNT]...",
            help="imaps://user@host[:port], or imap:// (STARTTLS); pop3s:// or pop3:// (STLS); "
            "or an account by its name in the configuration or the archive. "
            "Without any: all accounts of the configuration, else all of the archive.",
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
    wait_lock: Annotated[
        str | None,
        typer.Option("--wait-lock", metavar="TIME", help="Wait so long for an archive that is being written: 10m."),
    ] = None,
    random_delay: Annotated[
        str | None,
        typer.Option("--random-delay", metavar="TIME", help="Begin after a random part of this time: 5m."),
    ] = None,
    compress: Annotated[
        Compress,
        typer.Option("--compress", help="IMAP: compress the connection where the network is slow, always, or never."),
    ] = "auto",
    auth: Annotated[
        Auth,
        typer.Option("--auth", help="A password, a token in its place, or the OAuth login of the configuration."),
    ] = "password",
    starttls: Annotated[
        bool, typer.Option("--starttls", help="imap:// and pop3:// to this machine: STARTTLS too.")
    ] = False,
    insecure_plaintext: Annotated[
        bool,
        typer.Option("--insecure-plaintext", help="imap://, pop3://: no encryption; anybody between can read along."),
    ] = False,
    ca_file: options.CaFile = None,
    config: options.Config = None,
    log_file: Annotated[
        Path | None,
        typer.Option("--log-file", metavar="FILE", help="Keep what is said there too; five older files of 5 MiB stay."),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option("--log-format", help="What is said on standard error and in the log.")
    ] = "text",
    metrics: Annotated[
        Path | None,
        typer.Option("--metrics", metavar="FILE", help="Write how accounts stand, in the text form of Prometheus."),
    ] = None,
    ping: Annotated[
        str | None,
        typer.Option("--ping", metavar="URL", help="Tell this monitor [MAILARCHIVE_PING]: URL/start, URL, URL/fail."),
    ] = None,
    notify: Annotated[
        str | None,
        typer.Option("--notify", metavar="mailto:ADDRESS", help="Send a mail if the run is not complete."),
    ] = None,
    password_command: options.PasswordCommand = None,
    password_file: options.PasswordFile = None,
) -> int:
    """Bring what is new into the archive.

    The archive is made on first use. The server is only read.
    Nothing is downloaded twice; run it again after any interruption.

    Password: --password-command, --password-file, MAILARCHIVE_PASSWORD, the system keyring, or a prompt.
    """
    named = options.named_archive(archive)
    directory = options.archive_directory(named, config)
    try:

        def read_url(url: str, security: str) -> Endpoint:
            return parse_url(
                url,
                starttls=starttls or security == "starttls",
                insecure_plaintext=insecure_plaintext,
                ca_file=ca_file,
                auth=auth,
                compress=compress,
            )

        chosen = choose(targets or [], directory if named else None, directory, config, read_url)
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
        secrets = PasswordOptions(password_command, password_file, config)
        is_quiet = quiet or as_json
        waits = wait or (is_watched() and not is_quiet)
        patience = options.span(wait_lock, "--wait-lock") or timedelta()
        delay = options.span(random_delay, "--random-delay") or timedelta()
        how = Running(wanted, secrets, is_quiet, verbose, waits, patience, delay)
        settings = whom(notify, config)
        begin_log(log_file, log_format)
        check_metrics(metrics)
        with telling_errors(settings, directory):
            reports = pinged(ping, lambda: run_pulls(chosen, how), exit_code)
    except Exception as error:
        raise Failed(error, {"archive": str(directory), "accounts": []}) from error
    code = max(exit_code(reports), put_metrics(metrics, chosen, reports))
    tell(settings, reports, code)
    for report in reports:
        print_problems(report)
        for account in report.accounts:
            note_down(summary(account, dry_run=dry_run))
    is_one = sum(len(report.accounts) for report in reports) <= 1
    if not dry_run and not is_one:
        note_down(total_line(reports))
    try:
        if as_json:
            out(dump(as_one_object(reports, code)))
        elif not quiet:
            for report in reports:
                print_summary(report, verbose=verbose)
            if not dry_run and not is_one:
                out(total_line(reports))
    except ReaderGone:
        return code
    return code
