"""The commands that mailarchive is measured beside: its peers, and the drains."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from scripts.benchmark.measuring import PASSWORD, PROCESSES

USER = "user"
HOST = "127.0.0.1"
_NOBODY = "nobody"
PACKAGES = {"mbsync": "isync", "mpop": "mpop", "getmail": "getmail6", "restic": "restic", "borg": "borgbackup"}

_MBSYNC = """
IMAPAccount bench
Host {host}
Port {port}
User {user}
Pass {password}
SSLType None
AuthMechs LOGIN

IMAPStore far
Account bench

MaildirStore near
Path {directory}/mail/
Inbox {directory}/mail/INBOX
SubFolders Verbatim

Channel bench
Far :far:
Near :near:
Patterns *
Sync Pull
Create Near
SyncState {directory}/state/
"""
_MBSYNC_PUSH = _MBSYNC.replace("Sync Pull\nCreate Near", "Sync Push\nCreate Far")
_MPOP = """
account bench
host {host}
port {port}
user {user}
password {password}
auth user
tls off
keep on
delivery maildir {directory}/mail
uidls_file {directory}/uidls
"""
_GETMAIL = """
[retriever]
type = SimpleIMAPRetriever
server = {host}
port = {port}
username = {user}
password = {password}
mailboxes = ALL
[destination]
type = Maildir
path = {directory}/mail/
{as_user}
[options]
delete = false
read_all = false
verbose = 0
"""


def drain_imap(port: int, *options: str) -> list[str]:
    """Return the command that drains an IMAP server."""
    return [sys.executable, "-I", "-S", str(PROCESSES / "drain_imap.py"), str(port), USER, PASSWORD, *options]


def drain_pop3(port: int, ahead: int) -> list[str]:
    """Return the command that drains a maildrop, ``ahead`` messages at a time."""
    return [sys.executable, "-I", "-S", str(PROCESSES / "drain_pop3.py"), str(port), USER, PASSWORD, str(ahead)]


def push_imap(port: int, messages: Path, together: int, ahead: int, most: int) -> list[str]:
    """Return the command that appends a file of messages, ``together`` a command and ``ahead`` commands on the way."""
    options = [str(messages), str(together), str(ahead), str(most)]
    return [sys.executable, "-I", "-S", str(PROCESSES / "push_imap.py"), str(port), USER, PASSWORD, *options]


def mbsync_push(directory: Path, port: int, mail: Path) -> list[str]:
    """Return the command that pushes a copy of the Maildirs in ``mail``, which another mbsync made, to a server."""
    shutil.copytree(mail, directory / "mail")
    (directory / "state").mkdir()
    for path in directory.rglob(".uidvalidity"):
        path.unlink()
    for path in (directory / "mail").rglob("*,U=*"):
        path.rename(path.with_name(path.name.partition(",U=")[0] + ":2,S"))
    config = _written(directory / "mbsyncrc", _MBSYNC_PUSH, directory, port)
    return ["mbsync", "-q", "-c", str(config), "bench"]


def mbsync(directory: Path, port: int) -> list[str]:
    """Return the command that syncs into ``directory``, with mbsync's defaults (it syncs files to disk)."""
    for name in ("mail", "state"):
        (directory / name).mkdir(exist_ok=True)
    config = _written(directory / "mbsyncrc", _MBSYNC, directory, port)
    return ["mbsync", "-q", "-c", str(config), "bench"]


def mpop(directory: Path, port: int) -> list[str]:
    """Return the command that fetches a maildrop into a Maildir below ``directory``."""
    _maildir(directory / "mail")
    config = _written(directory / "mpoprc", _MPOP, directory, port)
    return ["mpop", "-q", "-C", str(config), "bench"]


def getmail(directory: Path, port: int) -> list[str]:
    """Return the command that fetches all mailboxes into a Maildir below ``directory``."""
    _maildir(directory / "mail")
    as_user = ""
    if os.geteuid() == 0:  # it refuses to deliver as root
        as_user = f"user = {_NOBODY}"
        for place in (directory, *directory.rglob("*")):
            shutil.chown(place, _NOBODY)
    config = _written(directory / "getmailrc", _GETMAIL.replace("{as_user}", as_user), directory, port)
    return ["getmail", "--quiet", f"--getmaildir={directory}", f"--rcfile={config}"]


def provide(program: str) -> bool:
    """Install a peer where that is allowed, else name what is missing; return whether it is there."""
    return provide_package(program, PACKAGES[program], lambda: shutil.which(program) is None)


def provide_package(program: str, packages: str, is_missing: Callable[[], bool]) -> bool:
    """Install ``packages`` where that is allowed, else name them; return whether the program is there."""
    if not is_missing():
        return True
    command = f"apt-get install -y --no-install-recommends {packages}"
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(f"apt-get update -qq && {command} -qq", shell=True, check=False, stdout=sys.stderr)  # noqa: S602
    if is_missing():
        print(f"{program} is not installed; install it with: {command}", file=sys.stderr)
    return not is_missing()


def _written(path: Path, template: str, directory: Path, port: int) -> Path:
    path.touch(0o600)
    path.write_text(template.format(host=HOST, port=port, user=USER, password=PASSWORD, directory=directory))
    return path


def _maildir(path: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True, exist_ok=True)
