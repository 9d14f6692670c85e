"""What is known of the provider, where it helps: hints, and mailboxes that end at a round number."""

from typing import NamedTuple
from urllib.parse import urlsplit

from mailarchive.errors import AuthenticationFailed, MailArchiveError, Throttled, TokenDenied, TokenRefused
from mailarchive.model import Account
from mailarchive.ops.look import Look
from mailarchive.ops.report import AccountReport
from mailarchive.providers import Provider, Topic, provider_of

ROUND = (1_000, 10_000, 100_000)
"""Where servers of several providers stop showing messages."""


def provider_for(account: Account) -> Provider | None:
    """Return the provider of an account, as far as its URL tells."""
    place = urlsplit(account.url)
    return provider_of(place.hostname, place.port) if place.hostname else None


def connections(wanted: int, provider: Provider | None) -> int:
    """Return how many connections to use: as many as are ``wanted``, if the provider allows so many."""
    return min(wanted, provider.connections or wanted) if provider else wanted


def hint_for(error: MailArchiveError, provider: Provider | None) -> str:
    """Return the hint of ``error`` with what the provider is known to want; that replaces what is said of any."""
    topic: Topic | None = None
    match error:
        case TokenDenied():
            pass
        case TokenRefused():
            topic = "login" if provider and provider.login == "oauth" else None
        case AuthenticationFailed():
            topic = "login"
        case Throttled():
            topic = "throttled"
    advice = _advice(provider, topic) if topic else ""
    if error.hint == AuthenticationFailed.default_hint:
        return advice or error.hint
    return "; ".join(filter(None, (error.hint, advice)))


def remark(found: Look, provider: Provider | None, report: AccountReport) -> None:
    """Add to ``report`` what is suspicious about the number of messages that a mailbox shows."""
    if found.missing:
        report.warnings.append(missing(found, provider, report.protocol))
    elif suspicion := ceiling(found, provider, report.protocol):
        (report.warnings if suspicion.certain else report.notes).append(suspicion.text)


class Ceiling(NamedTuple):
    """A mailbox that shows a round number of messages. ``certain`` says whether there surely are more."""

    text: str
    certain: bool


def missing(found: Look, provider: Provider | None, protocol: str = "imap") -> str:
    """Return the sentence about a mailbox that lists fewer messages than the server says it has."""
    text = (
        f"the server says that {found.listed.name} has {found.cursor.messages} messages but shows {found.plan.listed}"
    )
    return f"{text}; {about_ceilings(provider, protocol)}"


def ceiling(found: Look, provider: Provider | None, protocol: str = "imap") -> Ceiling | None:
    """Return what to say of a mailbox that ends at a round number; nothing if that was said and is as it was.

    A round number alone may be true. One that stays although new messages came is a window over more of them.
    """
    shown = found.plan.listed
    if shown not in {*ROUND, *(provider.ceilings if provider else ())}:
        return None
    before = found.known.cursor if found.known else None
    is_as_before = before is not None and before.messages == shown
    is_numbered_anew = before is not None and before.uidvalidity != found.cursor.uidvalidity
    if is_as_before and (is_numbered_anew or not found.plan.fresh):
        return None
    if is_as_before:
        text = (
            f"{found.listed.name} still shows exactly {shown} messages although new ones came: the server hides others"
        )
    else:
        text = f"{found.listed.name} shows exactly {shown} messages: perhaps the server hides others"
    return Ceiling(f"{text}; {about_ceilings(provider, protocol)}", certain=is_as_before)


def about_ceilings(provider: Provider | None, protocol: str = "imap") -> str:
    """Return what to do where the provider shows less than there is; what is known of providers is about IMAP."""
    general = f"some providers limit what {protocol.upper()} shows (look in the settings of the account)"
    return (_advice(provider, "ceiling") if protocol == "imap" else "") or general


def _advice(provider: Provider | None, topic: Topic) -> str:
    return provider.advice.get(topic, "") if provider else ""
