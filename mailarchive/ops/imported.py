"""Accounts of mail that came from files, beside those that are pulled from servers."""

from itertools import count

from mailarchive.archive.archive import Catalog
from mailarchive.archive.writer import Writer
from mailarchive.model import FROM_FILES, Account, ListedMailbox


def is_imported(catalog: Catalog, account: str) -> bool:
    """Return whether the mail of an account came from files."""
    return any(one.name == account and one.protocol == FROM_FILES for one in catalog.accounts())


def make_room(writer: Writer, account: str) -> str | None:
    """Let an imported account have another name, as a server's is called ``account``; return it, None if there is none.

    Otherwise the server's mailboxes would be taken for those of the files, and what only these have for vanished.
    """
    with writer.catalog() as catalog:
        if not is_imported(catalog, account):
            return None
        names = {one.name for one in catalog.accounts()}
        boxes = catalog.mailboxes(account)
    wanted = (f"{account} (imported{f' {number}' if number > 1 else ''})" for number in count(1))
    name = next(one for one in wanted if one not in names)
    writer.account(Account(name, FROM_FILES))
    for box in boxes:
        writer.mailbox(box.number, name, ListedMailbox(box.name, frozenset(box.special_use)), 0)
    return name
