"""Generated mail is the same for the same seed, and looks like mail."""

import email
import email.policy
import itertools
import statistics

import pytest

from mailarchive.loopback.corpus import realistic, small
from mailarchive.loopback.demo import demo_account


@pytest.mark.parametrize("generate", [small, realistic])
def test_equal_seeds_give_equal_mail(generate: object) -> None:
    assert callable(generate)
    assert list(generate(40, seed=3)) == list(generate(40, seed=3))
    assert list(generate(40, seed=3)) != list(generate(40, seed=4))


def test_realistic_mail_has_the_sizes_of_real_mail() -> None:
    sizes = [len(mail.octets) for mail in realistic(3_000)]
    assert 7_000 < statistics.median(sizes) < 13_000
    assert 40_000 < statistics.mean(sizes) < 85_000


def test_small_mail_is_about_5_kb_and_partly_in_two_mailboxes() -> None:
    mails = list(small(1_000))
    assert 4_000 < statistics.mean(len(mail.octets) for mail in mails) < 6_000
    assert 0.75 < len({mail.octets for mail in mails}) / len(mails) < 0.9
    assert len({mail.mailbox for mail in mails}) == 6
    assert len({(mail.mailbox, mail.octets) for mail in mails}) == len(mails)


def test_generated_mail_parses_without_defects() -> None:
    for mail in itertools.islice(realistic(200, seed=5), 200):
        message = email.message_from_bytes(mail.octets, policy=email.policy.default)
        assert message["Subject"]
        assert message["Message-ID"]
        assert [part.defects for part in message.walk() if part.defects] == []


def test_the_demo_account_has_what_a_newcomer_should_see() -> None:
    account = demo_account()
    boxes = {mailbox.name: account.messages(mailbox.raw) for mailbox in account.mailboxes()}
    assert len(boxes) == 6
    assert not all(name.isascii() for name in boxes)
    assert 280 <= account.total()[0] <= 320
    everything = [message.octets for messages in boxes.values() for message in messages]
    assert len(everything) - len(set(everything)) == 1
    assert any(b"\r\nFrom here" in octets for octets in everything)
    assert any(b"\r\n" not in octets for octets in everything)
    assert any(b"Content-Disposition: attachment" in octets for octets in everything)
    assert any(b"\r\nReferences: " in octets for octets in everything)
    assert any(b"Subject: =?utf-8?" in octets for octets in everything)
