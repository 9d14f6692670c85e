"""The door to a monitor that is told how runs go."""

from mailarchive.remote.ping import check_url, ping

__all__ = ["check_url", "ping"]
