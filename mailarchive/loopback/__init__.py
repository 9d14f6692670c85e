"""A small in-memory IMAP server and generated mail, for the demo and the tests."""
