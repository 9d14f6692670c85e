"""What a server refuses is found, and nothing else is lost by it."""

from collections.abc import Iterator, Sequence

from mailarchive.errors import FetchRefused
from mailarchive.model import RemoteUid
from mailarchive.ops.halving import in_halves


class Server:
    """Answers until it comes to one that it refuses; what is ``silent`` is left out."""

    def __init__(self, refused: set[int], silent: frozenset[int] = frozenset()) -> None:
        self.commands = 0
        self._refused = refused
        self._silent = silent

    def ask(self, uids: Sequence[int]) -> Iterator[tuple[RemoteUid, int]]:
        self.commands += 1
        for uid in uids:
            if uid in self._refused:
                raise FetchRefused(f"no {uid}")
            if uid not in self._silent:
                yield uid, -uid


def test_only_what_is_refused_is_not_answered() -> None:
    server = Server({3, 400})
    found, refused = in_halves(range(1, 501), server.ask)
    assert found == {uid: -uid for uid in range(1, 501) if uid not in {3, 400}}
    assert refused == {3: "no 3", 400: "no 400"}
    assert server.commands < 40


def test_one_command_where_nothing_is_refused_and_none_for_nothing() -> None:
    server = Server(set(), frozenset({2}))
    assert in_halves([1, 2, 3], server.ask) == ({1: -1, 3: -3}, {})
    assert server.commands == 1
    assert in_halves([], server.ask) == ({}, {})
    assert server.commands == 1


def test_a_server_that_refuses_everything_is_not_asked_for_ever() -> None:
    server = Server(set(range(10_000)))
    found, refused = in_halves(range(5_000), server.ask)
    assert not found
    assert len(refused) == 5_000
    assert server.commands < 100
