"""The conversation: greeting, log-in, and each command handed to what carries it out."""

import base64
import binascii
from typing import NoReturn

from mailarchive.loopback import appending, fetch, mailboxes, messages, quota
from mailarchive.loopback.faults import Instead, Refused
from mailarchive.loopback.literals import LiteralRules
from mailarchive.loopback.session import Handler, Session
from mailarchive.loopback.syntax import BadSyntax, octets, word
from mailarchive.loopback.wire import BadCommand, Command, Hangup


def converse(session: Session) -> None:
    """Serve one connection until it ends. Never raises Hangup."""
    try:
        for fault in tuple(session.faults):
            fault.greet(session.wire)
        session.wire.line(f"* OK [CAPABILITY {' '.join(session.capabilities())}] mailarchive loopback ready")
        while True:
            try:
                _serve(session, session.wire.read_command(LiteralRules(session)))
            except BadCommand as error:
                session.wire.line(f"{error.tag} {error.answer}")
    except Hangup:
        session.wire.close()


def _serve(session: Session, command: Command) -> None:
    session.check_selected()
    try:
        for fault in tuple(session.faults):
            fault.command(session.wire, command, _mailbox_name(session, command))
        answer = f"OK {_handler(session, command)(session, command)}"
    except Instead as error:
        answer = str(error)
    except Refused as error:
        answer = f"NO {error}"
    except BadSyntax as error:
        answer = f"BAD {error}"
    session.update(expunges=command.name not in {"FETCH", "STORE", "SEARCH"})
    for fault in tuple(session.faults):
        fault.done(session.wire, command, answer)
    session.wire.line(f"{command.tag} {answer}")
    if command.name == "LOGOUT":
        raise Hangup
    if command.name == "STARTTLS" and session.tls is not None and answer.startswith("OK"):
        session.wire.start_tls(session.tls)
        session.tls = None
    if command.name == "COMPRESS" and answer.startswith("OK"):
        session.wire.start_deflate()
        session.compressed = True


def _mailbox_name(session: Session, command: Command) -> str | None:
    if command.name in {"SELECT", "EXAMINE", "STATUS"} and command.arguments and command.arguments[0]:
        raw = session.account.wire_name(octets(command.arguments[0]))
        return session.account[raw].name if raw in session.account else None
    return session.selected.mailbox.name if session.selected else None


def _handler(session: Session, command: Command) -> Handler:
    handler = _ALWAYS.get(command.name)
    if handler is None and command.name in _LOGGED_IN:
        if not session.logged_in:
            raise BadSyntax("Log in first")
        handler = _LOGGED_IN[command.name]
    if handler is None:
        raise BadSyntax(f"Unknown command {command.name[:40]}")
    return handler


def _capability(session: Session, _: Command) -> str:
    session.wire.line(f"* CAPABILITY {' '.join(session.capabilities())}")
    return "Capability completed"


def _noop(_: Session, command: Command) -> str:
    return f"{command.name.title()} completed"


def _logout(session: Session, _: Command) -> str:
    session.selected = None
    session.wire.line("* BYE Logging out")
    return "Logout completed"


def _start_tls(session: Session, _: Command) -> str:
    if session.tls is None:
        raise BadSyntax("TLS is not offered")
    return "Begin TLS negotiation now"


def _compress(session: Session, command: Command) -> str:
    session.need("COMPRESS=DEFLATE")
    if list(map(word, command.arguments)) != ["DEFLATE"]:
        raise BadSyntax("COMPRESS needs a mechanism that is offered")
    if session.compressed:
        raise Refused("[COMPRESSIONACTIVE] DEFLATE is active already")
    return "DEFLATE active"


def _id(session: Session, _: Command) -> str:
    session.need("ID")
    session.wire.line('* ID ("name" "mailarchive loopback")')
    return "Id completed"


def _enable(session: Session, command: Command) -> str:
    session.need("ENABLE")
    enabled = [name for name in map(word, command.arguments) if name == "CONDSTORE" and session.offers(name)]
    session.condstore = session.condstore or bool(enabled)
    session.wire.line(" ".join(["* ENABLED", *enabled]))
    return "Enabled"


def _login(session: Session, command: Command) -> str:
    if session.tls is not None:
        raise Refused("[PRIVACYREQUIRED] Use STARTTLS first")
    if len(command.arguments) != 2:
        raise BadSyntax("LOGIN needs a user name and a password")
    user, password = map(octets, command.arguments)
    return _log_in(session, user, password)


def _authenticate(session: Session, command: Command) -> str:
    if session.tls is not None:
        raise Refused("[PRIVACYREQUIRED] Use STARTTLS first")
    if not command.arguments or word(command.arguments[0]) != "PLAIN":
        raise Refused("[CANNOT] Unsupported authentication mechanism")
    if len(command.arguments) > 1:
        session.need("SASL-IR")
        initial = octets(command.arguments[1])
    else:
        session.wire.send(b"+ \r\n")
        initial = session.wire.read_line()
    try:
        _, user, password = base64.b64decode(initial, validate=True).split(b"\0")
    except (ValueError, binascii.Error) as error:
        raise BadSyntax("Invalid PLAIN response") from error
    return _log_in(session, user, password)


def _log_in(session: Session, user: bytes, password: bytes) -> str:
    account = session.account
    if (user, password) != (account.user.encode(), account.password.encode()):
        _refuse_login()
    session.logged_in = True
    return f"[CAPABILITY {' '.join(session.capabilities())}] Logged in"


def _refuse_login() -> NoReturn:
    raise Refused("[AUTHENTICATIONFAILED] Authentication failed")


_ALWAYS: dict[str, Handler] = {
    "CAPABILITY": _capability,
    "NOOP": _noop,
    "LOGOUT": _logout,
    "STARTTLS": _start_tls,
    "ID": _id,
    "LOGIN": _login,
    "AUTHENTICATE": _authenticate,
}

_LOGGED_IN: dict[str, Handler] = {
    "ENABLE": _enable,
    "COMPRESS": _compress,
    "CHECK": _noop,
    "NAMESPACE": mailboxes.namespace,
    "LIST": mailboxes.list_,
    "LSUB": mailboxes.lsub,
    "SUBSCRIBE": mailboxes.subscribe,
    "UNSUBSCRIBE": mailboxes.subscribe,
    "STATUS": mailboxes.status,
    "CREATE": mailboxes.create,
    "DELETE": mailboxes.delete,
    "RENAME": mailboxes.rename,
    "GETQUOTA": quota.get_quota,
    "GETQUOTAROOT": quota.get_quota_root,
    "SELECT": messages.select,
    "EXAMINE": messages.select,
    "CLOSE": messages.close,
    "UNSELECT": messages.close,
    "APPEND": appending.append,
    "SEARCH": messages.search,
    "UID SEARCH": messages.search,
    "FETCH": fetch.fetch,
    "UID FETCH": fetch.fetch,
    "STORE": messages.store,
    "UID STORE": messages.store,
    "COPY": messages.copy,
    "UID COPY": messages.copy,
    "MOVE": messages.copy,
    "UID MOVE": messages.copy,
    "EXPUNGE": messages.expunge,
    "UID EXPUNGE": messages.expunge,
}
