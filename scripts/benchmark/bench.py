"""What all subjects share: options, servers, folders, and the ways to run processes."""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.benchmark import programs
from scripts.benchmark.measuring import Measured, Series, measure, settle
from scripts.benchmark.servers import Load, Servers

Command = list[str]
DELAY = 0.04


def say(text: str) -> None:
    """Report progress."""
    print(text, file=sys.stderr, flush=True)


@dataclass
class Bench:
    """``runs`` interleaved runs of ``program`` (a mailarchive) and its peers, ``scale`` times the mail, in ``work``."""

    runs: int
    scale: float
    work: Path
    program: str

    def __post_init__(self) -> None:
        self.servers = Servers(say)
        self.work.chmod(0o755)  # a program that will not deliver as root does it as somebody else
        self._ended = 0.0
        self._pulled: dict[str, Path] = {}
        self._synced: dict[str, Command] = {}
        self.peers = {name for name in programs.PACKAGES if programs.provide(name)}

    def count(self, full: int) -> int:
        """Return a number of messages at this scale."""
        return max(1, round(full * self.scale))

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give a new folder, removed in the end."""
        with tempfile.TemporaryDirectory(dir=self.work, ignore_cleanup_errors=True) as path:
            yield Path(path)

    def new_folder(self) -> Path:
        """Return a new folder that lasts as long as everything."""
        return Path(tempfile.mkdtemp(dir=self.work))

    def run(self, command: Command, load: Load | None = None, extra: Mapping[str, str] | None = None) -> Measured:
        """Measure one process, with what the IMAP server of ``load`` counted meanwhile."""
        before = counts(load) if load else (0, 0)
        measured = measure(command, self.work / "output", extra)
        if command[0] == "mbsync":
            self._ended = time.monotonic()
        if load is None:
            return measured
        after = counts(load)
        return replace(measured, bodies=after[0] - before[0], sent=after[1] - before[1])

    def fresh(
        self,
        series: Series,
        tools: Mapping[str, Callable[[Path], Command]],
        load: Load | None = None,
        runs: int | None = None,
        keep: Collection[str] = (),
        *,
        clear: bool = True,
    ) -> dict[str, Path]:
        """Run tools in turn, each in a new folder; return the last round's folders that are to be kept.

        Without ``clear`` all stay to the end: ext4 is slow to make files for minutes after many were removed.
        """
        last: dict[str, Path] = {}
        for nth in range(runs or self.runs):
            for name, command in tools.items():
                folder = self.new_folder()
                self.note(series, name, self.run(command(folder), load))
                if name in keep and nth + 1 == (runs or self.runs):
                    last[name] = folder
                elif clear:
                    shutil.rmtree(folder)
        return last

    def again(
        self, series: Series, commands: Mapping[str, Command], load: Load | None = None, runs: int | None = None
    ) -> None:
        """Run commands in turn, over and over, on what they left the time before."""
        for _ in range(runs or self.runs):
            for name, command in commands.items():
                settle(self._ended if command[0] == "mbsync" else 0)
                self.note(series, name, self.run(command, load))

    def note(self, series: Series, name: str, measured: Measured) -> None:
        """Add a run to a series, and report it."""
        series.add(name, measured)
        failure = f", exit code {measured.exit_code}: {measured.words}" if measured.exit_code else ""
        say(f"  {name}: {measured.seconds:.3f} s{failure}")

    def mailarchive(self, archive: Path, *arguments: str) -> Command:
        """Return a command of mailarchive about ``archive``."""
        return [self.program, *arguments, "--archive", str(archive)]

    def pull(self, archive: Path, port: int, *options: str, scheme: str = "imap") -> Command:
        """Return the command that pulls from a port on loopback."""
        url = f"{scheme}://{programs.USER}@{programs.HOST}:{port}"
        return self.mailarchive(archive, "pull", url, "--quiet", *options)

    def pulled(self, load: Load) -> Path:
        """Return an archive that has all mail of ``load``, pulled from its own port."""
        if load.name not in self._pulled:
            archive = self.new_folder() / "archive"
            self._done(self.pull(archive, load.server.port))
            self._pulled[load.name] = archive
        return self._pulled[load.name]

    def synced(self, load: Load) -> Command | None:
        """Return the command of mbsync for a Maildir that has all mail of ``load``, or None without mbsync."""
        if "mbsync" not in self.peers:
            return None
        if load.name not in self._synced:
            self._synced[load.name] = programs.mbsync(self.new_folder(), load.server.port)
            self._done(self._synced[load.name])
        return self._synced[load.name]

    def keep(self, load: Load, archive: Path | None = None, synced: Command | None = None) -> None:
        """Let others use an archive, or a Maildir, of all mail of ``load``."""
        if archive is not None:
            self._pulled[load.name] = archive
        if synced is not None:
            self._synced[load.name] = synced

    def _done(self, command: Command) -> None:
        say(f"  (preparing with {Path(command[0]).name})")
        done = self.run(command)
        if done.exit_code:
            raise RuntimeError(f"{' '.join(command)} ended with {done.exit_code}: {done.words}")


def counts(load: Load) -> tuple[int, int]:
    """Return how many bodies and octets the IMAP server has sent so far."""
    return load.server.body_fetches(), load.server.octets_sent()
