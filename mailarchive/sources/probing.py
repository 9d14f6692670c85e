"""The door by which operations find out how far a server can be reached."""

from mailarchive.remote.probe import Greeted, addresses, greet, knock
from mailarchive.remote.tls import Certificate

__all__ = ["Certificate", "Greeted", "addresses", "greet", "knock"]
