"""How block size, level and window of zstd weigh against each other, on one core."""

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import zstandard

from mailarchive.loopback.corpus import Mail, realistic, small
from scripts.benchmark.bench import Bench, say
from scripts.benchmark.tables import Report

COUNT = 10_000
BLOCKS = (0, 1, 4, 8, 16, 32)
"""MiB; 0 is a frame a message."""
LEVELS = (1, 3, 7, 9)
_WINDOWED, _LONG = (4, 8, 16, 32), (16, 32)
_LONG_WINDOW = 27
_FROM = re.compile(rb"^(>*From )", re.MULTILINE)


def blocks(bench: Bench) -> Report:
    """Share and speed by block size, window and level, on the text that is stored."""
    report = Report()
    for kind in (small, realistic):
        with bench.folder() as folder:
            received, ends = _write(folder / "mbox", kind(bench.count(COUNT)))
            rows = list(_rows(folder / "mbox", ends, received))
        title = f"Blocks: {bench.count(COUNT):,} {kind.__name__}, {received / 1e6:.1f} MB received, "
        title += f"{ends[-1] / received:.3f} of it after deduplication"
        header = ["block", "window", "level", "of the octets received", "compression MB/s"]
        report.table(title, [*header, "decompression MB/s"], rows)
    return report


def _write(path: Path, mails: Iterable[Mail]) -> tuple[int, list[int]]:
    """Write mails as mbox text, each once; return the octets received and where in the text each mail ends."""
    seen: set[bytes] = set()
    received, ends = 0, [0]
    with path.open("wb") as file:
        for mail in mails:
            received += len(mail.octets)
            if mail.octets not in seen:
                seen.add(mail.octets)
                date = f"{mail.internaldate:%a %b %d %H:%M:%S %Y}"
                text = _FROM.sub(rb">\1", mail.octets.replace(b"\r\n", b"\n"))
                ends.append(ends[-1] + file.write(b"From MAILER-DAEMON %b\n%b\n" % (date.encode(), text)))
    return received, ends[1:]


def _rows(path: Path, ends: list[int], received: int) -> Iterator[list[str]]:
    for size in BLOCKS:
        for window in _windows(size):
            for level in LEVELS:
                say(f"  {path.name}: {size} MiB, level {level}, window {_named(window)}")
                octets, compression, decompression = _weighed(_texts(path, ends, size << 20), level, window)
                yield [
                    f"{size} MiB" if size else "a frame a message",
                    _named(window),
                    str(level),
                    f"{octets / received:.3f}",
                    f"{ends[-1] / compression / 1e6:,.0f}",
                    f"{ends[-1] / decompression / 1e6:,.0f}",
                ]


def _windows(size: int) -> Iterator[int]:
    """Yield logarithms of windows for a block of ``size`` MiB; 0 is the library's choice."""
    yield 0
    if size in _WINDOWED:
        yield (size << 20).bit_length() - 1
    if size in _LONG:
        yield _LONG_WINDOW


def _named(window: int) -> str:
    if window == _LONG_WINDOW:
        return f"2^{window}, long-distance matching"
    return f"2^{window}" if window else "zstd's own"


def _texts(path: Path, ends: list[int], size: int) -> Iterator[bytes]:
    """Yield the text in blocks of whole messages of at most ``size`` octets, a larger message by itself."""
    with path.open("rb") as file:
        begin = last = 0
        for end in ends:
            if last > begin and end - begin > size:
                yield file.read(last - begin)
                begin = last
            last = end
        yield file.read(last - begin)


def _weighed(texts: Iterable[bytes], level: int, window: int) -> tuple[int, float, float]:
    """Return the octets of all frames, and the seconds of compression and decompression."""
    decompressor = zstandard.ZstdDecompressor()
    octets, compression, decompression = 0, 0.0, 0.0
    for text in texts:
        if window:
            options = zstandard.ZstdCompressionParameters.from_level(
                level, source_size=len(text), enable_ldm=window == _LONG_WINDOW, window_log=window, write_checksum=True
            )
            compressor = zstandard.ZstdCompressor(compression_params=options)
        else:
            compressor = zstandard.ZstdCompressor(level=level, write_checksum=True)
        begin = time.perf_counter()
        frame = compressor.compress(text)
        between = time.perf_counter()
        decompressor.decompress(frame)
        decompression += time.perf_counter() - between
        compression += between - begin
        octets += len(frame)
    return octets, compression, decompression
