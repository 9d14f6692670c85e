"""Where an account's password comes from; it is never stored, never an argument, never printed."""

import os
import stat
import subprocess
import sys
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mailarchive.cli.render import clean
from mailarchive.cli.terminal import say
from mailarchive.errors import AuthenticationFailed, UsageError

VARIABLE = "MAILARCHIVE_PASSWORD"
SERVICE = "mailarchive"
PATIENCE = 300
"""Seconds for the password command: somebody may have to type a PIN."""
LARGEST = 64 * 1024
"""Octets that the password command or file may hold."""

_WAYS = (
    "give --password-command CMD, --password-file FILE, the environment variable MAILARCHIVE_PASSWORD, an entry in the "
    "system keyring (keyring set mailarchive {account}; needs the keyring package), or run it on a terminal to be asked"
)


@dataclass(frozen=True, slots=True)
class PasswordOptions:
    """What the command line says about passwords."""

    command: str | None = None
    file: Path | None = None


def password_for(account: str, options: PasswordOptions) -> str:
    """Return the password of ``account``: from command, file, environment, keyring, or the terminal.

    Raises UsageError if the command or the file does not give one, AuthenticationFailed if there is no way.
    """
    if options.command is not None:
        return _from_command(options.command, account)
    if options.file is not None:
        return _from_file(options.file)
    if password := os.environ.get(VARIABLE):
        return _text(os.fsencode(password), f"the environment variable {VARIABLE} holds")
    if password := _from_keyring(account):
        return password
    if sys.stdin is not None and sys.stdin.isatty():
        return _from_terminal(account)
    raise AuthenticationFailed(f"there is no password for {account}", hint=_WAYS.format(account=account))


def _from_command(command: str, account: str) -> str:
    """Return the first line that the command prints; it finds the account's name in MAILARCHIVE_ACCOUNT."""
    by_hand = "run it by hand to see what it says"
    try:
        with subprocess.Popen(  # noqa: S602 - the user's own command, for the shell as with mbsync and msmtp
            command,
            shell=True,
            stdout=subprocess.PIPE,
            env={**os.environ, "MAILARCHIVE_ACCOUNT": account},
        ) as process:
            output = _output(process)
    except (OSError, ValueError) as error:
        raise UsageError(f"the password command cannot be run: {error}") from None
    if output is None:
        raise UsageError(
            f"the password command did not end within {PATIENCE} seconds, or printed more than {LARGEST} octets",
            hint=by_hand,
        )
    if process.returncode != 0:
        raise UsageError(f"the password command failed with exit code {process.returncode}", hint=by_hand)
    return _first_line(output, "the password command printed")


def _output(process: subprocess.Popen[bytes]) -> bytes | None:
    """Return what the process prints; None, and the process is killed, if that is too much or takes too long."""
    late = threading.Timer(PATIENCE, process.kill)
    late.start()
    try:
        output = process.stdout.read(LARGEST + 1) if process.stdout else b""
        if len(output) > LARGEST:
            process.kill()
        process.wait()
        return output if len(output) <= LARGEST and late.is_alive() else None
    finally:
        late.cancel()


def _from_file(path: Path) -> str:
    try:
        with path.expanduser().open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            octets = file.read(LARGEST)
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"the password file {path} cannot be read: {reason}") from None
    if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        say(f"mailarchive: others can read the password file {clean(str(path))}; protect it with: chmod 600 FILE")
    return _first_line(octets, "the password file holds")


def _first_line(octets: bytes, holder: str) -> str:
    line = octets.partition(b"\n")[0].removesuffix(b"\r")
    if not line:
        raise UsageError(f"{holder} no password in the first line")
    return _text(line, holder)


def _text(octets: bytes, holder: str) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{holder} something that is not UTF-8") from None


def _from_keyring(account: str) -> str | None:
    if find_spec("keyring") is None:
        return None
    import keyring
    from keyring.errors import NoKeyringError

    try:
        return keyring.get_password(SERVICE, account)
    except NoKeyringError:
        return None
    except Exception as error:  # noqa: BLE001 - each desktop's backend fails in its own way
        say(f"mailarchive: the system keyring cannot be read ({type(error).__name__})")
        return None


def _from_terminal(account: str) -> str:
    from getpass import getpass

    try:
        password = getpass(f"Password of {clean(account)}: ")
    except EOFError:
        password = ""
    if not password:
        raise AuthenticationFailed(f"no password was entered for {account}")
    return password
