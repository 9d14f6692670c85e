"""Fixtures that start servers; missing software skips at a desk and fails in CI."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.servers import dovecot as real
from tests.servers.dovecot import Dovecot


def _demand(complaint: str | None) -> None:
    if complaint and os.environ.get("CI"):
        pytest.fail(complaint)
    if complaint:
        pytest.skip(complaint)


@pytest.fixture
def start_dovecot() -> Iterator[Callable[..., Dovecot]]:
    """Return a function that starts a Dovecot (options as of the class), which ends with the test."""
    _demand(real.missing())
    with ExitStack() as stack:

        def start(**options: object) -> Dovecot:
            if options.get("lmtp"):
                _demand(real.missing_lmtp())
            return stack.enter_context(Dovecot(**options))  # type: ignore[arg-type]

        yield start


@pytest.fixture
def dovecot(start_dovecot: Callable[..., Dovecot]) -> Dovecot:
    """Return a running Dovecot with an empty INBOX."""
    return start_dovecot()
