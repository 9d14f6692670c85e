"""Why a login has ended, or will soon, in words."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from mailarchive.configuration import OAuth
from mailarchive.tokens.base import Tokens

State = Literal["good", "ending", "ended", "missing"]
_NOTICE = {"idle": timedelta(days=14), "trial": timedelta(days=3)}
"""How long before a login ends by itself that is said."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a login stands: ``sentence`` says it, ``hint`` what to do. Moments are None if they are not known.

    ``expires`` is the end of the access token, which is renewed by itself; ``used`` when the refresh token was last
    used, and ``ends`` when the login ends if nothing is done.
    """

    state: State
    sentence: str
    hint: str = ""
    expires: datetime | None = None
    granted: datetime | None = None
    used: datetime | None = None
    ends: datetime | None = None


def why_ended(oauth: OAuth, login: str) -> str:
    """Return the reasons for which a provider no longer takes a refresh token, and what to type."""
    reasons = ["it was revoked", "the password was changed"]
    if oauth.idle_days is not None:
        reasons.append(f"it was not used for {oauth.idle_days} days")
    if oauth.trial_days is not None:
        reasons.append(
            f"the app is still in 'Testing' at Google, where a login is good for {oauth.trial_days} days (publish it)"
        )
        reasons.append("it was the oldest of too many with this client (Google keeps 50 to 100)")
    return f"perhaps {', or '.join(reasons)}; log in again with: {login}"


def standing(tokens: Tokens | None, oauth: OAuth, login: str, now: datetime) -> Standing:
    """Return how a login stands; nobody is asked."""
    if tokens is None:
        return Standing("missing", "nobody has logged in yet", login)
    end, why = _end(tokens, oauth, now)
    if tokens.refused is not None:
        found = Standing("ended", f"the login has been refused since {_day(tokens.refused)}", why_ended(oauth, login))
    elif end is not None and end <= now:
        found = Standing("ended", f"the login ended on {_day(end)}: {why}", login)
    elif end is not None:
        found = Standing("ending", f"the login ends on {_day(end)}: {why}", login)
    else:
        found = Standing("good", f"logged in on {_day(tokens.granted)}")
    return replace(found, expires=tokens.expires, granted=tokens.granted, used=tokens.issued, ends=end)


def _day(moment: datetime) -> str:
    return moment.date().isoformat()


def _end(tokens: Tokens, oauth: OAuth, now: datetime) -> tuple[datetime | None, str]:
    """Return when and why a login ends, if that is near."""
    if not tokens.refresh:
        return tokens.expires or tokens.issued + timedelta(hours=1), "the provider gave no refresh token"
    if tokens.refresh_expires is not None and tokens.refresh_expires - now <= _NOTICE["trial"]:
        return tokens.refresh_expires, "the provider gave it for so long only" + (
            " (at Google: the app is still in 'Testing'; publish it)" if oauth.trial_days else ""
        )
    if oauth.idle_days is not None:
        idle_end = tokens.issued + timedelta(days=oauth.idle_days)
        if idle_end - now <= _NOTICE["idle"]:
            return idle_end, f"it was last used on {_day(tokens.issued)}; a pull uses it"
    if oauth.trial_days is not None and tokens.refresh_expires is None:
        trial_end = tokens.granted + timedelta(days=oauth.trial_days)
        if timedelta(0) < trial_end - now <= _NOTICE["trial"]:
            return trial_end, "if the app is still in 'Testing' at Google; if it is published, this is of no concern"
    return None, ""
