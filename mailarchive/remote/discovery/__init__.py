"""Asks DNS and the web which servers a domain has. Nothing that comes back is trusted: each name is checked first."""

from mailarchive.remote.discovery.autoconfig import read_autoconfig
from mailarchive.remote.discovery.greeting import greets
from mailarchive.remote.discovery.names import mail_exchangers, services
from mailarchive.remote.discovery.network import Network, Service
from mailarchive.remote.discovery.web import fetch

__all__ = ["Network", "Service", "fetch", "greets", "mail_exchangers", "read_autoconfig", "services"]
