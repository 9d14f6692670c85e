"""Commands about mailboxes as a whole: LIST, STATUS, NAMESPACE, CREATE, DELETE, RENAME."""

import re
from collections.abc import Callable, Iterable

from mailarchive.loopback.account import LoopbackMailbox
from mailarchive.loopback.faults import Refused
from mailarchive.loopback.session import Session
from mailarchive.loopback.syntax import BadSyntax, Token, octets, string, word, words
from mailarchive.loopback.wire import Command

_STATUS: dict[str, Callable[[LoopbackMailbox], int]] = {
    "MESSAGES": lambda box: len(box.messages),
    "RECENT": lambda _: 0,
    "UIDNEXT": lambda box: box.uidnext,
    "UIDVALIDITY": lambda box: box.uidvalidity,
    "UNSEEN": lambda box: sum("\\Seen" not in message.flags for message in box.messages.values()),
    "SIZE": lambda box: sum(len(message.octets) for message in box.messages.values()),
    "HIGHESTMODSEQ": lambda box: box.modseq,
}
_USES = ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash")


def list_(session: Session, command: Command) -> str:
    """Answer LIST with selection and return options (RFC 5258, RFC 5819, RFC 6154)."""
    arguments = list(command.arguments)
    options: list[str] = []
    if arguments and isinstance(arguments[0], list):
        session.need("LIST-EXTENDED")
        options = [text.upper() for text in words(arguments.pop(0))]
    returned = _returned(session, arguments)
    if len(arguments) != 2:
        raise BadSyntax("LIST needs a reference and a pattern")
    reference, pattern = octets(arguments[0]), arguments[1]
    patterns = [octets(token) for token in pattern] if isinstance(pattern, list) else [octets(pattern)]
    if patterns == [b""]:
        session.wire.line(f'* LIST (\\Noselect) {_delimiter(session)} ""')
        return "List completed"
    status = returned.get("STATUS")
    subscribed = _subscribed(session)
    for raw, attributes, mailbox in _listed(session, [reference + text for text in patterns]):
        if "SPECIAL-USE" in options and (mailbox is None or mailbox.special_use is None):
            continue
        if "SUBSCRIBED" in options and raw not in subscribed:
            continue
        if "SUBSCRIBED" in returned and raw in subscribed:
            attributes.append("\\Subscribed")
        text = f"* LIST ({' '.join(attributes)}) {_delimiter(session)} ".encode()
        session.wire.send(text, string(raw), b"\r\n")
        if status is not None and mailbox is not None and mailbox.selectable:
            _send_status(session, mailbox, status)
    return "List completed"


def lsub(session: Session, command: Command) -> str:
    """Answer LSUB with the names that were subscribed to; as long as there are none, every mailbox is."""
    if len(command.arguments) != 2:
        raise BadSyntax("LSUB needs a reference and a pattern")
    reference, pattern = map(octets, command.arguments)
    match = _pattern(reference + pattern, (session.account.delimiter or "").encode())
    for raw in filter(match.fullmatch, _subscribed(session)):
        session.wire.send(f"* LSUB () {_delimiter(session)} ".encode(), string(raw), b"\r\n")
    return "Lsub completed"


def _subscribed(session: Session) -> list[bytes]:
    with session.account.lock:
        return sorted(session.account.subscribed) or [mailbox.raw for mailbox in session.account.mailboxes()]


def subscribe(session: Session, command: Command) -> str:
    """Subscribe to a mailbox, or end that by UNSUBSCRIBE (RFC 3501 sections 6.3.6 and 6.3.7)."""
    raw = session.account.wire_name(_one_name(command))
    with session.account.lock:
        if command.name == "UNSUBSCRIBE":
            session.account.subscribed.discard(raw)
        else:
            session.mailbox(raw)
            session.account.subscribed.add(raw)
    return f"{command.name.title()} completed"


def status(session: Session, command: Command) -> str:
    """Answer STATUS (RFC 3501 section 6.3.10)."""
    if len(command.arguments) != 2 or not isinstance(command.arguments[1], list):
        raise BadSyntax("STATUS needs a mailbox and a list of items")
    mailbox = session.mailbox(session.account.wire_name(octets(command.arguments[0])))
    _send_status(session, mailbox, _status_items(session, command.arguments[1]))
    return "Status completed"


def namespace(session: Session, _: Command) -> str:
    """Answer NAMESPACE (RFC 2342): one personal namespace."""
    session.need("NAMESPACE")
    prefix = string(session.account.prefix.encode()).decode()
    session.wire.line(f"* NAMESPACE (({prefix} {_delimiter(session)})) NIL NIL")
    return "Namespace completed"


def create(session: Session, command: Command) -> str:
    """Make a mailbox, for a special use if one is told; a delimiter at the end is dropped (RFC 3501 section 6.3.3)."""
    use = _use(session, command.arguments.pop()) if len(command.arguments) == 2 else None
    account, raw = session.account, _one_name(command)
    delimiter = (account.delimiter or "").encode()
    if delimiter:
        raw = raw.removesuffix(delimiter)
    if raw not in account and (why := account.no_name(raw)):
        raise Refused(f"[CANNOT] {why}")
    with account.lock:
        if account.taken(raw):
            raise Refused("[ALREADYEXISTS] Mailbox already exists")
        account.create(raw, special_use=use)
    return "Create completed"


def _use(session: Session, parameter: Token) -> str:
    """Return the use that ``(USE (\\Sent))`` names (RFC 6154 section 3). Raises BadSyntax, Refused."""
    session.need("CREATE-SPECIAL-USE")
    if not isinstance(parameter, list) or len(parameter) != 2 or word(parameter[0]) != "USE":
        raise BadSyntax("Unknown CREATE parameter")
    uses = words(parameter[1])
    if len(uses) != 1 or uses[0] not in _USES:
        raise Refused("[USEATTR] No mailbox can have such a use")
    return uses[0]


def delete(session: Session, command: Command) -> str:
    """Remove a mailbox."""
    raw = session.account.wire_name(_one_name(command))
    if raw == b"INBOX":
        raise Refused("[CANNOT] INBOX stays")
    try:
        session.account.delete(raw)
    except KeyError as error:
        raise Refused("[NONEXISTENT] Mailbox doesn't exist") from error
    return "Delete completed"


def rename(session: Session, command: Command) -> str:
    """Rename a mailbox and those below it."""
    if len(command.arguments) != 2:
        raise BadSyntax("RENAME needs two names")
    old, new = (session.account.wire_name(octets(token)) for token in command.arguments)
    if old == b"INBOX":
        raise Refused("[CANNOT] INBOX stays")
    try:
        session.account.rename(old, new)
    except KeyError as error:
        raise Refused("[NONEXISTENT] Mailbox doesn't exist") from error
    except ValueError as error:
        raise Refused("[ALREADYEXISTS] Mailbox already exists") from error
    return "Rename completed"


def _one_name(command: Command) -> bytes:
    if len(command.arguments) != 1:
        raise BadSyntax("One mailbox name is needed")
    return octets(command.arguments[0])


def _delimiter(session: Session) -> str:
    delimiter = session.account.delimiter
    return "NIL" if delimiter is None else string(delimiter.encode()).decode()


def _returned(session: Session, arguments: list[Token]) -> dict[str, list[str]]:
    if len(arguments) < 4 or arguments[2] != "RETURN" or not isinstance(arguments[3], list):
        return {}
    session.need("LIST-EXTENDED")
    options = arguments[3]
    del arguments[2:]
    returned: dict[str, list[str]] = {}
    for index, option in enumerate(options):
        if isinstance(option, list):
            continue
        following = options[index + 1] if index + 1 < len(options) else None
        if word(option) == "STATUS":
            session.need("LIST-STATUS")
            if not isinstance(following, list):
                raise BadSyntax("STATUS needs a list of items")
            returned["STATUS"] = _status_items(session, following)
        elif word(option) == "SPECIAL-USE":
            session.need("SPECIAL-USE")
        elif word(option) == "SUBSCRIBED":
            returned["SUBSCRIBED"] = []
    return returned


def _status_items(session: Session, tokens: list[Token]) -> list[str]:
    items = [word(token) for token in tokens]
    if not set(items) <= _STATUS.keys() | {"APPENDLIMIT"} or ("APPENDLIMIT" in items and not session.limits_appends()):
        raise BadSyntax("Unknown STATUS item")
    if "HIGHESTMODSEQ" in items:
        session.need("CONDSTORE")
    return items


def _send_status(session: Session, mailbox: LoopbackMailbox, items: list[str]) -> None:
    with session.account.lock:
        values = " ".join(f"{item} {_status_value(session, mailbox, item)}" for item in items)
    session.wire.send(b"* STATUS ", string(mailbox.raw), f" ({values})\r\n".encode())


def _status_value(session: Session, mailbox: LoopbackMailbox, item: str) -> int | str:
    if item != "APPENDLIMIT":
        return _STATUS[item](mailbox)
    limit = session.append_limit()
    return "NIL" if limit is None else limit


def _listed(session: Session, patterns: list[bytes]) -> list[tuple[bytes, list[str], LoopbackMailbox | None]]:
    """Return (name, attributes, mailbox) of what matches; None stands for a parent that is only a name."""
    delimiter = (session.account.delimiter or "").encode()
    with session.account.lock:
        mailboxes = {mailbox.raw: mailbox for mailbox in session.account.mailboxes()}
    everything = dict.fromkeys(name for raw in mailboxes for name in [*_parents(raw, delimiter), raw])
    matches = [_pattern(pattern, delimiter) for pattern in patterns]
    found = []
    for raw in everything:
        if not any(match.fullmatch(raw) for match in matches):
            continue
        mailbox = mailboxes.get(raw)
        attributes = _attributes(session, mailbox)
        if session.offers("CHILDREN") and delimiter:
            has = any(other.startswith(raw + delimiter) for other in everything)
            attributes.append("\\HasChildren" if has else "\\HasNoChildren")
        found.append((raw, attributes, mailbox))
    return found


def _attributes(session: Session, mailbox: LoopbackMailbox | None) -> list[str]:
    if mailbox is None or not mailbox.selectable:
        return ["\\Noselect"]
    return [mailbox.special_use] if mailbox.special_use and session.offers("SPECIAL-USE") else []


def _parents(raw: bytes, delimiter: bytes) -> Iterable[bytes]:
    if delimiter:
        parts = raw.split(delimiter)
        for depth in range(1, len(parts)):
            yield delimiter.join(parts[:depth])


def _pattern(pattern: bytes, delimiter: bytes) -> re.Pattern[bytes]:
    within = b"[^%b]*" % re.escape(delimiter) if delimiter else b".*"
    pieces = [{b"*": b".*", b"%": within}.get(piece, re.escape(piece)) for piece in re.split(rb"([*%])", pattern)]
    flags = re.DOTALL | (re.IGNORECASE if pattern.upper() == b"INBOX" else 0)
    return re.compile(b"".join(pieces), flags)
