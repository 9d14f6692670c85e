"""Read the configuration file; everything in it is checked before anything is done."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from mailarchive.config import Auth, Compress, Endpoint, Protocol, Security, default_port, parse_target_url
from mailarchive.configuration import taking
from mailarchive.configuration.model import AccountEntry, Configuration, Notify
from mailarchive.configuration.oauth import OAuthReader
from mailarchive.configuration.tables import Table, parse
from mailarchive.configuration.values import size_of, span_of
from mailarchive.errors import UsageError

_PROTOCOLS: tuple[Protocol, ...] = ("imap", "pop3")
_SECURITIES: tuple[Security, ...] = get_args(Security)
_AUTHS: tuple[Auth, ...] = get_args(Auth)
_COMPRESSIONS: tuple[Compress, ...] = get_args(Compress)
DEFAULT_ARCHIVE = "~/mail-archive"


def load(file: Path) -> Configuration:
    """Return what ``file`` says; nothing if it is not there. Raises UsageError."""
    try:
        with file.open("rb") as opened:
            _check_owner(file, os.fstat(opened.fileno()))
            octets = opened.read()
    except FileNotFoundError:
        return Configuration(file, {}, {})
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", hint="name another with --config FILE") from None
    try:
        return read(file, octets.decode("utf-8"))
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8") from None


def read(file: Path, text: str) -> Configuration:
    """Return what ``text``, which stands in ``file``, says. Raises UsageError."""
    whole = parse(file, text)
    archives = _archives(whole.table("archives"), file)
    oauth = OAuthReader(whole.table("oauth"), file)
    table = whole.table("accounts")
    notify_table = whole.table("notify")
    notify = _notify(notify_table, file) if "notify" in whole else None
    accounts = {name: _account(table.table(name), name, file, archives, oauth) for name in table.names()}
    whole.end()
    _check_twins(whole, accounts)
    return Configuration(file, archives, accounts, notify, oauth.clients)


def _check_owner(file: Path, status: os.stat_result) -> None:
    """Raise UsageError if others can write to the file: it names commands that are run."""
    if stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UsageError(f"others can write to {file}, and it says what is run", hint=f"chmod go-w {file}")
    if status.st_uid not in {0, os.geteuid()}:
        raise UsageError(f"{file} belongs to somebody else, and it says what is run", hint="make a copy of your own")


def _check_twins(whole: Table, accounts: Mapping[str, AccountEntry]) -> None:
    """Raise UsageError if two entries are the same account in the same archive."""
    for name in accounts:
        first = next(other for other in accounts if accounts[other].identity == accounts[name].identity)
        if first != name:
            whole.table("accounts").fail(name, f"is the same account as {first}, in the same archive")


def _archives(table: Table, file: Path) -> dict[str, Path]:
    found = {
        name: table.take(name, "the path of a directory", taking.path_from(file), Path()) for name in table.names()
    }
    return found or {"default": Path(DEFAULT_ARCHIVE).expanduser().absolute()}


def _account(table: Table, name: str, file: Path, archives: Mapping[str, Path], oauth: OAuthReader) -> AccountEntry:
    address = table.take("address", "a mail address", taking.address, name if taking.address(name) else "")
    endpoint = _endpoint(table, address, file)
    entry = AccountEntry(
        name,
        endpoint,
        _archive(table, archives),
        taking.credential(table.table("password"), file) if "password" in table else None,
        table.take("mailboxes", "a list of names, like ['INBOX', 'Work/*']", taking.texts, ()),
        table.take("exclude", "a list of names, like ['Spam']", taking.texts, ()),
        table.take("connections", "a number from 1 to 16", taking.number(1, 16), None),
        table.take("max_download", "a size like '2GB' or '500MB'", size_of, None),
        table.take("newest_first", "true or false", taking.flag, default=False),
        table.take("every", "a span of time like '30m', '1h' or '1d'", span_of, None),
        oauth.of_account(table, name, endpoint),
    )
    table.end()
    return entry


def _notify(table: Table, file: Path) -> Notify:
    url = table.take("smtp", "a URL like smtps://me@smtp.example.org", taking.text, "")
    if not url:
        table.miss("smtp", "it names the server, like smtps://me@smtp.example.org")
    try:
        endpoint = parse_target_url(url)
    except UsageError as error:
        table.fail("smtp", f"cannot be used: {error}", error.hint)
    if endpoint.protocol not in {"smtp", "lmtp"}:
        table.fail("smtp", "is no smtp://, smtps:// or lmtp://")
    to = table.take("to", "a mail address", taking.address, "")
    sender = table.take(
        "from", "a mail address", taking.address, endpoint.user if taking.address(endpoint.user) else to
    )
    credential = taking.credential(table.table("password"), file) if "password" in table else None
    table.end()
    return Notify(endpoint, to, sender, credential)


def _endpoint(table: Table, address: str, file: Path) -> Endpoint:
    protocol: Protocol = table.take("protocol", "'imap' or 'pop3'", taking.one_of(_PROTOCOLS), "imap")
    security: Security = table.take("tls", "'tls', 'starttls' or 'plain'", taking.one_of(_SECURITIES), "tls")
    if "host" not in table:
        table.miss("host", "it names the server, like imap.example.org")
    host = table.take("host", "a host name", taking.host, "")
    scheme = protocol + ("s" if security == "tls" else "")
    port = table.take("port", "a number from 1 to 65535", taking.number(1, 65535), default_port(scheme))
    user = table.take("user", "a user name", taking.text, address)
    if not user:
        table.miss("user", "it is the name to log in with, often the mail address")
    auth: Auth = table.take("auth", "'password', 'oauth' or 'xoauth2'", taking.one_of(_AUTHS), "password")
    compress: Compress = table.take("compress", "'auto', 'always' or 'never'", taking.one_of(_COMPRESSIONS), "auto")
    ca_file = table.take("ca_file", "the path of a PEM file", taking.path_from(file), None)
    if ca_file is not None and not ca_file.is_file():
        table.fail("ca_file", f"names {ca_file}, which is no file")
    return Endpoint(protocol, user, host, port, security, ca_file, auth, compress)


def _archive(table: Table, archives: Mapping[str, Path]) -> Path:
    name = table.take("archive", "the name of one of the archives", taking.text, next(iter(archives)))
    if name not in archives:
        table.fail("archive", f"is {name!r}, which is not among the archives", f"they are: {', '.join(archives)}")
    return archives[name]
