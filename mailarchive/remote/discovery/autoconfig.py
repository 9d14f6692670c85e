"""Reads the file by which a domain tells mail programs its servers, as Thunderbird defined it."""

from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from mailarchive.config import Auth, Endpoint, Protocol, Security
from mailarchive.errors import ProtocolViolation
from mailarchive.remote.discovery.network import is_usable

_PROTOCOLS: dict[str, Protocol] = {"imap": "imap", "pop3": "pop3"}
_SECURITIES: dict[str, Security] = {"ssl": "tls", "starttls": "starttls", "plain": "plain"}
_MOST = 16


class _Refused(Exception):
    """The text has a document type, by which entities that explode could be declared."""


def read_autoconfig(octets: bytes, address: str) -> list[Endpoint]:
    """Return the servers to get the mail of ``address`` from, in the order of the file.

    What is not understood is passed over. Raises ProtocolViolation if it is no such file.
    """
    root = _parsed(octets)
    if root.tag != "clientConfig":
        raise ProtocolViolation("what is there is no autoconfig file")
    servers = root.iterfind("emailProvider/incomingServer")
    found = (_endpoint(server, address) for server in servers)
    return [endpoint for endpoint in found if endpoint is not None][:_MOST]


def _parsed(octets: bytes) -> Element:
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(octets, True)  # noqa: FBT003 - expat's own parameter: this is all of it
        root = builder.close()
    except (expat.ExpatError, _Refused, AssertionError, ValueError, LookupError):
        raise ProtocolViolation("what is there is no XML that is safe to read") from None
    return root


def _refuse(*_declaration: object) -> NoReturn:
    raise _Refused


def _endpoint(server: Element, address: str) -> Endpoint | None:
    protocol = _PROTOCOLS.get(server.get("type", "").lower())
    security = _SECURITIES.get(_text(server, "socketType").lower())
    host = _filled(_text(server, "hostname"), address).lower()
    port = _text(server, "port")
    if protocol is None or security is None or not is_usable(host) or not _is_port(port):
        return None
    user = _filled(_text(server, "username"), address) or address
    if not user.isprintable():
        return None
    return Endpoint(protocol, user, host, int(port), security, auth=_auth(server))


def _auth(server: Element) -> Auth:
    """Return ``oauth`` where nothing else is accepted."""
    ways = {(way.text or "").strip().lower() for way in server.iterfind("authentication")}
    return "oauth" if ways == {"oauth2"} else "password"


def _text(server: Element, tag: str) -> str:
    return (server.findtext(tag) or "").strip()


def _filled(text: str, address: str) -> str:
    local, _at, domain = address.rpartition("@")
    values = {"%EMAILADDRESS%": address, "%EMAILLOCALPART%": local, "%EMAILDOMAIN%": domain}
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536
