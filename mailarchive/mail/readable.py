"""A message for people: header fields, the text, and what is attached; takes anything and never fails."""

import email
import email.message
import email.policy
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from html.parser import HTMLParser

from mailarchive.mail import headers

SHOWN = ("date", "from", "to", "cc", "reply-to", "subject", "message-id")
_BREAKS = {"p", "br", "div", "tr", "li", "h1", "h2", "h3", "h4", "table", "blockquote"}
_SILENT = {"style", "script", "head", "title"}
DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Readable:
    """``attachments`` are (name, media type, octets) each."""

    headers: tuple[tuple[str, str], ...]
    text: str
    attachments: tuple[tuple[str, str, int], ...]


def read(octets: bytes) -> Readable:
    """Return what a person wants to see of a message."""
    found = headers.fields(octets, SHOWN)
    shown = tuple((name.title(), found[name]) for name in SHOWN if name in found)
    try:
        message = email.message_from_bytes(octets, policy=email.policy.compat32)
        plain, html, attachments = _parts(message)
        text = "\n".join(plain) if plain else "\n".join(map(_without_tags, html))
    except Exception as error:  # noqa: BLE001 - the parser of the standard library fails in many ways on malformed mail
        return Readable(shown, f"(this message cannot be taken apart: {error})", ())
    return Readable(shown, text.replace("\r\n", "\n"), tuple(attachments))


def _parts(message: email.message.Message) -> tuple[list[str], list[str], list[tuple[str, str, int]]]:
    plain: list[str] = []
    html: list[str] = []
    attachments: list[tuple[str, str, int]] = []
    for part in _leaves(message, 0):
        payload = part.get_payload(decode=True)
        octets = payload if isinstance(payload, bytes) else b""
        kind = part.get_content_type()
        is_text = kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment"
        if is_text:
            (plain if kind == "text/plain" else html).append(headers.text(octets, _charset(part)))
        else:
            attachments.append((_name(part), kind, len(octets)))
    return plain, html, attachments


def _leaves(message: email.message.Message, depth: int) -> Iterator[email.message.Message]:
    payload = message.get_payload()
    if isinstance(payload, list) and depth < DEEPEST:
        for part in payload:
            if isinstance(part, email.message.Message):
                yield from _leaves(part, depth + 1)
    else:
        yield message


def _charset(part: email.message.Message) -> str:
    return str(part.get_content_charset() or "utf-8")


def _name(part: email.message.Message) -> str:
    try:
        name = part.get_filename()
    except Exception:  # noqa: BLE001 - see read()
        name = None
    return headers.decode(name.encode("utf-8", "surrogateescape")) if name else "(unnamed)"


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser's signature
        self._silent += tag in _SILENT
        if tag in _BREAKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(0, self._silent - (tag in _SILENT))

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(data)


def _without_tags(html: str) -> str:
    parser = _Text()
    with suppress(AssertionError):  # raised for a declaration it does not know
        parser.feed(html)
        parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.pieces).splitlines())
    return "\n".join(line for line in lines if line)
