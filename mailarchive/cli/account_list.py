"""``mailarchive account list``: the accounts of the configuration."""

from mailarchive.cli import options
from mailarchive.cli.render import clean, dump, table
from mailarchive.cli.terminal import out, say
from mailarchive.config import url_of
from mailarchive.configuration import AccountEntry, configuration_file, load
from mailarchive.configuration.values import span_text

_PLACES = {
    "keyring": "keyring",
    "command": "command",
    "file": "file",
    "environment": "environment",
    "systemd": "systemd",
    "prompt": "asked for",
}


def list_accounts(config: options.Config = None, as_json: options.Json = False) -> int:
    """List the accounts of the configuration.

    PASSWORD is where it comes from; passwords are not looked at.
    """
    configuration = load(configuration_file(config))
    entries = list(configuration.accounts.values())
    if as_json:
        for entry in entries:
            out(dump(as_object(entry)))
        return 0
    if not entries:
        say(f"There are no accounts in {clean(str(configuration.file))}; add one with: mailarchive account add ADDRESS")
        return 0
    cells = [
        (
            entry.name,
            url_of(entry.endpoint),
            str(entry.archive),
            _PLACES[entry.credential.kind] if entry.credential else "-",
            span_text(entry.every) if entry.every else "-",
        )
        for entry in entries
    ]
    for line in table(("NAME", "SERVER", "ARCHIVE", "PASSWORD", "EVERY"), cells, "<<<<<"):
        out(line)
    return 0


def as_object(entry: AccountEntry) -> dict[str, object]:
    """Return what JSON says of an account; never a password."""
    endpoint = entry.endpoint
    return {
        "name": entry.name,
        "protocol": endpoint.protocol,
        "host": endpoint.host,
        "port": endpoint.port,
        "tls": endpoint.security,
        "user": endpoint.user,
        "auth": endpoint.auth,
        "url": url_of(endpoint),
        "archive": str(entry.archive),
        "password": entry.credential.kind if entry.credential else None,
        "mailboxes": list(entry.mailboxes),
        "exclude": list(entry.exclude),
        "max_download": entry.max_download,
        "every": int(entry.every.total_seconds()) if entry.every else None,
    }
