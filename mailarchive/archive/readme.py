"""README.txt of an archive: how to read it without this program."""

_MBOX = """\
This directory is an archive of e-mail.

Everything can be read without the program that made it (mailarchive):

    zstdcat mail/*.mbox.zst > all.mbox; cat mail/*.mbox >> all.mbox

makes one mailbox file in the "mbox" format (RFC 4155) with every message once.
Most mail programs open it; mutt does with: mutt -R -f all.mbox
zstdcat belongs to the program zstd, and the compression is RFC 8878.

If a line of a message begins with "From ", or with one or more ">" and "From ",
one ">" was put before it. Line ends are those of Unix where the message had
those of the Internet (CR LF) throughout.

Which message was in which mailbox, with which flags, from when until when,
is in journal/: one JSON object a line, the oldest first:

    zstdcat journal/*.jsonl.zst; cat journal/tail.jsonl

A "message" line gives the SHA-256 of a message as the server sent it; a
"placed" line says that the message with that "digest" was seen in a mailbox.

catalog.sqlite3 can be made anew from the journal, and may be deleted.
Do not edit or delete anything else. To copy the archive, copy the directory.
"""


_MAILDIR = """\
This directory is an archive of e-mail.

Everything can be read without the program that made it (mailarchive).

messages/ has every message once, one file a message, none ever changed{compression}.

maildir/ shows them as they are in the mailboxes of each account now: one
Maildir++ an account, whose files are links to those in messages/ (or copies).
{programs}What is no more in any mailbox is in messages/ only. maildir/ can be
made anew (mailarchive rebuild), and may be deleted.

Line ends are those of Unix where the message had those of the Internet (CR LF)
throughout.

Which message was in which mailbox, with which flags, from when until when,
is in journal/: one JSON object a line, the oldest first:

    zstdcat journal/*.jsonl.zst; cat journal/tail.jsonl

A "message" line gives the SHA-256 of a message as the server sent it, and (as
"block") the number of its file; a "placed" line says that the message with that
"digest" was seen in a mailbox.

catalog.sqlite3 can be made anew from the journal, and may be deleted.
Do not edit or delete anything else. To copy the archive, copy the directory
(with hard links: rsync -aH, or tar).
"""
_COMPRESSED = ",\ncompressed by zstd (RFC 8878): zstdcat messages/00000/00000001.zst"
_BY_DOVECOT = """\
The server Dovecot reads them with its zlib plugin, where mail_location is
maildir:<the directory of the account>.
"""
_BY_ANY = """\
Any program that reads Maildir does; mutt with: mutt -R -f maildir/<account>
"""


def readme(layout: str, *, is_plain: bool) -> str:
    """Return the text for a ``layout``; ``is_plain`` says that message files are not compressed."""
    if layout == "mbox":
        return _MBOX
    return _MAILDIR.format(compression="" if is_plain else _COMPRESSED, programs=_BY_ANY if is_plain else _BY_DOVECOT)
