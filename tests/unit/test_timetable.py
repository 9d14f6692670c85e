"""How often, in the words of each scheduler; and a crontab in which only our lines change."""

import plistlib
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.errors import UsageError
from mailarchive.ops.timetable import (
    BEGIN,
    END,
    Job,
    block_of,
    cron_line,
    launch_agent,
    service,
    timer,
    with_block,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WRITABLE = Path("/srv/mail"), Path("/home/me/.config")
JOB = Job(("/opt/mail archive/bin", "pull", "--quiet", "50%"), HOUR, WRITABLE, seed=617)
LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=30), max_size=6)


def of(every: timedelta, seed: int = 617) -> Job:
    return JOB._replace(command=("mailarchive", "pull"), every=every, seed=seed)


@pytest.mark.parametrize(
    ("every", "calendar", "line"),
    [
        (15 * MINUTE, "*:02/15", "2-59/15 * * * *"),
        (HOUR, "*-*-* 00/1:17:00", "17 * * * *"),
        (6 * HOUR, "*-*-* 03/6:17:00", "17 3-23/6 * * *"),
        (DAY, "*-*-* 03:17:00", "17 3 * * *"),
        (7 * DAY, "Sun *-*-* 03:17:00", "17 3 * * 0"),
    ],
)
def test_usual_times(every: timedelta, calendar: str, line: str) -> None:
    assert f"OnCalendar={calendar}\nPersistent=true\n" in timer(of(every))
    assert cron_line(of(every)).startswith(f"{line} mailarchive pull --random-delay ")


@pytest.mark.parametrize("every", [45 * MINUTE, 5 * HOUR, 2 * DAY, 90 * MINUTE])
def test_odd_times_are_counted_by_systemd_and_refused_for_cron(every: timedelta) -> None:
    assert f"OnUnitActiveSec={int(every.total_seconds())}s" in timer(of(every))
    with pytest.raises(UsageError, match="cron has no words"):
        cron_line(of(every))


def test_a_delay_is_drawn_but_not_a_long_one() -> None:
    assert "RandomizedDelaySec=90s" in timer(of(15 * MINUTE))
    assert "RandomizedDelaySec=600s" in timer(of(DAY))
    assert [cron_line(of(every)).rpartition(" ")[2] for every in (5 * MINUTE, HOUR, DAY)] == ["1m", "6m", "10m"]


def test_a_service_may_write_only_where_it_must() -> None:
    text = service(JOB)
    assert 'ExecStart="/opt/mail archive/bin" pull --quiet 50%%\n' in text
    assert "ProtectSystem=strict\nReadWritePaths=-/srv/mail\nReadWritePaths=-/home/me/.config\n" in text
    assert "NoNewPrivileges=yes" in text
    assert "LoadCredential" not in text
    assert "LoadCredential=work\n" in service(JOB._replace(credentials=("work",)))
    assert "ProtectSystem=full\n" in service(JOB._replace(runs_commands=True))
    assert "ReadWritePaths" not in service(JOB._replace(runs_commands=True))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("every", [15 * MINUTE, 45 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY])
def test_systemd_takes_the_units(every: timedelta, tmp_path: Path) -> None:
    program = tmp_path / "mailarchive"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    job = of(every)._replace(command=(str(program), "pull"), credentials=("work",))
    (tmp_path / "mailarchive.service").write_text(service(job))
    (tmp_path / "mailarchive.timer").write_text(timer(job))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(tmp_path / "mailarchive.timer")],
        capture_output=True,
        text=True,
        check=False,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "SYSTEMD_LOG_LEVEL": "warning"},
    )
    ours = [line for line in done.stderr.splitlines() if "mailarchive" in line]
    assert ours == []


def test_percent_means_nothing_to_cron() -> None:
    assert " '/opt/mail archive/bin' pull --quiet 50\\% --" in cron_line(JOB)


def test_a_launch_agent_can_be_read() -> None:
    found = plistlib.loads(launch_agent(JOB, Path("/tmp/log")))
    assert found["ProgramArguments"] == [*JOB.command, "--random-delay", "6m"]
    assert found["StartInterval"] == 3600


@given(LINES, LINES, st.booleans())
def test_only_our_block_changes_in_a_crontab(before: list[str], after: list[str], ends: bool) -> None:
    theirs = "".join(f"{line}\n" for line in before)
    rest = "\n".join(after) + ("\n" if ends and after else "")
    installed = with_block(theirs, "first") + rest
    assert block_of(installed) == "first"
    again = with_block(installed, "second")
    assert again == theirs + f"{BEGIN}\nsecond\n{END}\n" + rest
    assert with_block(again, "second") == again
    assert with_block(again, None) == theirs + rest


def test_a_last_line_without_end_gets_one() -> None:
    assert with_block("0 * * * * true", "x") == f"0 * * * * true\n{BEGIN}\nx\n{END}\n"
    assert with_block("", None) == ""


@pytest.mark.parametrize("crontab", [f"{BEGIN}\nx\n", f"{END}\n", f"{END}\nx\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"])
def test_broken_markers_are_left_alone(crontab: str) -> None:
    with pytest.raises(UsageError, match="markers"):
        with_block(crontab, "x")
