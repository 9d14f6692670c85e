"""Ask for something of many messages, and find out which of them the server refuses."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from mailarchive.errors import FetchRefused
from mailarchive.model import RemoteUid

_MOST_IN_A_ROW = 30
"""After so many messages that were refused one after the other nothing more is asked for."""

Uid = TypeVar("Uid", bound=RemoteUid)
Value = TypeVar("Value")


def in_halves(
    uids: Sequence[Uid], ask: Callable[[Sequence[Uid]], Iterable[tuple[RemoteUid, Value]]]
) -> tuple[dict[RemoteUid, Value], dict[RemoteUid, str]]:
    """Return what ``ask`` yields for ``uids``, and the server's words about those that it refuses.

    When ``ask`` raises FetchRefused, what it did not yield is asked for again in halves. What it leaves out without a
    word is in neither.
    """
    found: dict[RemoteUid, Value] = {}
    refused: dict[RemoteUid, str] = {}
    in_a_row = 0
    words = ""
    waiting = [uids] if uids else []
    while waiting:
        some = waiting.pop()
        if in_a_row >= _MOST_IN_A_ROW:
            refused |= dict.fromkeys(some, words)
            continue
        try:
            for uid, value in ask(some):
                found[uid] = value
                in_a_row = 0
            continue
        except FetchRefused as error:
            words = str(error)
        rest = [uid for uid in some if uid not in found]
        if len(rest) == 1:
            refused[rest[0]] = words
            in_a_row += 1
        else:
            half = len(rest) // 2
            waiting += [part for part in (rest[half:], rest[:half]) if part]
    return found, refused
