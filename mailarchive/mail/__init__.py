"""Pure functions over octets."""
