"""A real process that is killed or stopped in the middle of a pull: what is in the journal is never asked for again."""

import itertools
import random
import threading
from pathlib import Path

import pytest

from mailarchive.clock import Stop
from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops.pull import PullOptions
from tests.fault.archives import Journal, no_damage
from tests.fault.deaths import server as processes
from tests.fault.pacing import OneAtATime
from tests.fault.scripts import pull_over_imap, pull_over_pop3
from tests.integration.maildrops import Maildrop, letter
from tests.integration.sites import Site, filled, mail
from tests.servers.faulty import faulty
from tests.servers.scripted_pop3 import Pop3Server

KILLS = 25
DEATHS, MANY = 100, 1000


@pytest.mark.parametrize("connections", [1, 2])
def test_each_body_is_sent_once_but_those_in_flight_at_a_kill(tmp_path: Path, connections: int) -> None:
    with LoopbackServer(filled(500)) as server:
        site = Site(server, tmp_path / "archive")
        fault = OneAtATime(site.root)
        with faulty(server, fault):
            for kill, part in zip(range(KILLS), itertools.cycle((0, 100, None, 10_000)), strict=False):
                fault.arm(1 + kill * 7 % 20, part)
                process = processes().Process(target=pull_over_imap, args=(server.port, site.root, connections))
                process.start()
                assert fault.reached.wait(60)
                process.kill()
                process.join(60)
                fault.recorded = {(mailbox, uid) for mailbox, _validity, uid in Journal.of(site.root).placed()}
                fault.go_on.set()
                if kill % 5 == 0:
                    no_damage(site.root)
        assert len(fault.recorded) > 5 * KILLS
        assert fault.again == []
        assert sum(fault.sent.values()) - len(fault.sent) <= KILLS * connections
        server.counts.clear()
        assert site.pull(PullOptions(connections=connections)).status == "complete"
        assert not fault.recorded & server.counts.body_fetches.keys()
        site.fetched_once()
        site.is_whole()


@pytest.mark.no_cover
def test_a_hundred_deaths_at_random_moments_cost_only_what_was_in_flight(tmp_path: Path) -> None:
    chance = random.Random(7)
    in_flight = 0
    account = LoopbackAccount()
    for number in range(MANY):
        if number % 100 == 0:
            account.create(f"box {number // 100}")
        account.append(f"box {number // 100}", mail(number))
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        fault = OneAtATime(site.root)
        with faulty(server, fault):
            for _death in range(DEATHS):
                connections = chance.choice((1, 1, 2))
                fault.arm(chance.randint(1, 12), chance.choice((None, None, 0, chance.randrange(400))))
                process = processes().Process(target=pull_over_imap, args=(server.port, site.root, connections))
                process.start()
                assert fault.reached.wait(60)
                threading.Event().wait(chance.random() * 0.004)
                process.kill()
                process.join(60)
                in_flight += connections
                fault.recorded = {(mailbox, uid) for mailbox, _validity, uid in Journal.of(site.root).placed()}
                fault.go_on.set()
        no_damage(site.root)
        assert DEATHS < len(fault.recorded) < MANY
        assert fault.again == []
        assert sum(fault.sent.values()) - len(fault.sent) <= in_flight
        server.counts.clear()
        assert site.pull().status == "complete"
        assert not fault.recorded & server.counts.body_fetches.keys()
        site.fetched_once()
        site.is_whole()


@pytest.mark.parametrize("connections", [1, 2])
def test_a_run_that_is_asked_to_stop_keeps_what_came(tmp_path: Path, connections: int) -> None:
    options = PullOptions(connections=connections)
    with LoopbackServer(filled(200)) as server:
        site = Site(server, tmp_path / "archive")
        fault, stop = OneAtATime(site.root), Stop()
        fault.arm(30, None)

        def stop_when_reached() -> None:
            fault.reached.wait(60)
            stop.set()
            fault.go_on.set()

        helper = threading.Thread(target=stop_when_reached)
        helper.start()
        with faulty(server, fault):
            report = site.pull(options, stop=stop)
        helper.join()
        assert (report.status, report.exit_code) == ("partial", 3)
        assert report.accounts[0].downloaded_messages >= 30 - connections
        again = site.pull(options)
        assert again.status == "complete"
        assert again.accounts[0].downloaded_messages + report.accounts[0].downloaded_messages == 205
        site.is_whole()


def test_a_killed_pull_of_a_maildrop_costs_the_message_on_its_way(tmp_path: Path) -> None:
    reached, go_on = threading.Event(), threading.Event()
    with Pop3Server(capabilities=None) as server:
        drop = Maildrop(server, tmp_path / "archive")
        server.deliver(*map(letter, range(60)))
        for kill in range(1, 6):

            def pause(sent: int, at: int = 10 * kill) -> None:
                if sent == at:
                    reached.set()
                    go_on.wait(60)

            server.before_retr = pause
            process = processes().Process(target=pull_over_pop3, args=(server.port, drop.root))
            process.start()
            assert reached.wait(60)
            process.kill()
            process.join(60)
            reached.clear()
            go_on.set()
            while not server.is_free:
                threading.Event().wait(0.001)
            go_on.clear()
        server.before_retr = lambda _sent: None
        drop.inbox()
        drop.is_whole()
        assert sum(server.retrieved.values()) <= 60 + 5
        assert max(server.retrieved.values()) <= 2
