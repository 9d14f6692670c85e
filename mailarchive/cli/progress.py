"""What a running operation tells, shown to people: a bar on a terminal, sentences on standard error."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from mailarchive.cli.render import clean, fit, plural, seconds, size
from mailarchive.cli.terminal import is_watched, note_down, say
from mailarchive.ops.events import (
    Detail,
    Event,
    MailboxPlanned,
    MessagesDone,
    MessagesLinked,
    Notice,
    Progress,
    Waiting,
)

if TYPE_CHECKING:
    from tqdm import tqdm

_DOING = {"restore": "restore", "compare": "compare"}
"""What a command does with messages, where that is not to fetch them."""


class Watcher:
    """An observer that shows events: a bar on a terminal, sentences on standard error. Thread-safe.

    Waiting is worth a sentence only to somebody who watches; details only when ``verbose``.
    """

    def __init__(self, *, bar: bool, verbose: bool, verb: str = "") -> None:
        self._bar_wanted = bar
        self._verbose = verbose
        self._verb = verb
        self._bar: tqdm[NoReturn] | None = None
        self._lock = threading.Lock()
        self._octets = 0

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._show(event)

    def close(self) -> None:
        """Take the bar away."""
        with self._lock:
            if self._bar is not None:
                self._bar.close()
                self._bar = None

    def _show(self, event: Event) -> None:
        match event:
            case Notice(text):
                self._line(f"mailarchive: {clean(text)}")
            case Waiting(account, wait, reason):
                if self._bar_wanted or self._verbose:
                    self._line(f"{clean(account)}: waiting {seconds(wait)}: {clean(reason)}")
            case Detail(text):
                if self._verbose:
                    self._line(clean(text))
            case MailboxPlanned():
                self._plan(event)
            case MessagesDone():
                self._done(event)
            case MessagesLinked(messages=messages):
                if (bar := self._open_bar(" messages")) is not None:
                    bar.update(messages)
            case Progress(done, total):
                self._progress(done, total)

    def _line(self, line: str) -> None:
        if self._bar is None:
            say(line)
        else:
            self._bar.write(note_down(line), file=sys.stderr)

    def _plan(self, event: MailboxPlanned) -> None:
        if self._verbose and event.messages:
            known = f", {size(event.octets)}" if event.octets else ""
            what = f"{plural(event.messages, 'message')} to {_DOING.get(self._verb, 'fetch')}"
            self._line(f"{clean(event.account)} {clean(event.mailbox)}: {what}{known}")
        if (bar := self._open_bar(" messages")) is not None:
            bar.total = (bar.total or 0) + event.messages
            bar.refresh()

    def _done(self, event: MessagesDone) -> None:
        self._octets += event.octets
        if (bar := self._open_bar(" messages")) is not None:
            elapsed = float(bar.format_dict["elapsed"])
            rate = f", {size(int(self._octets / elapsed))}/s" if elapsed else ""
            bar.set_description_str(fit(clean(event.mailbox), 24), refresh=False)
            bar.set_postfix_str(size(self._octets) + rate, refresh=False)
            bar.update(event.messages)

    def _progress(self, done: int, total: int) -> None:
        if (bar := self._open_bar("B")) is not None:
            bar.update(max(0, done - bar.n))
            if bar.total != total:
                bar.total = total
                bar.refresh()

    def _open_bar(self, unit: str) -> "tqdm[NoReturn] | None":
        if self._bar_wanted and self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=0,
                desc=self._verb,
                unit=unit,
                unit_scale=unit == "B",
                unit_divisor=1024,
                dynamic_ncols=True,
                leave=False,
                file=sys.stderr,
            )
        return self._bar


@contextmanager
def watching(verb: str, *, quiet: bool = False, verbose: bool = False) -> Iterator[Watcher]:
    """Yield an observer that shows events; there is a bar if a terminal is watched and not ``quiet``."""
    watcher = Watcher(bar=is_watched() and not quiet, verbose=verbose, verb=verb)
    try:
        yield watcher
    finally:
        watcher.close()


def telling(watcher: Watcher, account: str) -> Callable[[float, str], None]:
    """Return what tells ``watcher`` how many seconds an account is waited for, and why."""

    def tell(seconds: float, reason: str) -> None:
        watcher(Waiting(account, seconds, reason))

    return tell
