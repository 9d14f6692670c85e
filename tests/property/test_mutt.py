"""The mail of an archive is a mailbox to mutt, too."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from mailarchive.ops.events import ignore
from mailarchive.ops.export import Format, export
from mailarchive.ops.selection import Selection
from tests.fault import archives
from tests.fault.archives import SMALL, message, pull_memory
from tests.property.test_exactness import ODD, account_of, all_text

needs_mutt = pytest.mark.skipif(shutil.which("mutt") is None, reason="mutt is not installed (apt-get install mutt)")


@needs_mutt
@pytest.mark.skipif(shutil.which("zstdcat") is None, reason="zstd is not installed (apt-get install zstd)")
def test_mutt_counts_every_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in SMALL:
        monkeypatch.setattr(module, name, value)
    messages = [*ODD, *(message(number, 900) for number in range(10))]
    assert pull_memory(tmp_path / "archive", account_of(*messages)).status == "complete"
    (tmp_path / "all.mbox").write_bytes(all_text(tmp_path / "archive"))
    assert count_by_mutt(tmp_path, "all.mbox") == len(messages)


@needs_mutt
@pytest.mark.parametrize(("form", "path"), [("maildir", ""), ("mbox", "INBOX.mbox"), ("thunderbird", "INBOX")])
def test_mutt_counts_what_was_exported(tmp_path: Path, form: Format, path: str) -> None:
    account = account_of(*ODD, b"Subject: seen\r\n\r\n")
    pull_memory(tmp_path / "archive", account)
    export(tmp_path / "archive", tmp_path / "out", form, Selection(), ignore)
    name = next(file.name for file in (tmp_path / "out").iterdir() if file.is_dir())
    assert count_by_mutt(tmp_path, str(Path("out", name, path))) == len(ODD) + 1


@needs_mutt
def test_mutt_counts_every_message_of_a_plain_maildir_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "kind", archives.PLAIN)
    account = account_of(*ODD)
    pull_memory(tmp_path / "archive", account)
    assert count_by_mutt(tmp_path, f"archive/maildir/{account.account.name}") == len(ODD)


def count_by_mutt(home: Path, path: str) -> int:
    """Return how many messages mutt sees in a mailbox."""
    (home / "Mail").mkdir()
    commands = ('set status_format="<%m messages>"', "set quit=yes", "push <refresh><quit>")
    options = [part for line in commands for part in ("-e", line)]
    mutt = ["mutt", "-n", "-F", "/dev/null", "-R", "-f", path, *options]
    screen = subprocess.run(
        ["timeout", "30", "script", "-qec", shlex.join(mutt), "/dev/null"],
        env={**os.environ, "TERM": "vt100", "HOME": str(home)},
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    return int(re.findall(rb"<(\d+) messages>", screen)[-1])
