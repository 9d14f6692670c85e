"""Names from servers become file names that are safe everywhere and never fall together."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.mail.path_name import LONGEST, path_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("INBOX", "INBOX"),
        ("Entwürfe & mehr", "Entwürfe & mehr"),
        ("", "%"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        (".hidden", "%2Ehidden"),
        ("-rf", "%2Drf"),
        ("a/b\\c", "a%2Fb%5Cc"),
        ("100%", "100%25"),
        ("nul", "%6Eul"),
        ("COM1.txt", "%43OM1.txt"),
        ("trailing ", "trailing%20"),
        ("a\nb\x00", "a%0Ab%00"),
        ("\ud800", "%ED%A0%80"),
        ("\u202eevil", "%E2%80%AEevil"),
    ],
)
def test_a_name_is_kept_where_it_is_safe_and_encoded_where_not(name: str, expected: str) -> None:
    assert path_name(name) == expected


def test_a_long_name_is_cut_and_ends_in_a_hash_of_the_whole() -> None:
    first, second = path_name("ü" * 300), path_name("ü" * 300 + "x")
    assert first != second
    assert max(len(os.fsencode(first)), len(os.fsencode(second))) <= LONGEST


_NAMES = st.text(st.characters(codec=None), max_size=12) | st.text(". -%/\\\0:NULCON1ü\ud800", max_size=8)


@given(_NAMES)
def test_a_name_is_one_component_of_a_path(name: str) -> None:
    safe = path_name(name)
    assert safe.encode("utf-8")
    assert not set(safe) & set('/\\\0:*?"<>|\n')
    assert safe not in {"", ".", ".."}
    assert safe[0] not in ". -"
    assert safe[-1] not in ". "


@given(_NAMES, _NAMES)
def test_two_names_are_two_file_names(one: str, other: str) -> None:
    assert (path_name(one) == path_name(other)) == (one == other)
