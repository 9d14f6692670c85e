"""An access token goes by the mechanism that the server offers, and what it says of a bad one is told in words."""

import base64
import traceback

import pytest

from mailarchive.config import Endpoint, account_of
from mailarchive.errors import AuthenticationFailed
from mailarchive.sources.imap import ImapSource
from mailarchive.sources.pop3 import Pop3Source
from mailarchive.targets.smtp import SmtpTarget
from tests.servers.smtp import Line, scripted

TOKEN = "ya29." + "t" * 600
REFUSAL = base64.b64encode(b'{"status":"invalid_token","scope":"mail"}').decode()
WORDS = r"no \(the access token has expired, was revoked, or is for somebody else; wanted is one for mail\)"


def response(endpoint: Endpoint) -> bytes:
    place = f"host=127.0.0.1\1port={endpoint.port}\1"
    return base64.b64encode(f"n,a=me,\1{place}auth=Bearer {TOKEN}\1\1".encode())


def greet_imap(line: Line, offered: str) -> None:
    line.say("* OK ready")
    tag = line.hear().split(b" ")[0].decode()
    line.say(f"* CAPABILITY IMAP4rev1 {offered}", f"{tag} OK done")


def test_imap_takes_it_with_the_command() -> None:
    def script(line: Line) -> None:
        greet_imap(line, "SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER")
        tag = line.hear().split(b" ")[0].decode()
        line.say(f"{tag} OK [CAPABILITY IMAP4rev1] in")

    with scripted(script, "imap") as (place, heard):
        endpoint = place._replace(user="me", auth="oauth")
        ImapSource(account_of(endpoint), endpoint, TOKEN).close()
    assert heard[1].split(b" ")[1:] == [b"AUTHENTICATE", b"OAUTHBEARER", response(endpoint)]


def test_imap_tells_an_error_as_a_challenge() -> None:
    def script(line: Line) -> None:
        greet_imap(line, "AUTH=OAUTHBEARER")
        tag = line.hear().split(b" ")[0].decode()
        line.say("+ ")
        line.hear()
        line.say(f"+ {REFUSAL}")
        line.hear()
        line.say(f"{tag} NO no")

    with scripted(script, "imap") as (place, heard):
        endpoint = place._replace(user="me", auth="oauth")
        with pytest.raises(AuthenticationFailed, match=WORDS) as caught:
            ImapSource(account_of(endpoint), endpoint, TOKEN)
    assert heard[2:4] == [response(endpoint), b"AQ=="]
    assert "mailarchive account login" in caught.value.hint
    assert "ttt" not in "".join(traceback.format_exception(caught.value))


def test_pop3_takes_it_in_two_steps_and_tells_an_error_as_a_challenge() -> None:
    def script(line: Line) -> None:
        line.say("+OK The Microsoft Exchange POP3 service is ready.")
        assert line.hear() == b"CAPA"
        line.say("+OK", "SASL PLAIN XOAUTH2 OAUTHBEARER", ".")
        assert line.hear() == b"AUTH OAUTHBEARER"
        line.say("+ ")
        line.hear()
        line.say(f"+ {REFUSAL}")
        line.hear()
        line.say("-ERR no")

    with scripted(script, "pop3") as (place, heard):
        endpoint = place._replace(user="me", auth="oauth")
        with pytest.raises(AuthenticationFailed, match=WORDS) as caught:
            Pop3Source(account_of(endpoint), endpoint, TOKEN)
    assert heard[2:4] == [response(endpoint), b"AQ=="]
    assert "ttt" not in "".join(traceback.format_exception(caught.value))


def test_pop3_without_a_mechanism_for_it_is_not_sent_one() -> None:
    def script(line: Line) -> None:
        line.say("+OK ready")
        line.hear()
        line.say("+OK", "SASL PLAIN", ".")
        assert b"AUTH" not in line.hear()

    with scripted(script, "pop3") as (place, _heard):
        endpoint = place._replace(user="me", auth="oauth")
        with pytest.raises(AuthenticationFailed, match="accepts no access token") as caught:
            Pop3Source(account_of(endpoint), endpoint, TOKEN)
    assert "use a password" in caught.value.hint


def test_smtp_takes_it_and_tells_an_error_as_a_challenge() -> None:
    def script(line: Line) -> None:
        line.greet("AUTH XOAUTH2 OAUTHBEARER")
        line.hear()
        line.say("334 ")  # the response is too long for one line
        line.hear()
        line.say(f"334 {REFUSAL}")
        line.hear()
        line.say("535 5.7.8 no")

    with scripted(script) as (place, heard):
        endpoint = place._replace(user="me", auth="oauth")
        with pytest.raises(AuthenticationFailed, match=WORDS) as caught:
            SmtpTarget(endpoint, "you@example.org", lambda: TOKEN)
    assert heard[1:4] == [b"AUTH OAUTHBEARER", response(endpoint), b"AQ=="]
    assert "ttt" not in "".join(traceback.format_exception(caught.value))
