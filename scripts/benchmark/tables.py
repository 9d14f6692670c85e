"""What was measured, as Markdown."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from scripts.benchmark.measuring import Measured, Series, quotient


@dataclass(frozen=True)
class Figure:
    """A number with its target; ``value`` is None when it could not be measured."""

    what: str
    value: float | None
    limit: float
    unit: str
    least: bool = False
    digits: int = 2
    why_not: str = "not measured"

    @property
    def is_met(self) -> bool:
        """Whether the target is reached."""
        return self.value is not None and (self.value >= self.limit if self.least else self.value <= self.limit)

    def cells(self) -> list[str]:
        """Return the row of the first table."""
        seen = self.why_not if self.value is None else f"{self.value:,.{self.digits}f} {self.unit}"
        limit = f"{'≥' if self.least else '≤'} {self.limit:g} {self.unit}"
        return [self.what, seen.strip(), limit.strip(), "yes" if self.is_met else "no"]


@dataclass
class Report:
    """What a subject found: figures with targets, tables in detail, and the series for ``--json``."""

    figures: list[Figure] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    series: dict[str, Series] = field(default_factory=dict)

    def table(self, title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table."""
        self.lines += [f"### {title}", "", *markdown(header, rows), ""]

    def runs(
        self,
        title: str,
        series: Series,
        bases: Mapping[str, str] | None = None,
        octets: Mapping[str, int] | None = None,
    ) -> None:
        """Add a table of runs, a step a row, and keep the series.

        ``bases`` are columns of ratios: title and name of the step that is 1. ``octets`` are what steps handled.
        """
        bases, octets = bases or {}, octets or {}
        columns = [f"to {base}" for base in bases]
        columns += ["seconds (range)", "runs", "MB/s", "processor s", "peak MiB", "bodies", "server sent"]
        rows = [
            [name, *(_number(series.ratio(name, of)) for of in bases.values()), *_times(series, name, octets.get(name))]
            for name in series.runs
        ]
        used = [index for index in range(len(columns)) if any(row[index + 1] for row in rows)]
        self.series[title] = series
        self.table(
            title,
            ["", *(columns[index] for index in used)],
            ([row[0], *(row[index + 1] for index in used)] for row in rows),
        )

    def grown(self, title: str, by_count: Mapping[int, Series], what: str = "seconds", digits: int = 3) -> None:
        """Add a table of how medians grow with the number of messages, and by how much at the last step."""
        counts = sorted(by_count)
        before, last = by_count[counts[-2]], by_count[counts[-1]]
        rows = [
            [
                name,
                *(_number(by_count[count].median(name, what), digits) for count in counts),
                _number(quotient(last.median(name, what), before.median(name, what))),
            ]
            for name in last.runs
        ]
        header = [f"{what}, {counts[0]:,}", *(f"{count:,}" for count in counts[1:])]
        self.table(title, ["", *header, f"{counts[-1]:,} to {counts[-2]:,}"], rows)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table whose first column is text and whose others are numbers."""
    yield f"| {' | '.join(header)} |"
    yield f"|---|{'--:|' * (len(header) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def targets(figures: Iterable[Figure]) -> Iterator[str]:
    """Yield the table of figures against their targets."""
    return markdown(["figure", "measured", "target", "met"], (figure.cells() for figure in figures))


def _times(series: Series, name: str, octets: int | None) -> list[str]:
    runs = series.runs[name]
    failed = next((run for run in runs if run.exit_code), None)
    if failed:
        return [f"failed with exit code {failed.exit_code}", str(len(runs)), *[""] * 5]
    sent = series.median(name, "sent")
    return [
        _spread(runs, series.median(name)),
        str(len(runs)),
        _number(series.rate(name, octets), 0) if octets else "",
        _number(series.median(name, "processor")),
        _number(series.median(name, "peak"), 0),
        _number(series.median(name, "bodies"), 0),
        amount(sent) if sent is not None else "",
    ]


def _spread(runs: Sequence[Measured], median: float | None) -> str:
    seconds = [run.seconds for run in runs]
    digits = 3 if max(seconds) < 1 else 2
    spread = f" ({min(seconds):.{digits}f} to {max(seconds):.{digits}f})" if len(runs) > 1 else ""
    return f"{_number(median, digits)}{spread}"


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def amount(octets: float) -> str:
    """Return octets as people read them."""
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if octets >= size:
            return f"{octets / size:,.1f} {unit}"
    return f"{octets:.0f} B"
