"""Lists come as folders, archives and single files, whole or broken."""

import gzip
import io
import lzma
import tarfile
from pathlib import Path

import pytest

from categories import list_files as module
from categories.list_files import ListFileError, list_files
from tests.categories.lists import write_layout

FILES = {
    "blacklists/gambling/domains": "cardroom.example\n",
    "blacklists/gambling/urls": "blog.example/casino\n",
    "blacklists/gambling/usage": "black\n",
    "blacklists/adult/expressions": "(porn)\n",
    "blacklists/README": "read me\n",
}
EXPECTED = [
    ("blacklists/adult", "expressions", ["(porn)\n"]),
    ("blacklists/gambling", "domains", ["cardroom.example\n"]),
    ("blacklists/gambling", "urls", ["blog.example/casino\n"]),
]


def _contents(path: Path) -> list[tuple[str, str, list[str]]]:
    return [(file.folder, file.name, list(file.lines())) for file in list_files(path, str(path))]


def _archive(folder: Path, mode: str, name: str) -> Path:
    path = folder / name
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # the mode is a test's parameter
        for file in sorted(FILES):
            archive.add(folder / "list" / file, arcname=file)
    return path


def test_folder_yields_the_files_with_entries(tmp_path: Path) -> None:
    assert _contents(write_layout(tmp_path, FILES)) == EXPECTED


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_archive_yields_the_same_however_it_is_compressed_and_named(tmp_path: Path, mode: str) -> None:
    write_layout(tmp_path / "list", FILES)
    assert _contents(_archive(tmp_path, mode, "list.bin")) == EXPECTED


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_single_file_is_read_as_lines(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "hosts.txt"
    path.write_bytes(pack(b"\xef\xbb\xbfa.example\r\nb\xe9.example\nc.example"))  # type: ignore[operator]  # one of three functions
    for file in list_files(path, str(path)):
        assert (file.folder, file.name) == ("", "")
        assert file.beginning().startswith("a.example")
        assert list(file.lines()) == ["a.example\n", "b\ufffd.example\n", "c.example"]
        assert file.is_cut


def test_blocks_are_of_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("".join(f"{number}.example\n" for number in range(20_000)))
    for file in list_files(path, str(path)):
        blocks = list(file.blocks())
        assert len(blocks) > 1
        assert all(block.endswith(".example\n") for block in blocks)
        assert "".join(blocks) == path.read_text()
        assert not file.is_cut


def test_empty_file_has_no_lines_and_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    for file in list_files(path, str(path)):
        assert (file.beginning(), list(file.lines()), file.is_cut) == ("", [], False)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_cut_archive_is_refused(tmp_path: Path, mode: str, share: float) -> None:
    big = "".join(f"{number * 7919}.example\n" for number in range(30_000))
    write_layout(tmp_path / "list", FILES | {"blacklists/gambling/domains": big})
    path = _archive(tmp_path, mode, "list.bin")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ListFileError, match=r"cut or damaged"):
        _contents(path)


def test_damaged_compressed_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hosts.gz"
    packed = bytearray(gzip.compress(b"a.example\n" * 1000))
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(packed)
    with pytest.raises(ListFileError, match=r"hosts\.gz: cut or damaged"):
        _contents(path)


def test_file_that_unpacks_to_hundreds_of_times_its_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SMALL_BYTES", 1 << 20)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"a.example\n" * 400_000, 9))
    assert path.stat().st_size * 300 < 4_000_000
    with pytest.raises(ListFileError, match="unpacks to more than a list can be"):
        _contents(path)


def test_file_without_line_ends_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(b"a" * 3_000_000)
    with pytest.raises(ListFileError, match="blob: a line is longer than 1048576 bytes; not a list"):
        _contents(path)


def test_folder_and_archive_without_entries_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ListFileError, match="no folder below it holds a file 'domains' or 'urls'"):
        _contents(tmp_path)
    path = tmp_path / "other.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("README"), io.BytesIO())
    with pytest.raises(ListFileError, match="no folder in the archive holds a file"):
        _contents(path)


def test_archive_member_that_is_no_file_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("gambling/domains")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(ListFileError):
        _contents(path)


def test_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ListFileError, match=r"nowhere: No such file or directory"):
        _contents(tmp_path / "nowhere")
