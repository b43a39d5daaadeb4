"""The set-up finds a Python that is new enough, or says in one line what to do."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
type Find = Callable[[], subprocess.CompletedProcess[str]]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return the folder of a machine with no Python: its programs are those in `bin`, its home `home`."""
    shutil.copytree(ROOT / "deploy" / "dev", tmp_path / "checkout" / "deploy" / "dev")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "id", "ls", "sort", "rm"):
        (programs / name).symlink_to(shutil.which(name) or name)
    return tmp_path


@pytest.fixture
def find(machine: Path) -> Find:
    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [machine / "checkout" / "deploy" / "dev" / "find-python"],
            env={"PATH": str(machine / "bin"), "HOME": str(machine / "home")},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def install(path: Path, script: str | None = None) -> Path:
    """Put the Python of this run at `path`, or a script that stands for another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script or f'exec {sys.executable} "$@"'}\n")
    path.chmod(0o755)
    return path


def test_python_on_the_path_is_taken(machine: Path, find: Find) -> None:
    expected = install(machine / "bin" / "python3.12")

    assert find().stdout == f"{expected}\n"


def test_shim_that_only_complains_is_passed_over_for_the_newest_under_pyenv(
    machine: Path, find: Find
) -> None:
    install(machine / "bin" / "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    versions = machine / "home" / ".pyenv" / "versions"
    install(versions / "3.12.9" / "bin" / "python3")
    expected = install(versions / "3.12.11" / "bin" / "python3")
    install(versions / "3.11.7" / "bin" / "python3", "exit 1")

    assert find().stdout == f"{expected}\n"


@pytest.mark.parametrize("has_old_python", [True, False])
def test_machine_without_a_python_is_told_what_to_do_in_one_line(
    machine: Path, find: Find, has_old_python: bool
) -> None:
    if has_old_python:
        install(machine / "bin" / "python3", "exit 1")

    result = find()

    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        "Towngate needs Python 3.12 or newer; none is installed, and uv, which could get one, "
        "needs python3 with its venv module (Debian: apt install python3-venv).\n"
    )
    assert not (machine / "checkout" / ".venv-bootstrap").exists()
