"""Files that admin writes for others, and keys."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from admin import ask_key, key_file
from admin.atomic_file import write_atomically
from admin.key_file import KeyFileError


def test_a_reader_sees_the_old_file_or_the_new_one_never_a_part(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([n]) * 200_000 for n in range(20)]
    write_atomically(path, contents[0])
    seen: set[bytes] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for content in contents:
        write_atomically(path, content)
    done.set()
    reader.join()
    assert seen <= set(contents)
    assert path.read_bytes() == contents[-1]


def test_rights_are_as_asked_for_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_atomically(tmp_path / "file", b"x", mode=0o640)
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_new_file_takes_after_the_one_beside_it(tmp_path: Path) -> None:
    beside, path = tmp_path / "beside", tmp_path / "file"
    beside.touch()
    beside.chmod(0o604)
    if os.geteuid() == 0:
        os.chown(beside, 12, 34)
    for mode in (0o604, 0o600):
        write_atomically(path, b"x", like=beside)
        found, expected = path.stat(), beside.stat()
        assert (found.st_uid, found.st_gid) == (expected.st_uid, expected.st_gid)
        assert found.st_mode & 0o777 == mode
        path.chmod(0o600)  # its own rights count from then on


def test_rights_of_the_file_that_is_replaced_stay(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o664)
    write_atomically(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o664


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_root_leaves_the_file_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 65534, 65534)
    write_atomically(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


def test_what_fails_leaves_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_a_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = ask_key.ensure(path)
    assert len(key) == 32
    assert ask_key.ensure(path) == key
    assert path.stat().st_mode & 0o777 == 0o640
    key_file.ensure(tmp_path / "private")
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600


def test_all_that_make_a_key_at_once_get_the_same(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(key_file.ensure, [path] * 32))
    assert keys == {path.read_bytes()}
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_of_many_that_write_at_once_one_wins_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([n]) * 200_000 for n in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: write_atomically(path, content), contents))
    assert path.read_bytes() in contents
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_cut_key_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"short")
    with pytest.raises(KeyFileError, match="holds 5 bytes, a key has 32"):
        key_file.ensure(path)
    assert path.read_bytes() == b"short"


def test_a_key_that_cannot_be_read_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="away/key: No such file"):
        key_file.ensure(tmp_path / "away" / "key")
