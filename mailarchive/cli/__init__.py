"""The command line: the one layer that knows a terminal and makes exit codes."""
