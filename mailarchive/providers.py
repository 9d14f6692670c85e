"""What is known of providers: their servers, limits and habits, as data (providers.toml)."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

Topic = Literal["login", "ceiling", "throttled"]
Login = Literal["app-password", "oauth", "bridge"]


class Provider(NamedTuple):
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
    advice: Mapping[Topic, str] = MappingProxyType({})


def provider_of(host: str, port: int | None = None) -> Provider | None:
    """Return the provider whose server ``host`` (with ``port``) is, or None."""
    patterns = {*_patterns(host), f"{host.lower()}:{port}"}
    if not any(f'"{pattern}"' in _text() for pattern in patterns):
        return None  # start-up: it takes a while to read all that is known
    return next((provider for provider in providers() if not patterns.isdisjoint(provider.hosts)), None)


def provider_of_domain(domain: str) -> Provider | None:
    """Return the provider that gives out mail addresses at ``domain``, or None."""
    name = domain.lower().removesuffix(".")
    return next((provider for provider in providers() if name in provider.domains), None)


def provider_by_mx(host: str) -> Provider | None:
    """Return the provider that keeps the mailboxes of a domain whose mail ``host`` receives, or None."""
    patterns = _patterns(host)
    return next((provider for provider in providers() if not patterns.isdisjoint(provider.mx)), None)


@cache
def providers() -> tuple[Provider, ...]:
    """Return all providers that something is known of."""
    import tomllib  # noqa: PLC0415 - start-up: few hosts are those of a provider that is known

    tables: dict[str, dict[str, Any]] = {}
    for table in tomllib.loads(_text())["provider"]:
        tables[table["name"]] = {**tables.get(table.pop("like", ""), {}), **table}
    return tuple(Provider(**_frozen(table)) for table in tables.values())


def _frozen(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


@cache
def _text() -> str:
    return Path(__file__).with_name("providers.toml").read_text(encoding="utf-8")


def _patterns(host: str) -> set[str]:
    """Return the patterns that a host fits: its name, and ``*`` before each of the domains that it is in."""
    name = host.lower().removesuffix(".")
    labels = name.split(".")
    return {name, *("*." + ".".join(labels[place:]) for place in range(1, len(labels)))}
