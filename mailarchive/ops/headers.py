"""Ask for headers alone, to recognise messages by them."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from mailarchive.errors import FetchRefused
from mailarchive.mail.digest import header_digest_of
from mailarchive.model import HeaderDigest, RemoteUid

NO_HEADER = header_digest_of(b"")
"""That of a message that begins with an empty line: no evidence of anything."""


class ShowsHeaders(Protocol):
    """An open mailbox of a source or a target."""

    def headers(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, bytes]]:
        """See ``sources.base.OpenMailbox``."""


def header_digests(opened: ShowsHeaders, uids: Sequence[RemoteUid]) -> dict[RemoteUid, HeaderDigest]:
    """Return the header digests of those of ``uids`` whose header the server shows."""
    found: dict[RemoteUid, HeaderDigest] = {}
    with suppress(FetchRefused):
        for uid, octets in opened.headers(uids) if uids else ():
            found[uid] = header_digest_of(octets)
    return found
