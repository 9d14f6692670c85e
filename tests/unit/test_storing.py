import io
import threading
from collections.abc import Sequence
from functools import partial

import pytest

from mailarchive.errors import StorageFailed
from mailarchive.mail.body import MemoryBody, SpooledBody
from mailarchive.model import Body, Fetched, MessageFacts
from mailarchive.ops.fetching import NotFetched
from mailarchive.ops.storing import AHEAD, Answer, Storing, came


class Slow:
    """Stores what it may."""

    def __init__(self, broken_at: int | None = None) -> None:
        self.stored: list[list[object]] = []
        self.threads: set[threading.Thread] = set()
        self.may = threading.Semaphore(1)
        self.began = threading.Event()
        self._broken_at = broken_at

    def __call__(self, answers: Sequence[Answer]) -> None:
        self.began.set()
        self.may.acquire()
        self.threads.add(threading.current_thread())
        uids: list[object] = [item.uid for item, _ in answers]
        if self._broken_at in uids:
            raise StorageFailed("the disk is full")
        self.stored.append(uids)

    def keep_busy(self, storing: Storing) -> None:
        """Have message 1 stored, and the thread of ``storing`` begin with message 2."""
        storing.put(message(1), ahead=True)
        self.began.clear()
        storing.put(message(2), ahead=True)
        self.began.wait()


def message(uid: int, size: int = 1, body: Body | None = None) -> list[Answer]:
    return [(came(Fetched(uid, body or MemoryBody(b"x" * size))), MessageFacts(uid))]


def test_what_comes_meanwhile_is_stored_together() -> None:
    slow = Slow()
    with Storing(slow) as storing:
        slow.keep_busy(storing)
        storing.put(message(3), ahead=True)
        storing.put([(NotFetched(4, "refused"), MessageFacts(4))], ahead=True)
        slow.may.release(2)
    assert slow.stored == [[1], [2], [3, 4]]


def test_a_mailbox_of_few_messages_costs_no_thread() -> None:
    slow = Slow()
    with Storing(slow) as storing:
        storing.put(message(1), ahead=True)
    assert slow.threads == {threading.current_thread()}


def test_no_more_than_some_octets_wait() -> None:
    slow = Slow()
    with Storing(slow) as storing:
        slow.keep_busy(storing)
        full = threading.Thread(target=storing.put, args=(message(3, AHEAD + 1),), kwargs={"ahead": True})
        full.start()
        full.join(0.1)
        assert full.is_alive()
        slow.may.release(2)
        full.join(20)
        assert not full.is_alive()
    assert slow.stored == [[1], [2], [3]]


def test_what_is_not_in_memory_is_stored_before_more_comes() -> None:
    class Spooled:
        size = 1
        close = MemoryBody(b"").close
        chunks = MemoryBody(b"").chunks

    slow = Slow()
    slow.may.release(10)
    with Storing(slow) as storing:
        storing.put(message(1), ahead=True)
        storing.put(message(2), ahead=True)
        storing.put(message(3, body=Spooled()), ahead=True)
        assert slow.stored == [[1], [2], [3]]
        storing.put(message(4), ahead=True)
        storing.wait()
        assert slow.stored[-1] == [4]


def test_a_failure_is_raised_to_who_fetches_and_nothing_more_is_stored() -> None:
    slow = Slow(broken_at=2)
    slow.may.release(10)
    storing = Storing(slow)
    storing.put(message(1), ahead=True)
    storing.put(message(2), ahead=True)
    for call in (storing.wait, partial(storing.put, message(3), ahead=True), partial(storing.__exit__)):
        with pytest.raises(StorageFailed, match="disk is full"):
            call()
    assert slow.stored == [[1]]


def test_what_is_not_stored_after_a_failure_is_closed() -> None:
    slow = Slow(broken_at=2)
    slow.may.release(10)
    storing = Storing(slow)
    storing.put(message(1), ahead=True)
    storing.put(message(2), ahead=True)
    file = io.BytesIO(b"large")
    with pytest.raises(StorageFailed):
        storing.put(message(3, body=SpooledBody(file, 5)), ahead=True)
    assert file.closed


def test_who_waits_for_room_is_told_of_a_failure() -> None:
    slow = Slow(broken_at=2)
    storing = Storing(slow)
    storing.put(message(1), ahead=True)
    storing.put(message(2), ahead=True)
    threading.Timer(0.05, slow.may.release).start()
    with pytest.raises(StorageFailed):
        storing.put(message(3, AHEAD + 1), ahead=True)
    assert slow.stored == [[1]]


def test_what_is_not_ahead_is_stored_at_once_after_what_is() -> None:
    slow = Slow()
    slow.may.release(10)
    with Storing(slow) as storing:
        storing.put(message(1), ahead=False)
        storing.put(message(2), ahead=True)
        storing.put(message(3), ahead=False)
        assert [uid for uids in slow.stored for uid in uids] == [1, 2, 3]
