"""Where an account's password comes from; it is never stored, never an argument, never printed."""

import os
import selectors
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import IO, NamedTuple, cast

from mailarchive.cli.render import clean
from mailarchive.cli.terminal import say
from mailarchive.configuration import Credential
from mailarchive.errors import AuthenticationFailed, UsageError

VARIABLE = "MAILARCHIVE_PASSWORD"
SERVICE = "mailarchive"
PATIENCE = 300
"""Seconds for the password command: somebody may have to type a PIN."""
_TICK = 0.1
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


def is_command(options: PasswordOptions, credential: Credential | None) -> bool:
    """Return whether a password comes from a command, which may take its time."""
    if options.command is not None or options.file is not None:
        return options.command is not None
    return credential is not None and credential.kind == "command"


class Asked:
    """Asks for a password when it is called first, and knows the answer from then on. Thread-safe."""

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self._answer: str | AuthenticationFailed | None = None
        self._lock = Lock()

    def __call__(self) -> str:
        """Return the password. Raises AuthenticationFailed, also for what is wrong with the command."""
        with self._lock:
            if self._answer is None:
                self._answer = self._asked()
        if isinstance(self._answer, AuthenticationFailed):
            raise self._answer
        return self._answer

    def _asked(self) -> str | AuthenticationFailed:
        try:
            return self._ask()
        except (AuthenticationFailed, UsageError) as error:
            return AuthenticationFailed(str(error), hint=error.hint)


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
    return _first_line(_content(Path(directory) / Path(name).name)[0], "the password file holds")


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
    """Return what the process prints; None, and the process is killed, if that is too much or takes too long.

    A process that it leaves behind, and that holds on to its output, is not waited for.
    """
    pipe = cast("IO[bytes]", process.stdout).fileno()
    deadline, output = monotonic() + PATIENCE, b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while len(output) <= LARGEST and monotonic() < deadline:
            has_ended = process.poll() is not None
            if not selector.select(0 if has_ended else _TICK):
                if has_ended:
                    return output
            elif piece := os.read(pipe, LARGEST):
                output += piece
            elif _ends(process, deadline):
                return output
            else:
                break
    process.kill()
    return None


def _ends(process: subprocess.Popen[bytes], deadline: float) -> bool:
    try:
        process.wait(max(0, deadline - monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _from_file(path: Path) -> str:
    octets, mode = _content(path)
    if stat.S_ISREG(mode) and mode & 0o077:
        raise UsageError(
            f"others can get at the password file {path} (its mode is {stat.S_IMODE(mode):04o})",
            hint=f"chmod 600 {shlex.quote(str(path))}; if somebody has read it, change the password",
        )
    return _first_line(octets, "the password file holds")


def _content(path: Path) -> tuple[bytes, int]:
    """Return what a file holds, and its mode. Raises UsageError."""
    try:
        with path.expanduser().open("rb") as file:
            return file.read(LARGEST), os.fstat(file.fileno()).st_mode
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"the password file {path} cannot be read: {reason}") from None


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
