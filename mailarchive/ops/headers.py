"""Ask for headers alone, to recognise messages by them."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from mailarchive.mail.digest import header_digest_of
from mailarchive.model import HeaderDigest, RemoteUid
from mailarchive.ops.halving import in_halves
from mailarchive.sources.base import OpenMailbox

NO_HEADER = header_digest_of(b"")
"""That of a message that begins with an empty line: no evidence of anything."""


_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:\s*[^\s]", re.MULTILINE | re.IGNORECASE)
BEGINNING = 2048
"""Octets of text that are compared where a header alone is not believed."""


class ShowsHeaders(Protocol):
    """An open mailbox of a source or a target."""

    def headers(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, bytes]]:
        """See ``sources.base.OpenMailbox``."""


class ShownHeader(NamedTuple):
    """``is_named``: it has a Message-ID, which names one version of a message (RFC 5322 section 3.6.4)."""

    digest: HeaderDigest
    is_named: bool


def shown_headers(opened: ShowsHeaders, uids: Sequence[RemoteUid]) -> dict[RemoteUid, ShownHeader]:
    """Return the headers of those of ``uids`` whose header the server shows."""

    def shown(some: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, ShownHeader]]:
        for uid, octets in opened.headers(some):
            yield uid, ShownHeader(header_digest_of(octets), bool(_MESSAGE_ID.search(octets)))

    return in_halves(uids, shown)[0]


def header_digests(opened: ShowsHeaders, uids: Sequence[RemoteUid]) -> dict[RemoteUid, HeaderDigest]:
    """Return the header digests of those of ``uids`` whose header the server shows."""
    return {uid: header.digest for uid, header in shown_headers(opened, uids).items()}


def beginnings(opened: OpenMailbox, uids: Sequence[RemoteUid]) -> dict[RemoteUid, bytes]:
    """Return how the texts begin of those of ``uids`` whose text the server shows."""
    return in_halves(uids, lambda some: opened.beginnings(some, BEGINNING))[0]
