"""``mailarchive account``: the accounts of the configuration."""

from mailarchive.cli.account_login import login

__all__ = ["login"]
