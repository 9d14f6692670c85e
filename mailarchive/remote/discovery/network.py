"""Whom to ask, and what the answers are made of."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mailarchive.config import is_host

_HOST = re.compile(r"[\w.:-]+")


@dataclass(frozen=True, slots=True)
class Network:
    """How the network is asked: as the system does, or a name server and a web server that take the place of all.

    ``ca_file`` replaces the system's authorities; ``seconds`` is how long each answer may take.
    """

    nameserver: tuple[str, int] | None = None
    web: tuple[str, int] | None = None
    ca_file: Path | None = None
    seconds: float = 5.0


class Service(NamedTuple):
    """Where a service is (RFC 2782); the host is empty where a domain says that it has none."""

    host: str
    port: int


def is_usable(host: str) -> bool:
    """Return whether a name that came from outside can be that of a server, and be shown."""
    return bool(_HOST.fullmatch(host)) and not host.startswith("-") and is_host(host)
