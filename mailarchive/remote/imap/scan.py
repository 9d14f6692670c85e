"""A tokenizer for any IMAP response (RFC 9051 section 9), for what the fast patterns do not match."""

import re
from collections.abc import Sequence

from mailarchive.errors import ProtocolViolation
from mailarchive.mail.body import SpooledBody

_SPACES = re.compile(rb" *")
_QUOTED = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPED = re.compile(rb'\\(["\\])')
_ATOM = re.compile(rb'[^\x00-\x20()"\x7f]+')
_NAME = re.compile(rb'[^\x00-\x20()"\[\]<>\x7f]+(?:\[[^\]]*\])?(?:<\d+>)?')
_DEEPEST = 32


class Atom(bytes):
    """A word outside quotes: an atom, a number or a flag."""

    __slots__ = ()


Part = bytes | SpooledBody
"""A response is text, literal, text, literal, … text; only literals may be spooled."""

Value = Atom | bytes | SpooledBody | list["Value"] | None
"""None is NIL; plain bytes are what came quoted or as a literal."""


def unescaped(octets: bytes) -> bytes:
    """Return what stands between quotes without its backslashes (RFC 9051 section 9, quoted)."""
    return _ESCAPED.sub(rb"\1", octets)


class Scanner:
    """Reads values out of one response. Raises ProtocolViolation for what is no value."""

    __slots__ = ("_index", "_parts", "_place", "_text")

    def __init__(self, parts: Sequence[Part], start: int = 0) -> None:
        self._parts = parts
        self._index = 0
        self._text = self._text_at(0)
        self._place = start

    def _text_at(self, index: int) -> bytes:
        part = self._parts[index]
        if isinstance(part, SpooledBody):
            raise ProtocolViolation("the server sent a literal where text has to be")
        return part

    def _to_value(self) -> None:
        spaces = _SPACES.match(self._text, self._place)
        self._place = spaces.end() if spaces else self._place

    def rest(self) -> bytes:
        """Return the text up to the next literal or the end, without moving."""
        return self._text[self._place :]

    def skip(self, octets: int) -> None:
        """Step over ``octets`` of text."""
        self._place += octets

    def at_end(self) -> bool:
        """Return whether nothing but spaces is left."""
        self._to_value()
        return self._place >= len(self._text) and self._index + 1 >= len(self._parts)

    def peek(self) -> bytes:
        """Return the next octet of text, or nothing if a literal or the end comes next."""
        self._to_value()
        return self._text[self._place : self._place + 1]

    def accept(self, octet: bytes) -> bool:
        """Step over ``octet`` if it comes next."""
        if self.peek() != octet:
            return False
        self._place += 1
        return True

    def name(self) -> bytes:
        """Return a data item's name in capitals, such as ``BODY[]``."""
        self._to_value()
        match = _NAME.match(self._text, self._place)
        if match is None:
            raise ProtocolViolation("the server sent a FETCH answer without the name of a data item")
        self._place = match.end()
        return match[0].upper()

    def text(self) -> bytes:
        """Return the next value, which has to be a word or a string (NIL is the word)."""
        self._to_value()
        nil = self._text[self._place : self._place + 3]
        value = self._single()
        if value is None:
            return nil
        if isinstance(value, bytes):
            return bytes(value)
        raise ProtocolViolation("the server sent a list where a string has to be")

    def value(self) -> Value:
        """Return the next value, lists nested."""
        if not self.accept(b"("):
            return self._single()
        outermost: list[Value] = []
        stack = [outermost]
        while stack:
            if self.accept(b")"):
                stack.pop()
            elif self.accept(b"("):
                if len(stack) == _DEEPEST:
                    raise ProtocolViolation("the server sent lists nested too deeply")
                inner: list[Value] = []
                stack[-1].append(inner)
                stack.append(inner)
            else:
                stack[-1].append(self._single())
        return outermost

    def _single(self) -> Value:
        self._to_value()
        if self._place >= len(self._text):
            return self._literal()
        if self._text[self._place : self._place + 1] == b'"':
            quoted = _QUOTED.match(self._text, self._place)
            if quoted is None:
                raise ProtocolViolation("the server sent a quoted string without an end")
            self._place = quoted.end()
            return unescaped(quoted[1])
        atom = _ATOM.match(self._text, self._place)
        if atom is None:
            raise ProtocolViolation("the server sent an answer that cannot be read")
        self._place = atom.end()
        return None if atom[0].upper() == b"NIL" else Atom(atom[0])

    def _literal(self) -> Part:
        if self._index + 2 >= len(self._parts):
            raise ProtocolViolation("the server's answer ends too early")
        literal = self._parts[self._index + 1]
        self._index += 2
        self._text = self._text_at(self._index)
        self._place = 0
        return literal
