"""``mailarchive account add``: find the server of an address, try it, and write it into the configuration."""

import os
import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

from mailarchive.cli import asking, options
from mailarchive.cli.account_client import client_for
from mailarchive.cli.account_list import as_object
from mailarchive.cli.account_secret import Secret, credential_of, say_needs, with_secret
from mailarchive.cli.account_server import ServerOptions, server_for
from mailarchive.cli.render import clean, dump
from mailarchive.cli.safekeeping import forget
from mailarchive.cli.terminal import out, say
from mailarchive.config import Auth, Security, is_host
from mailarchive.configuration import AccountEntry, Configuration, configuration_file, load
from mailarchive.configuration.values import span_of
from mailarchive.configuration.writing import add_account
from mailarchive.errors import UsageError

PullProtocol = Literal["imap", "pop3"]
_LONGEST_NAME = 200
_ADDRESS = re.compile(r"[^@\s]+@([^@\s]+)")
_NAME = re.compile(r"[^/\s.-][^/]*")
_DOMAIN = re.compile(r"[\w.-]+")
_FIRST_ARCHIVE = "~/mail-archive"


def add(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The mail address, like me@example.org.")],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What to call the account [its address].")
    ] = None,
    protocol: Annotated[
        PullProtocol | None, typer.Option("--protocol", help="Only servers of this protocol.", show_default=False)
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="HOST", help="The server; then none is looked for.")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="N", min=1, max=65535, help="Its port.")] = None,
    tls: Annotated[
        Security | None,
        typer.Option("--tls", help="Encrypted from the beginning, by STARTTLS, or not at all.", show_default=False),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="USER", help="The name to log in with [the address].")
    ] = None,
    auth: Annotated[
        Auth | None, typer.Option("--auth", help="Log in with a password, or with an OAuth access token in its place.")
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option("--archive", metavar="NAME|DIR", help="An archive of the configuration, or a directory."),
    ] = None,
    mailbox: options.Mailboxes = None,
    exclude: options.Exclude = None,
    every: Annotated[
        str | None, typer.Option("--every", metavar="SPAN", help="How often it is meant to be pulled: 30m, 1h, 1d.")
    ] = None,
    max_download: Annotated[
        str | None, typer.Option("--max-download", metavar="SIZE", help="At most so much a day (UTC): 2GB.")
    ] = None,
    password_command: options.PasswordCommand = None,
    password_file: options.PasswordFile = None,
    password_environment: Annotated[
        str | None, typer.Option("--password-environment", metavar="NAME", help="Take an environment variable.")
    ] = None,
    password_systemd: Annotated[
        str | None, typer.Option("--password-systemd", metavar="NAME", help="Take a credential of systemd's.")
    ] = None,
    keyring: Annotated[
        bool, typer.Option("--keyring", help="Take it from the system keyring, or put it there.")
    ] = False,
    prompt: Annotated[bool, typer.Option("--prompt", help="Ask for the password at each run.")] = False,
    client_id: Annotated[
        str | None, typer.Option("--client-id", metavar="ID", help="OAuth: your client at the provider.")
    ] = None,
    client_secret_file: Annotated[
        Path | None, typer.Option("--client-secret-file", metavar="FILE", help="OAuth: its secret, if it has one.")
    ] = None,
    ca_file: options.CaFile = None,
    isp_database: Annotated[
        bool, typer.Option("--isp-database", help="Ask Thunderbird's database too, which tells it the domain.")
    ] = False,
    no_check: Annotated[bool, typer.Option("--no-check", help="Do not log in to see whether it works.")] = False,
    yes: options.Yes = False,
    as_json: options.JsonObject = False,
    config: options.Config = None,
    nameserver: Annotated[str | None, typer.Option("--nameserver", hidden=True)] = None,
    web_server: Annotated[str | None, typer.Option("--web-server", hidden=True)] = None,
) -> int:
    """Add an account to the configuration.

    The servers are looked for in what is known of providers, in DNS, by autoconfig, and under usual names; then
    mailarchive logs in to see whether it works. What is not given is asked for at a terminal.

    The password is never written into the configuration. One that is typed in goes into the system keyring, or into
    a file that only you can read.
    """
    domain = _domain_of(address)
    file = configuration_file(config)
    known = load(file)
    name = _free_name(name or address, known)
    credential = credential_of(
        command=password_command,
        file=password_file,
        environment=password_environment,
        systemd=password_systemd,
        keyring=keyring,
        prompt=prompt,
    )
    max_octets, span = options.octets(max_download, "--max-download"), _span(every)
    where = _archive_named(archive, known)
    asks = asking.is_anybody_there() and not yes
    wanted = ServerOptions(
        protocol, host, port, tls, user, auth, _existing(ca_file), isp_database, nameserver, web_server
    )
    endpoint = server_for(address, domain, wanted, asks=asks, yes=yes)
    say_needs(endpoint)
    where = where or _archive_asked(known, asks=asks)
    entry = AccountEntry(
        name,
        endpoint,
        where,
        credential,
        tuple(mailbox or ()),
        tuple(exclude or ()),
        max_download=max_octets,
        every=span,
        oauth=client_for(endpoint, known, client_id, client_secret_file, asks=asks),
    )
    _refuse(entry, known)
    secret = with_secret(endpoint, credential, file, name, asks=asks, checks=not no_check)
    entry = entry._replace(credential=secret.credential)
    _write(file, entry, address, secret, known)
    if as_json:
        out(dump(as_object(entry)))
    else:
        _tell(entry, file, secret)
    return 0


def _domain_of(address: str) -> str:
    match = _ADDRESS.fullmatch(address)
    if not match or not address.isprintable() or not _DOMAIN.fullmatch(match[1]) or not is_host(match[1]):
        raise UsageError(f"{address!r} is not a mail address", hint="it looks like me@example.org")
    return match[1]


def _free_name(name: str, known: Configuration) -> str:
    if not _NAME.fullmatch(name) or not name.isprintable() or len(os.fsencode(name)) > _LONGEST_NAME:
        raise UsageError(f"{name!r} cannot be the name of an account", hint="give a short one, without /, with --name")
    if name in known.accounts:
        raise UsageError(
            f"there is an account {name} already, in {known.file}",
            hint=f"give another name with --name, or first: mailarchive account remove {name}",
        )
    return name


def _refuse(entry: AccountEntry, known: Configuration) -> None:
    """Raise UsageError for what cannot be written, before anybody is asked for a password."""
    twin = next((other.name for other in known.accounts.values() if other.identity == entry.identity), None)
    if twin is not None:
        raise UsageError(
            f"this account is in {known.file} already, as {twin}, and goes into the same archive",
            hint=f"name another --archive, or first: mailarchive account remove {shlex.quote(twin)}",
        )
    if entry.endpoint.auth == "oauth" and entry.credential is not None:
        raise UsageError(
            f"{entry.endpoint.host} wants a login by OAuth, and takes no password",
            hint="leave out where the password is; --auth password tries one all the same",
        )


def _span(text: str | None) -> timedelta | None:
    found = span_of(text)
    if text is not None and found is None:
        raise UsageError(f"--every {text!r} is not a span of time", hint="write it like 30m, 1h or 1d")
    return found


def _existing(ca_file: Path | None) -> Path | None:
    if ca_file is not None and not ca_file.is_file():
        raise UsageError(f"there is no file {ca_file}", hint="--ca-file names a PEM file of certificate authorities")
    return ca_file.absolute() if ca_file else None


def _archive_named(given: str | None, known: Configuration) -> Path | None:
    """Return the archive that is named, by its name or as a directory; None if none is."""
    if given is not None and given in known.archives:
        return known.archives[given]
    named = options.named_archive(Path(given) if given else None)
    return options.archive_directory(named) if named else None


def _archive_asked(known: Configuration, *, asks: bool) -> Path:
    """Return an archive that is there, the first if nobody is asked; else one to be made."""
    places = list(known.archives.values())
    if not places:
        answer = asking.ask("Archive", _FIRST_ARCHIVE) if asks else _FIRST_ARCHIVE
        return options.archive_directory(Path(answer))
    if asks and len(places) > 1:
        say("Into which archive?")
        return places[asking.choose("Archive", [f"{name}: {path}" for name, path in known.archives.items()])]
    return places[0]


def _write(file: Path, entry: AccountEntry, address: str, secret: Secret, known: Configuration) -> None:
    """Write the account; if that fails, what was kept for it is removed again."""
    try:
        add_account(file, entry, address)
    except BaseException:
        if secret.is_new:
            forget(entry, file, known.accounts.values())
        raise


def _tell(entry: AccountEntry, file: Path, secret: Secret) -> None:
    out(f"Added {clean(entry.name)} to {clean(str(file))}.")
    out(f"Its archive is {clean(str(entry.archive))}.")
    if secret.kept:
        out(f"Its password is kept in {clean(secret.kept)}.")
    following = "account login" if secret.is_token else "pull"
    say(f"Next: mailarchive {following} {clean(shlex.quote(entry.name))}")
