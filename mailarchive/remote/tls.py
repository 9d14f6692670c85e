"""How certificates are checked: always, against the system's authorities or a given file."""

import ssl
from pathlib import Path

from mailarchive.errors import TlsFailed


def verifying_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that verifies the certificate and the host name.

    ``ca_file`` replaces the system's authorities. Raises TlsFailed if it cannot be used.
    """
    try:
        return ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise TlsFailed(
            f"the file of certificate authorities {ca_file} cannot be used: {error}",
            hint="give a readable PEM file with --ca-file",
        ) from error
