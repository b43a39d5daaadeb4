"""Claims: access to one download is used up once, whoever asks, and by nothing that was not written down."""

import logging
import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from policy import state_names
from policy.state import Exemption
from proxy_addons.claims import Claims
from tests import people

KEY = b"k" * 32
GRANTED_AT = datetime(2026, 3, 2, 15, tzinfo=UTC)
FILE, OTHER_FILE = "files.example:80/setup.exe?version=1", "files.example:80/setup.exe?version=2"
# Two processes are told to begin, and reach for the same hundred in the same order.
CLAIMER = """
import sys
from pathlib import Path
from tests.proxy_addons.test_claims import KEY, access
from proxy_addons.claims import Claims

claims, hundred = Claims(Path(sys.argv[1]), KEY), [access(number) for number in range(100)]
print("ready", flush=True)
sys.stdin.readline()
print(*(one.id for one in hundred if claims.let_through([one], sys.argv[2])))
"""


def access(number: int = 1, granted_at: datetime = GRANTED_AT) -> Exemption:
    ends_at = granted_at + timedelta(days=1)
    return Exemption(
        f"EX-{number}",
        *("files.example", granted_at, ends_at),
        person=people.CLERK,
        lifts_limits=True,
        is_once=True,
    )


def test_of_two_processes_that_reach_for_it_at_once_exactly_one_has_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLAIMER, str(tmp_path)]
    both = [
        subprocess.Popen([*command, who], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for who in (FILE, OTHER_FILE)
    ]
    for process in both:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    first, second = (set(process.communicate()[0].split()) for process in both)
    assert first | second == {f"EX-{number}" for number in range(100)}
    assert not first & second
    assert len([*tmp_path.iterdir()]) == 100, "nothing else is left"


def test_what_has_used_access_up_may_be_taken_up_again_by_every_worker_and_nothing_else(
    tmp_path: Path,
) -> None:
    one_worker, another = Claims(tmp_path, KEY), Claims(tmp_path, KEY)
    assert one_worker.let_through([access()], FILE) == "EX-1"
    assert another.let_through([access()], FILE) == "EX-1"
    assert another.let_through([access()], OTHER_FILE) is None
    # A worker that comes later finds it as it is.
    assert Claims(tmp_path, KEY).let_through([access()], OTHER_FILE) is None


def test_looking_whether_a_download_would_be_let_through_uses_nothing_up(tmp_path: Path) -> None:
    claims = Claims(tmp_path, KEY)
    assert claims.would_let_through([access()], FILE)
    assert claims.would_let_through([access()], OTHER_FILE)
    assert not claims.would_let_through([], FILE)
    claims.let_through([access()], FILE)
    assert claims.would_let_through([access()], FILE)
    assert not claims.would_let_through([access()], OTHER_FILE)
    assert claims.would_let_through([access(), access(2)], OTHER_FILE)


def test_second_access_is_for_a_second_download_and_none_is_used_up_in_vain(tmp_path: Path) -> None:
    claims, both = Claims(tmp_path, KEY), [access(1), access(2)]
    assert claims.let_through([access(2)], FILE) == "EX-2"
    assert claims.let_through(both, FILE) == "EX-2"
    assert claims.let_through(both, OTHER_FILE) == "EX-1"
    assert claims.let_through(both, "files.example:80/third") is None


def test_access_of_the_same_number_in_a_restored_database_is_another(tmp_path: Path) -> None:
    claims = Claims(tmp_path, KEY)
    assert claims.let_through([access()], FILE) == "EX-1"
    later = access(granted_at=GRANTED_AT + timedelta(milliseconds=1))
    assert claims.let_through([later], OTHER_FILE) == "EX-1"


def test_claim_does_not_tell_what_was_loaded(tmp_path: Path) -> None:
    Claims(tmp_path, KEY).let_through([access()], FILE)
    (written,) = tmp_path.iterdir()
    assert len(written.read_bytes()) == 64 and b"setup" not in written.read_bytes()
    assert Claims(tmp_path, b"o" * 32).let_through([access()], FILE) is None, "its key is the town's"


def full(folder: Path) -> None:
    """Let no file grow, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))


def unreadable(folder: Path) -> None:
    (folder / state_names.claim("EX-1", GRANTED_AT)).symlink_to(folder / "elsewhere")


def half_written(folder: Path) -> None:
    (folder / state_names.claim("EX-1", GRANTED_AT)).touch()


@pytest.mark.parametrize("goes_wrong", [full, unreadable, half_written, Path.rmdir])
def test_what_cannot_be_claimed_is_not_let_through(
    goes_wrong: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        goes_wrong(folder)
        with caplog.at_level(logging.ERROR):
            assert Claims(folder, KEY).let_through([access()], FILE) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ("its claim failed" in caplog.text) is (goes_wrong is not half_written)
    if goes_wrong is full:
        assert [*folder.iterdir()] == []
        assert Claims(folder, KEY).let_through([access()], OTHER_FILE) == "EX-1", "it was not used up"
