"""`schedule` writes units, a crontab or an agent, again and again to the same end, and takes them away."""

import os
import plistlib
from pathlib import Path

import pytest

from tests.system.conftest import Program

CRONTAB = """#!/bin/sh
case "$1" in
-l) [ -f "$STATE/crontab" ] && cat "$STATE/crontab" || { echo "no crontab for me" >&2; exit 1; } ;;
-) cat > "$STATE/crontab" ;;
esac
"""
RECORDING = """#!/bin/sh
echo "$(basename "$0") $*" >> "$STATE/log"
"""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Return a command with an account, and with programs of the system that only write down how they are called."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("crontab", CRONTAB), ("systemctl", RECORDING), ("launchctl", RECORDING)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tmp_path / "config.toml").write_text(
        f'[archives]\nmain = "{tmp_path}/main"\n[accounts.work]\nuser = "me"\nhost = "imap.example.org"\n'
        'password.command = "pass show work"\nevery = "6h"\n'
    )
    return Program(
        tmp_path,
        {
            "MAILARCHIVE_CONFIG": str(tmp_path / "config.toml"),
            "MAILARCHIVE_ARCHIVE": "",
            "MAILARCHIVE_COMMAND": str(tools / "crontab"),
            "STATE": str(tmp_path),
            "PATH": f"{tools}:{os.environ['PATH']}",
            "XDG_CONFIG_HOME": str(tmp_path / "xdg"),
        },
    )


def refer(program: Program, password: str) -> None:
    """Say another place of the password."""
    file = program.home / "config.toml"
    file.write_text(file.read_text().replace('password.command = "pass show work"\n', f"{password}\n"))


def called(program: Program) -> list[str]:
    return (program.home / "log").read_text().splitlines()


def test_systemd(program: Program) -> None:
    refer(program, 'password.systemd = "work"')
    units = program.home / "xdg" / "systemd" / "user"
    done = program("schedule", "install", "--systemd", "--every", "1h")
    assert "Scheduled with systemd" in done.stdout
    assert "loginctl enable-linger" in done.stderr
    assert called(program) == ["systemctl --user daemon-reload", "systemctl --user enable --now mailarchive.timer"]
    service = (units / "mailarchive.service").read_text()
    config = program.environment["MAILARCHIVE_CONFIG"]
    command = f"{program.environment['MAILARCHIVE_COMMAND']} pull --quiet --config {config}"
    assert f"ExecStart={command}\n" in service
    assert f"ReadWritePaths=-{program.home}/main\n" in service
    assert "LoadCredential=work\n" in service
    assert "00/1:" in (units / "mailarchive.timer").read_text()
    program("schedule", "install", "--systemd")
    assert "/6:" in (units / "mailarchive.timer").read_text()
    assert "OnCalendar=" in program("schedule", "show", "--systemd").stdout
    assert program("schedule", "remove", "--systemd").stdout == "Removed.\n"
    assert list(units.iterdir()) == []
    assert program("schedule", "remove", "--systemd").stdout == "Nothing was scheduled.\n"


def test_what_systemd_does_not_take_is_not_left_behind(program: Program) -> None:
    (program.home / "tools" / "systemctl").write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2; exit 1\n")
    assert "Failed to connect to bus" in program("schedule", "install", "--systemd", code=2).stderr
    assert list((program.home / "xdg" / "systemd" / "user").iterdir()) == []


def test_cron_keeps_what_is_there(program: Program) -> None:
    crontab = program.home / "crontab"
    program("schedule", "install", "--cron", "--every", "1d")
    first = crontab.read_text()
    crontab.write_text("MAILTO=me\n" + first + "0 5 * * * backup\n")
    program("schedule", "install", "--cron", "--every", "30m")
    assert crontab.read_text().startswith("MAILTO=me\n# BEGIN mailarchive")
    assert crontab.read_text().endswith("# END mailarchive\n0 5 * * * backup\n")
    assert "-59/30 * * * *" in program("schedule", "show", "--cron").stdout
    program("schedule", "remove", "--cron")
    assert crontab.read_text() == "MAILTO=me\n0 5 * * * backup\n"
    done = program("schedule", "install", "--cron", "--every", "45m", code=2)
    assert "cron has no words for every 45m" in done.stderr


def test_launchd(program: Program) -> None:
    agent = program.home / "Library" / "LaunchAgents" / "org.mailarchive.pull.plist"
    program("schedule", "install", "--launchd", "--every", "2h")
    assert plistlib.loads(agent.read_bytes())["StartInterval"] == 7200
    program("schedule", "install", "--launchd")
    assert plistlib.loads(agent.read_bytes())["StartInterval"] == 6 * 3600
    program("schedule", "remove", "--launchd")
    assert not agent.exists()
    assert [line.split()[1] for line in called(program)] == ["bootstrap", "bootout", "bootstrap", "bootout"]


@pytest.mark.parametrize("way", ["--systemd", "--cron", "--launchd"])
def test_a_dry_run_shows_and_changes_nothing(program: Program, way: str) -> None:
    before = sorted(program.home.rglob("*"))
    assert "pull" in program("schedule", "install", way, "--dry-run").stdout
    assert sorted(program.home.rglob("*")) == before


@pytest.mark.parametrize(
    ("password", "sentence"),
    [("password.prompt = true", "asked for at a terminal"), ('password.systemd = "work"', "in a service of systemd")],
)
def test_a_password_that_is_not_there_cannot_be_scheduled(program: Program, password: str, sentence: str) -> None:
    refer(program, password)
    assert sentence in program("schedule", "install", "--cron", code=2).stderr
    assert not (program.home / "crontab").exists()


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ('password.environment = "PW"', "work: cron does not know PW unless it is told there too"),
        ("", "work: the configuration does not say where its password is, and cron cannot ask"),
        ("password.keyring = true", "work: cron cannot reach the keyring of a desktop"),
    ],
)
def test_a_password_that_is_perhaps_not_there_is_told(program: Program, password: str, sentence: str) -> None:
    refer(program, password)
    assert sentence in program("schedule", "install", "--cron").stderr


def test_without_accounts_and_without_programs_it_is_said(program: Program) -> None:
    program.environment["MAILARCHIVE_CONFIG"] = str(program.home / "none.toml")
    assert "has no account" in program("schedule", "install", "--cron", code=2).stderr
    program.environment["PATH"] = "/nowhere"
    assert "crontab cannot be run: No such file" in program("schedule", "show", "--cron", code=2).stderr
    assert "exclude each other" in program("schedule", "show", "--cron", "--systemd", code=2).stderr


def test_what_the_system_refuses_is_told(program: Program) -> None:
    (program.home / "tools" / "systemctl").write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")
    done = program("schedule", "install", "--systemd", code=2)
    assert "systemctl --user daemon-reload failed: Failed to connect to bus" in done.stderr
