"""Message octets on disk; see FORMAT.md."""
