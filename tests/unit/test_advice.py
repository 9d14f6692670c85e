from mailarchive.errors import AuthenticationFailed, TokenDenied, TokenRefused
from mailarchive.model import Cursor, ListedMailbox, MailboxName, RemoteUid, UidValidity
from mailarchive.ops import advice
from mailarchive.ops.look import Look
from mailarchive.ops.plan import MailboxPlan
from mailarchive.providers import provider_of
from mailarchive.records import KnownMailbox

NAME = MailboxName(("INBOX",), "/", b"INBOX")
YAHOO, GMAIL = provider_of("imap.mail.yahoo.com"), provider_of("imap.gmail.com")


def cursor(messages: int) -> Cursor:
    return Cursor(UidValidity(1), None, None, messages)


def look(shown: int, *, before: int | None = None, fresh: int = 0, announced: int | None = None) -> Look:
    known = None
    if before is not None:
        known = KnownMailbox(1, "me", NAME, (), 1, present=True, cursor=cursor(before), since=None, excluded=0)
    new: list[RemoteUid] = list(range(1, fresh + 1))
    now = cursor(shown if announced is None else announced)
    return Look(ListedMailbox(NAME), known, now, MailboxPlan(shown, fresh=new))


def test_only_round_numbers_are_suspicious() -> None:
    for count in (0, 1, 999, 1001, 2000, 9_999, 20_000):
        assert advice.ceiling(look(count), None) is None
    for count in (1_000, 10_000, 100_000):
        assert advice.ceiling(look(count), None) is not None


def test_a_provider_may_have_ceilings_of_its_own() -> None:
    assert advice.ceiling(look(5_000), YAHOO) is None
    said = advice.ceiling(look(5_000), GMAIL)
    assert said is not None
    assert "Do not limit the number of messages" in said.text


def test_it_is_said_once_and_certain_only_if_the_window_moves() -> None:
    first = advice.ceiling(look(10_000, fresh=10_000), YAHOO)
    assert first is not None
    assert not first.certain
    assert "export.imap.mail.yahoo.com" in first.text
    assert advice.ceiling(look(10_000, before=10_000), YAHOO) is None
    moved = advice.ceiling(look(10_000, before=10_000, fresh=3), YAHOO)
    assert moved is not None
    assert moved.certain
    grown = advice.ceiling(look(10_000, before=9_000, fresh=1_000), YAHOO)
    assert grown is not None
    assert not grown.certain


def test_what_is_missing_is_told_with_what_to_do() -> None:
    assert advice.missing(look(10, announced=20), None) == (
        "the server says that INBOX has 20 messages but shows 10; "
        "some providers limit what IMAP shows (look in the settings of the account)"
    )
    assert "export.imap.mail.yahoo.com" in advice.missing(look(10, announced=20), YAHOO)


def test_who_logs_in_with_a_token_is_not_told_to_make_a_password() -> None:
    microsoft = provider_of("outlook.office365.com")
    assert "app password" in advice.hint_for(AuthenticationFailed("no"), GMAIL)
    assert advice.hint_for(TokenRefused("no", hint="do this"), GMAIL) == "do this"
    assert "IMAP must also be switched on" in advice.hint_for(TokenRefused("no", hint="do this"), microsoft)
    assert advice.hint_for(TokenDenied("no", hint="log in"), GMAIL) == "log in"
    assert advice.hint_for(TokenDenied("no", hint="log in"), microsoft) == "log in"


def test_connections_are_as_many_as_wanted_and_allowed() -> None:
    assert advice.connections(2, GMAIL) == 2
    assert advice.connections(99, GMAIL) == 15
    assert advice.connections(99, None) == 99
    assert advice.connections(99, YAHOO) == 99
