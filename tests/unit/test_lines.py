"""Facts as JSON lines: short, ASCII, and read back strictly."""

from datetime import UTC, datetime

import pytest

from mailarchive import facts as f
from mailarchive.journal.lines import MalformedLine, from_line, from_lines, to_line
from mailarchive.model import Digest, HeaderDigest

DIGEST, HEADER = Digest(b"\x01" * 32), HeaderDigest(b"\x02" * 16)


def test_a_line_is_compact_ascii_and_leaves_defaults_out() -> None:
    fact = f.Placed(1, 2, 3, DIGEST, flags=("\\Seen", "ü"))
    assert to_line(fact) == (
        b'{"t":"placed","mailbox":1,"uidvalidity":2,"uid":3,"digest":"'
        + b"01" * 32
        + b'","flags":["\\\\Seen","\\u00fc"]}\n'
    )
    assert b"final" not in to_line(f.MessageStored(DIGEST, HEADER, 1, 1, 0, 9, "lf"))
    assert b'"final":false' in to_line(f.MessageStored(DIGEST, HEADER, 1, 1, 0, 9, "lf", final=False))


def test_what_was_sent_instead_is_written_like_any_digest() -> None:
    fact = f.Restored(1, DIGEST, 7, "copy", Digest(b"\x03" * 32))
    assert to_line(fact) == (
        b'{"t":"restored","box":1,"digest":"' + b"01" * 32 + b'","uid":7,"how":"copy","sent":"' + b"03" * 32 + b'"}\n'
    )
    assert from_line(to_line(fact)) == fact
    assert from_line(to_line(f.Restored(1, DIGEST))) == f.Restored(1, DIGEST)


@pytest.mark.parametrize("text", [b"a", "\u00fc".encode()])
def test_many_lines_are_read_as_each_of_them_alone(text: bytes) -> None:
    lines = [
        to_line(f.MessageStored(DIGEST, HEADER, 1, 1, 0, 9, "lf", final=False)),
        to_line(f.MessageStored(DIGEST, HEADER, 1, 1, 0, 9, "lf", form=HEADER, form_size=7)),
        to_line(f.Placed(1, 2, 3, DIGEST, datetime(2024, 1, 1, tzinfo=UTC), ("a",), "id", ("l",), 7, "header", "th")),
        b' { "t": "flags", "mailbox": 1, "uidvalidity": 2, "uid": 3, "flags": ["' + text + b'"] } \n',
        to_line(f.FlagsChanged(1, 2, "u")),
        b'{"t":"later"}\n',
        to_line(f.Gone(1, 2, (3, "u"))),
    ]
    octets, ends = b"".join(lines), [sum(map(len, lines[: nth + 1])) for nth in range(len(lines))]
    assert list(from_lines(octets, 0)) == list(zip(map(from_line, lines), ends, strict=True))
    assert list(from_lines(octets, ends[0])) == list(from_lines(octets, 0))[1:]


@pytest.mark.parametrize(
    "bad", [b'{"t":\n"vanished","mailbox":7}\n', b'{"t":"vanished"}x\n', b'{"t":"message"}\n', b"{"]
)
def test_a_malformed_line_among_others_is_reached_and_refused(bad: bytes) -> None:
    first = to_line(f.MailboxVanished(7))
    lines = from_lines(first + bad + first, 0)
    assert next(lines) == (f.MailboxVanished(7), len(first))
    with pytest.raises(MalformedLine):
        next(lines)


def test_a_type_that_is_not_known_is_passed_over() -> None:
    assert from_line(b'{"t":"later","x":1}\n') is None


def test_fields_that_are_not_known_are_passed_over() -> None:
    assert from_line(b'{"t":"vanished","mailbox":7,"later":true}\n') == f.MailboxVanished(7)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"\0\0\0\0\n",
        b"{}\n",
        b"[1]\n",
        b"17\n",
        b"null\n",
        b'{"t":["vanished"]}\n',
        b'{"t":"vanished"}\n',
        b'{"t":"vanished","mailbox":7\n',
        b'{"t":"lost","digest":"zz","why":""}\n',
        b'{"t":"lost","digest":5,"why":""}\n',
        b'{"t":"placed","mailbox":1,"uidvalidity":1,"uid":1,"digest":"00","date":"noon"}\n',
        b'{"t":"gone","mailbox":1,"uidvalidity":1,"uids":5}\n',
        b'\xff{"t":"vanished","mailbox":7}\n',
    ],
)
def test_what_is_no_fact_is_malformed(line: bytes) -> None:
    with pytest.raises(MalformedLine):
        from_line(line)


def test_times_keep_their_zone() -> None:
    line = b'{"t":"run","run":1,"at":"2024-02-29T23:59:58-07:00","command":"pull","program":"x"}\n'
    fact = from_line(line)
    assert isinstance(fact, f.RunBegan)
    assert fact.at == datetime(2024, 3, 1, 6, 59, 58, tzinfo=UTC)
    assert to_line(fact) == line
