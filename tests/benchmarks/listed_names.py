"""A peer's list: the first of UT1's adult names where they are at hand, else made-up ones."""

import os
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tests.benchmarks.origin import SITES

STOPPED = f"stopped.{SITES}"
"""The last name of every list; none of the others is one of the origin server's."""

_MEMBER = "ut1/blacklists/adult/domains"


def write_names(path: Path, count: int) -> str:
    """Write so many host names and STOPPED, one a line; return what they are, in words.

    UT1 is read from the archive in the folder that TOWNGATE_TEST_DATA names.
    """
    data = os.environ.get("TOWNGATE_TEST_DATA")
    names = _made_up() if data is None else _of_ut1(Path(data, "ut1.tar.xz"))
    path.write_text("".join(f"{name}\n" for name in (*islice(names, count), STOPPED)))
    return f"{count:,} {'made-up names' if data is None else 'names of UT1'}"


def _made_up() -> Iterator[str]:
    number = 0
    while True:
        yield f"www{number % 7}.listed-{number}.example"
        number += 1


def _of_ut1(archive: Path) -> Iterator[str]:
    with tarfile.open(archive) as tar:
        lines = tar.extractfile(_MEMBER)
        assert lines is not None, f"{archive}: {_MEMBER} is not a file"
        for line in lines:
            name = line.decode().strip()
            # squidGuard takes names alone, and not a name's last label.
            if name.isascii() and "." in name and name[0].isalnum() and not name[-1].isdigit():
                yield name
