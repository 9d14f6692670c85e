"""The server's own words, made fit to be shown."""

LONGEST = 200


def printable(words: bytes | str, longest: int = LONGEST) -> str:
    """Return ``words`` with everything unprintable escaped, cut to ``longest`` characters."""
    text = words.decode("utf-8", "backslashreplace") if isinstance(words, bytes) else words
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:longest].strip())
    return text if len(text) <= longest else text[: longest - 1] + "…"
