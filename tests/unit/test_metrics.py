"""The metrics are what Prometheus can read."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from mailarchive.ops.metrics import Run, lines, write_metrics
from mailarchive.ops.report import AccountReport, MailboxReport
from mailarchive.ops.status import AccountStatus

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
SAMPLE = re.compile(r'[a-z_:][a-z0-9_:]*\{[a-z]+="(?:[^"\\\n]|\\.)*"(?:,[a-z]+="(?:[^"\\\n]|\\.)*")*\} [0-9.e+-]+')
STATUSES = [
    AccountStatus("work", "me@work", "/srv/mail", NOON, NOON, 7, 2, 1),
    AccountStatus("odd", 'a"b\\c\nd@x', "/srv/mail", stale=True),
]
INBOX = MailboxReport("INBOX", new=3)
REPORT = AccountReport("me@work", "imap", downloaded_bytes=500, seconds=2.5, mailboxes=[INBOX], name="work")


def test_every_line_is_a_comment_or_a_sample_and_each_metric_is_described_once() -> None:
    found = list(lines(STATUSES, [Run("/srv/mail", 3, NOON, [REPORT])]))
    described: list[str] = []
    for line in found:
        if line.startswith("# HELP"):
            described.append(line.split()[2])
        elif line.startswith("# TYPE"):
            assert line == f"# TYPE {described[-1]} gauge"
        else:
            assert SAMPLE.fullmatch(line), line
            assert line.startswith(described[-1] + "{")
    assert len(set(described)) == len(described) == 12


def test_values_and_labels() -> None:
    found = list(lines(STATUSES, [Run("/srv/mail", 3, NOON, [REPORT])]))
    labels = 'account="me@work",name="work",archive="/srv/mail"'
    assert f"mailarchive_last_complete_timestamp_seconds{{{labels}}} {NOON.timestamp():.0f}" in found
    assert 'mailarchive_stale{account="a\\"b\\\\c\\nd@x",name="odd",archive="/srv/mail"} 1' in found
    assert 'mailarchive_run_new_messages{account="me@work",name="work",archive="/srv/mail"} 3' in found
    assert 'mailarchive_run_exit_code{archive="/srv/mail"} 3' in found


def test_the_file_is_replaced_whole_and_others_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "mail.prom"
    write_metrics(file, STATUSES, [])
    write_metrics(file, STATUSES[:1], [])
    assert "odd" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_and_what_is_no_regular_file_stay_what_they_are(tmp_path: Path) -> None:
    file, link, pipe = tmp_path / "mail.prom", tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(file)
    write_metrics(link, STATUSES, [])
    assert link.is_symlink()
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_text)
        write_metrics(pipe, STATUSES, [])
        assert read.result(5) == file.read_text()
    assert pipe.is_fifo()
