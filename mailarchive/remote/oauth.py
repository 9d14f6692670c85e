"""Gets tokens from an authorization server (RFC 6749), with a proof key (RFC 7636) or a device code (RFC 8628)."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from oauthlib.common import generate_token
from oauthlib.oauth2 import DeviceClient, OAuth2Error, WebApplicationClient
from oauthlib.oauth2.rfc6749.errors import MismatchingStateError

from mailarchive.configuration import OAuth
from mailarchive.errors import AuthenticationFailed, ProtocolViolation, SourceUnreachable, TokenDenied
from mailarchive.remote import https
from mailarchive.remote.words import printable

_TOKEN = re.compile(r"[\x21-\x7e]+")
_TRACES = re.compile(r"\r?\n|\s+Trace ID:")
_LONGEST_LIFE = 10 * 366 * 86400
_VERIFIER_LENGTH = 64
_DEVICE_SECONDS, _DEVICE_INTERVAL = 900, 5
_PATIENCE = frozenset({"temporarily_unavailable", "server_error"})
_CLIENT_HINT = (
    "check client_id and client_secret in the configuration; at Microsoft the app must be a public client "
    "('Allow public client flows'), at Google it must be of the type 'Desktop app', with its secret"
)
_NO_HINT = "somebody said no: you, or who manages the accounts of your organization and has to allow the app"
_HINTS = {
    "invalid_client": _CLIENT_HINT,
    "unauthorized_client": _CLIENT_HINT,
    "invalid_request": _CLIENT_HINT,
    "access_denied": _NO_HINT,
    "authorization_declined": _NO_HINT,
    "invalid_scope": "the app has no right to these scopes; the README says which ones to give it",
    "expired_token": "it took too long; run the same command again",
}


class Grant(NamedTuple):
    """Tokens as they come. ``refresh`` is empty if there is no new one; what is None is not told."""

    access: str
    refresh: str
    seconds: int | None
    refresh_seconds: int | None
    scopes: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return "Grant(...)"


class Request(NamedTuple):
    """A request for authorization that a browser is sent with, and what is needed to go on from its answer."""

    url: str
    redirect_url: str
    state: str
    verifier: str

    def is_answered_by(self, url: str) -> bool:
        """Return whether ``url`` is where the browser was led to because of this request, and no other."""
        try:
            urlsplit(url)
            WebApplicationClient("").parse_request_uri_response(_as_if_secure(url), state=self.state)
        except (MismatchingStateError, ValueError):
            return False
        except OAuth2Error:
            return True
        return True


class DeviceCode(NamedTuple):
    """What a user types where, and what is asked for meanwhile, every ``interval`` seconds."""

    code: str
    user_code: str
    url: str
    complete_url: str
    seconds: int
    interval: int


class AuthorizationServer:
    """One, and our client there. Methods raise TokenDenied, SourceUnreachable, TlsFailed, ProtocolViolation."""

    def __init__(self, oauth: OAuth, secret: str = "") -> None:
        self._oauth = oauth
        self._secret = secret or None
        self._client = WebApplicationClient(oauth.client_id)

    def request(self, redirect_url: str, user: str) -> Request:
        """Return a new request for authorization."""
        verifier = self._client.create_code_verifier(_VERIFIER_LENGTH)
        state = generate_token(32)
        url = self._client.prepare_request_uri(
            self._oauth.authorization_url,
            redirect_uri=redirect_url,
            scope=list(self._oauth.scopes),
            state=state,
            code_challenge=self._client.create_code_challenge(verifier, "S256"),
            code_challenge_method="S256",
            login_hint=user,
            **dict(self._oauth.parameters),
        )
        return Request(url, redirect_url, state, verifier)

    def redeem(self, request: Request, answer_url: str) -> Grant:
        """Return the tokens for what the browser brought. Raises AuthenticationFailed if that is a refusal."""
        try:
            told = self._client.parse_request_uri_response(_as_if_secure(answer_url), state=request.state)
        except MismatchingStateError:
            raise AuthenticationFailed("this is the answer to another log-in", hint="log in again") from None
        except OAuth2Error as error:
            raise self._denied(error) from None
        form = self._client.prepare_request_body(
            code=told["code"],
            redirect_uri=request.redirect_url,
            code_verifier=request.verifier,
            client_secret=self._secret,
        )
        return self._grant(form)

    def refresh(self, refresh_token: str) -> Grant:
        """Return new tokens for a refresh token (RFC 6749 section 6)."""
        form = self._client.prepare_refresh_body(
            refresh_token=refresh_token,
            client_id=self._oauth.client_id,
            include_client_id=True,
            client_secret=self._secret,
        )
        return self._grant(form)

    def device_code(self) -> DeviceCode:
        """Return a code for the user to type somewhere else (RFC 8628 section 3.2)."""
        form = urlencode({"client_id": self._oauth.client_id, "scope": " ".join(self._oauth.scopes)})
        told = self._ask(self._oauth.device_url, form)
        if "error" in told:
            raise self._denied(OAuth2Error(_text(told, "error_description")), _text(told, "error"))
        code, user_code = _text(told, "device_code"), _text(told, "user_code")
        url = _text(told, "verification_uri") or _text(told, "verification_url")
        if not (code and user_code and _is_of_the_web(url)):
            raise ProtocolViolation(f"{self._peer} gave no device code")
        seconds = _seconds(told.get("expires_in")) or _DEVICE_SECONDS
        interval = _seconds(told.get("interval")) or _DEVICE_INTERVAL
        complete = _text(told, "verification_uri_complete")
        return DeviceCode(code, user_code, url, complete if _is_of_the_web(complete) else "", seconds, interval)

    def poll(self, device: DeviceCode) -> Grant | int:
        """Return the tokens, or how many seconds more to leave between questions if the user is not done."""
        client = DeviceClient(self._oauth.client_id)
        form = client.prepare_request_body(device.code, include_client_id=True, client_secret=self._secret)
        try:
            return self._grant(form)
        except TokenDenied as error:
            if error.code not in {"authorization_pending", "slow_down"}:
                raise
            return 5 if error.code == "slow_down" else 0

    @property
    def _peer(self) -> str:
        return urlsplit(self._oauth.token_url).netloc

    def _grant(self, form: str) -> Grant:
        told = self._ask(self._oauth.token_url, form)
        try:
            token = self._client.parse_request_body_response(json.dumps(told))
        except OAuth2Error as error:
            raise self._denied(error) from None
        except (ArithmeticError, AttributeError, TypeError, ValueError):
            raise ProtocolViolation(f"{self._peer} gave a token in a form that nobody knows") from None
        access, refresh = _text(token, "access_token"), _text(token, "refresh_token")
        kind = str(token.get("token_type", "bearer")).lower()
        if not _TOKEN.fullmatch(access) or (refresh and not _TOKEN.fullmatch(refresh)) or kind != "bearer":
            raise ProtocolViolation(f"{self._peer} gave a token that is none to log in with")
        scopes = tuple(_text(told, "scope").split()) or None
        return Grant(
            access, refresh, _seconds(told.get("expires_in")), _seconds(told.get("refresh_token_expires_in")), scopes
        )

    def _ask(self, url: str, form: str) -> Mapping[str, Any]:
        """Return the JSON object of an answer, which may be an error."""
        answer = https.post(url, form, self._oauth.ca_file)
        try:
            told = json.loads(answer.octets)
        except (ValueError, RecursionError):
            told = None
        code = _text(told, "error") if isinstance(told, dict) else ""
        if answer.status == 429 or answer.status >= 500 or code in _PATIENCE:
            raise SourceUnreachable(f"{urlsplit(url).netloc} gives no tokens for now (HTTP status {answer.status})")
        if not isinstance(told, dict) or (answer.status != 200 and "error" not in told):
            raise ProtocolViolation(
                f"{urlsplit(url).netloc} answered with HTTP status {answer.status} and nothing that says why",
                hint="check token_url and device_url in the configuration",
            )
        return told

    def _denied(self, error: OAuth2Error, code: str = "") -> TokenDenied:
        """Return the error for what the server says (RFC 6749 section 5.2), in its words without its numbers."""
        code = code or str(error.error)
        words = printable(_TRACES.split(str(error.description or ""))[0])
        told = printable(code, 60) + (f": {words}" if words else "")
        return TokenDenied(f"{self._peer} gives no token: {told}", hint=_HINTS.get(code, ""), code=code)


def _as_if_secure(url: str) -> str:
    """Return the URL as the library wants it: the way back to this machine itself has no TLS (RFC 8252 section 7.3)."""
    return f"https://localhost/?{urlsplit(url).query}"


def _is_of_the_web(url: str) -> bool:
    """Return whether a user may be told to open ``url``, which a server named."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"https", "http"} and bool(parts.hostname) and url.isprintable()


def _text(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    return value if isinstance(value, str) else ""


def _seconds(value: object) -> int | None:
    """Return a span of time as servers tell it: some as text."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:12])
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LONGEST_LIFE:
        return None
    return int(value) or None
