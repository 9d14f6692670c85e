"""Tries a log-in once more with another access token, where the server does not take one that should be good."""

from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

from mailarchive.errors import TokenRefused

Connection = TypeVar("Connection")
Password = Callable[[], str]


@runtime_checkable
class Renewable(Protocol):
    """What gives access tokens, and can get others before they expire."""

    def __call__(self) -> str:
        """Return an access token."""

    def replace(self, refused: str) -> bool:
        """Renew the access token ``refused``; return whether there is another one now."""


def logged_in(connect: Callable[[Password], Connection], password: Password) -> Connection:
    """Return what ``connect`` makes with what ``password`` gives.

    Raises what ``connect`` raises, and TokenDenied if no other token is to be had.
    """
    if not isinstance(password, Renewable):
        return connect(password)
    given: list[str] = []

    def give() -> str:
        given.append(password())
        return given[-1]

    try:
        return connect(give)
    except TokenRefused:
        if not given or not password.replace(given[-1]):
            raise
    return connect(password)
