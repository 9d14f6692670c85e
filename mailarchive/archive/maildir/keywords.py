"""The keywords of one mailbox of the tree, numbered as Dovecot does."""

import re
from collections.abc import Iterable
from pathlib import Path

from mailarchive.mail.maildir_name import (
    KEYWORD_LETTERS,
    KEYWORDS_FILE,
    format_keywords,
    is_keyword,
    letters_of,
    parse_keywords,
)

_ATOM = re.compile(r"[!-~]+")


class Keywords:
    """Gives each keyword of the mailbox in ``directory`` a letter, the same for ever; the 27th gets none."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / KEYWORDS_FILE
        self.is_new = False
        """Whether there is a keyword that the file does not have."""
        try:
            self._names = parse_keywords(self.path.read_bytes())
        except OSError:
            self._names = {}
        self._numbers = {name.lower(): number for number, name in self._names.items()}

    def letters(self, flags: Iterable[str]) -> str:
        """Return the letters of ``flags``."""
        for flag in flags:
            if is_keyword(flag) and flag.lower() not in self._numbers and _ATOM.fullmatch(flag):
                self._number(flag)
        return letters_of(flags, self._numbers)

    def _number(self, keyword: str) -> None:
        free = next((number for number in range(len(KEYWORD_LETTERS)) if number not in self._names), None)
        if free is not None:
            self._names[free] = keyword
            self._numbers[keyword.lower()] = free
            self.is_new = True

    def octets(self) -> bytes:
        """Return what the file has to be."""
        return format_keywords(self._names)
