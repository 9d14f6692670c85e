"""Doors to servers: sockets, TLS and protocols; foreign errors are translated here."""
