"""What is known of providers: their servers, limits and habits, as data (providers.toml)."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Literal

Topic = Literal["login", "ceiling", "throttled"]
Login = Literal["app-password", "oauth", "bridge"]


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider. What is not known of it is None or empty; see providers.toml for what each fact means."""

    name: str
    hosts: tuple[str, ...]
    domains: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()
    imap: str | None = None
    pop3: str | None = None
    smtp: str | None = None
    starttls: tuple[str, ...] = ()
    export: str | None = None
    connections: int | None = None
    download: int | None = None
    upload: int | None = None
    pop_download: int | None = None
    append_limit: int | None = None
    ceilings: tuple[int, ...] = ()
    pop_shows_part: bool = False
    login: Login | None = None
    advice: Mapping[Topic, str] = field(default_factory=dict)


def provider_of(host: str, port: int | None = None) -> Provider | None:
    """Return the provider whose server ``host`` (with ``port``) is, or None."""
    names = {host.lower().removesuffix("."), f"{host.lower()}:{port}"}
    for provider in providers():
        if any(fnmatchcase(name, pattern) for name in names for pattern in provider.hosts):
            return provider
    return None


def provider_of_domain(domain: str) -> Provider | None:
    """Return the provider that gives out mail addresses at ``domain``, or None."""
    name = domain.lower().removesuffix(".")
    return next((provider for provider in providers() if name in provider.domains), None)


def provider_by_mx(host: str) -> Provider | None:
    """Return the provider that keeps the mailboxes of a domain whose mail ``host`` receives, or None."""
    name = host.lower().removesuffix(".")
    matching = (one for one in providers() if any(fnmatchcase(name, pattern) for pattern in one.mx))
    return next(matching, None)


@cache
def providers() -> tuple[Provider, ...]:
    """Return all providers that something is known of."""
    text = Path(__file__).with_name("providers.toml").read_text(encoding="utf-8")
    tables: dict[str, dict[str, Any]] = {}
    for table in tomllib.loads(text)["provider"]:
        tables[table["name"]] = {**tables.get(table.pop("like", ""), {}), **table}
    return tuple(Provider(**_frozen(table)) for table in tables.values())


def _frozen(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
