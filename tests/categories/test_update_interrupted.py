"""An update that is killed, or has no room, at any step: the last good lists stay in force."""

import itertools
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from categories.publishing import CurrentSnapshot
from categories.sources import KeptSources, Source
from categories.updating import UpdateError, update
from tests.categories.lists import AT

_CHANGES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}
_BEFORE, _AFTER = "before.example", "after.example"


class _Town:
    """Folders of a town in which one update was made, and the list changed since."""

    def __init__(self, root: Path) -> None:
        self.kept = root / "kept"
        self.published = root / "published"
        self.list = root / "gambling.txt"

    def update(self) -> None:
        update([Source("gambling", str(self.list))], self.kept, self.published, AT)

    def lists(self, host: str) -> bool:
        """Whether the snapshot that a worker would open now, verified whole, lists a host."""
        return bool(CurrentSnapshot(self.published).snapshot.lookup(host))

    def left_behind(self) -> list[str]:
        expected = {"current.json", "lock"}
        expected.update(path.name for path in self.published.iterdir() if (path / "snapshot.json").exists())
        for name in KeptSources(self.kept).names():
            expected |= {f"{name}.entries", f"{name}.check.json"}
        found = {path.name for folder in (self.kept, self.published) for path in folder.iterdir()}
        return sorted(found - expected - {path for path in found if path.startswith("unfinished-")})


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], _Town]:
    """Return a function that makes such a town anew."""
    model = _Town(tmp_path / "model")
    model.kept.mkdir(parents=True)
    names = "".join(f"site{number}.example\n" for number in range(5_000))
    model.list.write_text(f"{names}{_BEFORE}\n")
    model.update()
    model.list.write_text(f"{names}{_AFTER}\n")
    numbers = itertools.count()

    def make() -> _Town:
        root = tmp_path / str(next(numbers))
        shutil.copytree(tmp_path / "model", root)
        return _Town(root)

    return make


def _in_a_process(act: Callable[[], None]) -> int:
    """Do something in a process of its own; return the exit code, of a signal its number below zero."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        except UpdateError:
            status = 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _killed_at(step: int, town: _Town) -> bool:
    """Update, killed before the step with this number that changes a file; False: it had fewer."""
    steps = itertools.count(1)
    root = str(town.published.parent)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event not in _CHANGES or root not in str(arguments[0]):
            return
        if event == "open" and not (
            isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        ):
            return
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def act() -> None:
        sys.addaudithook(watch)
        town.update()

    ended = _in_a_process(act)
    assert ended in (0, -signal.SIGKILL)
    return ended != 0


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_update_killed_before_any_of_its_steps_leaves_good_lists_and_is_made_good(
    fresh: Callable[[], _Town],
) -> None:
    seen: list[bool] = []
    for step in itertools.count(1):
        town = fresh()
        in_use = CurrentSnapshot(town.published)
        if not _killed_at(step, town):
            break
        seen.append(town.lists(_AFTER))
        assert town.lists(_BEFORE) is not town.lists(_AFTER)
        assert in_use.snapshot.lookup(_BEFORE)
        town.update()
        assert town.lists(_AFTER)
        assert not town.left_behind()
    assert len(seen) > 10
    # It comes into force with the last of them.
    assert not any(seen)
    assert town.lists(_AFTER)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_update_without_room_for_its_files_leaves_good_lists_and_is_made_good(
    fresh: Callable[[], _Town],
) -> None:
    ends = set()
    for room in (0, 100, 1_000, 5_000, 10_000, 15_000, 20_000, 30_000, 40_000, 100_000):
        town = fresh()

        def act(town: _Town = town, room: int = room) -> None:
            # Beyond this a write fails, as on a disk that is full.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
            town.update()

        ended = _in_a_process(act)
        ends.add(ended)
        assert ended in (0, 2), room
        assert town.lists(_AFTER) is (ended == 0)
        town.update()
        assert town.lists(_AFTER)
        assert not town.left_behind()
    assert ends == {0, 2}
