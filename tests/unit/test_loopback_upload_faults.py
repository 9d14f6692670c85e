"""Each fault of an upload does what it says, seen by a client of bare IMAP."""

from collections.abc import Iterator

import pytest

from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from tests.servers.faulty import faulty
from tests.servers.faulty_uploads import AnswerInstead, CutAtOctets, CutUpload, CutWhenDone
from tests.servers.raw import RawClient

MAIL = b"Subject: one\r\n\r\nfirst\r\n"


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(LoopbackAccount()) as server:
        yield server


def held(server: LoopbackServer) -> int:
    return len(server.account.messages("INBOX"))


def append(server: LoopbackServer, octets: bytes = MAIL) -> str:
    with RawClient(server) as client:
        return client.append("INBOX", octets)


def test_the_line_is_cut_in_a_literal(server: LoopbackServer) -> None:
    with faulty(server, CutUpload(after=5)):
        assert append(server) == "cut"
        assert (held(server), server.counts.append_octets) == (0, 5)
        assert append(server).startswith("OK")


def test_the_line_is_cut_when_the_message_is_in(server: LoopbackServer) -> None:
    with faulty(server, CutWhenDone(skip=1)):
        assert append(server).startswith("OK")
        assert append(server) == "cut"
        assert held(server) == 2


def test_the_line_is_cut_when_the_messages_are_copied(server: LoopbackServer) -> None:
    append(server)
    with faulty(server, CutWhenDone(name="UID COPY")), RawClient(server) as client:
        client.run("SELECT INBOX")
        assert client.run("UID COPY 1 INBOX")[-1] == "cut"
        assert held(server) == 2


def test_an_append_is_answered_otherwise(server: LoopbackServer) -> None:
    with faulty(server, AnswerInstead(line="BAD Command Error. 10", skip=1)):
        assert append(server).startswith("OK")
        assert append(server) == "BAD Command Error. 10"
        assert append(server).startswith("OK")
        assert held(server) == 2


def test_the_line_is_cut_whenever_some_octets_come(server: LoopbackServer) -> None:
    with faulty(server, CutAtOctets(octets=b"first")):
        assert [append(server), append(server), append(server, b"Subject: x\r\n")[:2]] == ["cut", "cut", "OK"]
        assert held(server) == 1
