"""Placements as facts, and as what linking looks for; pure."""

from collections.abc import Sequence

from mailarchive import facts as f
from mailarchive.model import LABELLED, Digest, HeaderDigest, MessageFacts
from mailarchive.records import Sighting

BY_LABEL = "label"
"""How a message was identified that is in a mailbox because of a label."""
BY_IMPORT, BY_VARIANT = "import", "variant"
"""How: it came from a file, whose date no server vouches for; or the archive has it as a file had it."""
LARGEST_NUMBER = 1 << 63
"""What is not below it no catalog can hold; only a server that lies about a size says it."""


def placed(
    mailbox: int, uidvalidity: int, facts: MessageFacts, digest: Digest, size: int, by: str | None = None
) -> f.Placed:
    """Return the fact that a message of ``size`` octets is in a mailbox as the server describes it."""
    return f.Placed(
        mailbox,
        uidvalidity,
        facts.uid,
        digest,
        facts.internaldate,
        tuple(sorted(facts.flags)),
        facts.account_id,
        facts.labels,
        facts.size if facts.size != size and (facts.size or 0) < LARGEST_NUMBER else None,
        by,
        facts.thread_id,
    )


def labelled(placed: f.Placed, mailboxes: Sequence[int]) -> list[f.Placed]:
    """Return the placements that the labels of one give; recorded before it, they are repeated if it is not reached."""
    uidvalidity = placed.uidvalidity + LABELLED
    return [placed._replace(mailbox=mailbox, uidvalidity=uidvalidity, labels=(), by=BY_LABEL) for mailbox in mailboxes]


def sighting(placed: f.Placed, header: HeaderDigest, size: int) -> Sighting:
    """Return a placement as what linking looks for."""
    said = size if placed.rfc822size is None else placed.rfc822size
    return Sighting(
        placed.digest,
        header,
        size,
        said,
        placed.date,
        placed.account_id,
        placed.mailbox,
        placed.uidvalidity,
        placed.uid,
        present=True,
        by=placed.by,
    )
