"""Generated mail: equal for an equal seed, quick to make, and in sizes and repetition like real mail."""

import binascii
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.header import Header
from email.utils import format_datetime

from mailarchive.loopback.account import DEFAULT_DATE
from mailarchive.loopback.prose import FAMILY_NAMES, GIVEN_NAMES, NOTICE, STYLE, SUBJECTS, Prose

_FIRST = datetime(2019, 3, 4, 8, 0, tzinfo=timezone(timedelta(hours=1)))
_ZONES = tuple(timezone(timedelta(minutes=minutes)) for minutes in (0, 60, 120, -300, -480, 330, 540))
_DOMAINS = ("example.org", "example.com", "mail.example.net", "werkstatt.example", "lists.example.org")
_MAILBOXES = ("INBOX", "Sent", "Archive/2019", "Archive/2020", "Archive/2021", "Lists/announce")
_FLAGS = (("\\Seen", 0.8), ("\\Answered", 0.2), ("\\Flagged", 0.04), ("$Forwarded", 0.03))
_LARGEST = 12 << 20


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to be put into ``mailbox``."""

    mailbox: str
    octets: bytes
    internaldate: datetime = DEFAULT_DATE
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a reply needs to know about the message before it."""

    message_id: str
    references: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to be attached."""

    name: str
    kind: str
    octets: bytes


class Writer:
    """Writes messages one after the other, all choices from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - reproducible on purpose
        self.prose = Prose(self.random)
        people = [self.random.sample(names, len(names)) for names in (GIVEN_NAMES.split(), FAMILY_NAMES.split())]
        self.people = [
            (f"{given} {family}", f"{given}.{family}@{domain}".lower().replace("ü", "ue").replace("ø", "o"))
            for given, family, domain in zip(*people, itertools.cycle(_DOMAINS), strict=False)
        ]
        self._numbers = itertools.count(1)
        self._moment = _FIRST
        self._threads: list[_Sent] = []
        self._files: list[Attachment] = []

    def moment(self) -> datetime:
        """Return the next message's time, in some zone."""
        self._moment += timedelta(seconds=self.random.randrange(60, 7200))
        return self._moment.astimezone(self.random.choice(_ZONES))

    def message(
        self,
        moment: datetime,
        text_size: int,
        *,
        html: bool = False,
        attachments: Sequence[Attachment] = (),
        subject: str = "",
        thread: bool = True,
    ) -> bytes:
        """Return a message of about ``text_size`` octets of text, and twice as much HTML if asked for."""
        before = self.random.choice(self._threads[-40:]) if thread and self._threads and self.chance(0.45) else None
        text = self.prose.paragraphs(text_size // 2 if before else text_size)
        if before:
            quoted = "".join(f"> {line}\r\n" for line in before.text.splitlines()[: max(4, text_size // 160)])
            text = f"{text}\r\nOn {moment:%d %b %Y} at {moment:%H:%M} you wrote:\r\n{quoted}"
            subject = before.subject if before.subject.startswith("Re: ") else f"Re: {before.subject}"
        subject = subject or f"{self.random.choice(SUBJECTS)} {self.prose.words(3)}"
        message_id = f"<{moment:%Y%m%d%H%M%S}.{self.random.getrandbits(64):016x}@{self.random.choice(_DOMAINS)}>"
        references = f"{before.references} {before.message_id}".split()[-8:] if before else []
        self._threads.append(_Sent(message_id, " ".join(references), subject, text))
        del self._threads[:-200]
        headers = self._headers(moment, message_id, subject, references)
        return (headers + self._body(text, html=html, attachments=attachments)).encode()

    def chance(self, share: float) -> bool:
        """Return True in ``share`` of the cases."""
        return self.random.random() < share

    def attachment(self, size: int) -> Attachment:
        """Return a file of about ``size`` octets: mostly compressed data, some text, some sent before."""
        if self._files and self.chance(0.2):
            return self.random.choice(self._files)
        name = f"{self.prose.words(2).replace(' ', '-')}-{next(self._numbers)}"
        if self.chance(0.15):
            made = Attachment(f"{name}.csv", "text/csv", self.prose.table(size))
        else:
            kind, extension = self.random.choice((("application/pdf", "pdf"), ("image/jpeg", "jpg")))
            made = Attachment(f"{name}.{extension}", kind, self.random.randbytes(size))
        self._files.append(made)
        del self._files[:-12]
        return made

    def _headers(self, moment: datetime, message_id: str, subject: str, references: list[str]) -> str:
        sender, recipient = self.random.choice(self.people), self.random.choice(self.people[:12])
        date = format_datetime(moment)
        relay = self.random.choice(_DOMAINS)
        lines = [
            f"Return-Path: <{sender[1]}>",
            f"Delivered-To: {recipient[1]}",
            f"Received: from mx{self.random.randrange(9)}.{relay} (mx.{relay} [192.0.2.{self.random.randrange(256)}])",
            f"\tby mail.example.org (Postfix) with ESMTPS id {self.random.getrandbits(44):011X}",
            "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519)",
            f"\tfor <{recipient[1]}>; {date}",
            "Authentication-Results: mail.example.org; spf=pass; dkim=pass; dmarc=pass",
            f"Date: {date}",
            f"From: {_encoded(sender[0])} <{sender[1]}>",
            f"To: {_encoded(recipient[0])} <{recipient[1]}>",
            f"Subject: {_encoded(subject)}",
            f"Message-ID: {message_id}",
        ]
        if references:
            lines += [f"In-Reply-To: {references[-1]}", "References: " + "\r\n\t".join(references)]
        if self.chance(0.3):
            lines += [
                f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={relay}; s=mail2019;",
                f"\tt={int(moment.timestamp())}; h=from:to:subject:date:message-id:references:mime-version;",
                f"\tb={self.random.randbytes(192).hex()}",
            ]
        if self.chance(0.3):
            lines += [f"User-Agent: Mozilla Thunderbird {self.random.randrange(60, 128)}.0"]
        return "\r\n".join([*lines, "MIME-Version: 1.0", ""])

    def _body(self, text: str, *, html: bool, attachments: Sequence[Attachment]) -> str:
        body = f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}"
        if html:
            markup = "".join(f'<p class="text">{line}</p>\r\n' for line in text.split("\r\n\r\n"))
            page = f"<html><head>{STYLE}</head><body>\r\n{markup}{NOTICE}</body></html>\r\n"
            body = self._multipart("alternative", [body, f"Content-Type: text/html; charset=utf-8\r\n\r\n{page}"])
        files = [
            f'Content-Type: {file.kind}; name="{file.name}"\r\nContent-Transfer-Encoding: base64\r\n'
            f'Content-Disposition: attachment; filename="{file.name}"\r\n\r\n{_base64(file.octets)}'
            for file in attachments
        ]
        return self._multipart("mixed", [body, *files]) if files else body

    def _multipart(self, kind: str, parts: Sequence[str]) -> str:
        boundary = f"=_{self.random.getrandbits(96):024x}"
        inner = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
        return f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n{inner}--{boundary}--\r\n'


def _base64(octets: bytes) -> str:
    """Return base64 in lines of 76 characters (RFC 2045 section 6.8)."""
    text = binascii.b2a_base64(octets, newline=False).decode()
    return "".join(f"{text[start : start + 76]}\r\n" for start in range(0, len(text), 76))


def _encoded(text: str) -> str:
    """Return header text, as encoded words where it is not ASCII (RFC 2047)."""
    return text if text.isascii() else Header(text, "utf-8", maxlinelen=70).encode(linesep="\r\n")


def small(count: int, seed: int = 1) -> Iterator[Mail]:
    """Yield ``count`` messages of about 5 KB without attachments, one in six of them in a second mailbox."""
    writer = Writer(seed)

    def make(moment: datetime) -> bytes:
        return writer.message(moment, int(min(writer.random.lognormvariate(8.0, 0.65), 40_000)))

    return _spread(writer, count, make)


def realistic(count: int, seed: int = 1) -> Iterator[Mail]:
    """Yield ``count`` messages with sizes like real mail: median about 10 KB, mean about 60 KB.

    A third has HTML, one in six an attachment, and one in six is in a second mailbox as well.
    """
    writer = Writer(seed)

    def make(moment: datetime) -> bytes:
        size = int(min(writer.random.lognormvariate(8.5, 0.9), 200_000))
        attachments = []
        if writer.chance(1 / 6):
            attachments = [writer.attachment(int(min(writer.random.lognormvariate(11.35, 1.3), _LARGEST)))]
        return writer.message(moment, size, html=writer.chance(1 / 3), attachments=attachments)

    return _spread(writer, count, make)


def _spread(writer: Writer, count: int, make: Callable[[datetime], bytes]) -> Iterator[Mail]:
    """Yield ``count`` messages over the mailboxes; one in six is a copy of a recent one in another mailbox."""
    recent: list[Mail] = []
    for _ in range(count):
        mailbox = writer.random.choices(_MAILBOXES, (40, 15, 12, 12, 12, 9))[0]
        flags = tuple(flag for flag, share in _FLAGS if writer.chance(share))
        if recent and writer.chance(1 / 6):
            original = writer.random.choice(recent)
            others = [name for name in _MAILBOXES if name != original.mailbox]
            yield Mail(writer.random.choice(others), original.octets, original.internaldate, flags)
            recent.remove(original)
            continue
        moment = writer.moment()
        mail = Mail(mailbox, make(moment), moment, flags)
        recent = [*recent[-49:], mail]
        yield mail
