"""Who a client is taken for."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from policy.identity import Identities
from policy.town_policy import Department, Device, Person, Policy, Town
from policy.visit import Client
from tests.people import CLERK, CLERK_AT_WORK, HEAD, IT

POLICY = Policy(
    version="test",
    town=Town("Town of Exampleton", "America/New_York"),
    departments={
        "finance": Department("Finance", HEAD, networks=(ip_network("10.10.20.0/24"),)),
        "town": Department("Town hall", HEAD, networks=(ip_network("10.10.0.0/16"), ip_network("fd00::/64"))),
    },
    people={
        CLERK: Person("Clara Reyes", department="finance"),
        HEAD: Person("Henry Walsh", department="finance"),
        IT: Person("Ivan Torres"),
    },
    devices={
        "127.0.0.1": Device("FIN-PC-15", person=CLERK),
        "10.10.20.90": Device("FRONT-DESK"),
        "10.10.20.91": Device("LENT-OUT", department="town"),
        "10.10.20.92": Device("IT-PC", person=IT),
        "10.10.20.93": Device("IT-PC-2", person=IT, department="town"),
    },
)
IDENTITIES = Identities(POLICY)


@pytest.mark.parametrize(
    ("case", "address", "client"),
    [
        ("a device of a person", "127.0.0.1", CLERK_AT_WORK),
        ("the same over IPv6", "::ffff:127.0.0.1", CLERK_AT_WORK),
        ("a network", "10.10.30.1", Client("10.10.30.1", department="town")),
        ("the narrowest network", "10.10.20.15", Client("10.10.20.15", department="finance")),
        ("an IPv6 network", "FD00::00:7", Client("fd00::7", department="town")),
        ("its zone left out", "fd00::7%eth0", Client("fd00::7", department="town")),
        ("a shared device", "10.10.20.90", Client("10.10.20.90", device="FRONT-DESK", department="finance")),
        ("its own department", "10.10.20.91", Client("10.10.20.91", device="LENT-OUT", department="town")),
        ("who belongs to none", "10.10.20.92", Client("10.10.20.92", person=IT, device="IT-PC")),
        (
            "who belongs to none, at a department's",
            "10.10.20.93",
            Client("10.10.20.93", person=IT, device="IT-PC-2", department="town"),
        ),
        ("nobody", "192.0.2.1", Client("192.0.2.1")),
    ],
)
def test_client_at_an_address(case: str, address: str, client: Client) -> None:
    assert IDENTITIES.identify(address) == client, case


def test_only_a_client_of_whom_nothing_is_known_is_unknown() -> None:
    assert not IDENTITIES.identify("192.0.2.1").is_known
    assert IDENTITIES.identify("10.10.30.1").is_known
    assert replace(CLERK_AT_WORK, person=None, department=None).is_known


def test_sign_in_says_the_person_and_the_device_stays_known() -> None:
    client = IDENTITIES.identify("127.0.0.1", signed_in=HEAD)
    assert client == Client("127.0.0.1", HEAD, "FIN-PC-15", "finance", is_signed_in=True)


def test_who_signs_in_at_another_departments_device_or_network_stays_in_their_own() -> None:
    assert IDENTITIES.identify("10.10.20.91", signed_in=CLERK).department == "finance"
    assert IDENTITIES.identify("10.10.20.91", signed_in=IT).department is None
    assert IDENTITIES.identify("10.10.30.1", signed_in=CLERK).department == "finance"


@pytest.mark.parametrize("address", ["127.0.0.1", "10.10.20.91", "10.10.30.1", "192.0.2.1"])
def test_sign_in_of_someone_who_has_left_the_policy_counts_as_none(address: str) -> None:
    assert IDENTITIES.identify(address, signed_in="left") == IDENTITIES.identify(address)


def test_person_browses_at_their_own_device_or_signed_in() -> None:
    assert IDENTITIES.client_of(CLERK) == CLERK_AT_WORK
    assert IDENTITIES.client_of(HEAD) == Client("0.0.0.0", HEAD, None, "finance", is_signed_in=True)


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="'nowhere' does not appear to be an IPv4 or IPv6 address"):
        IDENTITIES.identify("nowhere")
