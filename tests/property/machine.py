"""What the machines that change an account and pull it have in common."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from mailarchive.archive.archive import Kind, open_for_reading
from mailarchive.ops.events import ignore
from mailarchive.ops.verify import verify
from tests.fault import archives
from tests.fault.archives import MAILDIR, MBOX, PLAIN, SMALL, ignore_text

PATHS = ("INBOX", "a", "A", "a/b", "日本", 'q"u\\o', "x.y")
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "work", "$Junk")

paths = st.sampled_from(PATHS)
flags = st.sets(st.sampled_from(FLAGS))
picks = st.integers(0, 1 << 16)


class ArchiveMachine(RuleBasedStateMachine):
    """An archive in a place of its own, with small files, that must never lose anything."""

    def __init__(self) -> None:
        super().__init__()
        self._before = [(module, name, getattr(module, name)) for module, name, _ in SMALL]
        for module, name, value in SMALL:
            setattr(module, name, value)
        self.place = Path(tempfile.mkdtemp(prefix="machine-"))
        self.root = self.place / "archive"
        self.ever: set[bytes] = set()

    @initialize(kind=st.sampled_from((MBOX, MAILDIR, PLAIN)))
    def choose(self, kind: Kind) -> None:
        """Let the archive be of any kind."""
        archives.kind = kind

    def teardown(self) -> None:
        archives.kind = MBOX
        for module, name, value in self._before:
            setattr(module, name, value)
        shutil.rmtree(self.place, ignore_errors=True)

    def recorded_flags(self) -> dict[tuple[str, int], set[str]]:
        """Return the flags of the present placements by mailbox and UID."""
        with open_for_reading(self.root, ignore_text) as archive:
            return {
                (str(box.name), record.uid): set(record.flags)
                for box in archive.catalog.mailboxes()
                for record in archive.catalog.placements(box.number, gone=False)
                if isinstance(record.uid, int)
            }

    def kept(self) -> None:
        """Nothing that was ever archived is lost, each digest is stored once, and verify agrees."""
        with open_for_reading(self.root, ignore_text) as archive:
            blocks = [archive.catalog.messages_in(number) for number in archive.catalog.blocks()]
            stored = [message.digest for messages in blocks for message in messages]
            octets = {b"".join(archive.octets(digest)) for digest in stored}
        assert len(stored) == len(set(stored))
        assert self.ever <= octets
        self.ever = octets
        assert verify(self.root, quick=False, observer=ignore).damage == []
