"""What of an archive a restore is about, and what should be known before anything is sent."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from mailarchive.archive.archive import Catalog
from mailarchive.errors import ExitCode, UsageError
from mailarchive.model import Account, MailboxName
from mailarchive.ops.naming import Parts, matchless
from mailarchive.ops.restore_options import RestoreOptions
from mailarchive.ops.selection import Selection, selected_of
from mailarchive.ops.wanted import Past, has_any, past
from mailarchive.records import KnownMailbox


class Scope(NamedTuple):
    """The mailboxes that are restored, as they were at the moment in question, and sentences of warning.

    ``neighbours`` are all mailboxes of the accounts in question: what one of them is called at the target must not
    depend on which others are restored.
    """

    past: Past
    boxes: Sequence[KnownMailbox]
    neighbours: Sequence[KnownMailbox]
    names: Mapping[int, str]
    warnings: Sequence[str]

    def name(self, mailbox: int) -> str:
        """Return what a mailbox of the archive is called, with its account."""
        return self.names.get(mailbox, "")


def scope_of(catalog: Catalog, target: Account, options: RestoreOptions) -> Scope:
    """Return what is to be restored to ``target``. Raises UsageError if that is nothing."""
    as_of = past(catalog, options.at)
    there = as_of.mailboxes(catalog)
    boxes = selected_of(there, options.selection)
    _check_account(there, options.selection.account)
    _check_renames(there, options.wishes.renames)
    if not boxes:
        raise UsageError(
            "nothing in the archive matches: no mailbox is to be restored", hint="see: mailarchive mailboxes"
        )
    if not has_any(catalog, boxes, options.selection, as_of):
        raise UsageError("no message in the archive matches: nothing is restored", hint="see: mailarchive list")
    names = {box.number: f"{box.account} {box.name}" for box in boxes}
    neighbours = selected_of(there, Selection(account=options.selection.account))
    return Scope(as_of, boxes, neighbours, names, [*_warnings(catalog, boxes, target, options)])


def _check_account(boxes: Sequence[KnownMailbox], account: str | None) -> None:
    """Raise UsageError if there is no such account."""
    names = sorted({box.account for box in boxes})
    if account is not None and account not in names:
        raise UsageError(f"the archive has no account {account}", hint=f"it has: {', '.join(names) or 'none'}")


def _check_renames(boxes: Sequence[KnownMailbox], renames: Mapping[Parts, Parts]) -> None:
    """Raise UsageError if one of ``renames`` is of no mailbox of the archive."""
    for old in matchless(renames, boxes):
        name = str(MailboxName(old, "/", b""))
        near = get_close_matches(name, {str(box.name) for box in boxes}, cutoff=0.5)
        hint = f"perhaps: {', '.join(near)}" if near else "see: mailarchive mailboxes"
        raise UsageError(f"--map: no mailbox is called {name}", hint=hint)


def target_number(catalog: Catalog, target: Account) -> int | None:
    """Return the number of a target in the archive; None if nothing was restored to it."""
    return next((known.number for known in catalog.targets() if known.name == target.name), None)


def _warnings(
    catalog: Catalog, boxes: Sequence[KnownMailbox], target: Account, options: RestoreOptions
) -> Iterator[str]:
    accounts = sorted({box.account for box in boxes})
    for old in matchless(options.wishes.renames, boxes):
        yield f"--map: {MailboxName(old, '/', b'')} is not restored"
    if target.name in {account.removeprefix("pop3:") for account in accounts}:
        yield f"{target.name} is the account that this mail came from; what it still has is not sent again"
    if len(accounts) > 1:
        yield f"the mail of {len(accounts)} accounts goes into one: {', '.join(accounts)} (choose with --account)"
    yield from _gaps(catalog, boxes, accounts)


def _gaps(catalog: Catalog, boxes: Sequence[KnownMailbox], accounts: Sequence[str]) -> Iterator[str]:
    """Yield what the archive is known to lack."""
    numbers = {box.number for box in boxes}
    failed = sum(box.number in numbers for account in accounts for box, _failure in catalog.ledger(account))
    if failed:
        yield f"the archive is not complete: {_messages(failed)} could not be fetched (see: mailarchive failures)"
    if lost := catalog.totals().lost:
        yield f"the archive has {_messages(lost)} damaged; a pull fetches again what the server still has"
    pulls = [run for run in catalog.runs() if run.command == "pull"]
    if pulls and pulls[-1].exit_code not in {ExitCode.COMPLETE, None} and not failed:
        yield f"the archive may not be complete: the last pull ended with exit code {pulls[-1].exit_code}"
    elif pulls and pulls[-1].exit_code is None:
        yield "the archive may not be complete: the last pull was broken off"


def _messages(number: int) -> str:
    return "1 message" if number == 1 else f"{number} messages"
