"""The real lists, sites and vectors that some tests need: archives in the folder TOWNGATE_TEST_DATA.

A pytest plugin. `test_data("ut1")` gives the folder that `ut1.tar.xz` unpacks to.
"""

import fcntl
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

type TestData = Callable[[str], Path]


@pytest.fixture(scope="session")
def test_data(request: pytest.FixtureRequest) -> TestData:
    """Return a function from an archive's name to its unpacked folder, which is only to be read.

    What has been unpacked is kept in pytest's cache until the archive changes.
    """
    cache = request.config.cache
    assert cache is not None, "the real data is unpacked into pytest's cache"

    def unpacked(name: str) -> Path:
        folder = os.environ.get("TOWNGATE_TEST_DATA")
        if folder is None:
            pytest.skip(f"needs the real data: TOWNGATE_TEST_DATA names the folder of {name}.tar.xz")
        archive = Path(folder) / f"{name}.tar.xz"
        facts = archive.stat()
        kept = cache.mkdir("test-data") / f"{name}-{facts.st_size}-{facts.st_mtime_ns}"
        with _locked(kept.parent):
            if not kept.exists():
                # Beside it and then renamed: a run that is ended leaves no half of it.
                fresh = Path(tempfile.mkdtemp(dir=kept.parent))
                with tarfile.open(archive) as tar:
                    tar.extractall(fresh, filter="data")
                fresh.rename(kept)
        return kept / name

    return unpacked


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes that lock this folder waiting until the block ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
