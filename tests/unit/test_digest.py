"""The header digest recognises a header, whatever its line ends and its body (store/FORMAT.md, glossary)."""

import hashlib

import pytest

from mailarchive.mail.digest import HEADER_LIMIT, digest_of, header_digest_of


def test_the_digest_is_sha_256_of_the_octets() -> None:
    assert digest_of(b"\r\n") == hashlib.sha256(b"\r\n").digest()


@pytest.mark.parametrize(
    ("octets", "header"),
    [
        (b"A: b\r\nC: d\r\n\r\nbody", b"A: b\nC: d\n"),
        (b"A: b\nC: d\n\nbody\r\n\r\n", b"A: b\nC: d\n"),
        (b"A: b\r\nC: d\n\nbody", b"A: b\nC: d\n"),
        (b"A: b\nC: d\n\r\nbody", b"A: b\nC: d\n"),
        (b"A: b\r\nC: d\r\n", b"A: b\nC: d\n"),
        (b"A: b", b"A: b"),
        (b"\r\nbody", b""),
        (b"\nbody", b""),
        (b"", b""),
    ],
)
def test_the_header_ends_before_the_first_empty_line(octets: bytes, header: bytes) -> None:
    assert header_digest_of(octets) == hashlib.sha256(header).digest()[:16]


def test_only_the_first_mebibyte_counts() -> None:
    endless = b"A: " + b"x" * (2 * HEADER_LIMIT)
    assert header_digest_of(endless) == header_digest_of(endless[:HEADER_LIMIT])
