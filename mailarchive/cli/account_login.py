"""``mailarchive account login``: let an account's owner log in by OAuth, and keep the tokens."""

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from mailarchive.cli import options
from mailarchive.cli.render import clean, dump, iso, when
from mailarchive.cli.terminal import notice, out, say
from mailarchive.cli.tokens import holder, keeper, store
from mailarchive.clock import SystemClock
from mailarchive.configuration import AccountEntry, configuration_file, load
from mailarchive.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mailarchive.tokens.base import Tokens
    from mailarchive.tokens.login import DeviceCode, Grant


def login(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The account, by its name in the configuration.")],
    device: Annotated[
        bool, typer.Option("--device", help="Show a code to type in a browser anywhere (the usual way at Microsoft).")
    ] = False,
    browser: Annotated[
        bool, typer.Option("--browser", help="Log in with a browser that comes back here (the usual way elsewhere).")
    ] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only print the URL; start no browser.")] = False,
    as_json: options.JsonObject = False,
    config: options.Config = None,
) -> int:
    """Log in by OAuth, once; the tokens are kept, and renewed when they are needed.

    Over ssh: open the URL in a browser on your own machine. At the end it shows an error, as it cannot reach this one;
    paste the URL that it then has here.
    """
    entry = _entry(name, config)
    grant = _by_device(entry) if _is_by_device(entry, device=device, browser=browser) else _by_browser(entry, no_open)
    tokens = keeper(entry).keep(grant)
    _warn(entry, grant)
    if as_json:
        out(dump(_facts(entry, tokens)))
    else:
        end = f"is good until {when(tokens.expires)}" if tokens.expires else "has no end that the provider tells"
        renewal = "; it is renewed by itself" if tokens.refresh else "; log in again then"
        out(f"{clean(entry.name)} is logged in, with tokens in {clean(store(entry).place)}")
        out(f"The access token {end}{renewal}.")
    return ExitCode.COMPLETE


def _entry(name: str, config: "options.Config") -> AccountEntry:
    configuration = load(configuration_file(config))
    entry = configuration.accounts.get(name)
    if entry is None:
        there = ", ".join(configuration.accounts) or "none"
        raise UsageError(f"{configuration.file} has no account {name!r}", hint=f"there are: {there}")
    if entry.oauth is None:
        raise UsageError(f"{name} logs in with a password", hint="put auth = 'oauth' into its configuration")
    if entry.oauth.token_command:
        raise UsageError(f"the access tokens of {name} come from its token_command", hint="log in with that program")
    return entry


def _is_by_device(entry: AccountEntry, *, device: bool, browser: bool) -> bool:
    """Return which way is taken: where both are there the device code, which works from everywhere."""
    oauth = holder(entry).oauth
    if device and browser:
        raise UsageError("--device and --browser exclude each other")
    if device and not oauth.device_url:
        raise UsageError(f"{oauth.provider} has no device_url", hint="leave out --device")
    if browser and not oauth.authorization_url:
        raise UsageError(f"{oauth.provider} has no authorization_url", hint="leave out --browser")
    return device or (bool(oauth.device_url) and not browser)


def _by_device(entry: AccountEntry) -> "Grant":
    from mailarchive.tokens.login import by_device

    def show(code: "DeviceCode") -> None:
        say(f"Open this in a browser, on any machine, and log in as {clean(entry.endpoint.user)}:")
        say(f"  {clean(code.url)}")
        say(f"and type this code: {clean(code.user_code)}")
        if code.complete_url:
            say(f"(or open this, which has it already: {clean(code.complete_url)})")
        say("Waiting …")

    return by_device(holder(entry), show, SystemClock(), threading.Event())


def _by_browser(entry: AccountEntry, no_open: bool) -> "Grant":
    from mailarchive.tokens.login import by_browser

    def show(url: str) -> None:
        say(f"Log in as {clean(entry.endpoint.user)} in a browser:")
        say(f"  {clean(url)}")
        say(
            "If the browser is on another machine, paste the URL here that it shows at the end (beginning with http://)."
        )
        if not no_open:
            _open(url)

    def other() -> None:
        say("That is not the URL at which this log-in ends; paste all of it, with code= and state= in it.")

    return by_browser(holder(entry), show, _standard_input(), other)


def _standard_input() -> int | None:
    try:
        return sys.stdin.fileno() if sys.stdin is not None else None
    except (OSError, ValueError):
        return None


def _open(url: str) -> None:
    """Start a browser if there is a screen for it; one that takes over the terminal would be in the way."""
    if not (sys.platform == "darwin" or {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys()):
        return
    nowhere = subprocess.DEVNULL
    # In a process of its own: some browsers talk, and some do not return.
    subprocess.Popen([sys.executable, "-P", "-m", "webbrowser", url], stdin=nowhere, stdout=nowhere, stderr=nowhere)


def _warn(entry: AccountEntry, grant: "Grant") -> None:
    from mailarchive.tokens.login import missing_scopes

    if missing := missing_scopes(holder(entry), grant):
        notice(f"not all was allowed; log in again and tick every box; missing: {', '.join(missing)}")
    if not grant.refresh:
        notice("the provider gave no refresh token, so somebody has to log in again when the access token has expired")


def _facts(entry: AccountEntry, tokens: "Tokens") -> dict[str, object]:
    return {
        "status": "complete",
        "exit_code": int(ExitCode.COMPLETE),
        "account": entry.name,
        "user": tokens.user,
        "kept_in": store(entry).place,
        "access_token_expires": iso(tokens.expires),
        "is_renewed": bool(tokens.refresh),
        "login_ends": iso(tokens.refresh_expires),
    }
