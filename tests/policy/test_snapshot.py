"""The policy snapshot as bytes: whole, or refused."""

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.correction import Correction
from policy.decision import Verdict
from policy.schedule import Schedule
from policy.snapshot import PolicySnapshot, SnapshotError
from policy.state import DeviceOff, Exemption, FilterOff, Lockdown
from policy.town_policy import (
    AfterApproval,
    Approver,
    DatedDelegate,
    Department,
    Device,
    Notice,
    Person,
    Policy,
    Rule,
    Town,
    UnknownAction,
)

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
SNAPSHOT = PolicySnapshot(
    sequence=7,
    published_at=NOW,
    policy=Policy(
        version="944654b3872e",
        town=Town("Town of Exampleton", "America/New_York", "helpdesk@town.example", "555-0100"),
        departments={
            "finance": Department(
                "Finance",
                "head",
                ("delegate",),
                (ip_network("10.10.20.0/24"), ip_network("fd00::/64")),
                (DatedDelegate("clerk", date(2026, 12, 21), date(2027, 1, 4)),),
            )
        },
        people={"clerk": Person("Clara Reyes", "clerk@town.example", "finance")},
        devices={"127.0.0.1": Device("FIN-PC-15", person="clerk")},
        roles={"it_security": ("it",)},
        schedules={"lunch": Schedule(frozenset({0, 1}), time(12), time(13))},
        essentials=frozenset({"dispatch.example"}),
        ports=frozenset({80, 443, 8443}),
        internal_networks=(ip_network("10.20.0.0/16"),),
        unknown=UnknownAction.SIGN_IN,
        security_categories=frozenset({"malware"}),
        rules=(
            Rule(
                "not-town-business",
                Verdict.BLOCK,
                frozenset({"gambling"}),
                frozenset({"finance"}),
                frozenset({"clerk"}),
                "lunch",
                "Prohibited Uses 18",
                (Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY),
            ),
        ),
        default=Verdict.BLOCK,
        works_in_lockdown=frozenset({"vendor.example"}),
        after_approval=AfterApproval.WAIT_FOR_IT,
        notice=Notice("1", "Acceptable use", "Sites visited are recorded.", "A law", NOW.date()),
    ),
    admin_url="http://127.0.0.1:8000",
    exemptions=(
        Exemption(
            "EX-1",
            "site.example",
            NOW,
            NOW + timedelta(days=1),
            person="clerk",
            path="/pages",
            accepted_risks=frozenset({"malware"}),
            is_for_reading=True,
        ),
    ),
    proxy_passwords={"clerk": "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"},
    corrections=(Correction("charity.example", ("press",)),),
    lockdowns=(Lockdown("A worm.", NOW, "finance", NOW + timedelta(hours=1)),),
    devices_off=(DeviceOff("10.10.20.15", "It sends mail.", NOW),),
    filter_off=FilterOff("The lists are bad.", NOW, NOW + timedelta(minutes=10)),
    receipts={"clerk": None, "head": NOW + timedelta(days=1)},
)


def test_snapshot_comes_back_whole() -> None:
    assert PolicySnapshot.from_bytes(SNAPSHOT.to_bytes()) == SNAPSHOT


def test_state_asks_for_receipts_only_where_the_policy_has_a_notice() -> None:
    state = SNAPSHOT.state()
    assert state.must_accept_notice("it", NOW) and not state.must_accept_notice("clerk", NOW)
    without = replace(SNAPSHOT, policy=replace(SNAPSHOT.policy, notice=None))
    assert not without.state().must_accept_notice("it", NOW)
    assert state.lockdown_for("finance") is not None
    assert state.device_off_at("10.10.20.15") is not None
    assert state.filter_off is not None


def test_snapshot_read_back_decides_about_the_same_kinds_of_values() -> None:
    policy = PolicySnapshot.from_bytes(SNAPSHOT.to_bytes()).policy
    assert policy.rules[0].approval == (Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY)
    assert policy.departments["finance"].networks[1] == ip_network("fd00::/64")
    assert hash(policy.rules[0]) == hash(SNAPSHOT.policy.rules[0])


@pytest.mark.parametrize(
    ("admin_url", "site"),
    [
        ("http://127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("https://Gate.Town.Example", ("gate.town.example", 443)),
        ("http://gate.town.example/", ("gate.town.example", 80)),
        ("https://[::1]:8443", ("[::1]", 8443)),
    ],
)
def test_admin_site_is_written_as_a_visit_writes_it(admin_url: str, site: tuple[str, int]) -> None:
    state = replace(SNAPSHOT, admin_url=admin_url).state()
    assert state.admin_site == site
    assert state.exemptions == SNAPSHOT.exemptions


def test_snapshot_of_another_version_is_refused() -> None:
    data = SNAPSHOT.to_bytes().replace(b"towngate-policy-9 ", b"towngate-policy-10 ", 1)
    with pytest.raises(
        SnapshotError, match="not a policy snapshot of this version: it begins with b'towngate-p"
    ):
        PolicySnapshot.from_bytes(data)


@pytest.mark.parametrize("data", [b"", b"\n", b"towngate-policy-9", b"<!DOCTYPE html>\n<html>"])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        PolicySnapshot.from_bytes(data)


@given(st.integers(0, len(SNAPSHOT.to_bytes()) - 1))
def test_cut_snapshot_is_refused(length: int) -> None:
    with pytest.raises(SnapshotError):
        PolicySnapshot.from_bytes(SNAPSHOT.to_bytes()[:length])


@given(st.integers(0, len(SNAPSHOT.to_bytes()) - 1), st.integers(0, 7))
def test_snapshot_with_one_bit_flipped_is_refused(position: int, bit: int) -> None:
    data = bytearray(SNAPSHOT.to_bytes())
    data[position] ^= 1 << bit
    with pytest.raises(SnapshotError):
        PolicySnapshot.from_bytes(bytes(data))


def with_body(body: bytes) -> bytes:
    return b"towngate-policy-9 " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


@pytest.mark.parametrize(
    ("case", "was", "becomes", "where"),
    [
        ("a time without its zone", "2026-03-03T15:00:00Z", "2026-03-03T15:00:00", "exemptions.0.expires_at"),
        ("a verdict of a later version", '"default":"block"', '"default":"ask"', "policy.default"),
        ("a missing part", '"sequence":7,', "", "sequence"),
    ],
)
def test_snapshot_of_another_form_is_refused_with_its_place(
    case: str, was: str, becomes: str, where: str
) -> None:
    body = SNAPSHOT.to_bytes().partition(b"\n")[2].decode()
    assert was in body, case
    with pytest.raises(SnapshotError, match=f"the policy snapshot has another form: {where}: "):
        PolicySnapshot.from_bytes(with_body(body.replace(was, becomes).encode()))


def test_no_password_hash_is_told_by_an_error() -> None:
    body = SNAPSHOT.to_bytes().partition(b"\n")[2].replace(b'"$argon2id', b'5,"$argon2id')
    with pytest.raises(SnapshotError) as caught:
        PolicySnapshot.from_bytes(with_body(body))
    assert "argon2" not in str(caught.value)
    assert caught.value.__cause__ is None
