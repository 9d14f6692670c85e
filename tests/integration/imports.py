"""Imports, and what they brought: for the tests of whatever people have in files."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mailarchive
from mailarchive.clock import Stop
from mailarchive.mail import mboxrd
from mailarchive.mail.eol import lf_text
from mailarchive.ops.events import ignore
from mailarchive.ops.import_mail import ImportOptions, ImportReport, import_mail
from tests.fault.archives import message
from tests.servers.still_clock import StillClock

DAY = datetime(2024, 2, 29, 23, 59, 7, tzinfo=UTC)


def run(root: Path, *paths: Path, **options: Any) -> ImportReport:
    """Import ``paths``, and assert that the counts add up."""
    given = ImportOptions("import")._replace(**options)
    report = import_mail(root, paths, given, ignore, StillClock(), Stop())
    left_out = len(report.left_out)
    assert report.found == report.new + report.linked + report.variants + report.known + left_out
    return report


def held(root: Path) -> dict[str, list[bytes]]:
    """Return the octets by mailbox."""
    found: dict[str, list[bytes]] = {}
    with mailarchive.open(root) as archive:
        for one in archive.messages():
            found.setdefault(one.mailbox.name, []).append(one.octets)
    return {name: sorted(each) for name, each in found.items()}


def rd(body: bytes) -> bytes:
    return mboxrd.encode(lf_text(body)[0], final=body.endswith(b"\n"), date=DAY)


def takeout_of(bodies: dict[int, list[str]]) -> bytes:
    """Return what Google would export: by number of message its labels."""
    text = b""
    for number, labels in bodies.items():
        added = b"X-GM-THRID: %d\r\nX-Gmail-Labels: %s\r\n" % (1000 + number, ",".join(labels).encode())
        when = (DAY + timedelta(days=number)).strftime("%a %b %d %H:%M:%S +0000 %Y").encode()
        text += b"From %d@xxx %s\r\n" % (number, when) + added + message(number) + b"\r\n"
    return text
