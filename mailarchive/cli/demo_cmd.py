"""``mailarchive demo``: the whole program on generated mail, for somebody without an account at hand."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from mailarchive.cli import options
from mailarchive.cli.mailboxes_cmd import print_mailboxes
from mailarchive.cli.progress import watching
from mailarchive.cli.pull_report import print_problems, print_summary
from mailarchive.cli.show_cmd import print_message
from mailarchive.cli.signals import stoppable
from mailarchive.cli.stats_cmd import print_stats
from mailarchive.cli.terminal import out
from mailarchive.clock import Stop, SystemClock
from mailarchive.errors import ArchiveMissing, UsageError
from mailarchive.model import Account, Digest
from mailarchive.ops.selection import Selection

if TYPE_CHECKING:
    from mailarchive.sources.base import SourceFactory

DIRECTORY = Path("mailarchive-demo")
ACCOUNT = Account("demo@localhost", "imap")


def demo(archive: options.Archive = None) -> int:
    """See it work on generated mail.

    Pulls about 300 messages from a server in this process into ./mailarchive-demo, twice,
    and looks at them. Nothing leaves this machine. An archive of an earlier demo is used again; any other is refused.
    """
    from mailarchive.loopback.demo import demo_account
    from mailarchive.loopback.server import LoopbackServer

    directory = archive or DIRECTORY
    known = _known_demo(directory)
    out("A mail server with generated mail is started inside this process; nothing leaves this machine.")
    if known:
        out(f"{directory} is from an earlier demo and is used again; remove it to begin with nothing.")
    account = demo_account()
    with LoopbackServer(account) as server, stoppable() as stop:
        connect = _connect(account.user, account.password, server.port, stop)
        url = f"imap://{account.user}@localhost:{server.port}"
        code = _pull(directory, url, connect, stop)
        if code == 0:
            out("")
            out("# Once more: what is in the archive is never downloaded again.")
            code = _pull(directory, url, connect, stop)
    if code == 0:
        _look(directory)
    return code


def _known_demo(directory: Path) -> bool:
    """Return whether ``directory`` is the archive of an earlier demo. Raises UsageError if it is anything else."""
    from mailarchive.ops import browse

    hint = "run the demo in another directory, or name one with --archive DIR"
    if not directory.exists():
        return False
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a directory", hint=hint)
    if not any(directory.iterdir()):
        return False
    try:
        rows = browse.mailboxes(directory.absolute())
    except ArchiveMissing:
        raise UsageError(f"{directory} exists and was not made by the demo", hint=hint) from None
    if any(row.account != ACCOUNT.name for row in rows):
        raise UsageError(f"{directory} holds mail that is not the demo's", hint=hint)
    return True


def _connect(user: str, password: str, port: int, stop: Stop) -> "SourceFactory":
    from mailarchive.config import Endpoint
    from mailarchive.sources.registry import connect

    endpoint = Endpoint("imap", user, "127.0.0.1", port, "plain")
    return connect(endpoint, lambda: password, clock=SystemClock(), stop=stop)


def _pull(directory: Path, url: str, connect: "SourceFactory", stop: Stop) -> int:
    from mailarchive.ops.pull import PullAccount, PullOptions, pull

    _command("pull", url, directory=directory)
    with watching("pull") as watcher:
        report = pull(
            directory.absolute(),
            [PullAccount(ACCOUNT, connect)],
            PullOptions(),
            observer=watcher,
            clock=SystemClock(),
            stop=stop,
        )
    print_problems(report)
    print_summary(report, verbose=False)
    return report.exit_code


def _look(directory: Path) -> None:
    from mailarchive.ops import browse

    place = directory.absolute()
    out("")
    _command("mailboxes", directory=directory)
    print_mailboxes(browse.mailboxes(place))
    out("")
    _command("stats", directory=directory)
    print_stats(browse.stats(place))
    if (digest := _worth_showing(place)) is not None:
        out("")
        _command("show", digest.hex()[:12], directory=directory)
        print_message(browse.show(place, digest))
    out("")
    out("# The archive can be read without this program:")
    mail = shlex.quote(str(directory / "mail"))
    packed = any((directory / "mail").glob("*.mbox.zst"))
    out(f"$ {{ zstdcat {mail}/*.mbox.zst; cat {mail}/*.mbox; }} | less" if packed else f"$ less {mail}/*.mbox")
    out("")
    out("# The server ends with the demo; the archive stays for the commands that read it. For your own mail:")
    _command("pull", "imaps://you@imap.example.org")


def _worth_showing(directory: Path) -> Digest | None:
    """Return a message with an attachment if one is among the first, else the first."""
    from mailarchive.ops import browse

    first: Digest | None = None
    for number, row in enumerate(browse.messages(directory, Selection())):
        first = first or row.digest
        if number == 50:
            break
        if browse.show(directory, row.digest).attachments:
            return row.digest
    return first


def _command(*words: str, directory: Path | None = None) -> None:
    """Print a command as one would type it."""
    program = os.environ.get("MAILARCHIVE_COMMAND", "mailarchive")
    place = () if directory is None else ("--archive", str(directory))
    out(f"$ {shlex.join((program, *words, *place))}")
