"""``mailarchive account check``: log in to accounts of the configuration."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from mailarchive.cli import options
from mailarchive.cli.credentials import PasswordOptions
from mailarchive.cli.render import clean, dump, plural
from mailarchive.cli.terminal import notice, out, say
from mailarchive.cli.tokens import Secret, secret_for, token_standing
from mailarchive.clock import SystemClock
from mailarchive.config import account_of
from mailarchive.configuration import AccountEntry, configuration_file, load
from mailarchive.errors import MailArchiveError, UsageError

if TYPE_CHECKING:
    from mailarchive.ops.trial import Trial


class _Outcome(NamedTuple):
    entry: AccountEntry
    trial: "Trial | None" = None
    error: MailArchiveError | None = None

    @property
    def unmatched(self) -> list[str]:
        """What the account is told to pull or leave out, and has not."""
        return self.trial.unmatched((*self.entry.mailboxes, *self.entry.exclude)) if self.trial else []

    @property
    def warning(self) -> tuple[str, str]:
        """A sentence about its login by OAuth that will end, and what to do; empty if all is well."""
        try:
            standing = token_standing(self.entry)
        except MailArchiveError:
            return "", ""
        return ("", "") if standing is None or standing.state == "good" else (standing.sentence, standing.hint)

    @property
    def exit_code(self) -> int:
        return self.error.exit_code if self.error else 0


def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="Accounts of the configuration; without any: all.", show_default=False
        ),
    ] = None,
    as_json: options.Json = False,
    config: options.Config = None,
) -> int:
    """Log in to accounts and list their mailboxes; nothing is fetched or changed.

    The exit code is that of the worst: 12 if a log-in was refused, 20 if a server cannot be reached.
    """
    outcomes = _outcomes(_entries(names or [], config))
    for outcome in outcomes:
        if as_json:
            out(dump(_as_object(outcome)))
        elif outcome.trial is not None:
            out(f"{clean(outcome.entry.name)}: logged in, {plural(len(outcome.trial.mailboxes), 'mailbox')}")
        for glob in outcome.unmatched:
            notice(f"{outcome.entry.name}: no mailbox matches {glob}")
        sentence, hint = outcome.warning
        if sentence and outcome.error is None:
            notice(f"{outcome.entry.name}: {sentence}")
            say(f"  hint: {clean(hint)}")
        if outcome.error is not None:
            notice(f"{outcome.entry.name}: {outcome.error}")
            if outcome.error.hint:
                say(f"  hint: {clean(outcome.error.hint)}")
    return max(outcome.exit_code for outcome in outcomes)


def _entries(names: Sequence[str], config: options.Config) -> list[AccountEntry]:
    """Return the accounts of these names, or all. Raises UsageError if there is no such account, or none at all."""
    configuration = load(configuration_file(config))
    known = configuration.accounts
    if not known:
        raise UsageError(f"there are no accounts in {configuration.file}", hint="mailarchive account add ADDRESS")
    for name in names:
        if name not in known:
            raise UsageError(
                f"there is no account {name!r} in {configuration.file}", hint=f"there are: {', '.join(known)}"
            )
    return [known[name] for name in dict.fromkeys(names or known)]


def _outcomes(entries: Sequence[AccountEntry]) -> list[_Outcome]:
    """Return what came of logging in to each; passwords are got one after the other, as somebody may be asked."""
    from mailarchive.ops.abreast import Lanes, side_by_side
    from mailarchive.ops.trial import try_account

    lanes = Lanes()

    def attempt(place: int) -> _Outcome:
        entry, secret = entries[place], secrets[place]
        if isinstance(secret, MailArchiveError):
            return _Outcome(entry, error=secret)
        try:
            with lanes.of(entry.endpoint.host):
                return _Outcome(entry, try_account(entry.endpoint, secret, SystemClock()))
        except MailArchiveError as error:
            return _Outcome(entry, error=error)

    secrets = [_secret(entry, is_alone=len(entries) == 1) for entry in entries]
    return side_by_side(range(len(entries)), attempt)


def _secret(entry: AccountEntry, *, is_alone: bool) -> Secret | MailArchiveError:
    try:
        return secret_for(entry.endpoint, account_of(entry.endpoint).name, PasswordOptions(), entry, is_alone=is_alone)
    except MailArchiveError as error:
        return error


def _as_object(outcome: _Outcome) -> dict[str, object]:
    error = outcome.error
    return {
        "name": outcome.entry.name,
        "status": "failed" if error else "complete",
        "exit_code": int(outcome.exit_code),
        "mailboxes": len(outcome.trial.mailboxes) if outcome.trial else None,
        "unmatched": outcome.unmatched,
        "warning": outcome.warning[0] or None,
        "error": str(error) if error else None,
        "hint": error.hint if error else None,
    }
