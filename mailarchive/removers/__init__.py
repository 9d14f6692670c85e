"""Accounts from which messages are removed: only what ``cleanup`` chose, and nothing else in the program gets here."""
