"""The loopback server as the target of a restore, spoken to in bare IMAP."""

from collections.abc import Iterator

import pytest

from mailarchive.loopback.account import CAPABILITIES, LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from tests.servers.raw import RawClient

MAIL = b"Subject: one\r\n\r\nfirst\r\n"


@pytest.fixture
def account() -> LoopbackAccount:
    return LoopbackAccount(capabilities=CAPABILITIES | {"CREATE-SPECIAL-USE", "BINARY", "QUOTA"})


@pytest.fixture
def server(account: LoopbackAccount) -> Iterator[LoopbackServer]:
    with LoopbackServer(account) as server:
        yield server


@pytest.fixture
def client(server: LoopbackServer) -> Iterator[RawClient]:
    with RawClient(server) as client:
        yield client


def test_subscriptions_are_kept_with_the_account(account: LoopbackAccount, client: RawClient) -> None:
    account.create("Work")
    assert client.run('LSUB "" *') == ['* LSUB () "/" "INBOX"', '* LSUB () "/" "Work"', "OK Lsub completed"]
    assert client.run("SUBSCRIBE Work") == ["OK Subscribe completed"]
    assert account.subscribed == {b"Work"}
    assert client.run('LSUB "" *') == ['* LSUB () "/" "Work"', "OK Lsub completed"]
    assert client.run('LSUB "" I*') == ["OK Lsub completed"]
    assert client.run("SUBSCRIBE Nowhere")[0].startswith("NO [NONEXISTENT]")
    client.run("UNSUBSCRIBE Work")
    assert account.subscribed == set()


def test_an_append_beyond_the_limit_is_refused_before_it_is_sent(
    account: LoopbackAccount, server: LoopbackServer, client: RawClient
) -> None:
    account.capabilities |= {"APPENDLIMIT=25"}
    assert client.append("INBOX", MAIL).startswith("OK [APPENDUID ")
    assert client.append("INBOX", MAIL * 2) == "NO [TOOBIG] Message is too large"
    assert server.counts.append_octets == len(MAIL)
    assert client.append("INBOX", MAIL * 2, marker="{%d+}") == "NO [TOOBIG] Message is too large"
    assert client.run("NOOP")[-1] == "OK Noop completed"
    assert len(account.messages("INBOX")) == 1


def test_a_quota_is_told_and_kept(account: LoopbackAccount, client: RawClient) -> None:
    assert client.run("GETQUOTAROOT INBOX") == ['* QUOTAROOT "INBOX"', "OK Getquotaroot completed"]
    account.quota = 2048
    assert client.append("INBOX", b"x" * 1500).startswith("OK")
    assert client.run("GETQUOTAROOT INBOX")[:2] == ['* QUOTAROOT "INBOX" ""', '* QUOTA "" (STORAGE 2 2)']
    assert client.run('GETQUOTA ""')[0] == '* QUOTA "" (STORAGE 2 2)'
    assert client.append("INBOX", b"x" * 600) == "NO [OVERQUOTA] Quota exceeded"
    client.run("SELECT INBOX")
    assert client.run("UID COPY 1 INBOX")[-1] == "NO [OVERQUOTA] Quota exceeded"
    assert len(account.messages("INBOX")) == 1


def test_many_appended_at_once_are_all_taken_or_none(account: LoopbackAccount, client: RawClient) -> None:
    account.quota = 50
    many = ("APPEND INBOX {23}", MAIL, " {23}", MAIL, " (\\Seen) {23}", MAIL, "")
    assert client.run(*many) == ["NO [OVERQUOTA] Quota exceeded"]
    assert account.messages("INBOX") == []
    account.quota = 69
    assert client.run(*many)[-1].startswith("OK [APPENDUID 1700000001 1:3]")


def test_nul_is_for_literal8_only(account: LoopbackAccount, server: LoopbackServer, client: RawClient) -> None:
    assert client.append("INBOX", b"a\0b").startswith("NO NUL")
    assert client.append("INBOX", b"a\0b", marker="~{%d}").startswith("OK")
    assert client.append("INBOX", b"a\0c", marker="~{%d+}").startswith("OK")
    assert server.counts.commands[-1] == "APPEND INBOX ~{3}"
    assert [message.octets for message in account.messages("INBOX")] == [b"a\0b", b"a\0c"]
    assert client.run("CREATE ~{4}", b"Work", "")[-1] == "BAD Unexpected literal8"
    account.capabilities -= {"BINARY"}
    assert client.append("INBOX", b"a\0b", marker="~{%d+}") == "BAD Unexpected literal8"


def test_literals_that_are_not_asked_for_have_to_be_offered(account: LoopbackAccount, client: RawClient) -> None:
    assert client.append("INBOX", b"x" * 5000, marker="{%d+}").startswith("OK")
    account.capabilities = account.capabilities - {"LITERAL+"} | {"LITERAL-"}
    assert client.append("INBOX", b"x" * 4096, marker="{%d+}").startswith("OK")
    assert client.append("INBOX", b"x" * 4097, marker="{%d+}").startswith("BAD [TOOBIG]")
    assert client.append("INBOX", b"x" * 4097).startswith("OK")
    account.capabilities -= {"LITERAL-"}
    assert client.append("INBOX", b"x", marker="{%d+}") == "BAD Literals have to be asked for"
    assert client.append("INBOX", b"x").startswith("OK")


@pytest.mark.parametrize(
    ("rule", "octets", "answer"),
    [
        ("bare-newline", b"Subject: x\r\n\r\na\nb\r\n", "NO Message contains bare newlines"),
        ("8bit-header", b"Subject: \xe4\r\n\r\nx\r\n", "NO Message contains non-ASCII headers"),
        ("no-final-crlf", MAIL + b"x", "BAD [CLIENTBUG] Additional arguments"),
        ("long-line", MAIL + b"x" * 9901 + b"\r\n", "BAD Command Argument Error. 11"),
    ],
)
def test_strict_servers_refuse_what_others_take(
    account: LoopbackAccount, client: RawClient, rule: str, octets: bytes, answer: str
) -> None:
    assert client.append("INBOX", octets).startswith("OK")
    account.refuses = frozenset({rule})
    assert client.append("INBOX", octets) == answer
    assert client.append("INBOX", MAIL + b"\xe4" * 9900 + b"\r\n").startswith("OK")


def test_only_permanent_flags_are_kept(account: LoopbackAccount, client: RawClient) -> None:
    account.permanent = frozenset({"\\Seen", "$Done"})
    assert "* OK [PERMANENTFLAGS ($Done \\Seen)] Flags permitted" in client.run("SELECT INBOX")
    client.append("INBOX", MAIL, arguments="(\\seen \\Flagged $Done other) ")
    assert account.messages("INBOX")[0].flags == {"\\seen", "$Done"}
    account.permanent |= {"\\*"}
    client.append("INBOX", MAIL, arguments="(\\Flagged other) ")
    assert account.messages("INBOX")[1].flags == {"other"}


def test_mailboxes_may_have_to_be_below_a_prefix(account: LoopbackAccount, client: RawClient) -> None:
    account.prefix, account.delimiter = "INBOX.", "."
    assert client.run("NAMESPACE")[0] == '* NAMESPACE (("INBOX." ".")) NIL NIL'
    assert client.run("CREATE Work") == ["NO [CANNOT] Mailbox names begin with INBOX."]
    assert client.run("CREATE INBOX.Work") == ["OK Create completed"]
    assert client.run("CREATE INBOX")[-1].startswith("NO [ALREADYEXISTS]")


def test_a_mailbox_is_made_for_a_use(account: LoopbackAccount, client: RawClient) -> None:
    assert client.run("CREATE Gone (USE (\\Trash))") == ["OK Create completed"]
    assert account["Gone"].special_use == "\\Trash"
    assert client.run("CREATE Odd (USE (\\Odd))")[-1].startswith("NO [USEATTR]")
    account.capabilities -= {"CREATE-SPECIAL-USE"}
    assert client.run("CREATE Sent (USE (\\Sent))")[-1].startswith("BAD ")
    assert "Sent" not in account


def test_copy_may_lose_the_date(account: LoopbackAccount, client: RawClient) -> None:
    account.append("INBOX", MAIL)
    client.run("SELECT INBOX")
    client.run("COPY 1 INBOX")
    account.copy_keeps_date = False
    client.run("COPY 1 INBOX")
    first, kept, lost = (message.internaldate for message in account.messages("INBOX"))
    assert first == kept < lost


def test_what_is_put_in_is_counted(server: LoopbackServer, client: RawClient) -> None:
    client.run("APPEND INBOX {23}", MAIL, " {23}", MAIL, "")
    client.append("Nowhere", MAIL)
    client.run("SELECT INBOX")
    client.run("UID COPY 1:2 INBOX")
    counts = server.counts
    assert (counts.appends, counts.appended, counts.append_octets) == (2, 2, 69)
    assert (counts.copies, counts.copied) == (1, 2)
    counts.clear()
    assert (counts.appends, counts.appended, counts.append_octets, counts.copied) == (0, 0, 0, 0)


def test_list_tells_what_is_subscribed(account: LoopbackAccount, client: RawClient) -> None:
    account.create("Work")
    client.run("SUBSCRIBE Work")
    assert client.run('LIST "" * RETURN (SUBSCRIBED)') == [
        '* LIST (\\HasNoChildren) "/" "INBOX"',
        '* LIST (\\HasNoChildren \\Subscribed) "/" "Work"',
        "OK List completed",
    ]
    assert client.run('LIST (SUBSCRIBED) "" *') == ['* LIST (\\HasNoChildren) "/" "Work"', "OK List completed"]


def test_status_tells_the_limit_of_appends(account: LoopbackAccount, client: RawClient) -> None:
    assert client.run("STATUS INBOX (APPENDLIMIT)") == ["BAD Unknown STATUS item"]
    account.capabilities |= {"APPENDLIMIT"}
    assert client.run("STATUS INBOX (APPENDLIMIT MESSAGES)")[0] == '* STATUS "INBOX" (APPENDLIMIT NIL MESSAGES 0)'
    account.append_limit = 10
    assert client.run("STATUS INBOX (APPENDLIMIT)")[0] == '* STATUS "INBOX" (APPENDLIMIT 10)'
    assert client.append("INBOX", MAIL).startswith("NO [TOOBIG]")
    account.capabilities |= {"APPENDLIMIT=25"}
    assert client.run("STATUS INBOX (APPENDLIMIT)")[0] == '* STATUS "INBOX" (APPENDLIMIT 25)'
    assert client.append("INBOX", MAIL).startswith("OK")


def test_one_of_many_that_is_too_large_keeps_all_out(account: LoopbackAccount, client: RawClient) -> None:
    account.capabilities |= {"APPENDLIMIT=25"}
    for marker in ("{%d}", "{%d+}"):
        small, large = marker % len(MAIL), marker % 100
        assert client.run(f"APPEND INBOX {small}", MAIL, f" {large}", b"x" * 100, "") == [
            "NO [TOOBIG] Message is too large"
        ]
        assert client.run(f"APPEND INBOX {large}", b"x" * 100, f" {small}", MAIL, "") == [
            "NO [TOOBIG] Message is too large"
        ]
        assert client.run("NOOP") == ["OK Noop completed"]
    account.refuses = frozenset({"bare-newline", "flags"})
    account.permanent = frozenset({"\\Seen"})
    for second in (" {2}", " (\\Draft) {3}"):
        octets = b"a\n" if "2" in second else b"a\r\n"
        assert client.run(f"APPEND INBOX {{{len(MAIL)}}}", MAIL, second, octets, "")[-1].startswith("NO ")
    assert account.messages("INBOX") == []


def test_many_at_once_have_to_be_offered(account: LoopbackAccount, client: RawClient) -> None:
    account.capabilities -= {"MULTIAPPEND"}
    assert client.run("APPEND INBOX {23+}", MAIL, " {23+}", MAIL, "")[-1].startswith("BAD ")
    assert account.messages("INBOX") == []


def test_nul_may_be_refused_in_any_form(account: LoopbackAccount, client: RawClient) -> None:
    account.refuses = frozenset({"nul"})
    assert client.append("INBOX", b"a\0b", marker="~{%d}") == "NO Message contains NUL characters"


def test_how_long_lines_may_be_is_set(account: LoopbackAccount, client: RawClient) -> None:
    account.refuses, account.longest_line = frozenset({"long-line"}), 998
    assert client.append("INBOX", MAIL + b"x" * 998 + b"\r\n").startswith("OK")
    assert client.append("INBOX", MAIL + b"x" * 999 + b"\r\n").startswith("BAD Command Argument Error")


def test_flags_that_are_not_kept_may_be_refused(account: LoopbackAccount, client: RawClient) -> None:
    account.permanent = frozenset({"\\Seen"})
    client.append("INBOX", MAIL)
    client.run("SELECT INBOX")
    client.run("STORE 1 +FLAGS (\\Seen work)")
    assert account.messages("INBOX")[0].flags == {"\\Seen"}
    account.refuses = frozenset({"flags"})
    refused = "NO [CANNOT] Flags are not permitted: work"
    assert client.append("INBOX", MAIL, arguments="(\\Seen work) ") == refused
    assert client.run("STORE 1 FLAGS (work)")[-1] == refused
    assert client.append("INBOX", MAIL, arguments="(\\Seen) ").startswith("OK")


def test_names_may_be_refused(account: LoopbackAccount, client: RawClient) -> None:
    account.refused_names = r"[*%]|ä|//"
    for name in ("a*b", "a//b", "B&AOQ-r"):
        assert client.run(f'CREATE "{name}"') == ["NO [CANNOT] Invalid mailbox name"]
    assert client.run("CREATE ab") == ["OK Create completed"]


def test_names_may_differ_in_more_than_case(account: LoopbackAccount, client: RawClient) -> None:
    client.run("CREATE &AMQ-rger")
    assert client.run("CREATE &AOQ-rger") == ["OK Create completed"]
    account.ignores_case = True
    for name in ("&AMQ-rger", "&AOQ-RGER", "inbox"):
        assert client.run(f"CREATE {name}") == ["NO [ALREADYEXISTS] Mailbox already exists"]
    assert client.run("CREATE Other") == ["OK Create completed"]
