"""What proxy workers have counted, in files that each writes (prometheus_client's) and that outlive it.

What workers counted that have ended is added up in files of their own, so that a scrape reads no more
after a hundred restarts than before, and no counter ever goes back.
"""

import contextlib
import logging
import os
import shutil
import stat
import struct
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from admin.state_folder import StateFolder

logger = logging.getLogger(__name__)

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it, or none
# As much as forty workers write: each has six files of 64 KiB, that grow where departments are many.
_ROOM_BYTES = 16 << 20
_ADDED_UP = ("counter", "histogram")
_OF_ENDED = "ended"
_PARTIAL = ".partial"
_PUT_ASIDE = ".added"


def folder_in_memory(state: StateFolder) -> Path:
    """Return where the workers of a state folder write their figures, the same for every program; it is made.

    They map their files, and to write to one on a full disk would end them (SIGBUS). Where no folder can be
    had in memory, or somebody else's has its name, it is the one in the state folder, on disk; so it is where
    memory is nearly full, unless there are figures in it already.
    """
    name = blake2b(bytes(state.root.resolve()), digest_size=8).hexdigest()
    folder = _IN_MEMORY / f"towngate-{os.geteuid()}-{name}"
    try:
        folder.mkdir(0o700, exist_ok=True)
        found = folder.lstat()
        room = os.statvfs(folder)
    except OSError as error:
        logger.warning("figures are on disk: path=%s error=%s", folder, error.strerror)
        return state.metrics
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != 0o700:
        logger.warning("figures are on disk: path=%s error=it is not ours alone", folder)
        return state.metrics
    if room.f_bavail * room.f_frsize < _ROOM_BYTES and not any(folder.glob("*.db")):
        logger.warning("figures are on disk: path=%s error=it has no room", folder)
        return state.metrics
    return folder


class WorkerFigures(Collector):
    """Adds up the files in a folder, those of workers that have ended too. Scrapes ask in other threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # A scrape sees what has ended in its own file or in the sum, never in both, or in neither.
        self._turn = threading.Lock()

    def forget_all(self) -> None:
        """Remove the figures of processes that are gone, before the first worker starts."""
        for path in (*self._files(), *self._folder.glob(f"*{_PUT_ASIDE}")):
            path.unlink()

    def forget_ended(self) -> None:
        """Remove the figures of workers that have ended, and the folder in memory, if there are no others."""
        for path in self._files():
            if path.stem.endswith(f"_{_OF_ENDED}") or _has_ended(path):
                path.unlink()
        for path in self._folder.glob(f"*{_PUT_ASIDE}"):
            path.unlink()
        if self._folder.parent == _IN_MEMORY and not self._files():
            # A nursery that was killed while it imported may have left a folder in it.
            shutil.rmtree(self._folder, ignore_errors=True)

    def collect(self) -> Iterable[Metric]:
        """Add up their files; one that a worker is just making has nothing in it, and cannot be read."""
        with self._turn:
            files = [str(path) for path in self._files() if path.stat().st_size]
            figures: Iterable[Metric] = MultiProcessCollector.merge(files)
        return figures

    def take_in_ended(self) -> None:
        """Drop the gauges of workers that have ended, and keep what they counted.

        What cannot be read or written stays where it is, is counted there, and is tried again the next time.
        """
        with self._turn:
            for path in self._ended("gauge_live"):
                path.unlink()
            for kind in _ADDED_UP:
                into = self._folder / f"{kind}_{_OF_ENDED}.db"
                try:
                    self._finish(kind, into)
                    self._add_up(self._ended(f"{kind}_"), into)
                except (OSError, RuntimeError, struct.error, UnicodeDecodeError) as error:
                    logger.error("figures of ended workers not added up: kind=%s error=%s", kind, error)

    def _finish(self, kind: str, into: Path) -> None:
        """Count once what a program was adding up that was killed."""
        is_summed = not into.with_suffix(_PARTIAL).exists()
        for path in self._folder.glob(f"{kind}_*{_PUT_ASIDE}"):
            if is_summed:
                path.unlink()
            else:
                path.rename(path.with_suffix(".db"))

    def _add_up(self, files: Sequence[Path], into: Path) -> None:
        """Add files to a sum; `_finish` tells by what is there how far it came.

        1. the new sum is written beside the old one
        2. the files are put aside, where nothing counts them
        3. the new sum takes the place of the old one
        4. the files are removed
        """
        if not files:
            return
        values: defaultdict[str, float] = defaultdict(float)
        for path in (*files, into):
            if path.exists() and path.stat().st_size:
                for key, value, _, _ in MmapedDict.read_all_values_from_file(str(path)):
                    values[key] += value
        # Made in memory: on a full disk, writing to a mapped file would end this process (SIGBUS).
        descriptor = os.memfd_create(into.name)
        try:
            figures = MmapedDict(f"/proc/self/fd/{descriptor}")
            with contextlib.closing(figures):
                for key, value in values.items():
                    figures.write_value(key, value, 0.0)
            partial = into.with_suffix(_PARTIAL)
            partial.write_bytes(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
        finally:
            os.close(descriptor)
        aside = [path.rename(path.with_suffix(_PUT_ASIDE)) for path in files]
        partial.replace(into)
        for path in aside:
            path.unlink()

    def _ended(self, beginning: str) -> list[Path]:
        return [path for path in self._files() if path.name.startswith(beginning) and _has_ended(path)]

    def _files(self) -> list[Path]:
        return list(self._folder.glob("*.db"))


def _has_ended(path: Path) -> bool:
    """Whether a file is of a process that is gone, or has left its pid to another user's."""
    pid = path.stem.rpartition("_")[2]
    if not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, PermissionError):
        return True
    return False
