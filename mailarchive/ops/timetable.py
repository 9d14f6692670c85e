"""How often something is to be done, in the words of systemd, cron and launchd; pure."""

import plistlib
import re
import shlex
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from mailarchive.configuration.values import span_text
from mailarchive.errors import UsageError

NAME = "mailarchive"
LABEL = "org.mailarchive.pull"
BEGIN, END = "# BEGIN mailarchive (kept by: mailarchive schedule)", "# END mailarchive"
_MINUTE, _HOUR, _DAY, _WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
_MOST_DELAY = timedelta(minutes=10)
_HARDENED = """\
NoNewPrivileges=yes
PrivateTmp=yes
PrivateUsers=yes
LockPersonality=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
UMask=0077
"""


class Job(NamedTuple):
    """What is to be done, and how often. ``seed`` says where in its time this machine begins.

    ``writable`` are the directories that it writes to; ``credentials`` the names of systemd's that it reads.
    ``runs_commands`` says whether it asks other programs for passwords: those may write somewhere else.
    """

    command: Sequence[str]
    every: timedelta
    writable: Sequence[Path]
    credentials: Sequence[str] = ()
    runs_commands: bool = False
    seed: int = 0

    @property
    def delay(self) -> timedelta:
        """How long a run may be put off at random, so that not all that begin at the same moment ask at once."""
        return min(_MOST_DELAY, self.every / 10)

    @property
    def delayed(self) -> list[str]:
        """The command that puts itself off, for what cannot do that."""
        return [*self.command, "--random-delay", span_text(max(_MINUTE, self.delay))]


def service(job: Job) -> str:
    """Return the text of a systemd service (systemd.service, systemd.exec)."""
    protect = "full" if job.runs_commands else "strict"
    paths = "".join(f"ReadWritePaths=-{_unit_word(str(path))}\n" for path in job.writable if not job.runs_commands)
    credentials = "".join(f"LoadCredential={name}\n" for name in job.credentials)
    return (
        f"[Unit]\nDescription=Back up mailboxes ({NAME} pull)\n\n"
        f"[Service]\nType=oneshot\nExecStart={' '.join(map(_unit_word, job.command))}\n"
        "# 11: another run is at work; the next one goes on.\nSuccessExitStatus=11\n"
        f"Nice=10\nIOSchedulingClass=idle\n{credentials}\n"
        f"ProtectSystem={protect}\n{paths}{_HARDENED}"
    )


def timer(job: Job) -> str:
    """Return the text of a systemd timer (systemd.timer)."""
    calendar = _calendar(job)
    if calendar is None:
        begin = f"OnStartupSec=2min\nOnUnitActiveSec={int(job.every.total_seconds())}s"
    else:
        begin = f"OnCalendar={calendar}\nPersistent=true"
    return (
        f"[Unit]\nDescription=When to back up mailboxes ({NAME} pull)\n\n"
        f"[Timer]\n{begin}\nRandomizedDelaySec={int(job.delay.total_seconds())}s\n\n[Install]\nWantedBy=timers.target\n"
    )


def _calendar(job: Job) -> str | None:
    """Return the moments of a timer, if the time is a part of an hour, a day or a week that fits in it."""
    minute, hour = job.seed % 60, 1 + job.seed % 5
    if job.every < _HOUR and _HOUR % job.every == timedelta():
        step = job.every // _MINUTE
        return f"*:{minute % step:02}/{step}"
    if job.every < _DAY and _DAY % job.every == timedelta() and job.every % _HOUR == timedelta():
        step = job.every // _HOUR
        return f"*-*-* {hour % step:02}/{step}:{minute:02}:00"
    if job.every in {_DAY, _WEEK}:
        day = "Sun " if job.every == _WEEK else ""
        return f"{day}*-*-* {hour:02}:{minute:02}:00"
    return None


def cron_line(job: Job) -> str:
    """Return the line of a crontab. Raises UsageError for a time that cron has no words for."""
    minute, hour = job.seed % 60, 1 + job.seed % 5
    if job.every < _HOUR and _HOUR % job.every == timedelta():
        when = f"{minute % (job.every // _MINUTE)}-59/{job.every // _MINUTE} * * * *"
    elif job.every == _HOUR:
        when = f"{minute} * * * *"
    elif job.every < _DAY and _DAY % job.every == timedelta() and job.every % _HOUR == timedelta():
        step = job.every // _HOUR
        when = f"{minute} {hour % step}-23/{step} * * *"
    elif job.every in {_DAY, _WEEK}:
        when = f"{minute} {hour} * * {'0' if job.every == _WEEK else '*'}"
    else:
        raise UsageError(
            f"cron has no words for every {span_text(job.every)}",
            hint="give a part of an hour or of a day, a day or a week: 30m, 6h, 1d, 1w",
        )
    command = shlex.join(job.delayed).replace("%", "\\%")
    return f"{when} {command}"


def with_block(crontab: str, line: str | None) -> str:
    """Return a crontab with ``line`` between our markers, or without both; all else stays as it is.

    Raises UsageError if the markers are not whole.
    """
    begins, ends = crontab.count(BEGIN), crontab.count(END)
    pattern = re.compile(rf"^{re.escape(BEGIN)}\n(?:.*\n)*?{re.escape(END)}(?:\n|\Z)", re.MULTILINE)
    if (begins, ends) not in {(0, 0), (1, 1)} or (begins and not pattern.search(crontab)):
        raise UsageError(
            "the markers of mailarchive in the crontab are not as they were made", hint="put them right: crontab -e"
        )
    block = f"{BEGIN}\n{line}\n{END}\n" if line is not None else ""
    if begins:
        return pattern.sub(lambda _found: block, crontab)
    gap = "" if not crontab or crontab.endswith("\n") or not block else "\n"
    return crontab + gap + block


def block_of(crontab: str) -> str | None:
    """Return the line between our markers; None if there is none."""
    found = re.search(rf"^{re.escape(BEGIN)}\n(.*)\n{re.escape(END)}", crontab, re.MULTILINE)
    return found[1] if found else None


def launch_agent(job: Job, log: Path) -> bytes:
    """Return the property list of a launchd agent (launchd.plist); its errors go to the file ``log``."""
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": job.delayed,
            "StartInterval": int(job.every.total_seconds()),
            "ProcessType": "Background",
            "LowPriorityIO": True,
            "StandardErrorPath": str(log),
            "Umask": 0o077,
        }
    )


def _unit_word(text: str) -> str:
    """Return a word of a unit file: ``%`` and ``$`` mean nothing in it, and spaces do not part it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if re.search(r"""[\s"'\\;]""", escaped) else escaped
