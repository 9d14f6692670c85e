"""Where an account's password comes from; it is never stored, never an argument, never printed."""

import os
import stat
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from mailarchive.cli.render import clean
from mailarchive.cli.terminal import say
from mailarchive.configuration import Credential
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


class PasswordOptions(NamedTuple):
    """What the command line says about passwords."""

    command: str | None = None
    file: Path | None = None
    config: Path | None = None
    """The configuration, if the command line names one: where logins by OAuth are found."""


def password_for(account: str, options: PasswordOptions, credential: Credential | None = None) -> str:
    """Return the password of ``account``: from command, file, environment, keyring, or the terminal.

    ``credential`` is what the configuration says, if the command line says nothing.
    Raises UsageError if the command or the file does not give one, AuthenticationFailed if there is no way.
    """
    if options.command is not None:
        return from_command(options.command, account)
    if options.file is not None:
        return _from_file(options.file)
    if credential is not None:
        return by_reference(account, credential)
    if os.environ.get(VARIABLE):
        return _from_variable(VARIABLE)
    if password := _from_keyring(account):
        return password
    if sys.stdin is not None and sys.stdin.isatty():
        return _from_terminal(account)
    raise AuthenticationFailed(f"there is no password for {account}", hint=_WAYS.format(account=account))


def by_reference(account: str, credential: Credential) -> str:
    """Return the password that a configuration refers to. Raises UsageError, AuthenticationFailed."""
    match credential.kind:
        case "command":
            return from_command(credential.value, account)
        case "file":
            return _from_file(Path(credential.value))
        case "environment":
            return _from_variable(credential.value)
        case "systemd":
            return _from_systemd(credential.value)
        case "keyring":
            if password := _from_keyring(account):
                return password
            hint = f"put it there with: keyring set {SERVICE} {account} (needs the keyring package)"
            raise AuthenticationFailed(f"the system keyring has no password for {account}", hint=hint)
        case "prompt":
            if sys.stdin is not None and sys.stdin.isatty():
                return _from_terminal(account)
            raise AuthenticationFailed(f"the password of {account} is asked for at a terminal, and there is none")


def _from_variable(name: str) -> str:
    if password := os.environ.get(name):
        return _text(os.fsencode(password), f"the environment variable {name} holds")
    raise AuthenticationFailed(f"the environment variable {name} holds no password", hint=f"set {name}")


def _from_systemd(name: str) -> str:
    """Return a credential that systemd passes to a service (systemd.exec, LoadCredential=)."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise AuthenticationFailed(
            f"the systemd credential {name} is only there in a service", hint=f"LoadCredential={name}:FILE in its unit"
        )
    return _from_file(Path(directory) / Path(name).name)


def from_command(command: str, account: str, what: str = "password command") -> str:
    """Return the first line that the command prints; it finds the account's name in MAILARCHIVE_ACCOUNT.

    Raises UsageError, which calls the command ``what``.
    """
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
        raise UsageError(f"the {what} cannot be run: {error}") from None
    if output is None:
        raise UsageError(
            f"the {what} did not end within {PATIENCE} seconds, or printed more than {LARGEST} octets",
            hint=by_hand,
        )
    if process.returncode != 0:
        raise UsageError(f"the {what} failed with exit code {process.returncode}", hint=by_hand)
    return _first_line(output, f"the {what} printed")


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
        name = clean(str(path))
        say(f"mailarchive: others can read the password file {name}; protect it with: chmod 600 {name}")
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
