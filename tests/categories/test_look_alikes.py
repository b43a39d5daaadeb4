"""Names that look like well-known ones."""

from pathlib import Path

import pytest

from categories import look_alikes
from categories.look_alikes import WellKnownNames, ranked_names, shipped_names

_KNOWN = WellKnownNames(["www.apple.com", "paypal.com", "wikipedia.org", "google.com", "google.de", "x.com"])


@pytest.mark.parametrize(
    ("case", "site", "imitated"),
    [
        ("Cyrillic letters", "xn--80ak6aa92e.com", "apple.com"),
        ("another letter", "paypa1.com", "paypal.com"),
        ("a letter more", "paypall.com", "paypal.com"),
        ("a letter less", "wikipdia.org", "wikipedia.org"),
        ("letters changed round", "paypla.com", "paypal.com"),
        ("another ending", "paypa1.example", "paypal.com"),
        ("itself", "paypal.com", None),
        ("itself elsewhere", "google.example", None),
        ("two letters", "peypel.com", None),
        ("a letter more and another", "payapll.com", None),
        ("a letter moved", "paplay.com", None),
        ("too short to tell", "y.com", None),
        ("in another alphabet altogether", "xn--wgv71a119e.jp", None),
    ],
)
def test_imitation_is_told_from_a_name_of_its_own(case: str, site: str, imitated: str | None) -> None:
    assert _KNOWN.imitated_by(site) == imitated, case


def test_well_known_names_imitate_each_other_never() -> None:
    known = WellKnownNames(["paypal.com", "paypai.com"])
    assert known.imitated_by("paypai.com") is None


def test_some_names_ship_with_towngate() -> None:
    assert WellKnownNames(shipped_names()).imitated_by("wikipedla.org") == "wikipedia.org"


def test_first_ten_thousand_of_a_ranked_file_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_alikes, "MOST_NAMES", 2)
    path = tmp_path / "top.csv"
    path.write_text("1,One.example\n?? no name\ntwo.example\n3,three.example\n")
    assert list(ranked_names(path)) == ["one.example", "two.example"]
