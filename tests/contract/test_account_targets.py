"""Implementations of AccountTarget, each with all that the contract says."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cached_property

import pytest

from mailarchive.config import Endpoint, account_of
from mailarchive.loopback.account import CAPABILITIES, LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.mail.mailbox_name import decode_name, encode_name
from mailarchive.targets.accounts import AccountTarget
from mailarchive.targets.imap import ImapTarget
from mailarchive.targets.memory import MemoryAccount, MemoryTarget
from tests.contract.account_target_contract import AccountTargetContract, AccountWorld, Kept
from tests.servers.dovecot import Dovecot

FULL = CAPABILITIES | {"APPENDLIMIT", "BINARY", "CREATE-SPECIAL-USE", "QUOTA"}
BARE = frozenset({"IMAP4rev1"})
QUOTA = """
mail_plugins = quota
protocol imap {{
  mail_plugins = quota imap_quota
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_grace = 0
  {rules}
}}
"""
_MESSAGE = re.compile(rb'UID (\d+) FLAGS \(([^)]*)\) INTERNALDATE "([^"]*)"')


class MemoryWorld:
    def __init__(self) -> None:
        self.account = MemoryAccount()
        self.account.create("INBOX")

    def connect(self) -> AccountTarget:
        return MemoryTarget(self.account)

    def kept(self, path: str) -> list[Kept]:
        messages = self.account.messages(path).items()
        return [Kept(uid, one.octets, one.facts.flags, one.facts.internaldate) for uid, one in messages]

    def subscribed(self) -> set[str]:
        return self.account.subscribed

    def delete(self, path: str) -> None:
        self.account.delete(path)

    def refuse_larger(self, octets: int) -> None:
        self.account.append_limit = octets

    def make_room(self, octets: int) -> None:
        self.account.quota = octets


class LoopbackWorld:
    def __init__(self, server: LoopbackServer) -> None:
        self.server = server
        self.account = server.account
        self.account.refused_names = "//"

    def connect(self) -> AccountTarget:
        endpoint = Endpoint("imap", "user", self.server.host, self.server.port, "plain")
        return ImapTarget(account_of(endpoint), endpoint, "secret")

    def kept(self, path: str) -> list[Kept]:
        messages = self.account.messages(path)
        return [Kept(one.uid, one.octets, one.flags, one.internaldate) for one in messages]

    def subscribed(self) -> set[str]:
        return {decode_name(raw) for raw in self.account.subscribed}

    def delete(self, path: str) -> None:
        self.account.delete(path)

    def refuse_larger(self, octets: int) -> None:
        self.account.capabilities |= {"APPENDLIMIT"}
        self.account.append_limit = octets

    def make_room(self, octets: int) -> None:
        self.account.quota = octets


class DovecotWorld:
    """The server starts when it is needed, with the rules that are known then."""

    def __init__(self, start: Callable[..., Dovecot]) -> None:
        self._start = start
        self._rules = ""

    @cached_property
    def server(self) -> Dovecot:
        return self._start(extra=QUOTA.format(rules=self._rules))

    def connect(self) -> AccountTarget:
        endpoint = Endpoint("imap", self.server.user, self.server.host, self.server.port, "plain")
        return ImapTarget(account_of(endpoint), endpoint, self.server.password)

    def kept(self, path: str) -> list[Kept]:
        with self.server.login() as client:
            client.select(_quoted(path), readonly=True)
            _status, answers = client.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")
        return [_kept(*answer) for answer in answers if isinstance(answer, tuple)]

    def subscribed(self) -> set[str]:
        with self.server.login() as client:
            _status, lines = client.lsub()
        return {decode_name(_unquoted(line)) for line in lines if line}

    def delete(self, path: str) -> None:
        with self.server.login() as client:
            client.delete(_quoted(path))

    def refuse_larger(self, octets: int) -> None:
        self._rules += f"quota_max_mail_size = {octets}\n"

    def make_room(self, octets: int) -> None:
        self._rules += f"quota_rule = *:bytes={octets}\n"


def _quoted(path: str) -> str:
    name = encode_name(path).decode().replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}"'


def _unquoted(line: bytes | tuple[bytes, bytes]) -> bytes:
    """Return the name at the end of an answer to LSUB."""
    if isinstance(line, tuple):
        return line[1]
    name = line.split(b' "/" ', 1)[1]
    return re.sub(rb"\\(.)", rb"\1", name[1:-1]) if name.startswith(b'"') else name


def _kept(head: bytes, octets: bytes) -> Kept:
    found = _MESSAGE.search(head)
    assert found
    date = datetime.strptime(found[3].decode().strip(), "%d-%b-%Y %H:%M:%S %z")
    return Kept(int(found[1]), octets, frozenset(found[2].decode().split()) - {"\\Recent"}, date)


class TestMemory(AccountTargetContract):
    @pytest.fixture
    def world(self) -> AccountWorld:
        return MemoryWorld()


class TestImapOverLoopback(AccountTargetContract):
    @pytest.fixture
    def world(self) -> Iterator[AccountWorld]:
        with LoopbackServer(LoopbackAccount(capabilities=FULL)) as server:
            yield LoopbackWorld(server)


class TestImapWithoutExtensions(AccountTargetContract):
    @pytest.fixture
    def world(self) -> Iterator[AccountWorld]:
        with LoopbackServer(LoopbackAccount(capabilities=BARE)) as server:
            yield LoopbackWorld(server)


@pytest.mark.parametrize("missing", [{"UIDPLUS"}, {"MULTIAPPEND"}, {"LITERAL+"}], ids=min)
class TestImapWithoutOne(AccountTargetContract):
    @pytest.fixture
    def world(self, missing: set[str]) -> Iterator[AccountWorld]:
        with LoopbackServer(LoopbackAccount(capabilities=FULL - missing)) as server:
            yield LoopbackWorld(server)


class TestImapOverDovecot(AccountTargetContract):
    takes_empty = False
    keeps_zone = False

    def shown(self, octets: bytes) -> bytes:
        """Lines end with CRLF, and FETCH BODY[] must not show NUL (RFC 3516 section 4.2)."""
        return re.sub(rb"(?<!\r)\n", b"\r\n", octets).replace(b"\0", b"\x80")

    @pytest.fixture
    def world(self, start_dovecot: Callable[..., Dovecot]) -> AccountWorld:
        return DovecotWorld(start_dovecot)
