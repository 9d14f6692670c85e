import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.errors import ProtocolViolation
from mailarchive.mail.body import MemoryBody
from mailarchive.model import Cursor, UidValidity
from mailarchive.remote.imap import answers
from mailarchive.remote.imap.responses import Untagged
from mailarchive.remote.imap.scan import Part, Scanner, Value
from mailarchive.remote.words import printable


def untagged(name: bytes, *parts: Part) -> Untagged:
    return Untagged(1, name, list(parts), 0)


@pytest.mark.parametrize(
    ("line", "raw", "delimiter"),
    [
        (b'() "/" INBOX', b"INBOX", "/"),
        (b'() "/" "inbox"', b"INBOX", "/"),
        (b'(\\HasNoChildren) "." "a.b c"', b"a.b c", "."),
        (b'() "\\\\" "a\\\\b"', b"a\\b", "\\"),
        (b'() "\\" "a\\b"', b"a\\b", "\\"),
        (b'() "/" "say \\"hi\\" \\\\ bye"', b'say "hi" \\ bye', "/"),
        (b"() NIL flat", b"flat", None),
        (b"() nil NIL", b"NIL", None),
        (b'() "/" Caf\xc3\xa9', b"Caf\xc3\xa9", "/"),
        (b'() "/" My Mail', b"My Mail", "/"),
        (b'() "/" [Gmail]/Spam', b"[Gmail]/Spam", "/"),
        (b'() "/" foo ("CHILDINFO" ("SUBSCRIBED"))', b"foo", "/"),
    ],
)
def test_names_in_list_are_read_in_any_form(line: bytes, raw: bytes, delimiter: str | None) -> None:
    answer = answers.read_list(untagged(b"LIST", line))
    assert (answer.raw, answer.delimiter) == (raw, delimiter)


def test_a_name_in_list_may_be_a_literal() -> None:
    assert answers.read_list(untagged(b"LIST", b'() "/" ', b'a"\\b', b"")).raw == b'a"\\b'


@pytest.mark.parametrize("attribute", [b"\\Noselect", b"\\NoSelect", b"\\NonExistent"])
def test_what_cannot_be_selected_is_told(attribute: bytes) -> None:
    assert not answers.read_list(untagged(b"LIST", b"(" + attribute + b') "/" x')).selectable


def test_special_uses_are_kept_and_other_attributes_not() -> None:
    answer = answers.read_list(untagged(b"LIST", b'(\\HasNoChildren \\sent \\All) "/" x'))
    assert answer.special_use == {"\\Sent", "\\All"}


@pytest.mark.parametrize("line", [b"", b"()", b"x", b'() "/"', b'() "ab" x', b'() "/" (x)', b'( "/" x'])
def test_a_broken_list_answer_is_a_protocol_violation(line: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        answers.read_list(untagged(b"LIST", line))


@pytest.mark.parametrize(
    ("line", "cursor"),
    [
        (b"x (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 7 HIGHESTMODSEQ 5)", Cursor(UidValidity(7), 9, 5, 3)),
        (b'"x" (uidvalidity 7 HIGHESTMODSEQ 0)', Cursor(UidValidity(7), None, None, None)),
        (b"x (MESSAGES 3 UIDNEXT 9)", None),
        (b"x ()", None),
        (b"x (MESSAGES)", None),
        (b"x (UIDVALIDITY NIL MESSAGES 1)", None),
    ],
)
def test_status_gives_a_cursor_if_there_is_a_uidvalidity(line: bytes, cursor: Cursor | None) -> None:
    assert answers.read_status(untagged(b"STATUS", line)) == (b"x", cursor)


@pytest.mark.parametrize(
    ("name", "line", "found"),
    [
        (b"SEARCH", b" 3 1 2", [(3, 3), (1, 1), (2, 2)]),
        (b"SEARCH", b"", []),
        (b"SEARCH", b" 5 (MODSEQ 917162500)", [(5, 5)]),
        (b"ESEARCH", b' (TAG "A1") UID ALL 1:3,7', [(1, 3), (7, 7)]),
        (b"ESEARCH", b' (TAG "A1") UID', []),
        (b"ESEARCH", b" UID COUNT 5 ALL 9:7", [(7, 9)]),
        (b"ESEARCH", b"", []),
    ],
)
def test_search_answers_are_read(name: bytes, line: bytes, found: list[tuple[int, int]]) -> None:
    assert answers.read_search(untagged(name, line)) == found


@pytest.mark.parametrize(
    ("name", "line"),
    [(b"SEARCH", b" 1 x"), (b"SEARCH", b" " + b"9" * 5000), (b"ESEARCH", b" ALL (1)"), (b"ESEARCH", b" ALL")],
)
def test_a_broken_search_answer_is_a_protocol_violation(name: bytes, line: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        answers.read_search(untagged(name, line))


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"17-Jul-1996 02:44:25 -0700", datetime(1996, 7, 17, 2, 44, 25, tzinfo=timezone(-timedelta(hours=7)))),
        (b" 1-Jan-2024 10:11:12 +0530", datetime(2024, 1, 1, 10, 11, 12, tzinfo=timezone(timedelta(hours=5.5)))),
        (b"1-jan-2024 10:11:12 -0000", datetime(2024, 1, 1, 10, 11, 12, tzinfo=UTC)),
        (b"01-Jan-2024 10:11:12 GMT", datetime(2024, 1, 1, 10, 11, 12, tzinfo=UTC)),
        (b"01-Jan-2024 10:11:12", datetime(2024, 1, 1, 10, 11, 12, tzinfo=UTC)),
        (b"01-Jan-2024 10:11:12 +9999", datetime(2024, 1, 1, 10, 11, 12, tzinfo=UTC)),
        (b"31-Dec-2016 23:59:60 +0000", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (b"30-Feb-2024 10:11:12 +0000", None),
        (b"01-Foo-2024 10:11:12 +0000", None),
        (b"01-Jan-0000 10:11:12 +0000", None),
        (b"Mon, 1 Jan 2024 10:11:12 +0000", None),
        (b"", None),
    ],
)
def test_internaldate_is_aware_or_none(octets: bytes, expected: datetime | None) -> None:
    assert answers.internaldate(octets) == expected


def test_internaldate_keeps_its_zone() -> None:
    date = answers.internaldate(b"17-Jul-1996 02:44:25 -0730")
    assert date is not None
    assert date.utcoffset() == -timedelta(hours=7, minutes=30)


def test_all_facts_of_a_message_are_read() -> None:
    items = answers.read_fetch(
        untagged(
            b"FETCH",
            b' (FLAGS (\\Seen \\Recent $Forwarded) X-GM-MSGID 12345 X-GM-LABELS ("\\\\Inbox" "Entw&APw-rfe" a) UID 9 '
            b'INTERNALDATE "01-Jan-2024 10:11:12 +0000" RFC822.SIZE 55 MODSEQ (4) ENVELOPE (NIL ("a" ((NIL)) "b")))',
        )
    )
    facts = answers.facts(items)
    assert facts is not None
    assert facts.uid == 9
    assert facts.size == 55
    assert facts.flags == {"\\Seen", "$Forwarded"}
    assert facts.account_id == "12345"
    assert facts.labels == ("\\Inbox", "Entwürfe", "a")


@pytest.mark.parametrize(
    ("line", "account_id"),
    [(b" (UID 1 EMAILID (M6d99))", "M6d99"), (b" (UID 1 EMAILID NIL)", None), (b" (UID 1)", None)],
)
def test_emailid_is_the_account_wide_id(line: bytes, account_id: str | None) -> None:
    facts = answers.facts(answers.read_fetch(untagged(b"FETCH", line)))
    assert facts is not None
    assert facts.account_id == account_id


def test_facts_that_are_unreadable_are_none() -> None:
    facts = answers.facts(
        answers.read_fetch(untagged(b"FETCH", b" (UID 1 RFC822.SIZE -5 INTERNALDATE NIL FLAGS NIL X-GM-LABELS NIL)"))
    )
    assert facts is not None
    assert (facts.size, facts.internaldate, facts.flags, facts.labels) == (None, None, frozenset(), ())


def test_without_a_uid_there_are_no_facts() -> None:
    assert answers.facts(answers.read_fetch(untagged(b"FETCH", b" (FLAGS (\\Seen))"))) is None


def test_data_behind_the_closing_parenthesis_is_read_too() -> None:
    items = answers.read_fetch(untagged(b"FETCH", b" (BODY[] ", b"abc", b") UID 7)"))
    assert items == {b"BODY[]": b"abc", b"UID": b"7"}


@pytest.mark.parametrize("value", [b"NIL", b"word", b"{-5}", b"{99999999999999999999999999}"])
def test_a_body_is_no_atom(value: bytes) -> None:
    assert answers.body(answers.read_fetch(untagged(b"FETCH", b" (BODY[] " + value + b")"))) is None


@pytest.mark.parametrize(("value", "octets"), [(b'"a \\"b\\""', b'a "b"'), (b'""', b"")])
def test_a_body_may_be_a_quoted_string(value: bytes, octets: bytes) -> None:
    body = answers.body(answers.read_fetch(untagged(b"FETCH", b" (BODY[] " + value + b")")))
    assert isinstance(body, MemoryBody)
    assert body.octets == octets


def test_a_body_that_is_nil_is_none() -> None:
    assert answers.body(answers.read_fetch(untagged(b"FETCH", b" (UID 1 BODY[] NIL)"))) is None


@pytest.mark.parametrize("text", [b"(" * 100_000, b"(" * 40 + b")" * 40, b'"', b"(a", b"", b")"])
def test_values_without_an_end_or_too_deep_are_protocol_violations(text: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        Scanner([text]).value()


words = st.from_regex(re.compile(rb"[A-Za-z0-9$\\._-]+"), fullmatch=True).filter(lambda word: word.upper() != b"NIL")
values = st.recursive(
    st.none() | st.binary(max_size=20) | words, lambda inner: st.lists(inner, max_size=4), max_leaves=12
)


def rendered(value: Value, draw: st.DataObject) -> list[bytes]:
    """Return text, literal, text, … that stand for the value."""
    if value is None:
        return [b"NIL"]
    if isinstance(value, list):
        parts = [b"("]
        for place, one in enumerate(value):
            inner = rendered(one, draw)
            parts = [*parts[:-1], parts[-1] + (b" " if place else b"") + inner[0], *inner[1:]]
        return [*parts[:-1], parts[-1] + b")"]
    assert isinstance(value, bytes)
    quotable = b"\r" not in value and b"\n" not in value
    if quotable and draw.draw(st.booleans()):
        return [b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"']
    return [b"", value, b""]


@given(st.lists(st.tuples(words.map(bytes.upper), values), max_size=6, unique_by=lambda item: item[0]), st.data())
def test_any_fetch_response_is_read_as_it_was_written(items: list[tuple[bytes, Value]], data: st.DataObject) -> None:
    parts = [b" ("]
    for name, value in items:
        inner = rendered(value, data)
        parts = [*parts[:-1], parts[-1] + name + b" " + inner[0], *inner[1:]]
        parts[-1] += b" "
    parts[-1] += b")"
    assert answers.read_fetch(untagged(b"FETCH", *parts)) == dict(items)


garbage = st.lists(
    st.binary(max_size=60) | st.text('()"\\[]{} ANIL0', max_size=40).map(str.encode), min_size=1, max_size=3
)


@given(
    garbage.filter(lambda parts: len(parts) % 2 == 1),
    st.sampled_from([b"LIST", b"STATUS", b"SEARCH", b"ESEARCH", b"FETCH"]),
)
def test_garbage_raises_protocol_violation_or_nothing(parts: list[bytes], name: bytes) -> None:
    answer = untagged(name, *parts)
    try:
        match name:
            case b"LIST":
                answers.read_list(answer)
            case b"STATUS":
                answers.read_status(answer)
            case b"FETCH":
                items = answers.read_fetch(answer)
                answers.facts(items)
                answers.body(items)
            case _:
                answers.read_search(answer)
    except ProtocolViolation:
        pass


@given(st.binary(max_size=40))
def test_any_internaldate_is_survived(octets: bytes) -> None:
    answers.internaldate(octets)


@given(st.binary(max_size=400))
def test_words_of_the_server_are_printable_and_short(words: bytes) -> None:
    shown = printable(words)
    assert shown.isprintable()
    assert len(shown) <= 200


def test_control_characters_in_the_servers_words_are_escaped() -> None:
    assert printable(b"go\x1b[31m\r\naway \xe2\x82\xac \xff") == "go\\x1b[31m\\r\\naway € \\xff"
