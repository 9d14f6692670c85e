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
Sync {direction}
Create {where}
SyncState {directory}/state/
"""
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


def push_imap(port: int, user: str, file: Path, *options: str) -> list[str]:
    """Return the command that appends the messages of ``file``; see the process about its ``options``."""
    process = str(PROCESSES / "push_imap.py")
    return [sys.executable, "-I", "-S", process, str(port), user, PASSWORD, str(file), *options]


def mbsync(directory: Path, port: int, push_to: str | None = None) -> list[str]:
    """Return the command that syncs into ``directory``, with mbsync's defaults (it syncs files to disk).

    With ``push_to``, a user, it syncs from there.
    """
    for name in ("mail", "state"):
        (directory / name).mkdir(exist_ok=True)
    way = {"direction": "Push", "where": "Far"} if push_to else {"direction": "Pull", "where": "Near"}
    config = _written(directory / "mbsyncrc", _MBSYNC, directory, port, user=push_to or USER, **way)
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


def _written(path: Path, template: str, directory: Path, port: int, user: str = USER, **more: str) -> Path:
    path.touch(0o600)
    path.write_text(template.format(host=HOST, port=port, user=user, password=PASSWORD, directory=directory, **more))
    return path


def _maildir(path: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True, exist_ok=True)
