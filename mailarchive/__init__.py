"""Back up mailboxes into a deduplicated archive that outlives this program."""

__version__ = "0.1.0"
