"""The keywords of one mailbox of the tree, numbered as Dovecot does."""

import re
from collections.abc import Iterable
from pathlib import Path

from mailarchive.files import replace_durably
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
        self._path = directory / KEYWORDS_FILE
        try:
            self._names = parse_keywords(self._path.read_bytes())
        except OSError:
            self._names = {}
        self._numbers = {name.lower(): number for number, name in self._names.items()}
        self._is_new = False

    def letters(self, flags: Iterable[str]) -> str:
        """Return the letters of ``flags``."""
        for flag in flags:
            if is_keyword(flag) and _ATOM.fullmatch(flag) and flag.lower() not in self._numbers:
                self._number(flag)
        return letters_of(flags, self._numbers)

    def _number(self, keyword: str) -> None:
        free = next((number for number in range(len(KEYWORD_LETTERS)) if number not in self._names), None)
        if free is not None:
            self._names[free] = keyword
            self._numbers[keyword.lower()] = free
            self._is_new = True

    def save(self) -> None:
        """Write the file if there is a keyword that it does not have. Raises StorageFailed."""
        if self._is_new:
            replace_durably(self._path, format_keywords(self._names))
            self._is_new = False
