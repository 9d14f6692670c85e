"""Facts of every kind, with any text and number that a server may have sent."""

from hypothesis import strategies as st

from mailarchive import facts as f
from mailarchive.model import Digest, HeaderDigest
from tests.property.mail_strategies import dates

text = st.text(st.characters(codec=None) | st.sampled_from('\ud800\udcff\0\n"'), max_size=8)
"""Anything that a server may have sent, lone surrogates included."""
words = st.text(max_size=8)
"""What was made fit to be shown."""
numbers = st.integers(0, 2**63 - 1)
small = st.integers(1, 3)
digests = st.integers(0, 7).map(lambda n: Digest(bytes([n]) * 32))
headers = st.binary(min_size=16, max_size=16).map(HeaderDigest)
moments = dates.filter(lambda date: date is not None)
flags = st.lists(text, max_size=3).map(tuple)
uids = st.integers(1, 5)
counts = st.dictionaries(st.sampled_from(["listed", "new"]), numbers)

placements = st.builds(
    f.Placed,
    small,
    small,
    uids,
    digests,
    dates,
    flags,
    st.none() | words,
    flags,
    st.none() | numbers,
    st.none() | words,
    st.none() | words,
)
stored = st.builds(
    f.MessageStored, digests, headers, numbers, numbers, numbers, numbers, st.sampled_from(["crlf", "lf", "mixed"])
)
mailboxes = st.builds(
    f.MailboxSeen,
    small,
    words,
    flags,
    st.binary(max_size=8).map(lambda raw: raw.decode("latin-1")),
    st.none() | st.characters(max_codepoint=255),
    flags,
    st.none() | small,
)
ordinary = st.one_of(
    st.builds(f.ArchiveMade, text, text, moments),
    st.builds(f.RunBegan, small, moments, words, words),
    st.builds(
        f.RunEnded,
        small,
        moments,
        st.integers(0, 255),
        st.lists(words, max_size=2).map(tuple),
        counts,
        st.dictionaries(text, counts, max_size=2),
    ),
    st.builds(f.AccountSeen, words, words, words, words),
    mailboxes,
    st.builds(f.MailboxVanished, small),
    stored,
    placements,
    st.builds(f.FlagsChanged, small, small, uids | words, flags),
    st.builds(f.LabelsChanged, small, small, uids | words, flags),
    st.builds(f.Gone, small, small, st.lists(uids | words, max_size=3).map(tuple)),
    st.builds(f.Failed, small, small, uids, words),
    st.builds(
        f.CursorMoved,
        small,
        small,
        st.none() | numbers,
        st.none() | numbers,
        st.none() | numbers,
        st.none() | words,
        numbers,
    ),
    st.builds(f.BlockPacked, small, small, numbers, numbers, numbers),
    st.builds(f.Lost, digests, text),
    st.builds(f.TargetSeen, small, words, words, words, words),
    st.builds(
        f.TargetMailboxSeen,
        small,
        small,
        st.binary(max_size=8).map(lambda raw: raw.decode("latin-1")),
        st.none() | st.characters(max_codepoint=255),
        st.none() | small,
        st.none() | numbers,
    ),
    st.builds(f.Sending, small, digests),
    st.builds(f.NotTaken, small, digests),
    st.builds(f.NotThere, small, digests, st.none() | numbers),
    st.builds(
        f.Restored,
        small,
        digests,
        st.none() | numbers,
        st.sampled_from([None, "copy", "there"]),
        st.none() | digests,
    ),
)
"""All but ``part`` and ``checkpoint``, which the journal itself writes."""

any_fact = st.one_of(
    ordinary,
    st.builds(f.Part, numbers, st.binary(min_size=32, max_size=32)),
    st.builds(f.Checkpoint, numbers, st.binary(min_size=32, max_size=32)),
)
