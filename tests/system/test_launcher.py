"""``scripts/mailarchive`` in a fresh checkout: makes its environment once, mends it, and starts at once afterwards."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from mailarchive import __version__

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the project in a folder with a space in its name."""
    target = tmp_path / "check out"
    target.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target)
    for name in ("scripts", "mailarchive"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def _start(
    program: Path | str, *arguments: str, cwd: Path | None = None, **environment: str
) -> "subprocess.Popen[str]":
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTHON", "VIRTUAL_ENV"))}
    return subprocess.Popen(
        [program, *arguments],
        cwd=cwd,
        env=env | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _run(program: Path | str, *arguments: str, cwd: Path | None = None, **environment: str) -> tuple[int, str, str]:
    process = _start(program, *arguments, cwd=cwd, **environment)
    stdout, stderr = process.communicate(timeout=300)
    return process.returncode, stdout, stderr


def _skip_without_network(stderr: str) -> None:
    if "ConnectionError" in stderr or "Temporary failure in name resolution" in stderr or "No matching dist" in stderr:
        pytest.skip("no network to install from")


@pytest.mark.timeout(600)
def test_the_first_uses_make_one_environment_and_later_ones_start_at_once(checkout: Path, tmp_path: Path) -> None:
    launcher = tmp_path / "link"
    launcher.symlink_to(checkout / "scripts" / "mailarchive")
    both = [_start(launcher, "--version", cwd=tmp_path) for _ in range(2)]
    told = [process.communicate(timeout=300) for process in both]
    _skip_without_network(told[0][1] + told[1][1])
    assert [process.returncode for process in both] == [0, 0]
    assert [stdout.splitlines()[0] for stdout, _ in told] == [f"mailarchive {__version__}"] * 2
    assert sorted(stderr.count("\n") for _, stderr in told) == [0, 1]

    version = checkout / "mailarchive" / "__init__.py"
    version.write_text('__version__ = "9.9"\n', encoding="utf-8")
    relative = Path("check out/scripts/mailarchive")
    code, stdout, stderr = _run(relative, "--version", cwd=tmp_path)
    assert (code, stdout.splitlines()[0], stderr) == (0, "mailarchive 9.9", "")

    project = checkout / "pyproject.toml"
    project.write_text(project.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    code, _, stderr = _run(launcher, "--version")
    assert (code, stderr.count("\n")) == (0, 1)
    assert _run(launcher, "--version")[2] == ""

    moved = checkout.rename(tmp_path / "moved")
    code, stdout, stderr = _run(moved / "scripts" / "mailarchive", "--version")
    assert (code, stdout.splitlines()[0], stderr.count("\n")) == (0, "mailarchive 9.9", 1)


def test_a_failed_installation_shows_why_and_is_tried_again(checkout: Path) -> None:
    launcher = checkout / "scripts" / "mailarchive"
    for _ in range(2):
        code, stdout, stderr = _run(
            launcher, "--version", PIP_NO_INDEX="1", PIP_FIND_LINKS="", PIP_CONFIG_FILE="/dev/null"
        )
        assert (code, stdout) == (1, "")
        assert "hatchling" in stderr
        assert stderr.splitlines()[-1].endswith("failed (see above); the next use tries again")


def test_an_interrupted_installation_leaves_nothing_that_looks_whole(checkout: Path) -> None:
    launcher = checkout / "scripts" / "mailarchive"
    process = _start(launcher, "--version")
    assert process.stderr is not None
    assert "setting up" in process.stderr.readline()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (checkout / ".venv" / "installed-at").exists()


def test_without_a_python_that_is_new_enough_it_says_so(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "cmp", "env"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (tools / "python3").chmod(0o755)
    code, _, stderr = _run(checkout / "scripts" / "mailarchive", "--version", PATH=str(tools))
    assert code == 1
    assert stderr.startswith("mailarchive: Python 3.11 or later is needed")
    assert "apt-get install python3" in stderr
