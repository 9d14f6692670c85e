"""The archive as a whole: the only package that touches store, journal and catalog."""
