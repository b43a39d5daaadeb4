"""Publishing and swapping: the old snapshot until the new one is whole, then the new one."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from categories import publishing
from categories.publishing import CurrentSnapshot, has_current, publish, publish_starter_if_empty, versions
from categories.snapshot import CategorySnapshot, CategorySnapshotError
from categories.taxonomy import taxonomy
from tests.categories.lists import AT, publish_lists, write_layout


class _Town:
    """Publishes one list, whose names are given, into one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "published"

    def publish(self, *names: str) -> CategorySnapshot:
        files = {"gambling/domains": "".join(f"{name}\n" for name in names)}
        lists = {"ut1": write_layout(self.root / "ut1", files)}
        return publish_lists(self.folder, lists, self.root / "scratch")

    def versions(self) -> set[str]:
        return {path.name for path in self.folder.iterdir() if path.is_dir()}


def _reloaded(current: CurrentSnapshot) -> bool:
    """Do as the proxy's watch does: load when something was published; whether it was taken into use."""
    return current.changed() and current.load()


@pytest.fixture
def town(tmp_path: Path) -> _Town:
    return _Town(tmp_path)


def test_new_snapshot_is_taken_into_use_when_it_is_published(town: _Town) -> None:
    town.publish("a.example")
    current = CurrentSnapshot(town.folder)
    assert not current.changed()
    assert not _reloaded(current)
    town.publish("b.example")
    assert current.changed()
    assert _reloaded(current)
    assert not current.changed()
    assert current.snapshot.lookup("b.example")
    assert not current.snapshot.lookup("a.example")
    assert current.snapshot.built_at == AT


def test_snapshot_that_is_still_open_answers_after_its_files_are_gone(town: _Town) -> None:
    old = town.publish("a.example")
    for name in ("b.example", "c.example", "d.example", "e.example"):
        town.publish(name)
    assert not old.folder.exists()
    assert old.lookup("www.a.example")


def test_current_version_and_the_three_before_are_kept(town: _Town) -> None:
    made = [town.publish(name).version for name in ("a.example", "b.example", "c.example", "d.example")]
    (town.folder / "unfinished-x").mkdir()
    assert town.versions() == {*made, "unfinished-x"}
    made.append(town.publish("e.example").version)
    assert town.versions() == set(made[1:])
    assert [one.version for one in versions(town.folder)] == made[:0:-1]
    # What was published before and is again, is new.
    town.publish("c.example")
    assert [one.version for one in versions(town.folder)] == [made[2], made[4], made[3], made[1]]


def test_same_entries_under_other_words_for_categories_are_compiled_anew(
    town: _Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.publish("a.example")
    ours = taxonomy()
    french = dict(ours.lists["ut1"]) | {"gambling": "games"}
    changed = replace(ours, lists={**ours.lists, "ut1": french})
    monkeypatch.setattr(publishing, "taxonomy", lambda: changed)
    assert [match.category for match in town.publish("a.example").lookup("a.example")] == ["games"]


def test_same_entries_are_compiled_anew_when_the_snapshot_of_them_is_damaged(town: _Town) -> None:
    first = town.publish("a.example")
    (first.folder / "names.trie").write_bytes(b"damaged")
    assert town.publish("a.example").lookup("a.example")
    assert CurrentSnapshot(town.folder).snapshot.lookup("a.example")


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing", "pointer", "no such version"])
def test_snapshot_that_cannot_be_used_is_refused_and_the_old_one_stays(town: _Town, damage: str) -> None:
    town.publish("a.example")
    current = CurrentSnapshot(town.folder)
    new = town.publish("b.example")
    pointer, trie = town.folder / "current.json", new.folder / "names.trie"
    match damage:
        case "flipped":
            data = bytearray(trie.read_bytes())
            data[100] ^= 1
            trie.write_bytes(data)
        case "cut":
            os.truncate(trie, 100)
        case "missing":
            trie.unlink()
        case "pointer":
            pointer.write_text("{")
        case "no such version":
            pointer.write_text(json.dumps({"version": "0" * 12, "built_at": AT.isoformat()}))
    assert not _reloaded(current)
    assert current.last_error
    assert current.snapshot.lookup("a.example")
    # What was refused is not read again and again; what is published next is.
    assert not current.changed()
    town.publish("c.example")
    assert _reloaded(current)
    assert current.last_error is None
    assert current.snapshot.lookup("c.example")


def test_pointer_that_vanishes_leaves_the_snapshot_in_use(town: _Town) -> None:
    town.publish("a.example")
    current = CurrentSnapshot(town.folder)
    (town.folder / "current.json").unlink()
    assert not _reloaded(current)
    assert "current.json: No such file or directory" in str(current.last_error)
    assert current.snapshot.lookup("a.example")


def test_same_content_again_keeps_its_version_and_is_dated_anew(town: _Town) -> None:
    first = town.publish("a.example")
    current = CurrentSnapshot(town.folder)
    later = AT.replace(hour=16)
    assert town.publish("a.example").version == first.version
    (town.folder / "current.json").write_text(
        json.dumps({"version": first.version, "built_at": later.isoformat()})
    )
    assert _reloaded(current)
    assert (current.snapshot.version, current.snapshot.built_at) == (first.version, later)


def test_damaged_version_is_replaced_when_the_same_content_is_published(town: _Town) -> None:
    first = town.publish("a.example")
    os.truncate(first.folder / "names.meanings", 1)
    town.publish("a.example")
    assert CurrentSnapshot(town.folder).snapshot.version == first.version


def test_nothing_published_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CategorySnapshotError, match="'towngate categories update' publishes a snapshot"):
        CurrentSnapshot(tmp_path)


def test_snapshot_that_is_cleared_away_while_it_is_opened_is_no_failure(
    town: _Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.publish("a.example")
    current = CurrentSnapshot(town.folder)
    town.publish("b.example")
    opened = CategorySnapshot.open

    def late(path: Path, built_at: object = None) -> CategorySnapshot:
        # Between the pointer and the files, more are published and the first is cleared away.
        monkeypatch.setattr(CategorySnapshot, "open", opened)
        for name in ("c.example", "d.example", "e.example", "f.example"):
            town.publish(name)
        return opened(path)

    monkeypatch.setattr(CategorySnapshot, "open", late)
    assert current.load()
    assert current.snapshot.lookup("f.example")


def test_failure_while_compiling_leaves_what_was_published(
    town: _Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = town.publish("a.example")

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("categories.publishing.compile_snapshot", full)
    with pytest.raises(OSError, match="No space left"):
        publish(town.folder, [], AT)
    assert town.versions() == {old.version}
    assert CurrentSnapshot(town.folder).snapshot.lookup("a.example")


def test_published_files_may_be_read_by_the_proxys_user(town: _Town) -> None:
    snapshot = town.publish("a.example")
    assert snapshot.folder.stat().st_mode & 0o777 == 0o755
    for path in [*snapshot.folder.iterdir(), town.folder / "current.json"]:
        assert path.stat().st_mode & 0o777 == 0o644


def test_starter_list_is_published_once(tmp_path: Path) -> None:
    assert not has_current(tmp_path)
    publish_starter_if_empty(tmp_path)
    assert has_current(tmp_path)
    pointer = (tmp_path / "current.json").read_bytes()
    publish_starter_if_empty(tmp_path)
    assert (tmp_path / "current.json").read_bytes() == pointer
    snapshot = CurrentSnapshot(tmp_path).snapshot
    for host, category in {
        "cardroom.example": "gambling",
        "www.pokerstars.com": "gambling",
        "phish.example": "phishing",
        "shop.example": "shopping",
        "news.example": "press",
        "m.facebook.com": "social_networks",
        "expressvpn.com": "vpn",
        "secure.chase.com": "banks",
    }.items():
        assert snapshot.lookup(host)[0].category == category
        assert snapshot.lookup(host)[0].source == "starter"
