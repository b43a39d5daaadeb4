"""The locks are of pyproject.toml, agree with each other, and keep each kind of host to what it needs."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = ROOT / "deploy" / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def pins(lock: str) -> dict[str, set[str]]:
    """Return every version that a lock names, by package; more than one where markers differ."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([\w.+!-]+)", (LOCKS / lock).read_text(), re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


@pytest.mark.parametrize(
    ("lock", "extras"),
    [("dev.txt", tuple(EXTRAS)), ("proxy.txt", ("proxy",)), ("admin.txt", ("admin", "demo"))],
)
def test_lock_has_a_fitting_version_of_everything_asked_for(lock: str, extras: tuple[str, ...]) -> None:
    locked = pins(lock)
    asked = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    for requirement in map(Requirement, asked):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{lock} lacks {requirement}: run make lock"
        assert all(map(requirement.specifier.contains, versions)), f"{lock} has {versions} for {requirement}"


@pytest.mark.parametrize("lock", ["proxy.txt", "admin.txt"])
def test_hosts_run_the_versions_that_were_tested(lock: str) -> None:
    tested = pins("dev.txt")
    for name, versions in pins(lock).items():
        assert versions <= tested[name]


def test_proxy_host_needs_no_web_framework_and_admin_host_no_mitmproxy() -> None:
    assert not {"starlette", "uvicorn", "aiosqlite"} & pins("proxy.txt").keys()
    assert "mitmproxy" not in pins("admin.txt")


@pytest.mark.parametrize("lock", ["dev.txt", "proxy.txt", "admin.txt", "uv.txt"])
def test_lock_pins_everything_by_hash_and_names_no_index(lock: str) -> None:
    text = (LOCKS / lock).read_text()
    assert "://" not in text
    assert "index" not in text
    for entry in re.split(r"^(?=[\w])", text, flags=re.MULTILINE)[1:]:
        assert re.match(r"[\w.-]+==", entry)
        assert "--hash=sha256:" in entry


def test_wheel_carries_every_file_of_the_packages(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("towngate-*.whl")
    packages = ("admin", "categories", "policy", "proxy_addons")
    there = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith(packages)}
    assert packed == there


def test_make_alone_says_what_there_is_a_line_each() -> None:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")
    }
    shown = subprocess.run(
        ["make", "--no-print-directory"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [re.match(r"make (\S+) +\S", line) for line in shown.stdout.splitlines()]
    said = [line and line[1] for line in lines]
    parts = ("-categories", "-visits", "-soak", "-restarts", "-workers", "-asking", "-evasion")
    benchmarks = [f"bench{of}" for of in ("", *parts)]
    assert said == ["run", "test", "test-setup", "lint", *benchmarks, "clean"]
