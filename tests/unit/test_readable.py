"""A message is made readable, also a malformed one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.mail import readable

ALTERNATIVE = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nSubject: lunch\r\nX-Other: hidden\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<p>not shown</p>\r\n"
    b"--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename*=utf-8''%C3%BC.png\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"
    b"--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nnotes\r\n--b--\r\n"
)


def html(octets: bytes) -> str:
    return readable.read(b"Content-Type: text/html\r\n\r\n" + octets).text


def test_text_and_attachments_are_told_apart() -> None:
    shown = readable.read(ALTERNATIVE)
    assert shown.headers == (("From", "Jürgen <j@example.org>"), ("Subject", "lunch"))
    assert shown.text.strip() == "Grüße"
    assert shown.attachments == (("ü.png", "image/png", 3), ("(unnamed)", "text/plain", 5))


def test_html_is_shown_without_tags_styles_and_scripts() -> None:
    page = b"<html><head><title>no</title><style>p{}</style></head><body>a<br>b &amp; c<script>no</script><p>d</body>"
    assert html(page) == "a\nb & c\nd"


@pytest.mark.parametrize("declaration", [b"<![foo[x]]>", b"<![ x", b"<!DOCTYPE [", b"<![CDATA[x", b"<!-", b"</", b"<?"])
def test_html_with_strange_declarations_is_shown_up_to_them(declaration: bytes) -> None:
    assert html(b"<p>before</p>" + declaration).startswith("before")


def test_parts_within_parts_without_end_are_given_up_quietly() -> None:
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level) for level in range(80)
    )
    assert isinstance(readable.read(deep), readable.Readable)


_PIECES = st.sampled_from(
    [
        b"Content-Type: text/html; charset=utf-16\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Type: /;;=\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: uuencode\r\n",
        b"Content-Disposition: attachment; filename*0*=x''%ff; filename*1=\"\xff\r\n",
        b"\r\n",
        b"--b\r\n",
        b"<!",
        b"[if",
        b"&#x110000;",
        b"<a b='",
        b"begin 644 x\r\n",
        b"\xff\xfe\xd8\0",
    ]
)


@given(st.lists(_PIECES | st.binary(max_size=5), max_size=15).map(b"".join))
def test_anything_can_be_read(octets: bytes) -> None:
    shown = readable.read(octets)
    assert all(isinstance(size, int) for _name, _kind, size in shown.attachments)
