"""Questions to somebody at a terminal, on standard error, so that standard output stays for programs."""

import sys
from collections.abc import Sequence

from mailarchive.cli.render import clean
from mailarchive.cli.terminal import say
from mailarchive.errors import UsageError


def is_anybody_there() -> bool:
    """Return whether questions can be answered."""
    return sys.stdin is not None and sys.stdin.isatty()


def ask(question: str, default: str = "") -> str:
    """Return the line that is typed, or ``default`` if it is empty. Raises UsageError at the end of input."""
    shown = f" [{clean(default)}]" if default else ""
    print(f"{clean(question)}{shown}: ", end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        say("")
        raise UsageError("no answer was given", hint="each answer can be given by an option: see --help")
    return line.strip() or default


def confirm(question: str, *, default: bool) -> bool:
    """Return whether the answer is yes."""
    while True:
        answer = ask(f"{question} (y/n)", "y" if default else "n").lower()
        if answer in {"y", "yes", "n", "no"}:
            return answer.startswith("y")


def choose(question: str, choices: Sequence[str]) -> int:
    """Return which of ``choices`` is wanted, from 0; the first by default."""
    for number, choice in enumerate(choices, 1):
        say(f"  {number}  {clean(choice)}")
    while True:
        answer = ask(question, "1")
        if answer.isascii() and answer.isdecimal() and 0 < int(answer) <= len(choices):
            return int(answer) - 1
