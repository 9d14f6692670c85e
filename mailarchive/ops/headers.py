"""Ask for headers alone, to recognise messages by them."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from mailarchive.mail.digest import header_digest_of
from mailarchive.model import HeaderDigest, RemoteUid
from mailarchive.ops.halving import in_halves

NO_HEADER = header_digest_of(b"")
"""That of a message that begins with an empty line: no evidence of anything."""


class ShowsHeaders(Protocol):
    """An open mailbox of a source or a target."""

    def headers(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, bytes]]:
        """See ``sources.base.OpenMailbox``."""


def header_digests(opened: ShowsHeaders, uids: Sequence[RemoteUid]) -> dict[RemoteUid, HeaderDigest]:
    """Return the header digests of those of ``uids`` whose header the server shows."""
    found, _refused = in_halves(
        uids, lambda some: ((uid, header_digest_of(octets)) for uid, octets in opened.headers(some))
    )
    return found
