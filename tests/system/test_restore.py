"""``restore`` as a process against servers on loopback: what is there then, numbers, sentences, exit codes."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from tests.servers.faulty import Refuse, faulty
from tests.system.conftest import Program, Site

COUNTS = ("sent", "copied", "there", "known", "refused", "damaged", "left")


@pytest.fixture
def pulled(site: Site) -> Site:
    """The demo's mail, in an archive."""
    site.program("pull", site.url, "--quiet")
    return site


@pytest.fixture
def empty() -> Iterator[LoopbackServer]:
    """A server with an empty account of the same password."""
    with LoopbackServer(LoopbackAccount("new", "demo")) as server:
        yield server


def url_of(server: LoopbackServer) -> str:
    return f"imap://{server.account.user}@127.0.0.1:{server.port}"


def everything(account: LoopbackAccount) -> dict[str, Counter[object]]:
    """Return octets, date and flags of all messages by mailbox."""
    return {
        box.name: Counter((one.octets, one.internaldate, frozenset(one.flags)) for one in account.messages(box.raw))
        for box in account.mailboxes()
    }


def adds_up(report: dict[str, Any]) -> dict[str, Any]:
    for box in (report["totals"], *report["mailboxes"]):
        assert box["wanted"] == sum(box[name] for name in COUNTS)
    for name in ("wanted", *COUNTS, "sent_bytes"):
        assert report["totals"][name] == sum(box[name] for box in report["mailboxes"])
    return report


def restored(program: Program, server: LoopbackServer, *arguments: str, code: int = 0) -> dict[str, Any]:
    return adds_up(program.json("restore", url_of(server), *arguments, code=code))


def test_all_is_restored_and_the_second_time_nothing(pulled: Site, empty: LoopbackServer) -> None:
    messages, octets = pulled.account.total()
    report = restored(pulled.program, empty)
    assert (report["status"], report["exit_code"], report["warnings"], report["error"]) == ("complete", 0, [], "")
    assert report["target"] == url_of(empty).removeprefix("imap://")
    assert report["totals"]["wanted"] == report["totals"]["sent"] + report["totals"]["copied"] == messages
    assert 0 < report["totals"]["sent_bytes"] <= octets
    assert everything(empty.account) == everything(pulled.account)

    done = pulled.program("restore", url_of(empty))
    assert done.stdout.count("\n") == 1
    assert f": complete: 0 sent (0 B), {messages} restored before; 6 mailboxes; in " in done.stdout
    assert done.stderr == ""
    assert everything(empty.account) == everything(pulled.account)


def test_quiet_is_silent_and_verbose_names_the_mailboxes(pulled: Site, empty: LoopbackServer) -> None:
    done = pulled.program("restore", url_of(empty), "--quiet", "--mailbox", "Sent")
    assert (done.stdout, done.stderr) == ("", "")
    done = pulled.program("restore", url_of(empty), "--verbose", "--mailbox", "Sent", "--mailbox", "Trash")
    sent, trash = (len(pulled.account.messages(name)) for name in ("Sent", "Trash"))
    assert f"Sent: {sent} restored before\n" in done.stdout
    assert f"Trash: made; {trash} sent\n" in done.stdout


def test_a_part_is_restored_under_other_names(pulled: Site, empty: LoopbackServer) -> None:
    names = "--mailbox", "INBOX", "--mailbox", "Archive/2023", "--map", "Archive=Old", "--into", "Was"
    assert restored(pulled.program, empty, *names)["totals"]["left"] == 0
    assert {name for name, messages in everything(empty.account).items() if messages} == {"Was/INBOX", "Old/2023"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--mailbox", "Nowhere"), "nothing in the archive matches: no mailbox is to be restored"),
        (("--before", "1990-01-01"), "no message in the archive matches: nothing is restored"),
        (("--account", "you@elsewhere"), "the archive has no account you@elsewhere"),
        (("--at", "2001-02-03"), "the archive was not yet there at 2001-02-03"),
        (("--at", "soon"), "--at 'soon' is no date"),
        (("--map", "Sent"), "--map 'Sent' has no ="),
        (("--into", "/"), "--into '/' has an empty part"),
        (("--into", "a//b"), "--into 'a//b' has an empty part"),
        (("--into", ""), "--into names no mailbox"),
        (("--max-upload", "much"), "--max-upload 'much' is not a size"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_sent(
    pulled: Site, empty: LoopbackServer, arguments: tuple[str, ...], sentence: str
) -> None:
    before = everything(empty.account)
    assert sentence in pulled.program("restore", url_of(empty), *arguments, code=2).stderr
    value = pulled.program.json("restore", url_of(empty), *arguments, code=2)
    assert (value["status"], value["exit_code"]) == ("failed", 2)
    assert sentence in value["error"]
    assert everything(empty.account) == before


@pytest.mark.parametrize("url", ["pop3://me@127.0.0.1", "http://me@127.0.0.1", "127.0.0.1"])
def test_only_an_account_with_mailboxes_can_be_restored_to(pulled: Site, url: str) -> None:
    assert pulled.program("restore", url, code=2).stderr.startswith("mailarchive: ")


def test_a_wrong_password_is_12(pulled: Site, empty: LoopbackServer) -> None:
    wrong = Program(pulled.program.home, {"MAILARCHIVE_PASSWORD": "hunter2"})
    report = restored(wrong, empty, code=12)
    assert (report["status"], report["exit_code"]) == ("failed", 12)
    assert "hunter2" not in json.dumps(report)
    done = wrong("restore", url_of(empty), code=12)
    assert report["error"] in done.stderr
    assert not any(everything(empty.account).values())


def test_no_password_is_12(pulled: Site, empty: LoopbackServer) -> None:
    done = Program(pulled.program.home)("restore", url_of(empty), code=12)
    assert "there is no password for new@127.0.0.1" in done.stderr


def test_a_server_that_cannot_be_reached_is_20(pulled: Site, empty: LoopbackServer) -> None:
    url = url_of(empty).replace("imap:", "imaps:")
    report = adds_up(pulled.program.json("restore", url, code=20))
    assert (report["status"], report["exit_code"], report["mailboxes"]) == ("failed", 20, [])
    assert report["error"] in pulled.program("restore", url, code=20).stderr
    assert not any(everything(empty.account).values())


def test_an_archive_that_is_not_there_is_10(program: Program, empty: LoopbackServer) -> None:
    knows = Program(program.home, {"MAILARCHIVE_PASSWORD": "demo"})
    value = knows.json("restore", url_of(empty), code=10)
    assert (value["exit_code"], value["archive"]) == (10, str(program.archive))
    assert not program.archive.exists()


def test_the_account_that_the_mail_came_from_is_warned_of_and_gets_what_it_lacks(pulled: Site) -> None:
    before = everything(pulled.account)
    name = pulled.url.removeprefix("imap://")
    report = restored(pulled.program, pulled.server)
    assert report["warnings"] == [
        f"{name} is the account that this mail came from; what it still has is not sent again"
    ]
    assert report["totals"]["there"] == report["totals"]["wanted"]
    assert everything(pulled.account) == before

    lost = [message.uid for message in pulled.account.messages("Sent")][3:8]
    pulled.account.expunge("Sent", *lost)
    totals = restored(pulled.program, pulled.server, "--again")["totals"]
    assert (totals["sent"] + totals["copied"], totals["left"]) == (5, 0)
    assert everything(pulled.account) == before


def test_several_accounts_in_one_are_warned_of(pulled: Site, empty: LoopbackServer) -> None:
    with LoopbackServer(LoopbackAccount("other", "demo")) as other:
        other.account.append("INBOX", b"Subject: another\r\n\r\nanother\r\n")
        pulled.program("pull", url_of(other), "--quiet")
        names = sorted(url.removeprefix("imap://") for url in (pulled.url, url_of(other)))
    report = restored(pulled.program, empty)
    assert report["warnings"] == [f"the mail of 2 accounts goes into one: {', '.join(names)} (choose with --account)"]
    assert len(empty.account.messages("INBOX")) == len(pulled.account.messages("INBOX")) + 1
    assert restored(pulled.program, empty, "--account", names[0])["warnings"] == []


def test_an_archive_with_failures_is_warned_of(site: Site, empty: LoopbackServer) -> None:
    uids = [message.uid for message in site.account.messages("INBOX")][:2]
    with faulty(site.server, Refuse(mailbox="INBOX", uids=uids)):
        site.program("pull", site.url, "--quiet", code=3)
    done = site.program("restore", url_of(empty))
    assert "the archive is not complete: 2 messages could not be fetched (see: mailarchive failures)" in done.stderr
    assert restored(site.program, empty, "--mailbox", "Sent")["warnings"] == [
        "the archive may not be complete: the last pull ended with exit code 3"
    ]


def test_a_map_of_what_is_not_restored_is_warned_of(pulled: Site, empty: LoopbackServer) -> None:
    report = restored(pulled.program, empty, "--mailbox", "Sent", "--map", "Archive=Old")
    assert report["warnings"] == ["--map: Archive is not restored"]


def test_a_map_of_nothing_is_refused_with_what_may_be_meant(pulled: Site, empty: LoopbackServer) -> None:
    done = pulled.program("restore", url_of(empty), "--map", "Snet=Old", code=2)
    assert "--map: no mailbox is called Snet" in done.stderr
    assert "perhaps: Sent" in done.stderr
    assert not everything(empty.account).get("Old")


def test_a_damaged_archive_is_13_and_gives_what_it_has(pulled: Site, empty: LoopbackServer) -> None:
    pulled.account.append("INBOX", b"Subject: later\r\n\r\nin a block of its own\r\n")
    pulled.program("pull", pulled.url, "--quiet")
    path = max((pulled.program.archive / "mail").rglob("*.zst"), key=lambda path: path.stat().st_size)
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(octets)
    report = restored(pulled.program, empty, code=13)
    totals = report["totals"]
    assert (report["status"], report["exit_code"], totals["left"]) == ("partial", 13, 0)
    assert 0 < totals["damaged"] < totals["wanted"]
    found, before = everything(empty.account), everything(pulled.account)
    assert all(found[name] <= before[name] for name in before)
    assert sum(messages.total() for messages in found.values()) == totals["sent"] + totals["copied"]
