"""OAuth access tokens of accounts: got, kept, and renewed before they expire."""
