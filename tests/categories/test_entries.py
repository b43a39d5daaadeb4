"""Kept entries: what was written comes back, and damage is noticed."""

from pathlib import Path

import pytest

from categories import entries as module
from categories.entries import EntriesError, EntriesFile, EntriesWriter, KeptSource
from categories.sources import KeptSources, Source
from tests.categories.lists import AT


def _write(path: Path) -> KeptSource:
    with EntriesWriter(path) as writer:
        writer.write("gambling", "names", ["elpmaxe.b.", "elpmaxe.c.\nelpmaxe.a."])
        writer.write("drogue", "names", [])
        writer.write("gambling", "urls", ["elpmaxe.a./bücher/"])
        source = KeptSource("ut1", "/lists/ut1", None, "ut1", AT, tuple(writer.sections))
        writer.close(source)
    return source


def test_entries_come_back_sorted_with_their_source(tmp_path: Path) -> None:
    written = _write(tmp_path / "ut1.entries")
    with EntriesFile(tmp_path / "ut1.entries") as entries:
        assert entries.source == written
        assert entries.source.count == 4
        assert [list(entries.keys(section)) for section in entries.source.sections] == [
            ["elpmaxe.a.", "elpmaxe.b.", "elpmaxe.c."],
            [],
            ["elpmaxe.a./bücher/"],
        ]


def test_large_section_is_sorted_in_parts_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SORTED_AT_ONCE", 2)
    _write(tmp_path / "ut1.entries")
    with EntriesFile(tmp_path / "ut1.entries") as entries:
        first = entries.source.sections[0]
        assert sorted(entries.keys(first)) == ["elpmaxe.a.", "elpmaxe.b.", "elpmaxe.c."]
        assert first.count == 3


def test_file_that_is_no_file_of_entries_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ut1.entries"
    with pytest.raises(EntriesError, match="No such file"):
        EntriesFile(path)
    path.write_text("no zip")
    with pytest.raises(EntriesError, match="not a file of entries; fetch the source again"):
        EntriesFile(path)
    with EntriesWriter(path) as writer:
        writer.write("gambling", "names", ["elpmaxe.a."])
    with pytest.raises(EntriesError, match="not a file of entries"):
        EntriesFile(path)


def test_file_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path / "ut1.entries")
    monkeypatch.setattr(module, "_FORMAT", 2)
    with pytest.raises(EntriesError, match="written by another version; fetch the source again"):
        EntriesFile(tmp_path / "ut1.entries")


def test_altered_entries_are_noticed_when_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "ut1.entries"
    _write(path)
    data = path.read_bytes()
    # A local header of 30 bytes, the member's name and its extra field come first.
    start = 30 + int.from_bytes(data[26:28], "little") + int.from_bytes(data[28:30], "little")
    for place in range(start, start + 8):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        with EntriesFile(path) as entries, pytest.raises(EntriesError, match="cut or altered"):
            list(entries.keys(entries.source.sections[0]))


def test_unfinished_entries_replace_the_kept_ones_only_when_told(tmp_path: Path) -> None:
    kept = KeptSources(tmp_path)
    _write(kept.unfinished_path("ut1"))
    assert kept.find("ut1") is None
    kept.keep("ut1")
    assert kept.names() == ["ut1"]
    assert kept.find("ut1") is not None
    _write(kept.unfinished_path("other"))
    kept.clear_unfinished()
    assert [path.name for path in tmp_path.iterdir()] == ["ut1.entries"]
    kept.remove("ut1")
    assert kept.names() == []


@pytest.mark.parametrize("name", ["", "UT1", "a b", "../ut1", "-x", "a" * 42])
def test_name_that_could_be_no_file_is_no_name_for_a_source(name: str) -> None:
    with pytest.raises(ValueError, match="is not a name for a source"):
        Source(name, "/lists")
