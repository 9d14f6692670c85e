"""What is known about the sizes that a server tells of the messages of one mailbox: whether they are true."""

import threading
from collections.abc import Mapping

from mailarchive.model import MessageFacts, RemoteUid
from mailarchive.ops import plan as plans

MOST_SHORT = 10
"""So many messages that are shorter than the server says, and whole, show that its sizes mean nothing."""


class Sizes:
    """Sizes told and octets sent in one mailbox during one run. Thread-safe."""

    def __init__(self, mailbox: str, tries: Mapping[RemoteUid, int]) -> None:
        """Take from ``tries`` how often each message of the failure ledger was tried."""
        self._mailbox = mailbox
        self._tries = tries
        self._lock = threading.Lock()
        self._true = False
        self._lie = False
        self._short = 0
        self._unclear = 0
        self._kept: list[str] = []

    @property
    def lie(self) -> bool:
        """Whether a size was seen that is not true."""
        return self._lie

    @property
    def are_true(self) -> bool:
        """Whether a size was seen that is true, and none that is not."""
        return self._true and not self._lie

    def is_expected(self, facts: MessageFacts) -> bool:
        """Return whether a message has to be as large as told: others are, or it was too short in an earlier run."""
        return self.are_true or (not self._lie and facts.uid in self._tries)

    def is_tried_enough(self, facts: MessageFacts, *, steady: bool) -> bool:
        """Return whether a message is to be taken as it comes; soon, if it comes ``steady`` with the same length."""
        most = plans.PROMPT_TRIES if steady else 2 * plans.PROMPT_TRIES
        return self._tries.get(facts.uid, 0) >= most

    def seen(self, facts: MessageFacts, size: int) -> None:
        """Note the ``size`` in octets of a message that surely came whole."""
        if facts.size is not None:
            if size == facts.size:
                self._true = True
            else:
                self._lie = True

    def seen_short(self) -> None:
        """Note a message that is shorter than told whenever it is asked for."""
        with self._lock:
            self._short += 1
            if self._short >= MOST_SHORT:
                self._lie = True

    def unclear(self) -> None:
        """Note that a message was taken as it came, though perhaps it is not whole."""
        with self._lock:
            self._unclear += 1

    def kept(self, facts: MessageFacts, why: str) -> None:
        """Note that a message was taken as it came, after so many tries."""
        with self._lock:
            self._kept.append(f"message {facts.uid} of {self._mailbox}: {why}, each time; it is stored as it came")

    def notes(self) -> list[str]:
        """Return a sentence about each message that is stored and may not be whole, or about many."""
        found = list(self._kept)
        if self._unclear and (self._true or not self._lie):
            subject = "1 message" if self._unclear == 1 else f"{self._unclear} messages"
            found.append(
                f"{subject} of {self._mailbox} came shorter than the server says, and nothing shows whether its sizes "
                "are true; stored as sent (--verbose names each)"
            )
        if self._true and self._short >= MOST_SHORT:
            found.append(f"many messages of {self._mailbox} are shorter than the server says; stored as sent")
        return found
