"""The assets served to browsers are whole, and as their packages published them."""

import hashlib
import re
from pathlib import Path

VENDOR = Path(__file__).parent.parent / "admin" / "static" / "vendor"
LISTED = VENDOR / "VENDORED.md"
# What USWDS's CSS names and no page of ours uses (VENDORED.md).
LEFT_OUT = ("fonts/merriweather/", "fonts/roboto-mono/", "img/hero.jpg")


def test_every_vendored_file_has_the_sum_that_is_listed() -> None:
    listed = dict(
        reversed(match) for match in re.findall(r"^([0-9a-f]{64})  (\S+)$", LISTED.read_text(), re.MULTILINE)
    )
    found = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path != LISTED
    }

    assert found == listed


def test_every_folder_is_listed_with_its_version_and_carries_a_licence() -> None:
    text = LISTED.read_text()
    for folder in (path for path in VENDOR.iterdir() if path.is_dir()):
        _, _, version = folder.name.rpartition("-")
        assert f"| `{folder.name}/` |" in text
        assert f"| {version} |" in text
        assert list(folder.glob("LICENSE*")), f"{folder.name} has no licence"


def test_css_finds_every_font_and_image_that_it_names() -> None:
    for css in VENDOR.rglob("*.css"):
        named = set(re.findall(r"url\(\"?\.\./([^)\"]+)\"?\)", css.read_text()))
        assert named, f"{css.name} names nothing: has its syntax changed?"
        missing = {
            name
            for name in named
            if not name.startswith(LEFT_OUT) and not (css.parent.parent / name).is_file()
        }
        assert not missing
