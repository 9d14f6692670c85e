"""Commands about many messages, sent ahead of their answers (RFC 2449 section 6.6): as many as is good for both."""

from collections import deque
from collections.abc import Iterator, Mapping

from mailarchive.remote.pop3.wire import Wire

MOST = 1000
"""Commands on their way at most."""
MOST_OCTETS = 8 << 20
"""Octets of messages on their way at most, as LIST tells, unless it is one message."""


class Ahead:
    """Sends ``commands``, by number of message, at most ``most`` before the first of them is answered."""

    def __init__(self, wire: Wire, commands: Mapping[int, bytes], sizes: Mapping[int, int], most: int) -> None:
        self._wire = wire
        self._commands = commands
        self._sizes = sizes
        self._most = most
        self._waiting = deque(commands)
        self._asked = deque[int]()
        self._octets = 0

    def send(self) -> bool:
        """Send commands if there is room for many; return whether an answer is on its way."""
        batch: list[bytes] = []
        while self._waiting and self._has_room(batch):
            number = self._waiting.popleft()
            self._asked.append(number)
            self._octets += self._sizes.get(number, 0)
            batch.append(self._commands[number])
        if batch:
            self._wire.start(*batch, text=True)
        return bool(self._asked)

    def _has_room(self, batch: list[bytes]) -> bool:
        if not batch and len(self._asked) > self._most // 2:
            return False
        return len(self._asked) < self._most and (not self._asked or self._octets < MOST_OCTETS)

    def answered(self) -> int:
        """Return the message that the oldest command is about, which is no longer on its way."""
        number = self._asked.popleft()
        self._octets -= self._sizes.get(number, 0)
        return number

    def sizes(self) -> Iterator[int | None]:
        """Yield the sizes of the messages on their way, as LIST tells."""
        return map(self._sizes.get, self._asked)
