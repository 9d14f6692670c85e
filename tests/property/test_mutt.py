"""The mail of an archive is a mailbox to mutt, too."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fault.archives import SMALL, message, pull_memory
from tests.property.test_exactness import ODD, account_of, all_text


@pytest.mark.skipif(shutil.which("mutt") is None, reason="mutt is not installed (apt-get install mutt)")
@pytest.mark.skipif(shutil.which("zstdcat") is None, reason="zstd is not installed (apt-get install zstd)")
def test_mutt_counts_every_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in SMALL:
        monkeypatch.setattr(module, name, value)
    messages = [*ODD, *(message(number, 900) for number in range(10))]
    assert pull_memory(tmp_path / "archive", account_of(*messages)).status == "complete"
    (tmp_path / "all.mbox").write_bytes(all_text(tmp_path / "archive"))
    (tmp_path / "Mail").mkdir()
    commands = ('set status_format="<%m messages>"', "set quit=yes", "push <refresh><quit>")
    options = [part for line in commands for part in ("-e", line)]
    mutt = ["mutt", "-n", "-F", "/dev/null", "-R", "-f", "all.mbox", *options]
    screen = subprocess.run(
        ["timeout", "30", "script", "-qec", shlex.join(mutt), "/dev/null"],
        env={**os.environ, "TERM": "vt100", "HOME": str(tmp_path)},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    assert b"<%d messages>" % len(messages) in screen
