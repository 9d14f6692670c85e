"""The way back from a browser: whoever else comes is not taken for it, and nobody can hold it up."""

import os
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mailarchive.errors import ProtocolViolation, UsageError
from mailarchive.remote.https import post
from mailarchive.remote.redirect import Redirect

LANDING = "/?code=1&state=right"


def is_right(url: str) -> bool:
    return "state=right" in url


def get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def wait(redirect: Redirect, pasted: int | None = None) -> tuple[threading.Thread, list[str | None]]:
    found: list[str | None] = []
    thread = threading.Thread(target=lambda: found.append(redirect.wait(is_right, 20, pasted)))
    thread.start()
    return thread, found


@pytest.mark.parametrize(
    ("url", "begin"), [("http://127.0.0.1", "http://127.0.0.1:"), ("http://localhost/back", "http://localhost:")]
)
def test_a_free_port_is_taken_and_the_browser_is_thanked(url: str, begin: str) -> None:
    with Redirect(url) as redirect:
        assert redirect.url.startswith(begin)
        thread, found = wait(redirect)
        place = redirect.url.replace("localhost", "127.0.0.1").removesuffix("/back")
        assert get(f"{place}/?state=wrong")[0] == 404
        assert get(f"{place}/favicon.ico")[0] == 404
        status, page = get(place + LANDING)
        thread.join(20)
    assert (status, found) == (200, [f"http://localhost{LANDING}"])
    assert b"You may close this window" in page
    assert b"state" not in page


def test_a_refusal_is_said_in_the_browser_too() -> None:
    with Redirect("http://127.0.0.1") as redirect:
        thread, _found = wait(redirect)
        assert b"was refused" in get(f"{redirect.url}/?error=access_denied&state=right")[1]
        thread.join(20)


def test_who_connects_and_says_nothing_holds_nobody_up() -> None:
    with Redirect("http://127.0.0.1") as redirect:
        port = int(redirect.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)) as odd:
            odd.sendall(b"\x16\x03\x01 no http\r\n\r\n")
            thread, found = wait(redirect)
            assert get(redirect.url + LANDING)[0] == 200
            thread.join(20)
    assert found[0]


def test_a_line_may_be_pasted_in_pieces_and_the_end_of_input_is_not_the_end() -> None:
    reading, writing = os.pipe()
    with Redirect("http://127.0.0.1") as redirect:
        thread, found = wait(redirect, reading)
        os.write(writing, b"nonsense\nhttp://127.0.0.1:1/?code=1&sta")
        os.write(writing, b"te=right")
        os.close(writing)
        thread.join(20)
    os.close(reading)
    assert found == ["http://127.0.0.1:1/?code=1&state=right"]
    with Path(os.devnull).open("rb") as nothing, Redirect("http://127.0.0.1") as redirect:
        thread, found = wait(redirect, nothing.fileno())
        get(redirect.url + LANDING)
        thread.join(20)
    assert found[0]


def test_a_port_of_its_own_is_used_and_one_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} of this machine cannot be listened on"):
            Redirect(f"http://127.0.0.1:{port}")
    with Redirect(f"http://127.0.0.1:{port}") as redirect:
        assert redirect.url == f"http://127.0.0.1:{port}"


def test_no_secret_goes_out_without_tls() -> None:
    with pytest.raises(ProtocolViolation, match="without TLS"):
        post("http://127.0.0.1:1/token", "secret")
