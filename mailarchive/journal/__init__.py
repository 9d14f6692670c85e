"""The append-only, hash-chained record of every fact; see store/FORMAT.md."""
