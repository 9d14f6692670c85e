"""Every error that a user can meet, with its exit code and what to do next.

::

    MailArchiveError                      1   run
    ├── UsageError                        2   run
    ├── HelperKilled                      1   run, retryable
    ├── ArchiveError                      1   run
    │   ├── ArchiveMissing               10
    │   ├── ArchiveLocked                11
    │   ├── ArchiveDamaged               13       (catalog.base.CatalogUnusable: retryable)
    │   ├── FormatTooNew                 14
    │   └── StorageFailed                15       disk full, quota, I/O error
    ├── SourceError                      20   account
    │   ├── AuthenticationFailed         12   account
    │   │   ├── TokenDenied              12   account
    │   │   └── TokenRefused             12   account
    │   ├── SourceUnreachable            20   account, retryable
    │   │   ├── ConnectionLost           20   account, retryable
    │   │   │   └── Doubtful             20   account
    │   │   └── Stalled                  20   account, retryable
    │   ├── Throttled                     3   account, retryable
    │   │   ├── TooManyConnections        3   account, retryable
    │   │   └── TurnedAway                3   account, retryable
    │   ├── TlsFailed                    20   account
    │   ├── ProtocolViolation            20   account, retryable
    │   ├── MailboxUnavailable            3   mailbox
    │   │   ├── RefusesEverything         3   mailbox, retryable
    │   │   └── NoRoom                    3   mailbox
    │   ├── FetchRefused                  3   message
    │   │   └── PiecesUnsupported         3   message
    │   ├── TargetRefused                21   account
    │   └── MessageRefused                3   message
    └── Interrupted                 130/143   run

``scope`` says how much is given up (message < mailbox < account < run); ``retryable`` whether
the same call may succeed a little later. Errors of other libraries are translated where they
enter (``remote/``, ``store/``, ``catalog/``); only ``cli.main`` catches everything.
"""

import signal
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """How a run ended, as the shell sees it."""

    COMPLETE = 0
    BUG = 1
    USAGE = 2
    PARTIAL = 3
    ARCHIVE_MISSING = 10
    ARCHIVE_LOCKED = 11
    AUTHENTICATION = 12
    INTEGRITY = 13
    FORMAT_TOO_NEW = 14
    STORAGE_FAILED = 15
    SOURCE_UNREACHABLE = 20
    TARGET_REFUSED = 21
    INTERRUPTED = 130
    TERMINATED = 143


class Scope(IntEnum):
    """How much of a run an error gives up."""

    MESSAGE = 1
    MAILBOX = 2
    ACCOUNT = 3
    RUN = 4


class MailArchiveError(Exception):
    """The root; ``str()`` is one sentence for the user, ``hint`` what to type or do next."""

    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    scope: ClassVar[Scope] = Scope.RUN
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint or self.default_hint


class UsageError(MailArchiveError):
    """The command line or the configuration asks for something that cannot be done."""

    exit_code = ExitCode.USAGE


class HelperKilled(MailArchiveError):
    """A process that shared the work was killed from outside."""

    retryable = True
    default_hint = "run the same command again; where memory is short, processes are killed to make room"


class ArchiveError(MailArchiveError):
    """The archive cannot be used as it is."""


class ArchiveMissing(ArchiveError):
    """There is no archive at the given place."""

    exit_code = ExitCode.ARCHIVE_MISSING
    default_hint = "name another directory with --archive, or make one with: mailarchive pull URL"


class ArchiveLocked(ArchiveError):
    """Another process is writing to the archive."""

    exit_code = ExitCode.ARCHIVE_LOCKED
    default_hint = "wait until it has finished, or end that process"


class ArchiveDamaged(ArchiveError):
    """Octets in the archive are not what was written."""

    exit_code = ExitCode.INTEGRITY
    default_hint = "see what is damaged and what is whole with: mailarchive verify"


class FormatTooNew(ArchiveError):
    """The archive was made by a later version of the program."""

    exit_code = ExitCode.FORMAT_TOO_NEW
    default_hint = (
        "install a newer mailarchive; the mail itself can be read with zstdcat (see README.txt in the archive)"
    )


class StorageFailed(ArchiveError):
    """The disk is full, over quota, or fails."""

    exit_code = ExitCode.STORAGE_FAILED
    default_hint = "make space (or replace the disk) and run the same command again; nothing that had arrived is lost"


class SourceError(MailArchiveError):
    """Something went wrong between us and the server."""

    exit_code = ExitCode.SOURCE_UNREACHABLE
    scope = Scope.ACCOUNT


class AuthenticationFailed(SourceError):
    """The server refused the user name or password."""

    exit_code = ExitCode.AUTHENTICATION
    default_hint = (
        "check the user name and password; Gmail, Yahoo and iCloud want an app password "
        "instead of the one you type in the browser"
    )


class TokenDenied(AuthenticationFailed):
    """There is no access token: none is kept, or an authorization server gives none.

    ``code`` is what that says (RFC 6749 section 5.2), empty if it was not asked.
    """

    default_hint = "log in again with mailarchive account login, and the name of the account"

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class TokenRefused(AuthenticationFailed):
    """The server does not take the access token."""


class SourceUnreachable(SourceError):
    """No connection to the server can be made now."""

    retryable = True
    default_hint = "check the host name, the port and the network, then run the same command again"


class ConnectionLost(SourceUnreachable):
    """The server or the network ended the connection (EOF, reset, BYE)."""

    default_hint = "run the same command again; it goes on where it stopped"


class Doubtful(ConnectionLost):
    """The connection ended when the server had all of a message and had not answered yet.

    Nobody on this side knows whether the server took it (RFC 1047): sent again, it may be there twice.
    """

    retryable = False
    default_hint = "look at the other account whether the message is there"


class Stalled(SourceUnreachable):
    """The server sent nothing for too long."""

    default_hint = "run the same command again; it goes on where it stopped"


class Throttled(SourceError):
    """The server asks us to come back later. ``seconds`` is how much later, None if it does not say.

    ``connected`` says whether the connection can still be used then, ``answered`` whether the
    command was carried out all the same, so that nothing is to be asked again, ``spare`` whether
    other connections of our own are at work, so that nothing is lost without this one.
    """

    exit_code = ExitCode.PARTIAL
    retryable = True
    default_hint = "run the same command again later; it goes on where it stopped (pull and restore can wait: --wait)"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        seconds: float | None = None,
        connected: bool = True,
        answered: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.seconds = seconds
        self.connected = connected
        self.answered = answered
        self.spare = False


class TooManyConnections(Throttled):
    """The server allows no further connection to this account at the same time."""

    default_hint = "end other mail programs that use the account, or run the same command again later"


class TurnedAway(Throttled):
    """The server lets nobody in for the moment: perhaps it is only being restarted."""


class TlsFailed(SourceError):
    """The server's certificate or TLS set-up cannot be trusted."""

    default_hint = "check the host name; for a private certificate authority give --ca-file FILE"


class ProtocolViolation(SourceError):
    """The server answered something that the protocol does not allow."""

    retryable = True
    default_hint = "run the same command again with MAILARCHIVE_DEBUG=1 and report what it shows"


class MailboxUnavailable(SourceError):
    """One mailbox cannot be opened (vanished, no rights, broken at the server)."""

    exit_code = ExitCode.PARTIAL
    scope = Scope.MAILBOX


class RefusesEverything(MailboxUnavailable):
    """The server refused so many messages of a mailbox one after the other that it is not about the messages."""

    retryable = True


class NoRoom(MailboxUnavailable):
    """A mailbox takes no further message, as there is no room for any."""

    default_hint = "make room there, and run the same command again; it goes on where it stopped"


class FetchRefused(SourceError):
    """The server answered NO or BAD to a FETCH; ``str()`` has the server's words, ``code`` its response code."""

    exit_code = ExitCode.PARTIAL
    scope = Scope.MESSAGE

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class PiecesUnsupported(FetchRefused):
    """The protocol or the server has no way to fetch a part of a message, or answers it wrongly."""


class TargetRefused(SourceError):
    """The account that messages are sent to takes none at all: it is full, or not known, or we may not send to it."""

    exit_code = ExitCode.TARGET_REFUSED
    default_hint = "put right at the other account what the server complains about, then run the same command again"


class MessageRefused(SourceError):
    """The server does not take one message, or has no way to; ``str()`` has its words.

    ``code`` is the response code (IMAP) or the enhanced status code (RFC 3463), empty if there is none.
    """

    exit_code = ExitCode.PARTIAL
    scope = Scope.MESSAGE

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class Interrupted(MailArchiveError):
    """A signal asked the run to end; all that had arrived is committed."""

    exit_code = ExitCode.INTERRUPTED
    default_hint = "run the same command again; it goes on where it stopped"

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}; everything that had arrived is safe")
        self.signum = signum
