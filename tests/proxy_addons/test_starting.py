"""A worker that cannot start says so in one line and ends with exit code 2."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy_addons.certificate_authority import CertificateAuthorityError
from proxy_addons.chain import Towngate
from proxy_addons.resolver import HostsFileError
from proxy_addons.snapshot_watch import NotPublishedError
from tests.published_town import PublishedTown


def test_worker_without_anything_published_says_so_in_one_line_and_ends_with_2(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "proxy_addons",
        "--state",
        str(tmp_path),
        "--listen-fd",
        "0",
        "--ready-fd",
        "1",
    ]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"towngate proxy: {tmp_path}: no usable policy and categories have been published")
    assert "start `towngate admin`" in line
    assert ended.stdout == ""


def break_policy(town: PublishedTown) -> None:
    town.state.policy_snapshot.write_bytes(b"")


def break_categories(town: PublishedTown) -> None:
    (town.state.categories / "current.json").unlink()


def break_authority(town: PublishedTown) -> None:
    (town.state.ca / "mitmproxy-ca.pem").write_text("garbage")


def break_hosts_file(town: PublishedTown) -> None:
    (town.state.root / "hosts").write_text("library.example 127.0.0.1")


def remove_hosts_file(town: PublishedTown) -> None:
    (town.state.root / "hosts").unlink()


@pytest.mark.parametrize(
    ("break_it", "error"),
    [
        (break_policy, NotPublishedError),
        (break_categories, NotPublishedError),
        (break_authority, CertificateAuthorityError),
        (break_hosts_file, HostsFileError),
        (remove_hosts_file, FileNotFoundError),
    ],
)
def test_gate_stays_closed_when_a_part_cannot_be_read(
    break_it: Callable[[PublishedTown], None], error: type[Exception], tmp_path: Path
) -> None:
    town = PublishedTown(tmp_path)
    (tmp_path / "hosts").write_text("")
    break_it(town)
    towngate = Towngate()

    with pytest.raises(error) as refused:
        towngate.open(tmp_path, tmp_path / "hosts", frozenset())

    assert not towngate.gate.is_open
    assert "\n" not in str(refused.value)
    assert str(tmp_path) in str(refused.value)
