"""``mailarchive account remove``: take an account out of the configuration."""

from typing import Annotated

import typer

from mailarchive.cli import asking, options
from mailarchive.cli.render import clean, dump
from mailarchive.cli.safekeeping import forget, kept_in
from mailarchive.cli.terminal import out
from mailarchive.cli.tokens import forget_tokens
from mailarchive.configuration import configuration_file, load
from mailarchive.configuration.writing import remove_account
from mailarchive.errors import UsageError


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The account, as the configuration calls it.")],
    yes: options.Yes = False,
    as_json: options.JsonObject = False,
    config: options.Config = None,
) -> int:
    """Take an account out of the configuration.

    The archive and the mail at the server stay as they are. A password that 'account add' has kept is
    removed, and so are the tokens of 'account login'.
    """
    file = configuration_file(config)
    configuration = load(file)
    entry = configuration.accounts.get(name)
    if entry is None:
        known = ", ".join(configuration.accounts)
        hint = f"there are: {known}" if known else "mailarchive account list shows those that there are"
        raise UsageError(f"there is no account {name!r} in {file}", hint=hint)
    others = [other for other in configuration.accounts.values() if other is not entry]
    if not yes:
        password = kept_in(entry, file, others)
        _agree(f"Remove {name} from {file}" + (f", and its password from {password}" if password else ""))
    remove_account(file, name)
    forgotten = forget(entry, file, others)
    forget_tokens(entry)
    if as_json:
        out(dump({"name": name, "archive": str(entry.archive), "password_removed_from": forgotten or None}))
        return 0
    out(f"Removed {clean(name)}. Its archive {clean(str(entry.archive))} stays as it is.")
    if forgotten:
        out(f"Its password was removed from {clean(forgotten)}.")
    return 0


def _agree(question: str) -> None:
    """Ask whether it is meant. Raises UsageError if it is not, or nobody is there."""
    if not asking.is_anybody_there():
        raise UsageError("nobody can be asked whether this is meant", hint="say it with --yes")
    if not asking.confirm(f"{question}? The archive stays", default=False):
        raise UsageError("nothing was removed")
