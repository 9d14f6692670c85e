"""Octets that are hard on everything that handles lines."""

from datetime import UTC, timedelta, timezone
from itertools import pairwise

from hypothesis import strategies as st

from mailarchive.mail.eol import EolScanner
from mailarchive.model import Eol

PIECES = (
    b"From ",
    b">From ",
    b">>From ",
    b"From",
    b"F",
    b"Fro",
    b">",
    b">" * 9,
    b"\n",
    b"\n",
    b"\r\n",
    b"\r\n",
    b"\r",
    b"\n\n",
    b"\r\n\r\n",
    b"\0",
    b"\xff\xfe",
    b" ",
    b"x" * 70,
    b"Subject: x",
)

mail_octets = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join),
    st.lists(
        st.sampled_from([piece for piece in PIECES if b"\n" not in piece and b"\r" not in piece]), max_size=20
    ).map(b"\r\n".join),
    st.lists(st.sampled_from([piece for piece in PIECES if b"\r" not in piece]), max_size=20).map(b"".join),
    st.binary(max_size=80),
)
"""Messages of any form: with ``From `` lines, all kinds of line ends, NUL, 8-bit octets, or nothing at all."""

zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
dates = st.one_of(st.none(), st.datetimes(timezones=st.one_of(st.just(UTC), zones)))


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    """Return ``octets`` cut at ``places`` (taken modulo the length), empty pieces included."""
    edges = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[start:end] for start, end in pairwise(edges)]


cuts = st.lists(st.integers(0, 10_000), max_size=12)


def form_of(octets: bytes) -> tuple[Eol, bool]:
    """Return the line ends of a message, and whether it ends with one."""
    scanner = EolScanner()
    scanner.feed(octets)
    return scanner.eol, scanner.final
