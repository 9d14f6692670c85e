"""From one real Dovecot into an archive and out of it into another: everything is there, once, as it was."""

import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mailarchive.loopback.corpus import Mail
from tests.integration.restores import Mailbox, Restoring
from tests.servers.dovecot import Dovecot

START = datetime(2020, 5, 17, 8, 30, 7, tzinfo=timezone(timedelta(hours=5, minutes=30)))
FLAGS: Sequence[tuple[str, ...]] = ((), ("\\Seen",), ("\\Flagged", "Work"), ("\\Answered", "\\Draft", "$Forwarded"))
TOUCHING = re.compile(r"APPEND|SELECT|EXAMINE|CREATE|STATUS|UID|FETCH|STORE|COPY|SUBSCRIBE")
QUOTA = """
mail_plugins = quota
protocol imap {{
  mail_plugins = quota imap_quota
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_grace = 0
}}
!include {rule}
"""


def mail(number: int, size: int = 100) -> bytes:
    """Return a message that no other number has."""
    lines = b"".join(b"%0*d\r\n" % (70, number * 1000 + line) for line in range(size // 72))
    return b"From: a@example.org\r\nSubject: %d\r\nMessage-ID: <%d@x>\r\n\r\nFrom here\r\n" % (number, number) + lines


def mails(mailbox: str, first: int, count: int) -> list[Mail]:
    """Return messages with all kinds of flags, received in all zones."""
    return [
        Mail(
            mailbox,
            mail(number),
            (START + timedelta(hours=number)).astimezone(timezone(timedelta(minutes=30 * (number % 48 - 24)))),
            FLAGS[number % len(FLAGS)],
        )
        for number in range(first, first + count)
    ]


ODD = (
    b"Subject: \xfc\xe4\xf6 raw\r\nX-\xff: y\r\n\r\n8 bit\r\n",
    b"Subject: no final newline\r\n\r\n.\r\nFrom the end",
    b"Subject: no body\r\n\r\n",
    b"\r\nno header\r\n",
    b"Subject: large\r\n\r\n" + random.Random(1).randbytes(5 << 20).hex("\n", 38).replace("\n", "\r\n").encode(),
)


@pytest.fixture
def old(start_dovecot: Callable[..., Dovecot]) -> Dovecot:
    """Return a server with all that mailboxes have, and what several of them have."""
    server = start_dovecot()
    server.create("Empty", "Sent", "Drafts", "Entwürfe & mehr")
    shared = mails("", 500, 12)
    loaded = [
        *mails("INBOX", 0, 40),
        *mails("Work/2024/May", 100, 20),
        *mails("Entwürfe & mehr", 200, 3),
        *mails("旅行/日本語", 210, 3),
        *mails("Sent", 220, 5),
        *(Mail(box, *one[1:]) for box in ("INBOX", "Work/2024/May", "Archive") for one in map(_fields, shared)),
        *(Mail("Work", ODD[0], START) for _ in range(2)),
        *(Mail("Odd", octets, START) for octets in ODD),
    ]
    server.load_all(loaded)
    return server


def _fields(one: Mail) -> tuple[str, bytes, datetime, tuple[str, ...]]:
    return one.mailbox, one.octets, one.internaldate, one.flags


@pytest.fixture
def new(start_dovecot: Callable[..., Dovecot]) -> Dovecot:
    """Return an empty server that names and stores its mailboxes in another way."""
    return start_dovecot(mail_format="maildir", separator=".", prefix="INBOX.", rawlog=True)


def count_of(found: dict[str, Mailbox]) -> int:
    return sum(box.messages.total() for box in found.values())


def test_all_is_there_as_it_was_and_a_second_restore_touches_nothing(
    tmp_path: Path, old: Dovecot, new: Dovecot
) -> None:
    here, there = Restoring(tmp_path / "here"), Restoring(tmp_path / "there")
    before = here.pull(old)
    report = here.restore(new)
    totals: dict[str, Any] = report["totals"]
    assert (report["status"], report["notes"], report["refusals"]) == ("complete", [], [])
    assert totals["wanted"] == totals["sent"] + totals["copied"] == count_of(before)
    assert totals["copied"] == 2 * 12 + 1
    assert new.appended() == totals["sent"]
    assert there.pull(new) == before

    commands = Counter(new.commands())
    again = here.restore(new)
    assert (again["status"], again["totals"]["known"]) == ("complete", totals["wanted"])
    assert not [line for line in Counter(new.commands()) - commands if TOUCHING.match(line)]
    assert there.pull(new) == before


def test_what_the_target_had_is_not_sent_unless_always(tmp_path: Path, old: Dovecot, new: Dovecot) -> None:
    here, there = Restoring(tmp_path / "here"), Restoring(tmp_path / "there")
    before = here.pull(old)
    new.load_all(mails("INBOX", 0, 7))
    shutil.copytree(tmp_path / "here", tmp_path / "copy")
    totals = here.restore(new)["totals"]
    assert (totals["there"], totals["sent"] + totals["copied"]) == (7, count_of(before) - 7)
    assert there.pull(new) == before
    assert here.restore(new)["totals"]["known"] == totals["wanted"]

    totals = Restoring(tmp_path / "copy").restore(new, "--always")["totals"]
    assert (totals["there"], totals["sent"] + totals["copied"]) == (0, count_of(before))
    after = there.pull(new)
    assert after == {name: Mailbox(box.messages + box.messages, box.uses) for name, box in before.items()}


def test_a_full_account_takes_what_fits_and_the_rest_when_it_has_room(
    tmp_path: Path, start_dovecot: Callable[..., Dovecot]
) -> None:
    rule = tmp_path / "rule.conf"

    def allow(kib: int) -> None:
        rule.write_text(f"plugin {{\n  quota_rule = *:storage={kib}K\n}}\n")

    allow(150)
    old, new = start_dovecot(), start_dovecot(extra=QUOTA.format(rule=rule))
    sizes = [random.Random(3).randrange(500, 6000) for _ in range(40)]
    wanted = [mail(number, size) for number, size in enumerate(sizes * 2)]
    old.load_all(Mail("INBOX" if number % 2 else "Other", octets) for number, octets in enumerate(wanted))
    here = Restoring(tmp_path / "here")
    here.pull(old)
    report = here.restore(new, code=3)
    totals = report["totals"]
    assert report["status"] == "partial"
    assert 0 < totals["sent"] < totals["wanted"] == len(wanted)
    assert totals["sent"] + totals["refused"] + totals["left"] == len(wanted)
    assert totals["refused"] <= 2
    assert any("takes no further message" in box["error"] and "uota" in box["error"] for box in report["mailboxes"])
    assert len(report["refusals"]) == totals["refused"]
    held = Counter([*new.messages("INBOX").values(), *_other(new)])
    assert held.total() == totals["sent"]
    assert held <= Counter(wanted)

    assert here.restore(new, code=3)["totals"]["known"] == totals["sent"]
    allow(10_000)
    new.doveadm("reload")
    rest = here.restore(new)["totals"]
    assert (rest["known"], rest["sent"]) == (totals["sent"], totals["refused"] + totals["left"])
    assert Counter([*new.messages("INBOX").values(), *_other(new)]) == Counter(wanted)


def _other(server: Dovecot) -> list[bytes]:
    found = server.doveadm("mailbox", "list", "-u", server.user).split()
    return list(server.messages("Other").values()) if "Other" in found else []


def test_a_past_state_comes_back(tmp_path: Path, old: Dovecot, new: Dovecot) -> None:
    here, there = Restoring(tmp_path / "here"), Restoring(tmp_path / "there")
    before = here.pull(old)
    moment = datetime.now(UTC)
    client = old.login()
    client.select("INBOX")
    client.uid("STORE", "1:5", "+FLAGS", "(\\Flagged Later)")
    client.uid("STORE", "6:9", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.uid("MOVE", "10:14", "Empty")
    client.logout()
    old.doveadm("mailbox", "rename", "-u", old.user, "Work/2024/May", "Renamed/May")
    old.load_all(mails("INBOX", 700, 4))
    old.load_all(mails("Later", 710, 4))
    assert here.pull(old) != before
    report = here.restore(new, "--at", moment.isoformat())
    assert report["totals"]["wanted"] == count_of(before)
    assert there.pull(new) == before
    assert here.restore(new, "--at", moment.isoformat())["totals"]["known"] == count_of(before)
