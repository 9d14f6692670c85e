"""The kind of line ends is decided by the octets alone."""

import pytest

from mailarchive.mail.eol import EolScanner, to_crlf, to_lf


@pytest.mark.parametrize(
    ("octets", "eol", "final"),
    [
        (b"", "lf", False),
        (b"no line end", "lf", False),
        (b"\n", "lf", True),
        (b"a\nb", "lf", False),
        (b"\r\n", "crlf", True),
        (b"a\r\nb", "crlf", False),
        (b"\r", "mixed", False),
        (b"a\r\nb\n", "mixed", True),
        (b"a\r\r\n", "mixed", True),
        (b"\n\r", "mixed", False),
        (b"\r\n\r", "mixed", False),
    ],
)
def test_line_ends_are_crlf_lf_or_mixed(octets: bytes, eol: str, final: bool) -> None:
    scanner = EolScanner()
    scanner.feed(octets)
    assert (scanner.eol, scanner.final) == (eol, final)


def test_a_pair_across_two_pieces_is_a_pair() -> None:
    scanner = EolScanner()
    for piece in (b"a\r", b"", b"\nb\r", b"\n"):
        scanner.feed(piece)
    assert (scanner.eol, scanner.final) == ("crlf", True)
    assert b"".join(to_lf([b"a\r", b"", b"\nb\r"])) == b"a\nb\r"
    assert to_crlf(b"a\n\n") == b"a\r\n\r\n"
