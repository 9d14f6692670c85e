"""How accounts stand, in the text form of Prometheus (exposition format 0.0.4)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mailarchive.files import replace_durably, storage
from mailarchive.ops.report import AccountReport
from mailarchive.ops.status import AccountStatus


class Run(NamedTuple):
    """What a run did in one archive."""

    archive: str
    exit_code: int
    ended: datetime
    accounts: Sequence[AccountReport]


class _Sample(NamedTuple):
    labels: Mapping[str, str]
    value: float


def write_metrics(file: Path, statuses: Iterable[AccountStatus], runs: Iterable[Run]) -> None:
    """Put the metrics of accounts, and of runs that ended just now, into ``file``, whole or not at all.

    What is no regular file (a pipe, /dev/stdout) is written to as it is. Raises StorageFailed.
    """
    octets = "".join(f"{line}\n" for line in lines([*statuses], [*runs])).encode()
    with storage(file):
        file = file.resolve()
        if file.exists() and not file.is_file():
            file.write_bytes(octets)
            return
    replace_durably(file, octets, mode=0o644)


def lines(statuses: Sequence[AccountStatus], runs: Sequence[Run]) -> Iterator[str]:
    """Yield the lines of all metrics that have a value."""
    named = [(_labels(one, one.archive), one) for one in statuses]
    yield from _gauge(
        "last_complete_timestamp_seconds",
        "When the last pull ended after which nothing was missing.",
        [_Sample(labels, one.complete.timestamp()) for labels, one in named if one.complete],
    )
    yield from _gauge(
        "last_run_timestamp_seconds",
        "When the last pull of the account ended.",
        [_Sample(labels, one.last.timestamp()) for labels, one in named if one.last],
    )
    yield from _gauge("messages", "Messages at the server.", [_Sample(labels, one.messages) for labels, one in named])
    yield from _gauge(
        "gone_messages",
        "Messages that vanished from the server and are kept.",
        [_Sample(labels, one.gone) for labels, one in named],
    )
    yield from _gauge(
        "failed_messages", "Messages that could not be fetched.", [_Sample(labels, one.failed) for labels, one in named]
    )
    yield from _gauge(
        "stale", "Whether no pull was complete for too long.", [_Sample(labels, one.stale) for labels, one in named]
    )
    yield from _of_runs(runs)


def _of_runs(runs: Sequence[Run]) -> Iterator[str]:
    yield from _gauge(
        "run_exit_code", "How the last run ended.", [_Sample({"archive": run.archive}, run.exit_code) for run in runs]
    )
    yield from _gauge(
        "run_end_timestamp_seconds",
        "When the last run ended.",
        [_Sample({"archive": run.archive}, run.ended.timestamp()) for run in runs],
    )
    told = [(_labels(one, run.archive), one) for run in runs for one in run.accounts]
    yield from _gauge(
        "run_duration_seconds", "How long the last run took.", [_Sample(labels, one.seconds) for labels, one in told]
    )
    yield from _gauge(
        "run_new_messages",
        "Messages that were new in the last run.",
        [_Sample(labels, sum(box.new for box in one.mailboxes)) for labels, one in told],
    )
    yield from _gauge(
        "run_downloaded_bytes",
        "Octets of messages that the last run downloaded.",
        [_Sample(labels, one.downloaded_bytes) for labels, one in told],
    )
    complete = [_Sample(labels, one.status == "complete") for labels, one in told]
    yield from _gauge("run_success", "Whether the last run was complete.", complete)


def _labels(one: AccountStatus | AccountReport, archive: str) -> dict[str, str]:
    return {"account": one.account, "name": one.name or one.account, "archive": archive}


def _gauge(name: str, meaning: str, samples: Sequence[_Sample]) -> Iterator[str]:
    if not samples:
        return
    yield f"# HELP mailarchive_{name} {meaning}"
    yield f"# TYPE mailarchive_{name} gauge"
    for labels, value in samples:
        text = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        yield f"mailarchive_{name}{{{text}}} {float(value):.17g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
