"""The program at a terminal, with somebody who answers its questions."""

import os
import pty
import select
import signal
from collections.abc import Sequence

from tests.system.conftest import Program

_PATIENCE = 30.0


def dialogue(program: Program, arguments: Sequence[str], answers: Sequence[tuple[str, str]], code: int = 0) -> str:
    """Run the program; type each answer when its question is shown. Return all that was shown; check the exit code."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(program.home)
        os.execve(program.command[0], [*program.command, *arguments], program.env)
    try:
        shown, left = "", list(answers)
        start = 0
        while chunk := _read(terminal):
            shown += chunk
            while left and (found := shown.find(left[0][0], start)) >= 0:
                start = found + len(left[0][0])
                os.write(terminal, f"{left.pop(0)[1]}\n".encode())
        _pid, status = os.waitpid(child, 0)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    finally:
        os.close(terminal)
    assert not left, (left, shown)
    assert os.waitstatus_to_exitcode(status) == code, shown
    return shown


def _read(terminal: int) -> str:
    ready, _writable, _odd = select.select([terminal], [], [], _PATIENCE)
    assert ready, "nothing came"
    try:
        return os.read(terminal, 4096).decode()
    except OSError:
        return ""
