"""What is said to log in with an access token, and what servers say of one that they refuse."""

import base64
import json

import pytest

from mailarchive.config import Endpoint
from mailarchive.remote import sasl

PLACE = Endpoint("imap", "a,b=c@example.org", "imap.example.org", 993, "tls", auth="oauth")


def challenge(**said: object) -> bytes:
    return base64.b64encode(json.dumps(said).encode())


@pytest.mark.parametrize(
    ("offered", "mechanism"),
    [({"PLAIN", "XOAUTH2", "OAUTHBEARER"}, "OAUTHBEARER"), ({"XOAUTH2"}, "XOAUTH2"), ({"PLAIN"}, None)],
)
def test_the_standard_comes_before_what_was_there_before_it(offered: set[str], mechanism: str | None) -> None:
    assert sasl.token_mechanism(offered) == mechanism


def test_each_mechanism_says_it_in_its_own_form() -> None:
    bearer = b"n,a=a=2Cb=3Dc@example.org,\1host=imap.example.org\1port=993\1auth=Bearer t0ken\1\1"
    assert base64.b64decode(sasl.token_response("OAUTHBEARER", PLACE, "t0ken")) == bearer
    older = b"user=a,b=c@example.org\1auth=Bearer t0ken\1\1"
    assert base64.b64decode(sasl.token_response("XOAUTH2", PLACE, "t0ken")) == older


def test_an_error_is_answered_as_the_mechanism_wants() -> None:
    assert sasl.after_error("OAUTHBEARER") == b"AQ=="
    assert sasl.after_error("XOAUTH2") == b""


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (challenge(status="invalid_token"), "the access token has expired, was revoked, or is for somebody else"),
        (challenge(status="400", schemes="Bearer", scope="https://mail.google.com/"), "https://mail.google.com/"),
        (challenge(status="insufficient_scope", scope="mail"), "is not for mail; wanted is one for mail"),
        (challenge(status="odd\x1b[2J"), "is refused (odd\\x1b[2J)"),
        (challenge(status=401), "has expired"),
        (challenge(scope="mail"), ""),
        (challenge(status=["x"]), ""),
        (base64.b64encode(b"[1]"), ""),
        (b"no base64!", ""),
        (base64.b64encode(b"\xff\xfe"), ""),
        (b"", ""),
    ],
)
def test_what_a_server_says_of_a_token_is_told_in_words(said: bytes, words: str) -> None:
    found = sasl.error_words(said)
    assert words in found if words else found == ""
