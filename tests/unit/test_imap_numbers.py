"""Numbers of a server are taken only as far as a catalog can hold them."""

import pytest

from mailarchive.remote.imap import answers
from mailarchive.remote.imap.scan import Value


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (b"0", 0),
        (b"007", 7),
        (b"9223372036854775807", (1 << 63) - 1),
        (b"9223372036854775808", None),
        (b"9" * 20, None),
        (b"9" * 5000, None),
        (b"-1", None),
        (b"", None),
        (None, None),
        ([b"1"], None),
    ],
)
def test_a_number_has_63_bits_or_is_none(value: Value, number: int | None) -> None:
    assert answers.number(value) == number
