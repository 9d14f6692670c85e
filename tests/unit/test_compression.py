"""When compression pays: mail that is waited for, at a rate that the network sets, and not its round trips."""

import pytest

from mailarchive.remote.compression import SLOW, Compression, Throughput
from tests.servers.still_clock import StillClock

MB = 1_000_000


def measured(*reads: tuple[int, float], mail: bool = True) -> Throughput:
    """Return what one command's answer, in reads of (octets, seconds), gives."""
    throughput = Throughput(StillClock())
    ask(throughput, *reads, mail=mail)
    return throughput


def ask(throughput: Throughput, *reads: tuple[int, float], mail: bool = True, ahead: bool = False) -> None:
    throughput.asked(ahead=ahead)
    if mail:
        throughput.expect_mail()
    for octets, seconds in reads:
        throughput.came(octets, seconds)


def test_mail_that_comes_slowly_is_slow() -> None:
    assert measured((1, 0.1), (MB, 1.0), (MB, 1.0)).slow() == MB


def test_mail_that_comes_as_fast_as_a_server_compresses_is_not() -> None:
    assert measured((1, 0.1), (SLOW, 1.0), (SLOW, 1.0)).slow() is None
    assert measured((1, 0.1), *[(MB, 0.001)] * 500).slow() is None


def test_little_says_nothing() -> None:
    assert measured((1, 0.1), (1000, 30.0)).slow() is None
    assert measured((1, 0.1), (2 * MB, 0.9)).slow() is None


def test_what_is_not_mail_says_nothing() -> None:
    throughput = measured((1, 0.1), (MB, 1.0), (MB, 1.0), mail=False)
    assert throughput.slow() is None
    ask(throughput, (1, 0.1), (MB, 1.0))
    ask(throughput, (1, 0.1), (MB, 1.0), mail=False)
    assert throughput.slow() is None


def test_a_round_trip_is_no_slowness() -> None:
    throughput = Throughput(StillClock())
    for _ in range(1000):
        ask(throughput, (10_000, 0.5), (10_000, 0.0))
    assert throughput.slow() is None


def test_nor_is_it_when_the_next_question_was_sent_before_the_answer() -> None:
    throughput = measured((10_000, 0.5))
    for _ in range(1000):
        ask(throughput, (10_000, 0.0), (10_000, 0.3), (10_000, 0.2), (10_000, 0.0), ahead=True)
    assert throughput.slow() is None


def test_slowness_is_seen_between_the_round_trips() -> None:
    throughput = measured((10_000, 0.5))
    for _ in range(10):
        ask(throughput, (10_000, 0.5), (MB, 1.0), ahead=True)
    assert throughput.slow() == MB


def test_a_network_may_become_slow() -> None:
    throughput = measured((1, 0.1), (500 * MB, 5.0))
    assert throughput.slow() is None
    ask(throughput, (1, 0.1), (2 * MB, 2.0))
    assert throughput.slow() == MB


def test_what_one_connection_finds_out_holds_for_all() -> None:
    told: list[str] = []
    compression = Compression("auto", StillClock(), told.append)
    found = [compression.pays, compression.pays_for(measured())]
    found.append(compression.pays_for(measured((1, 0.1), (MB, 1.0), (MB, 1.0))))
    assert [*found, compression.pays, compression.pays_for(measured())] == [False, False, True, True, True]
    assert told == []
    compression.works()
    compression.works()
    assert told == ["the network is slow (1.0 MB/s): connections are compressed from now on"]


@pytest.mark.parametrize("wish", ["auto", "always"])
def test_what_was_refused_or_broken_is_not_wanted_any_more(wish: str) -> None:
    for find_out in (Compression.is_broken, lambda compression: compression.is_refused("no")):
        told: list[str] = []
        compression = Compression("auto" if wish == "auto" else "always", StillClock(), told.append)
        find_out(compression)
        find_out(compression)
        assert compression.is_out
        assert not compression.pays
        assert not compression.pays_for(measured((1, 0.1), (MB, 1.0), (MB, 1.0)))
        assert len(told) == 1


def test_wishes_are_heeded() -> None:
    assert Compression("always").pays
    never = Compression("never")
    assert never.is_out
    assert not never.pays_for(measured((1, 0.1), (MB, 1.0), (MB, 1.0)))


def test_it_is_said_when_the_server_cannot_do_what_is_always_wanted() -> None:
    told: list[str] = []
    for wish in ("auto", "always", "always"):
        Compression("auto" if wish == "auto" else "always", tell=told.append).is_missing()
    assert told == ["the server does not offer to compress connections"] * 2
