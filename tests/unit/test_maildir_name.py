from hypothesis import given
from hypothesis import strategies as st

from mailarchive.mail import maildir_name
from mailarchive.mail.maildir_name import MaildirName, parse

PARTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4).map(tuple)


def test_a_name_is_split_into_base_and_letters() -> None:
    name = parse("1700000000.M1P2.host,S=1234,W=1260:2,FSa")
    assert (name.unique, name.size, name.wire_size, name.letters) == ("1700000000.M1P2.host", 1234, 1260, "FSa")
    assert str(name) == "1700000000.M1P2.host,S=1234,W=1260:2,FSa"


def test_a_name_from_new_has_no_letters() -> None:
    assert parse("1.2.host") == MaildirName("1.2.host")


def test_a_name_from_a_file_system_without_colons_is_read() -> None:
    assert parse("1.2.host;2,S").letters == parse("1.2.host!2,S").letters == "S"


def test_flags_become_sorted_letters_and_come_back() -> None:
    flags = {"\\Seen", "\\Flagged", "$Forwarded", "$Junk", "Work"}
    letters = maildir_name.letters_of(flags, {"$junk": 0, "work": 1})
    assert letters == "FPSab"
    assert maildir_name.flags_of(letters, {0: "$Junk", 1: "Work"}) == flags


def test_a_flag_without_a_letter_is_left_out() -> None:
    assert maildir_name.letters_of({"\\Recent", "Many"}, {"many": 26}) == ""
    assert maildir_name.flags_of("Zz", {}) == frozenset()


def test_the_keywords_file_is_written_and_read() -> None:
    keywords = {0: "$Junk", 12: "Grüße"}
    assert maildir_name.parse_keywords(maildir_name.format_keywords(keywords)) == keywords
    assert maildir_name.parse_keywords(b"x y\n99 far\n3\n4 good\n") == {4: "good"}


def test_mailboxes_are_named_as_maildir_plus_plus_does() -> None:
    assert maildir_name.mailbox_directory(("INBOX",)) == ""
    assert maildir_name.mailbox_directory(("Arbeit", "Entwürfe")) == ".Arbeit.Entw&APw-rfe"
    assert maildir_name.mailbox_directory(("a.b/c", "50%", "")) == ".a%2Eb%2Fc.50%25.%"


@given(PARTS)
def test_the_mailbox_comes_back_from_its_directory(parts: tuple[str, ...]) -> None:
    directory = maildir_name.mailbox_directory(parts)
    assert not {"/", "\0"} & set(directory)
    if directory:
        assert maildir_name.mailbox_parts(directory) == parts
