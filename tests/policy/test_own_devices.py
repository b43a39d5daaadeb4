"""People's own devices in a policy, beside those of its document."""

from datetime import UTC, datetime, timedelta

from policy.identity import Identities
from policy.own_devices import DeviceEntry, first_end, with_own_devices, without_own_devices
from policy.touched import EVERY_VISIT, NOTHING, touched_by_time
from tests.people import CLERK, HEAD
from tests.policy.test_identity import POLICY
from tests.policy.test_snapshot import SNAPSHOT

ENDS = datetime(2026, 4, 1, 4, tzinfo=UTC)
MOMENT = timedelta(seconds=1)
TABLET = DeviceEntry("2001:db8::7", "TABLET", CLERK, ENDS)
TOWN = with_own_devices(POLICY, [TABLET])


def test_device_is_the_persons_up_to_the_instant_it_ends_however_its_address_is_spelled() -> None:
    identities = Identities(TOWN)
    for address in ("2001:db8::7", "2001:0DB8:0:0::7"):
        for at, device in ((ENDS - MOMENT, "TABLET"), (ENDS, None), (ENDS - MOMENT, "TABLET")):
            client = identities.identify(address, at=at)
            assert (client.person, client.device) == (CLERK if device else None, device)


def test_person_is_at_their_device_while_it_lasts_and_signed_in_after_it() -> None:
    identities = Identities(with_own_devices(POLICY, [DeviceEntry("192.0.2.7", "TABLET", HEAD, ENDS)]))
    assert identities.client_of(HEAD, ENDS - MOMENT).device == "TABLET"
    assert identities.client_of(HEAD, ENDS).device is None


def test_entry_that_clashes_with_the_document_or_is_nobodys_is_left_out() -> None:
    address, listed = next(iter(POLICY.devices.items()))
    for entry in (
        DeviceEntry(address, "OTHER", CLERK, ENDS),
        DeviceEntry("192.0.2.7", listed.name.lower(), CLERK, ENDS),
        DeviceEntry("192.0.2.7", "OTHER", "left", ENDS),
    ):
        assert with_own_devices(POLICY, [entry]) is POLICY


def test_document_is_what_is_left_without_them() -> None:
    assert without_own_devices(TOWN) == POLICY
    assert without_own_devices(POLICY) is POLICY


def test_visits_are_judged_again_when_a_device_ends() -> None:
    snapshot = SNAPSHOT.__class__(1, SNAPSHOT.published_at, TOWN, SNAPSHOT.admin_url)
    assert first_end(TOWN, ENDS - MOMENT) == ENDS and first_end(TOWN, ENDS) is None
    assert touched_by_time(snapshot, ENDS - MOMENT, ENDS) == EVERY_VISIT
    assert touched_by_time(snapshot, ENDS, ENDS + MOMENT) == NOTHING


def test_snapshot_carries_their_ends() -> None:
    snapshot = SNAPSHOT.__class__(1, SNAPSHOT.published_at, TOWN, SNAPSHOT.admin_url)
    assert snapshot.__class__.from_bytes(snapshot.to_bytes()).policy == TOWN
