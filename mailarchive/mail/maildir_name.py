"""Names in a Maildir: flags and keywords in file names as Dovecot and mutt read them, and Maildir++ mailbox names."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mailarchive.mail.mailbox_name import decode_name, encode_name

KEYWORDS_FILE = "dovecot-keywords"
KEYWORD_LETTERS = "abcdefghijklmnopqrstuvwxyz"
"""A keyword's letter is its number in ``dovecot-keywords``; there is none for a twenty-seventh."""

_LETTERS = {"\\draft": "D", "\\flagged": "F", "$forwarded": "P", "\\answered": "R", "\\seen": "S", "\\deleted": "T"}
_FLAGS = {"D": "\\Draft", "F": "\\Flagged", "P": "$Forwarded", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
_SIZE = re.compile(r",S=(\d+)")
_WIRE_SIZE = re.compile(r",W=(\d+)")


class MaildirName(NamedTuple):
    """A message's file name, ``<unique>,S=<size>,W=<size>:2,<letters>``.

    ``base`` is all before the flags; ``letters`` what stands behind them, in ASCII order; ``size`` the octets of the
    message in the file when decompressed, ``wire_size`` those with all line ends CRLF, None if the name does not tell.
    """

    base: str
    letters: str = ""

    @property
    def size(self) -> int | None:
        """``S=``: the octets of the message in the file, decompressed."""
        return _number(_SIZE, self.base)

    @property
    def wire_size(self) -> int | None:
        """``W=``: the octets of the message with all line ends CRLF."""
        return _number(_WIRE_SIZE, self.base)

    @property
    def unique(self) -> str:
        """What identifies the message in its Maildir: the base without sizes and other fields."""
        return self.base.split(",", 1)[0]

    def __str__(self) -> str:
        return f"{self.base}:2,{self.letters}"


def _number(pattern: re.Pattern[str], name: str) -> int | None:
    match = pattern.search(name)
    return int(match[1]) if match else None


def parse(name: str) -> MaildirName:
    """Split a file name; also one with ``;`` or ``!`` for the colon, and one from ``new``, without letters."""
    for separator in (":2,", ";2,", "!2,"):
        base, found, letters = name.rpartition(separator)
        if found:
            return MaildirName(base, letters)
    return MaildirName(name)


def letters_of(flags: Iterable[str], keywords: Mapping[str, int]) -> str:
    r"""Return the letters of ``flags``, sorted as Maildir demands; ``keywords`` numbers those that have a letter.

    ``keywords`` is by name in lower case. ``\Recent`` and what has no letter are left out. ``$Forwarded`` may have two:
    P as mutt reads it, and that of a keyword, as Dovecot does.
    """
    letters = set()
    for flag in flags:
        number = keywords.get(flag.lower(), len(KEYWORD_LETTERS))
        letters |= {_LETTERS.get(flag.lower(), ""), KEYWORD_LETTERS[number : number + 1]}
    return "".join(sorted(letters))


def flags_of(letters: str, keywords: Mapping[int, str]) -> frozenset[str]:
    """Return the flags and keywords that ``letters`` stand for; letters without a meaning here are left out."""
    flags = (_FLAGS.get(letter) or keywords.get(KEYWORD_LETTERS.find(letter)) for letter in letters)
    return frozenset(flag for flag in flags if flag)


def is_keyword(flag: str) -> bool:
    """Return whether a flag belongs into ``dovecot-keywords``: also $Forwarded, whose letter Dovecot does not read."""
    return not flag.startswith("\\")


def parse_keywords(text: bytes) -> dict[int, str]:
    """Return the keywords of a ``dovecot-keywords`` file by number; lines that are none are left out."""
    keywords = {}
    for line in text.decode("utf-8", "replace").splitlines():
        number, _, name = line.partition(" ")
        if number.isdecimal() and name and int(number) < len(KEYWORD_LETTERS):
            keywords[int(number)] = name
    return keywords


def format_keywords(keywords: Mapping[int, str]) -> bytes:
    """Return the content of a ``dovecot-keywords`` file."""
    return "".join(f"{number} {name}\n" for number, name in sorted(keywords.items())).encode("utf-8")


def mailbox_directory(parts: tuple[str, ...]) -> str:
    """Return the directory of a mailbox below the Maildir++ root: empty for INBOX, else ``.a.b`` in modified UTF-7.

    ``.``, ``/``, ``~`` and ``%`` in a part and control characters are percent-encoded, and an empty part is ``%``, so
    that two mailboxes never become one.
    """
    if tuple(part.upper() for part in parts) == ("INBOX",):
        return ""
    return "".join("." + encode_name(_escape(part)).decode("ascii") for part in parts)


def mailbox_parts(directory: str) -> tuple[str, ...]:
    """Return the mailbox that a directory of a Maildir++ tree is: the inverse of ``mailbox_directory``."""
    if not directory:
        return ("INBOX",)
    return tuple(_unescape(decode_name(part.encode("utf-8", "surrogateescape"))) for part in directory[1:].split("."))


_AWKWARD = re.compile(r"[./~%\x00-\x1f\x7f]")
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")


def _escape(part: str) -> str:
    return "%" if not part else _AWKWARD.sub(lambda match: f"%{ord(match[0]):02X}", part)


def _unescape(part: str) -> str:
    return "" if part == "%" else _ESCAPED.sub(lambda match: chr(int(match[1], 16)), part)
