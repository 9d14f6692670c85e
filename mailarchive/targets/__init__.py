"""Places that messages are put into; only added to."""
