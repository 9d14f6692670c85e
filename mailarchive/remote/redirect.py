"""Waits for the browser to be led back to this machine, or for its last URL to be pasted."""

import os
import select
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit, urlunsplit

from mailarchive.errors import UsageError

Accept = Callable[[str], bool]
_LONGEST_LINE = 64 << 10
_PAGE = b"<!DOCTYPE html><meta charset=utf-8><title>mailarchive</title><p>%s"
_DONE = _PAGE % b"mailarchive: this is done. You may close this window."
_REFUSED = _PAGE % b"mailarchive: the log-in was refused. You may close this window."
_OTHER = _PAGE % b"mailarchive: this does not belong to the log-in that is going on."


class Redirect:
    """Listens on 127.0.0.1 while the context lasts; ``url`` is where the browser is to be led to."""

    def __init__(self, url: str) -> None:
        """Listen. Raises UsageError if the port that ``url`` names is taken."""
        parts = urlsplit(url)
        try:
            self._server = _Server(("127.0.0.1", parts.port or 0), _Handler)
        except OSError as error:
            raise UsageError(f"port {parts.port} of this machine cannot be listened on: {error.strerror}") from None
        place = f"{parts.hostname}:{self._server.server_port}"
        self.url = urlunsplit(("http", place, parts.path, "", ""))
        self._ready, self._server.ready = os.pipe()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        with self._server.lock:
            os.close(self._ready)
            os.close(self._server.ready)
            self._server.ready = -1

    def wait(
        self, accept: Accept, seconds: float, pasted: int | None = None, on_other: Callable[[], None] = lambda: None
    ) -> str | None:
        """Return the URL that came, to the listener or as a line of the descriptor ``pasted``; None if none did.

        What ``accept`` does not take is passed over, as anybody on this machine may come; ``on_other`` is called for
        a line of that kind.
        """
        self._server.accept = accept
        end = time.monotonic() + seconds
        held = b""
        while (left := end - time.monotonic()) > 0:
            watched = [self._ready, *([] if pasted is None else [pasted])]
            ready, _, _ = select.select(watched, [], [], left)
            if self._ready in ready:
                return self._server.come
            if pasted in ready and pasted is not None:
                octets = os.read(pasted, _LONGEST_LINE)
                pasted = pasted if octets else None
                *lines, held = (held + octets).split(b"\n")
                lines, held = ([held], b"") if not octets or len(held) > _LONGEST_LINE else (lines, held)
                for line in (line.decode("ascii", "replace").strip() for line in lines):
                    if line and accept(line):
                        return line
                    if line:
                        on_other()
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    come = ""
    ready = -1

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.accept: Accept = lambda _url: False
        self.lock = threading.Lock()
        super().__init__(address, handler)

    def take(self, url: str) -> None:
        """Keep the first URL, and wake who waits for it."""
        with self.lock:
            if self.ready >= 0 and not self.come:
                self.come = url
                os.write(self.ready, b".")

    def handle_error(self, *_: object) -> None:
        """Say nothing of a browser that hangs up."""


class _Handler(BaseHTTPRequestHandler):
    timeout = 10
    server: _Server

    def do_GET(self) -> None:
        url = f"http://localhost{self.path}"
        if not self.server.accept(url):
            self._answer(404, _OTHER)
            return
        self._answer(200, _REFUSED if "error" in parse_qs(urlsplit(url).query) else _DONE)
        self.server.take(url)

    def _answer(self, status: int, page: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Say nothing: what comes holds a code."""
