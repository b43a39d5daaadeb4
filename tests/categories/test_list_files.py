"""Lists come as folders, archives and single files, whole or broken."""

import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from categories import list_files as module
from categories.list_files import Alias, ListFile, ListFileError, list_files
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
    return [(file.folder, file.name, list(file.lines())) for file in _files(path)]


def _files(path: Path) -> Iterator[ListFile]:
    for file in list_files(path, str(path)):
        assert isinstance(file, ListFile)
        yield file


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


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, module.zstd.compress])
def test_single_file_is_read_as_lines(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "hosts.txt"
    path.write_bytes(pack(b"\xef\xbb\xbfa.example\r\nb\xe9.example\nc.example"))  # type: ignore[operator]  # one of three functions
    for file in _files(path):
        assert (file.folder, file.name) == ("", "")
        assert file.beginning().startswith("a.example")
        assert list(file.lines()) == ["a.example\n", "b\ufffd.example\n", "c.example"]
        assert file.is_cut


def test_blocks_are_of_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("".join(f"{number}.example\n" for number in range(20_000)))
    for file in _files(path):
        blocks = list(file.blocks())
        assert len(blocks) > 1
        assert all(block.endswith(".example\n") for block in blocks)
        assert "".join(blocks) == path.read_text()
        assert not file.is_cut


def test_empty_file_has_no_lines_and_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    for file in _files(path):
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


def _tar_of(folder: Path, *members: tuple[str, bytes, str]) -> Path:
    """Write an archive of (name, type, content or target) members."""
    path = folder / "odd.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "" if kind == tarfile.REGTYPE else content
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(content.encode()) if member.size else None)
    return path


GOOD = ("bl/adult/domains", tarfile.REGTYPE, "a.example\n")


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (("bl/porn", tarfile.SYMTYPE, "/etc"), "bl/porn in it is a link that leads out"),
        (("bl/porn", tarfile.SYMTYPE, "../../adult"), "bl/porn in it is a link that leads out"),
        (("bl/porn", tarfile.LNKTYPE, "../etc"), "bl/porn in it is a link that leads out"),
        (("bl/games/domains", tarfile.SYMTYPE, "/etc/passwd"), "bl/games/domains in it is a link that leads"),
        (("bl/games/domains", tarfile.SYMTYPE, "../adult/domains"), "which a list's file cannot be"),
        (("../games/domains", tarfile.REGTYPE, "b.example\n"), r"'\.\./games/domains' in it leads out"),
        (("/etc/domains", tarfile.REGTYPE, "b.example\n"), "'/etc/domains' in it leads out"),
        (("bl/../../x", tarfile.REGTYPE, "b.example\n"), "leads out of the archive"),
    ],
)
def test_archive_that_leads_out_of_itself_is_refused(
    tmp_path: Path, member: tuple[str, bytes, str], message: str
) -> None:
    with pytest.raises(ListFileError, match=message):
        list(list_files(_tar_of(tmp_path, GOOD, member), "odd.tar"))


def test_linked_folder_is_another_name_of_what_it_leads_to(tmp_path: Path) -> None:
    link = ("bl/porn", tarfile.SYMTYPE, "adult")
    found = [each for each in list_files(_tar_of(tmp_path, link, GOOD), "odd.tar") if isinstance(each, Alias)]
    assert found == [Alias("bl/porn", "bl/adult")]
    folder = write_layout(tmp_path / "list", {"bl/adult/domains": "a.example\n"})
    (folder / "bl" / "porn").symlink_to("adult")
    assert [type(each) for each in list_files(folder, "list")] == [Alias, ListFile]
    (folder / "bl" / "out").symlink_to(tmp_path)
    with pytest.raises(ListFileError, match="bl/out in it is a link that leads out"):
        list(list_files(folder, "list"))


def _zip_of(path: Path, files: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def test_zip_yields_the_same_as_other_archives(tmp_path: Path) -> None:
    assert sorted(_contents(_zip_of(tmp_path / "list.zip", FILES))) == sorted(EXPECTED)


def test_zip_of_one_file_is_that_file(tmp_path: Path) -> None:
    path = _zip_of(tmp_path / "list.zip", {"hosts.txt": "a.example\n"})
    assert _contents(path) == [("", "", ["a.example\n"])]


def test_odd_zip_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ListFileError, match="no folder in the archive holds a file"):
        _contents(_zip_of(tmp_path / "other.zip", {"a.txt": "a", "b.txt": "b"}))
    with pytest.raises(ListFileError, match=r"'\.\./x/domains' in it leads out of the archive"):
        _contents(_zip_of(tmp_path / "out.zip", {"../x/domains": "a.example\n"}))
    cut = _zip_of(tmp_path / "cut.zip", FILES)
    cut.write_bytes(cut.read_bytes()[:-30])
    with pytest.raises(ListFileError, match="cut or damaged"):
        _contents(cut)
    monkeypatch.setattr(module, "_SMALL_BYTES", 1 << 20)
    # Each of the two is small enough by itself.
    bomb = _zip_of(tmp_path / "bomb.zip", {f"{name}/domains": "a.example\n" * 80_000 for name in ("a", "b")})
    with pytest.raises(ListFileError, match="unpacks to more than a list can be"):
        _contents(bomb)


def test_v2flys_lists_are_found_in_their_folder(tmp_path: Path) -> None:
    folder = write_layout(tmp_path / "dlc", {"data/google": "google.com\n", "README.md": "read me\n"})
    for path in (folder, _zip_of(tmp_path / "dlc.zip", {"dlc-master/data/google": "google.com\n"})):
        assert [(file.name, file.is_domain_list) for file in _files(path)] == [("google", True)]


def test_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ListFileError, match=r"nowhere: No such file or directory"):
        _contents(tmp_path / "nowhere")
