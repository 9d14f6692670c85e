"""What servers really say when they want to be left alone, and what only sounds like it."""

import pytest

from mailarchive.errors import SourceUnreachable, Throttled, TooManyConnections, TurnedAway
from mailarchive.remote.imap.responses import read_status
from mailarchive.remote.throttling import demand, slowness

ANYWHERE = [
    (b"NO", b"[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)", Throttled, None),
    (b"NO", b"[ALERT] Account exceeded bandwidth limits. (Failure)", Throttled, None),
    (b"BYE", b"[OVERQUOTA] Account exceeded command or bandwidth limits", Throttled, None),
    (b"NO", b"[THROTTLED] slower, please", Throttled, None),
    (b"NO", b"Request is throttled. Suggested Backoff Time: 299961 milliseconds", Throttled, 299.961),
    (b"BAD", b"Request is throttled. Suggested Backoff Time: 89117 milliseconds", Throttled, 89.117),
    (b"BYE", b"Request is throttled. Suggested Backoff Time: 1 milliseconds", Throttled, 0.001),
    (b"NO", b"Suggested Backoff Time: 999999999999 milliseconds", Throttled, 86_400.0),
    (b"NO", b"[ALERT] Too many simultaneous connections. (Failure)", TooManyConnections, None),
    (b"NO", b"[LIMIT] Too many simultaneous connections", TooManyConnections, None),
    (
        b"NO",
        b"[UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
        TooManyConnections,
        None,
    ),
    (b"BYE", b"Maximum number of connections from user+IP exceeded", TooManyConnections, None),
    (b"BYE", b"Too many connections from your IP address", TooManyConnections, None),
    (b"BYE", b"[ALERT] Too many open connections", TooManyConnections, None),
    (b"NO", b"maximum connections for this user reached", TooManyConnections, None),
    (b"NO", b"Connection limit exceeded", TooManyConnections, None),
    (b"NO", b"[IN-USE] too many concurrent sessions", TooManyConnections, None),
    (b"BAD", b"User is authenticated but not connected.", SourceUnreachable, None),
    (b"OK", b"Success [THROTTLED]", Throttled, None),
    (b"OK", b"[THROTTLED] Success", Throttled, None),
    (b"OK", b"[CAPABILITY IMAP4rev1] me@example.org authenticated (Success) [THROTTLED]", Throttled, None),
]
OF_THE_ACCOUNT = [
    (b"NO", b"[UNAVAILABLE] Temporary authentication failure.", TurnedAway),
    (b"NO", b"[INUSE] Mailbox is locked", TurnedAway),
    (b"NO", b"[SERVERBUG] Internal error occurred.", TurnedAway),
    (b"NO", b"[IN-USE] Do you have another POP session running?", TurnedAway),
    (b"NO", b"[SYS/TEMP] Try again later", TurnedAway),
    (b"NO", b"[LIMIT] LOGIN Rate limit hit.", Throttled),
    (b"NO", b"[LOGIN-DELAY] minimum time between mail checks violation", Throttled),
    (b"BYE", b"Session expired, please login again", TurnedAway),
    (b"BYE", b"", TurnedAway),
]
NOTHING = [
    (b"NO", b"[AUTHENTICATIONFAILED] Invalid credentials (Failure)"),
    (b"NO", b"[AUTHENTICATIONFAILED] Too many failed login attempts"),
    (b"NO", b"[ALERT] Please log in via your web browser: https://support.google.com/ (Failure)"),
    (b"NO", b"[NONEXISTENT] Unknown Mailbox: connections"),
    (b"NO", b"Mailbox is at 99% of quota"),
    (b"OK", b"Success"),
    (b"OK", b"[ALERT] Too many simultaneous connections"),
    (b"OK", b"[OVERQUOTA] soft"),
]


@pytest.mark.parametrize(("kind", "text", "error", "seconds"), ANYWHERE)
def test_these_words_ask_for_patience_wherever_they_come(
    kind: bytes, text: bytes, error: type[Exception], seconds: float | None
) -> None:
    for of_account in (False, True):
        status = read_status(kind, text)
        found = demand("imap.example.org", kind.decode(), status.code, status.words, of_account=of_account)
        assert type(found) is error
        assert "imap.example.org" in str(found)
        if isinstance(found, Throttled):
            assert found.seconds == seconds
            assert found.connected == (kind != b"BYE")
            assert found.answered == (kind == b"OK")


@pytest.mark.parametrize(("kind", "text", "error"), OF_THE_ACCOUNT)
def test_these_codes_do_so_only_where_they_are_about_the_account(
    kind: bytes, text: bytes, error: type[Exception]
) -> None:
    status = read_status(kind, text)
    assert demand("host", kind.decode(), status.code, status.words) is None
    assert type(demand("host", kind.decode(), status.code, status.words, of_account=True)) is error


@pytest.mark.parametrize(("kind", "text"), NOTHING)
def test_other_words_do_not(kind: bytes, text: bytes) -> None:
    status = read_status(kind, text)
    assert demand("host", kind.decode(), status.code, status.words, of_account=True) is None


def test_one_message_that_yahoo_refuses_for_ever_is_no_throttling() -> None:
    status = read_status(b"NO", b"[UNAVAILABLE] UID FETCH Server error. Please try again later.")
    assert demand("host", "NO", status.code, status.words) is None


def test_a_disk_that_is_nearly_full_is_no_reason_to_slow_down() -> None:
    status = read_status(b"NO", b"[OVERQUOTA] You are over your quota")
    assert slowness("host", status.code, status.words) is None
