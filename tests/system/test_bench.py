"""The measuring tool measures: its tables come, and its delay proxy is as far away as it says."""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.benchmark.measuring import Measured, Series
from scripts.benchmark.servers import Proxy
from scripts.benchmark.tables import Figure, Report
from tests.servers.dovecot import missing

ROOT = Path(__file__).parents[2]


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve each connection with ``answer`` in a thread of its own; the port."""

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(client,), daemon=True).start()

    def handle(client: socket.socket) -> None:
        with client:
            answer(client)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def echo(client: socket.socket) -> None:
    while octets := client.recv(1 << 16):
        client.sendall(octets)


def connect(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), 30)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def test_a_round_trip_through_the_proxy_takes_as_long_as_it_was_told() -> None:
    with answering(echo) as port, Proxy(port).running(0.04) as proxy, connect(proxy.port) as client:
        taken = []
        for _ in range(10):
            begin = time.perf_counter()
            client.sendall(b"?")
            assert client.recv(1) == b"?"
            taken.append(time.perf_counter() - begin)
    assert taken[0] >= 0.04 * 2  # the handshake, and the question itself
    assert min(taken) >= 0.04
    assert statistics.median(taken) < 0.06


@pytest.mark.parametrize("round_trip", [0.0, 0.04])
def test_the_proxy_is_no_bottleneck_and_keeps_the_order(round_trip: float) -> None:
    pieces = [bytes([number]) * (1 << 20) for number in range(200)]

    def pour(client: socket.socket) -> None:
        for piece in pieces:
            client.sendall(piece)

    received = bytearray()
    with answering(pour) as port, Proxy(port).running(round_trip) as proxy, connect(proxy.port) as client:
        begin = time.perf_counter()
        while octets := client.recv(1 << 20):
            received += octets
        seconds = time.perf_counter() - begin
    assert received == b"".join(pieces)
    assert len(received) / 1e6 / seconds > 100
    assert proxy.traffic.sent == len(received)


def test_the_proxy_hides_a_capability_and_tells_what_was_said() -> None:
    def capabilities(client: socket.socket) -> None:
        client.recv(100)
        client.sendall(b"+OK\r\nTOP\r\nPIPELINING\r\nUIDL\r\n.\r\n")

    with answering(capabilities) as port:
        proxy = Proxy(port)
        with proxy.running(hide="PIPELINING"), connect(proxy.port) as client:
            client.sendall(b"CAPA\r\n")
            answer = b"".join(iter(lambda: client.recv(100), b""))
    assert answer == b"+OK\r\nTOP\r\nUIDL\r\n.\r\n"
    assert proxy.traffic.lines == ["CAPA"]


def test_a_failed_run_has_no_median_and_no_figure() -> None:
    series = Series()
    series.add("good", Measured(2.0, 1.0, 10.0, 0))
    series.add("bad", Measured(1.0, 1.0, 10.0, 1))
    report = Report()
    report.runs("Title", series, {"good": "good"})
    assert series.ratio("bad", "good") is None
    assert "| bad |  | failed with exit code 1 | 1 |" in "\n".join(report.lines)
    assert Figure("bad", series.ratio("bad", "good"), 2, "× good").cells() == [
        "bad",
        "not measured",
        "≤ 2 × good",
        "no",
    ]
    assert Figure("good", 1.5, 2, "× x").cells() == ["good", "1.50 × x", "≤ 2 × x", "yes"]
    assert not Figure("slow", 399, 400, "MB/s", least=True).is_met


@pytest.mark.skipif(missing() is not None and "CI" not in os.environ, reason=missing() or "")
def test_a_quick_run_prints_the_figures_first_and_then_the_tables(tmp_path: Path) -> None:
    program = shutil.which("mailarchive", path=Path(sys.executable).parent)
    assert program
    results = tmp_path / "results.json"
    command = [
        sys.executable,
        "-B",
        "-P",
        "-m",
        "scripts.benchmark",
        "start-up",
        "one-large-mailbox",
        "--quick",
        "--scale=0.01",
    ]
    done = subprocess.run(
        [*command, f"--program={program}", f"--work={tmp_path}", f"--json={results}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COVERAGE_PROCESS_CONFIG": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    before, figures, after = done.stdout.partition("| figure | measured | target | met |")
    assert figures
    assert "#" not in before
    assert "| no change, 1,000 small in one mailbox: commands that list UIDs | 0 | ≤ 0 | yes |" in after
    assert "failed" not in after
    assert {"## start-up", "## one-large-mailbox"} <= set(after.splitlines())
    runs = json.loads(results.read_text())["start-up"]["runs"]["Start-up"]
    assert len(runs["mailarchive --version"]) == 1
    assert list(tmp_path.iterdir()) == [results]
