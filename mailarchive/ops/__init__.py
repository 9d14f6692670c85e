"""What the program can do, one module a verb; no SQL, no sockets, no terminal."""
