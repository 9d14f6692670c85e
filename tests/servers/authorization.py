"""An authorization server on loopback: RFC 6749, proof keys (7636), device codes (8628), introspection (7662)."""

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.servers.certificates import Certificate

CLIENT, SECRET = "our-client", "our-client-secret"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
Form = dict[str, str]
Answer = tuple[int, dict[str, object]]


class Wrong(Exception):
    """The request is refused with this error code."""


@dataclass
class Issued:
    """An access token."""

    user: str
    scope: str
    end: float


@dataclass
class AuthorizationServer:
    """Its HTTPS side is for clients, its HTTP side for resource servers; runs while the context lasts.

    Whoever comes to authorize is ``user`` and says yes, unless ``denies``. ``lifetime`` is that of access tokens in
    seconds, ``told`` that which is said if it is another. ``rotates``: each refresh token is good once. ``pending`` has
    what the next polls for a device code are answered. ``answers`` has whole answers to the next token requests.
    """

    certificate: Certificate
    user: str = "user"
    lifetime: float = 3600
    told: dict[str, object] = field(default_factory=dict)
    rotates: bool = True
    denies: bool = False
    gives_refresh: bool = True
    granted: str | None = None
    """The scopes that are granted, if not those that are asked for."""
    pending: list[str] = field(default_factory=list)
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    interval: int = 1
    activation: str = ""
    """Where a device code is typed, if not at the usual place."""

    def __post_init__(self) -> None:
        self.tokens: dict[str, Issued] = {}
        self.refreshable: dict[str, tuple[str, str]] = {}
        """User and scope of each refresh token that is good."""
        self.counts: Counter[str] = Counter()
        self.forms: list[Form] = []
        """What the token endpoint was sent."""
        self.authorizations: list[Form] = []
        self.lock = threading.Lock()
        self._codes: dict[str, Form] = {}
        self._devices: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._public = self._listen(self.certificate.server_context())
        self._inner = self._listen(None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in (self._public, self._inner):
            server.shutdown()
            server.server_close()

    def _listen(self, context: ssl.SSLContext | None) -> "_Server":
        server = _Server(("127.0.0.1", 0), _Handler)
        server.own = self
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._public.server_port}"

    @property
    def introspection_url(self) -> str:
        return f"http://127.0.0.1:{self._inner.server_port}/introspect"

    def configuration(self, provider: str = "local", *, device: bool = False, more: str = "") -> str:
        """Return the table that a configuration has of it."""
        lines = [
            f"[oauth.{provider}]",
            f'client_id = "{CLIENT}"',
            f'authorization_url = "{self.url}/authorize"',
            f'token_url = "{self.url}/token"',
            f'ca_file = "{self.certificate.ca}"',
            'scopes = ["mail", "offline_access"]',
            'client_secret.environment = "CLIENT_SECRET"',
            *([f'device_url = "{self.url}/device"'] if device else []),
            more,
        ]
        return "\n".join(lines) + "\n"

    def revoke(self) -> None:
        """Take back everything: as when the user changes the password."""
        with self.lock:
            self.tokens.clear()
            self.refreshable.clear()

    # -- what is asked -------------------------------------------------------------------------------------------------

    def authorize(self, query: Form) -> str:
        """Return where the browser is led to (RFC 6749 section 4.1.2)."""
        assert (query["response_type"], query["client_id"]) == ("code", CLIENT)
        assert query["code_challenge_method"] == "S256"
        self.authorizations.append(query)
        answer = {"error": "access_denied", "error_description": "the user said no"}
        if not self.denies:
            code = secrets.token_urlsafe()
            self._codes[code] = query
            answer = {"code": code}
        return f"{query['redirect_uri']}?{urlencode({**answer, 'state': query['state']})}"

    def token(self, form: Form) -> Answer:
        """Answer at the token endpoint (RFC 6749 sections 4.1.3 and 6, RFC 8628 section 3.4)."""
        self.forms.append(form)
        self.counts[form.get("grant_type", "")] += 1
        try:
            user, scope = self._granted(form)
        except Wrong as error:
            return 400, {"error": str(error), "error_description": "no\nTrace ID: 1"}
        return 200, self._issued(user, scope, form.get("refresh_token"))

    def _granted(self, form: Form) -> tuple[str, str]:
        """Return for whom and what a grant is good."""
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            raise Wrong("invalid_client")
        match form["grant_type"]:
            case "authorization_code":
                query = self._codes.pop(form["code"], None)
                proof = hashlib.sha256(form["code_verifier"].encode()).digest()
                challenge = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
                asked = query and (query["redirect_uri"], query["code_challenge"])
                if query is None or asked != (form["redirect_uri"], challenge):
                    raise Wrong("invalid_grant")
                return self.user, query["scope"]
            case "refresh_token":
                found = self.refreshable.get(form["refresh_token"])
                if found is None:
                    raise Wrong("invalid_grant")
                return found
            case grant if grant == DEVICE_GRANT:
                if self.pending:
                    raise Wrong(self.pending.pop(0))
                return self.user, self._devices.pop(form["device_code"])
        raise Wrong("unsupported_grant_type")

    def _issued(self, user: str, scope: str, used: str | None) -> dict[str, object]:
        access, refresh = secrets.token_urlsafe(200), used
        self.tokens[access] = Issued(user, scope, time.time() + self.lifetime)
        if self.rotates or used is None:
            self.refreshable.pop(used or "", None)
            refresh = secrets.token_urlsafe(100)
            self.refreshable[refresh] = user, scope
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": self.lifetime, "scope": scope}
        if self.granted is not None:
            answer["scope"] = self.granted
        if self.gives_refresh and refresh != used:
            answer["refresh_token"] = refresh
        return {**answer, **self.told}

    def device(self, form: Form) -> Answer:
        """Begin a login with a device code (RFC 8628 section 3.2)."""
        if form.get("client_id") != CLIENT:
            return 400, {"error": "invalid_client"}
        code = secrets.token_urlsafe()
        self._devices[code] = form["scope"]
        return 200, {
            "device_code": code,
            "user_code": "WDJB-MJHT",
            "verification_uri": self.activation or f"{self.url}/activate",
            "expires_in": 600,
            "interval": self.interval,
        }

    def introspect(self, form: Form) -> Answer:
        """Tell a resource server what a token is worth (RFC 7662)."""
        self.counts["introspection"] += 1
        found = self.tokens.get(form.get("token", ""))
        if found is None or found.end <= time.time():
            return 200, {"active": False}
        return 200, {"active": True, "username": found.user, "scope": found.scope, "exp": int(found.end)}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    own: AuthorizationServer

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    timeout = 10
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.send_response(302 if parts.path == "/authorize" else 404)
        if parts.path == "/authorize":
            self.send_header("Location", self.server.own.authorize(_form(parts.query)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        own = self.server.own
        form = _form(self.rfile.read(int(self.headers["Content-Length"])).decode())
        with own.lock:
            path = urlsplit(self.path).path
            status, octets = 404, b"{}"
            if path == "/token" and own.answers:
                own.counts["token"] += 1
                status, octets = own.answers.pop(0)
            elif answer := {"/token": own.token, "/device": own.device, "/introspect": own.introspect}.get(path):
                status, said = answer(form)
                octets = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _form(text: str) -> Form:
    return {key: values[0] for key, values in parse_qs(text).items()}
