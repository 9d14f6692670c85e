"""Places that messages are pulled from."""
