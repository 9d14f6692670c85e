"""Any octets go into an archive and come out the same, also by programs that know nothing of it."""

import mailbox
import random
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailarchive.mail.digest import digest_of
from mailarchive.ops import browse
from mailarchive.ops.events import ignore
from mailarchive.ops.export import export
from mailarchive.ops.selection import Selection
from mailarchive.ops.verify import verify
from mailarchive.sources.memory import MemoryAccount
from tests.fault.archives import SMALL, held, in_account, message, pull_memory
from tests.property.mail_strategies import dates, mail_octets

ODD = (
    b"",
    b"\n",
    b"\r",
    b"\r\n",
    b"no line end at all",
    b"bare\rcarriage\rreturns",
    b"bare\nline\nfeeds\n",
    b"all\r\nkinds\nof\rline\n\rends\r\r\n",
    b"\0\0\0\r\n\0",
    bytes(range(256)),
    b"From the beginning\r\n",
    b"From \n>From \n>>From \n>From",
    b">From \r\n>>>>From x\r\nFrom\r\nFrom: me\r\n From \r\n",
    b"mixed\nFrom \rFrom \r\n>From \r",
    b"ends with >From ",
    b"\n\nFrom MAILER-DAEMON Thu Jan  1 00:00:00 1970\n\n",
    b"Content-Length: 3\r\n\r\nFrom here the length is a lie\r\n",
)


def account_of(*messages: bytes) -> MemoryAccount:
    account = MemoryAccount()
    account.create("INBOX")
    for octets in messages:
        account.append("INBOX", octets)
    return account


def all_text(root: Path) -> bytes:
    """Return what ``zstdcat mail/*.mbox.zst; cat mail/*.mbox`` prints."""
    script = "for f in mail/*.mbox.zst; do [ -e $f ] && zstdcat $f; done; cat mail/*.mbox"
    return subprocess.run(["sh", "-c", script], cwd=root, capture_output=True, check=True).stdout


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in SMALL:
        monkeypatch.setattr(module, name, value)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(mail_octets, dates), max_size=12))
def test_what_was_pulled_is_what_is_read(small: None, messages: list[tuple[bytes, object]]) -> None:
    account = account_of()
    for octets, date in messages:
        account.append("INBOX", octets, (), date)  # type: ignore[arg-type]
    with TemporaryDirectory() as name:
        root = Path(name) / "archive"
        assert pull_memory(root, account).status == "complete"
        assert held(root) == in_account(account)
        assert verify(root, quick=False, observer=ignore).damage == []
        export(root, Path(name) / "out", "eml", Selection(), ignore)
        written = {path.read_bytes() for path in (Path(name) / "out").rglob("*.eml")}
        assert written == {octets for octets, _date in messages}


@pytest.mark.parametrize("packed", [False, True])
def test_odd_octets_come_back_and_are_one_message_each_to_others(
    tmp_path: Path, request: pytest.FixtureRequest, packed: bool
) -> None:
    if packed:
        request.getfixturevalue("small")
    root = tmp_path / "archive"
    messages = [*ODD, *(message(number, 900) for number in range(10))]
    account = account_of(*messages)
    assert pull_memory(root, account).status == "complete"
    assert held(root) == in_account(account)
    if shutil.which("zstdcat") is None:
        pytest.skip("zstd is not installed (apt-get install zstd)")
    text = all_text(root)
    assert list((root / "mail").glob("*.zst")) or not packed
    assert text.count(b"\nFrom MAILER-DAEMON ") == len(messages) - 1
    (tmp_path / "all.mbox").write_bytes(text)
    with closing(mailbox.mbox(tmp_path / "all.mbox", create=False)) as box:  # noqa: TID251 - an independent reader
        assert len(box) == len(messages)


def test_a_line_of_ten_megabytes_comes_back(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(10_000_000).replace(b"\n", b"-").replace(b"\r", b"-")
    octets = b"Subject: long\r\n\r\n" + noise + b"\r\nFrom " + noise[:100] + b"\r\n"
    root = tmp_path / "archive"
    account = account_of(b"before", octets, b"\n".join([b">" * 10_000_000 + b"From x"] * 2), b"after")
    assert pull_memory(root, account).status == "complete"
    assert held(root) == in_account(account)
    assert b"".join(browse.raw(root, digest_of(octets))) == octets
    assert verify(root, quick=False, observer=ignore).damage == []
