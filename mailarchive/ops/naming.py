"""Which mailbox of a target each mailbox of an archive goes to; pure."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mailarchive.mail.mailbox_name import encode_name, mailbox_name
from mailarchive.model import ListedMailbox, MailboxName
from mailarchive.records import KnownMailbox

_USUAL: Mapping[str, tuple[str, ...]] = {
    "\\Sent": ("sent", "sent items", "sent messages", "sent mail"),
    "\\Trash": ("trash", "deleted items", "deleted messages", "bin"),
    "\\Junk": ("junk", "spam", "junk email", "junk e-mail", "bulk mail"),
    "\\Drafts": ("drafts", "draft"),
    "\\Archive": ("archive", "archives"),
}
"""What mailboxes for a special use (RFC 6154) are called where the server does not mark them, in lower case."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PART = re.compile(r"((?:[^/\\]|\\.?)*)(/|\Z)", re.DOTALL)
_INBOX = "INBOX"
_LONGEST = 200
"""Octets of one part of a name, encoded; file systems below servers take 255."""

Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says of names: ``into`` goes before all of them, ``renames`` are pairs of printed names."""

    into: Parts = ()
    renames: Mapping[Parts, Parts] = field(default_factory=dict)


def _as_it_is(parts: Parts) -> tuple[Parts, str]:
    return parts, ""


@dataclass(frozen=True, slots=True)
class Naming:
    """What a target is like, as far as names matter.

    ``fit`` returns a name as the target takes it and what of it had to be changed; it is asked of names that are not
    there yet. ``filled`` are the names, as on the wire, of what earlier restores put messages into.
    """

    listed: Sequence[ListedMailbox]
    prefix: bytes = b""
    delimiter: str | None = "/"
    fit: Callable[[Parts], tuple[Parts, str]] = _as_it_is
    filled: Collection[bytes] = frozenset()


@dataclass(slots=True)
class Destination:
    """A mailbox of the target, and those of the archive that go there. ``listed`` is None if it must be made.

    ``use`` is the special use to make it for; ``changed`` says in a sentence why it is not called as in the archive.
    """

    name: MailboxName
    listed: ListedMailbox | None
    sources: list[KnownMailbox]
    use: str | None = None
    changed: str = ""


def destinations(boxes: Iterable[KnownMailbox], target: Naming, wishes: Wishes) -> list[Destination]:
    """Return where ``boxes`` go, INBOX first, then by name; two that would get one name by a change get two.

    Who came to the archive first has the first choice, so that a later one changes the name of none. For the same
    reason ``boxes`` should be all of an account, also those that are not wanted.
    """
    boxes = sorted(boxes, key=lambda box: (box.name.parts != (_INBOX,), box.number))
    namer = _Namer(target, wishes)
    for box in boxes:
        namer.add(box, _bare(box, boxes))
    return sorted(namer.found, key=lambda one: _by_name(one.sources[0]))


def _by_name(box: KnownMailbox) -> tuple[bool, str, str, int]:
    return box.name.parts != (_INBOX,), box.account, str(box.name), box.number


def _bare(box: KnownMailbox, boxes: Iterable[KnownMailbox]) -> Parts:
    """Return the name; without INBOX if all other mailboxes of the account are below that: then it is a prefix."""
    parts = box.name.parts
    others = [other.name.parts for other in boxes if other.account == box.account and other.name.parts != (_INBOX,)]
    is_prefix = all(len(other) > 1 and other[0] == _INBOX for other in others)
    return parts[1:] if is_prefix and len(parts) > 1 else parts


class _Namer:
    """Finds the destination of one mailbox after the other."""

    def __init__(self, target: Naming, wishes: Wishes) -> None:
        self.found: list[Destination] = []
        self._target = target
        self._delimiter = target.delimiter
        self._listed = {box.name.raw: box for box in target.listed}
        self._below_inbox = {_folded(box.name.raw, target.delimiter): box for box in target.listed}
        self._uses = {use: box for box in target.listed for use in box.special_use}
        self._wishes = wishes
        self._by_raw: dict[bytes, tuple[Destination, Parts]] = {}

    def add(self, box: KnownMailbox, parts: Parts) -> None:
        """Find where ``box``, called ``parts``, goes."""
        renamed = _renamed(box.name.parts, self._wishes.renames) or _renamed(parts, self._wishes.renames)
        if renamed is not None:
            self._put(box, renamed, None)
        elif self._wishes.into:
            self._put(box, (*self._wishes.into, *parts), None)
        elif (twin := self._with_use(box)) is None or self._name(parts)[0].raw in self._target.filled:
            self._put(box, parts, next(iter(set(box.special_use) & _USUAL.keys()), None))
        elif self._has_of(box.account, twin.name.raw):
            self._put(box, parts, None)
        else:
            self._enter(box, twin.name, parts, "")

    def _has_of(self, account: str, raw: bytes) -> bool:
        """Return whether a mailbox of ``account`` goes there already: two of one account never become one."""
        taken = self._by_raw.get(self._key(raw))
        return taken is not None and any(source.account == account for source in taken[0].sources)

    def _key(self, raw: bytes) -> bytes:
        """Return what stands for a name: of those that the server does not tell apart, as far as is known, the same."""
        return raw if raw in self._listed else _folded(raw, self._delimiter)

    def _with_use(self, box: KnownMailbox) -> ListedMailbox | None:
        """Return the mailbox of the target for the same special use, by its mark or by a usual name."""
        for use in box.special_use:
            if use in self._uses:
                return self._uses[use]
        for use in box.special_use:
            for listed in self._listed.values():
                if not listed.special_use and listed.name.parts[-1].lower() in _USUAL.get(use, ()):
                    return listed
        return None

    def _put(self, box: KnownMailbox, parts: Parts, use: str | None) -> None:
        fitting, unfit = self._fitting(parts)
        name, changed = self._name(fitting)
        if changed and parts == box.name.parts and self._is_there(box.name):
            name, changed = box.name, ""
        number = 2
        changed = "; ".join(filter(None, (unfit, changed)))
        while (taken := self._by_raw.get(self._key(name.raw))) and taken[1] != parts:
            name, _again = self._name((*fitting[:-1], _with_number(fitting[-1], number)))
            changed = changed or "another mailbox has its name"
            number += 1
        self._enter(box, name, parts, changed, use)

    def _fitting(self, parts: Parts) -> tuple[Parts, str]:
        """Return a name as the target takes it, and what of it had to be changed; what is there fits."""
        return (parts, "") if self._name(parts)[0].raw in self._listed else self._target.fit(parts)

    def _is_there(self, name: MailboxName) -> bool:
        """Return whether the server has a mailbox of exactly that name, odd as it may be."""
        return name.delimiter == self._delimiter and name.raw in self._listed

    def _name(self, parts: Parts) -> tuple[MailboxName, str]:
        """Return a name as the target has it or wants it, and what of it had to be changed."""
        raw, changed = self._raw(parts)
        if raw not in self._listed and (known := self._below_inbox.get(_folded(raw, self._delimiter))):
            return known.name, changed
        return mailbox_name(raw, self._delimiter), changed

    def _enter(self, box: KnownMailbox, name: MailboxName, parts: Parts, changed: str, use: str | None = None) -> None:
        key = self._key(name.raw)
        if key in self._by_raw:
            self._by_raw[key][0].sources.append(box)
            return
        sentence = f"{box.name} is called {name} there: {changed}" if changed else ""
        listed = self._listed.get(name.raw)
        destination = Destination(name, listed, [box], None if listed else use, sentence)
        self._by_raw[key] = destination, parts
        self.found.append(destination)

    def _raw(self, parts: Parts) -> tuple[bytes, str]:
        """Return a name as the target wants it, and what of it had to be changed."""
        if parts == (_INBOX,):
            return b"INBOX", ""
        changed: list[str] = []
        clean = [_clean(part, self._delimiter, changed.append) for part in parts]
        prefix = self._target.prefix
        if clean[0].upper() == _INBOX and prefix.upper().startswith(b"INBOX") and len(clean) > 1:
            del clean[0]
        if self._delimiter is None and len(clean) > 1:
            changed.append("the server has no mailboxes below others")
        joint = (self._delimiter or "-").encode("latin-1", "replace")
        return prefix + joint.join(encode_name(part) for part in clean), "; ".join(dict.fromkeys(changed))


def _with_number(part: str, number: int) -> str:
    """Return a part of a name with ``number`` behind it, cut so that both have room."""
    while len(encode_name(f"{part}~{number}")) > _LONGEST:
        part = part[: len(part) * 9 // 10]
    return f"{part}~{number}"


def _folded(raw: bytes, delimiter: str | None) -> bytes:
    """Return a name whose first level is in capitals if that is INBOX: most servers take it in any case."""
    first, separator, rest = raw.partition((delimiter or "/").encode("latin-1", "replace"))
    return first.upper() + separator + rest if first.upper() == b"INBOX" else raw


def _renamed(parts: Parts, renames: Mapping[Parts, Parts]) -> Parts | None:
    """Return the new name by the longest of ``renames`` that is the name, or a mailbox above it."""
    for length in range(len(parts), 0, -1):
        if (new := renames.get(parts[:length])) is not None:
            return (*new, *parts[length:])
    return None


def _clean(part: str, delimiter: str | None, changed: Callable[[str], None]) -> str:
    """Return a part of a name without what no server takes in it."""
    found = part
    if delimiter and delimiter in found:
        found = found.replace(delimiter, "_" if delimiter != "_" else "-")
        changed(f"{delimiter!r} separates mailboxes there")
    if _CONTROL.search(found):
        found = _CONTROL.sub("_", found)
        changed("it has control characters")
    if not found.strip():
        found = "_"
        changed("a part of it is empty")
    while len(encode_name(found)) > _LONGEST:
        found = found[: len(found) * 9 // 10]
        changed("it is too long")
    return found


def read_name(text: str) -> Parts:
    r"""Return the parts of a printed name: ``/`` separates them, unless a ``\`` stands before it; INBOX in any case.

    Parts may be empty.
    """
    if text.upper() == _INBOX:
        return (_INBOX,)
    found = []
    for part, end in _PART.findall(text):
        found.append(re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL))
        if not end:
            break
    return tuple(found)


def matchless(renames: Collection[Parts], boxes: Iterable[KnownMailbox]) -> Iterator[Parts]:
    """Yield the names of ``renames`` that no mailbox has, and none above one."""
    names = [box.name.parts for box in boxes]
    yield from (old for old in renames if not any(name[: len(old)] == old for name in names))
