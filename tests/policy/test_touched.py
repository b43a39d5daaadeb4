"""What a change is about: nothing that it may decide otherwise is left out, and little else is in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policy.correction import Correction
from policy.snapshot import PolicySnapshot
from policy.state import DeviceOff, Exemption, FilterOff, Lockdown
from policy.touched import EVERY_VISIT, NOTHING, Touched, touched_by_change, touched_by_time
from tests.published_town import policy_of
from tests.towns import DOCUMENT

# A Monday, at nine by the clock on the town's wall; lunch is from 17 UTC on.
AT = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SNAPSHOT = PolicySnapshot(1, AT, policy_of(DOCUMENT), "https://gate.town.example")
OF_CLERK = Exemption("1", "cardroom.example", AT, AT + HOUR, person="clerk")
OF_PARKS = Exemption("2", "shop.example", AT, AT + HOUR, department="parks")
SHOPPING = frozenset({"shopping"})
OF_CLERK_AT_LUNCH = Exemption("3", "", AT, AT + HOUR, person="clerk", categories=SHOPPING)
OF_PARKS_AT_LUNCH = Exemption("4", "", AT, AT + HOUR, department="parks", categories=SHOPPING)
OFF = FilterOff("the lists are broken", AT, AT + HOUR)


def people(*ids: str) -> Touched:
    return Touched(people=frozenset(ids))


def sites(*hosts: str) -> Touched:
    return Touched(sites=frozenset(hosts))


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ({"sequence": 2, "published_at": AT + HOUR}, NOTHING),
        ({"proxy_passwords": {"clerk": "a hash"}}, NOTHING),
        ({"exemptions": (OF_CLERK,)}, people("clerk")),
        ({"exemptions": (OF_PARKS,)}, sites("shop.example")),
        ({"exemptions": (OF_CLERK, OF_PARKS)}, people("clerk") | sites("shop.example")),
        ({"exemptions": (OF_CLERK_AT_LUNCH,)}, people("clerk")),
        ({"exemptions": (OF_PARKS_AT_LUNCH,)}, EVERY_VISIT),
        ({"corrections": (Correction("news.example", ("press",)),)}, sites("news.example")),
        ({"never_inspect": ("bank.example",)}, sites("bank.example")),
        ({"devices_off": (DeviceOff("10.1.1.1", "stolen", AT),)}, Touched(addresses=frozenset({"10.1.1.1"}))),
        ({"receipts": {"clerk": None}}, people("clerk")),
        ({"lockdowns": (Lockdown("an attack", AT),)}, EVERY_VISIT),
        ({"filter_off": OFF}, EVERY_VISIT),
        ({"admin_url": "https://other.town.example"}, EVERY_VISIT),
        (
            {"policy": policy_of(DOCUMENT.replace("default: {action: allow}", "default: {action: block}"))},
            EVERY_VISIT,
        ),
    ],
)
def test_change_is_about_what_it_names_whether_it_comes_or_goes(
    change: dict[str, Any], touched: Touched
) -> None:
    changed = replace(SNAPSHOT, **change)
    assert touched_by_change(SNAPSHOT, changed) == touched
    assert touched_by_change(changed, SNAPSHOT) == touched
    assert touched_by_change(changed, changed) == NOTHING
    assert bool(touched) is (touched is not NOTHING)


def test_correction_that_says_something_else_is_about_its_site() -> None:
    before = replace(SNAPSHOT, corrections=(Correction("news.example", ("press",)),))
    after = replace(SNAPSHOT, corrections=(Correction("news.example", ("gambling",)),))
    assert touched_by_change(before, after) == sites("news.example")


IN_FORCE = replace(SNAPSHOT, exemptions=(OF_CLERK, OF_PARKS), receipts={"head": AT + HOUR, "it": None})


@pytest.mark.parametrize(
    ("snapshot", "since", "until", "touched"),
    [
        (IN_FORCE, AT - HOUR, AT, people("clerk") | sites("shop.example")),
        (IN_FORCE, AT, AT + HOUR / 2, NOTHING),
        (IN_FORCE, AT + HOUR / 2, AT + HOUR, people("clerk", "head") | sites("shop.example")),
        (IN_FORCE, AT + HOUR, AT + 2 * HOUR, NOTHING),
        (replace(SNAPSHOT, exemptions=(OF_PARKS_AT_LUNCH,)), AT + HOUR / 2, AT + HOUR, EVERY_VISIT),
        (SNAPSHOT, AT + 2 * HOUR, AT + 3 * HOUR, EVERY_VISIT),
        (SNAPSHOT, AT + 3 * HOUR, AT + 3 * HOUR + HOUR / 2, NOTHING),
        (replace(SNAPSHOT, filter_off=OFF), AT + HOUR / 2, AT + HOUR, EVERY_VISIT),
        (replace(SNAPSHOT, filter_off=OFF), AT + HOUR / 4, AT + HOUR / 2, NOTHING),
    ],
)
def test_time_touches_what_begins_or_ends(
    snapshot: PolicySnapshot, since: datetime, until: datetime, touched: Touched
) -> None:
    assert touched_by_time(snapshot, since, until) == touched
