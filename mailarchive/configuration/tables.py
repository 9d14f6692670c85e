"""One table of the configuration file, read key by key; what is wrong is said with file, line and what is expected."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn, TypeVar

from mailarchive.errors import UsageError

Value = TypeVar("Value")
Keys = tuple[str, ...]
_LONG = 40
_ALIKE = 0.7
_DISCREET = frozenset({"password", "client_secret"})
"""In tables of these names people put secrets by mistake."""


class Table:
    """A table; each key is taken once, and ``end`` refuses those that were not."""

    def __init__(self, file: Path, text: str, keys: Keys, values: Mapping[str, object]) -> None:
        self._file = file
        self._text = text
        self._keys = keys
        self._values = values
        self._known: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def names(self) -> list[str]:
        """Return its keys, in the order of the file."""
        return list(self._values)

    def take(self, key: str, expects: str, accept: Callable[[object], Value | None], default: Value) -> Value:
        """Return what ``accept`` makes of a value, ``default`` if there is none. Raises UsageError if it makes None."""
        self._known.append(key)
        if key not in self._values:
            return default
        found = accept(self._values[key])
        if found is None:
            self.fail(key, f"must be {expects}, not {self._shown(self._values[key])}")
        return found

    def table(self, key: str) -> "Table":
        """Return a table in this one; an empty one if there is none. Raises UsageError if it is something else."""
        self._known.append(key)
        values = self._values.get(key, {})
        if not isinstance(values, dict):
            self.fail(key, f"must be a table: [{self._name(key)}]")
        return Table(self._file, self._text, (*self._keys, key), values)

    def end(self) -> None:
        """Raise UsageError if there is a key that nobody knows."""
        for key in self._values:
            if key not in self._known:
                near = get_close_matches(key, self._known, 1)
                hint = f"did you mean {near[0]}?" if near else f"it may have: {', '.join(sorted(self._known))}"
                self.fail(key, "is not known", hint)

    def miss(self, key: str, hint: str) -> NoReturn:
        """Raise UsageError about a key that must be there; about one that looks like it if there is such a one."""
        if near := get_close_matches(key, self._values, 1, _ALIKE):
            self.fail(near[0], "is not known", f"did you mean {key}?")
        self.fail(key, "is missing", hint)

    def fail(self, key: str, what: str, hint: str = "") -> NoReturn:
        """Raise UsageError about the value of ``key``, or about the whole table if it has none of that name."""
        keys = (*self._keys, key) if key in self._values else self._keys
        line = line_of(self._text, keys)
        place = f"{self._file}, line {line}" if line else str(self._file)
        raise UsageError(f"{place}: {self._name(key)} {what}", hint=hint)

    def _name(self, key: str) -> str:
        return ".".join(_quoted(part) for part in (*self._keys, key) if part)

    def _shown(self, value: object) -> str:
        """Return a value as it stands in the file, or what it is if that is long, or may be a secret."""
        match value:
            case bool():
                return str(value).lower()
            case int() | float():
                return str(value)
            case str():
                return "this text" if len(value) > _LONG or not _DISCREET.isdisjoint(self._keys) else repr(value)
            case list():
                return "a list" if all(isinstance(one, str) for one in value) else "a list with something else in it"
            case dict():
                return "a table"
            case _:
                return "a date or time"


def parse(file: Path, text: str) -> Table:
    """Return the outermost table of a TOML text. Raises UsageError."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+), column (\d+)", str(error))
        place = f"{file}, line {line[1]}" if line else str(file)
        what = re.sub(r" \(at .*\)$", "", str(error))
        raise UsageError(f"{place}: this is not TOML: {what}", hint="see https://toml.io") from None
    except (RecursionError, ValueError):
        raise UsageError(f"{file}: it has values within values, or numbers, beyond all measure") from None
    return Table(file, text, (), values)


def line_of(text: str, keys: Keys) -> int | None:
    """Return the number of the line where ``keys`` are first set, or of that of the table they are in; from 1."""
    header: Keys = ()
    best: tuple[int, int] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            header = here = _keys_of(stripped.strip("[]").partition("]")[0] + "=0")
        elif "=" in stripped:
            here = (*header, *_keys_of(stripped.partition("=")[0] + "=0"))
        else:
            continue
        shared = _shared(here, keys)
        if shared and (best is None or shared > best[0]):
            best = shared, number
    return best[1] if best else None


def _keys_of(assignment: str) -> Keys:
    """Return the keys that a line sets; none if it is no such line, but for example a part of a longer string."""
    try:
        found: object = tomllib.loads(assignment)
    except tomllib.TOMLDecodeError:
        return ()
    keys = []
    while isinstance(found, dict) and found:
        key, found = next(iter(found.items()))
        keys.append(key)
    return tuple(keys)


def _shared(one: Iterable[str], other: Iterable[str]) -> int:
    """Return how many keys are the same from the beginning."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _quoted(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else f'"{key}"'
