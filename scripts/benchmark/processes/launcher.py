"""Run a command and print, as JSON, its wall-clock and processor seconds, its peak memory in KiB, its exit code.

Arguments: a file for the command's output, the command. A process of its own and small, because Linux counts what
the parent occupied at the fork as the child's peak.
"""

import os
import sys
import time


def main() -> None:
    """Run, wait, print."""
    log, *command = sys.argv[1:]
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    actions = [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    begin = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - begin
    exit_code = os.waitstatus_to_exitcode(status)
    processor = usage.ru_utime + usage.ru_stime
    print(f'{{"seconds": {seconds}, "processor": {processor}, "peak": {usage.ru_maxrss}, "exit_code": {exit_code}}}')


main()
