"""Gets the tokens of a new login: by a browser on this machine or another, or by a code that is typed elsewhere."""

import threading
from collections.abc import Callable

from mailarchive.clock import Clock
from mailarchive.errors import AuthenticationFailed, SourceUnreachable
from mailarchive.remote.oauth import AuthorizationServer, DeviceCode, Grant
from mailarchive.remote.redirect import Redirect
from mailarchive.tokens.keeper import Holder

__all__ = ["DeviceCode", "Grant", "by_browser", "by_device", "missing_scopes"]

BROWSER_SECONDS = 15 * 60.0
_LONGEST_INTERVAL = 60.0
_LONGEST_DEVICE_SECONDS = 3600
_SHORT = 120
_NOT_OF_MAIL = frozenset({"offline_access", "openid", "email", "profile"})
"""Scopes that providers do not name among those that they granted."""


def by_browser(
    holder: Holder,
    show: Callable[[str], None],
    pasted: int | None = None,
    on_other: Callable[[], None] = lambda: None,
    seconds: float = BROWSER_SECONDS,
) -> Grant:
    """Return the tokens of a login in a browser, which ``show`` sends to a URL (RFC 8252 section 7.3, RFC 7636).

    Where the browser ends up may also come as a line of the descriptor ``pasted``; ``on_other`` is called for a line
    that is something else. Raises AuthenticationFailed, SourceUnreachable, TlsFailed, ProtocolViolation, UsageError.
    """
    server = holder.server()
    with Redirect(holder.oauth.redirect_url) as redirect:
        request = server.request(redirect.url, holder.user)
        show(request.url)
        url = redirect.wait(request.is_answered_by, seconds, pasted, on_other)
    if url is None:
        raise _too_late(seconds)
    return server.redeem(request, url)


def by_device(holder: Holder, show: Callable[[DeviceCode], None], clock: Clock, stop: threading.Event) -> Grant:
    """Return the tokens of a login with a code, which ``show`` tells the user (RFC 8628).

    Raises AuthenticationFailed, SourceUnreachable, TlsFailed, ProtocolViolation.
    """
    server = holder.server()
    device = server.device_code()
    show(device)
    seconds = min(device.seconds, _LONGEST_DEVICE_SECONDS)
    end = clock.monotonic() + seconds
    interval = min(float(device.interval), _LONGEST_INTERVAL)
    while clock.monotonic() < end and not clock.sleep(interval, stop):
        answer, interval = _asked(server, device, interval)
        if answer is not None:
            return answer
    raise _too_late(seconds)


def missing_scopes(holder: Holder, grant: Grant) -> list[str]:
    """Return the scopes that were asked for and not granted, if the provider says which ones were."""
    if grant.scopes is None:
        return []
    granted = {scope.lower() for scope in grant.scopes} | _NOT_OF_MAIL
    return [scope for scope in holder.oauth.scopes if scope.lower() not in granted]


def _asked(server: AuthorizationServer, device: DeviceCode, interval: float) -> tuple[Grant | None, float]:
    """Ask once whether the user is done; return the tokens, or the interval from now on (RFC 8628 section 3.5)."""
    try:
        answer = server.poll(device)
    except SourceUnreachable:
        return None, min(interval * 2, _LONGEST_INTERVAL)
    return (None, interval + answer) if isinstance(answer, int) else (answer, interval)


def _too_late(seconds: float) -> AuthenticationFailed:
    span = f"{seconds / 60:.0f} minutes" if seconds >= _SHORT else f"{seconds:.0f} seconds"
    return AuthenticationFailed(f"nobody logged in within {span}", hint="run the same command again")
