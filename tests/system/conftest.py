"""The program in a process of its own, and a mail server on loopback for it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.demo import demo_account
from mailarchive.loopback.server import LoopbackServer


def keep_secret(file: Path, secret: str) -> None:
    """Write a file that only its owner can get at."""
    file.touch(0o600)
    file.write_text(secret, encoding="utf-8")


@dataclass(frozen=True)
class Program:
    """The installed command, with a home and an archive of its own."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def archive(self) -> Path:
        return self.home / "archive"

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-P", "-m", "mailarchive"]

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAILARCHIVE_")}
        return {
            **kept,
            "HOME": str(self.home),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "MAILARCHIVE_ARCHIVE": str(self.archive),
            **self.environment,
        }

    def __call__(self, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run to the end and return what was printed; the exit code must be ``code``."""
        done = self.octets(*arguments, code=code)
        return subprocess.CompletedProcess(done.args, code, done.stdout.decode(), done.stderr.decode())

    def octets(self, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[bytes]":
        """Like calling it, with the octets that were printed."""
        done = subprocess.run(
            [*self.command, *arguments],
            env=self.env,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start it and return the process."""
        return subprocess.Popen(
            [*self.command, *arguments],
            env=self.env,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Return the one JSON object that is printed."""
        return json.loads(self(*arguments, "--json", code=code).stdout)

    def rows(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """Return the JSON objects that are printed, one a line."""
        return [json.loads(line) for line in self(*arguments, "--json", code=code).stdout.splitlines()]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program, without any password."""
    return Program(tmp_path)


@dataclass(frozen=True)
class Site:
    """A mail server, its account, its URL, and the program that knows the password."""

    server: LoopbackServer
    account: LoopbackAccount
    program: Program

    @property
    def url(self) -> str:
        return f"imap://{self.account.user}@127.0.0.1:{self.server.port}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server with the mail of the demo."""
    account = demo_account()
    with LoopbackServer(account) as server:
        yield Site(server, account, Program(tmp_path, {"MAILARCHIVE_PASSWORD": account.password}))
