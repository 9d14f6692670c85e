"""A certificate authority and a server certificate for localhost, made by the openssl command."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files: the authority's certificate, the server's certificate, its key."""

    ca: Path
    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """Return what a server needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_certificate(directory: Path, *names: str) -> Certificate:
    """Write an authority and a certificate for localhost, 127.0.0.1 and ``names`` into ``directory``."""
    made = Certificate(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    authority_key, request, extensions = (directory / name for name in ("ca.key", "server.csr", "server.ext"))
    alternatives = ",".join(["DNS:localhost", "IP:127.0.0.1", *(f"DNS:{name}" for name in names)])
    extensions.write_text(f"subjectAltName={alternatives}\nextendedKeyUsage=serverAuth\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl(
        "req",
        "-x509",
        *key,
        "-subj",
        "/CN=test authority",
        "-days",
        "30",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout",
        authority_key,
        "-out",
        made.ca,
    )
    _openssl("req", "-new", *key, "-subj", "/CN=localhost", "-keyout", made.key, "-out", request)
    _openssl(
        "x509",
        "-req",
        "-in",
        request,
        "-CA",
        made.ca,
        "-CAkey",
        authority_key,
        "-set_serial",
        "2",
        "-days",
        "30",
        "-extfile",
        extensions,
        "-out",
        made.certificate,
    )
    return made


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
