"""Visit records as lines of the spool, which admin reads as untrusted input."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from policy.decision import Cause, Lane, Verdict
from policy.visit_record import (
    LONGEST_ADDRESS,
    MOST_ADDRESSES,
    VisitRecord,
    VisitRecordError,
    new_code,
    read_code,
)

RECORD = VisitRecord(
    code="K7M-4QP",
    started_at=datetime(2026, 3, 2, 15, 14, 7, 123456, tzinfo=UTC),
    ended_at=datetime(2026, 3, 2, 15, 14, 8, tzinfo=UTC),
    address="127.0.0.1",
    person="clerk",
    device="FIN-PC-15",
    department="finance",
    scheme="https",
    host="cardroom.example",
    port=443,
    verdict=Verdict.BLOCK,
    lane=Lane.BLOCK,
    cause=Cause.RULE,
    rule="not-town-business",
    exemption=None,
    category="gambling",
    entry="cardroom.example",
    source="starter",
    refusal=None,
    bytes_up=1917,
    bytes_down=2**40,
    policy_sequence=7,
    policy_version="944654b3872e",
    category_version="7f5a04da5368",
)
VALUES = json.loads(RECORD.to_line())


def test_record_comes_back_whole_from_one_line() -> None:
    line = RECORD.to_line()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert VisitRecord.from_line(line) == RECORD


def test_as_many_and_as_long_addresses_as_are_kept_fit_into_a_line() -> None:
    record = replace(
        RECORD,
        addresses=("x" * LONGEST_ADDRESS,) * MOST_ADDRESSES,
        entry="\U0001f3b0" * 2000,
        refusal="\U0001f3b0" * 2000,
    )
    assert VisitRecord.from_line(record.to_line()) == record


def test_line_breaks_in_a_value_stay_inside_the_line() -> None:
    record = replace(RECORD, refusal="a\nb\u2028c\0d")
    assert record.to_line().count(b"\n") == 1
    assert VisitRecord.from_line(record.to_line()) == record


def test_long_reasons_are_cut_so_that_the_visit_is_not_lost() -> None:
    record = VisitRecord.from_line(replace(RECORD, entry="é" * 9000, refusal="x" * 100_000).to_line())
    assert record == replace(RECORD, entry="é" * 2000, refusal="x" * 2000)


@pytest.mark.parametrize("length", [0, 1, 100, len(RECORD.to_line()) - 2])
def test_cut_line_is_no_record(length: int) -> None:
    with pytest.raises(VisitRecordError, match="not a visit record: b'"):
        VisitRecord.from_line(RECORD.to_line()[:length])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("started_at", "2026-03-02T15:14:07"),
        ("started_at", "2026-03-02T15:14:07+05:00"),
        ("started_at", "0001-01-01T00:00:00+14:00"),
        ("started_at", 1772464447),
        ("ended_at", None),
        ("bytes_up", -1),
        ("bytes_up", 2**63),
        ("bytes_up", 1.5),
        ("bytes_down", "5"),
        ("bytes_down", True),
        ("port", 65536),
        ("verdict", "maybe"),
        ("cause", None),
        ("host", 5),
        ("host", None),
        ("host", "x" * 2001),
        ("person", ["clerk"]),
        ("person", {"$ne": None}),
        ("addresses", "http://cardroom.example/"),
        ("addresses", [None]),
        ("addresses", ["http://cardroom.example/"] * 21),
        ("addresses", ["x" * 2001]),
    ],
)
def test_value_that_no_proxy_writes_is_refused(key: str, value: object) -> None:
    with pytest.raises(VisitRecordError):
        VisitRecord.from_line(json.dumps(VALUES | {key: value}).encode())


@pytest.mark.parametrize("key", sorted(VALUES))
def test_record_without_one_of_its_values_is_refused(key: str) -> None:
    values = {name: value for name, value in VALUES.items() if name != key}
    with pytest.raises(VisitRecordError):
        VisitRecord.from_line(json.dumps(values).encode())


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"\0" * 100,
        b"[" * 60_000,
        b'{"a":' * 10_000,
        RECORD.to_line().replace(b"cardroom", b"card\xffroom"),
        RECORD.to_line().replace(b"cardroom", b"card\\ud800room"),
        RECORD.to_line() + RECORD.to_line(),
        b" " * 70_000 + RECORD.to_line(),
    ],
)
def test_hostile_line_is_refused(line: bytes) -> None:
    with pytest.raises(VisitRecordError):
        VisitRecord.from_line(line)


def test_error_shows_only_the_beginning_of_a_line() -> None:
    with pytest.raises(VisitRecordError) as caught:
        VisitRecord.from_line(b"x" * 60_000)
    assert len(str(caught.value)) < 120


@given(st.binary(max_size=300))
def test_no_line_breaks_the_reader(line: bytes) -> None:
    with pytest.raises(VisitRecordError):
        VisitRecord.from_line(line)


def test_code_can_be_read_aloud() -> None:
    codes = {new_code() for _ in range(200)}
    assert len(codes) == 200
    for code in codes:
        assert len(code) == 7
        assert code[3] == "-"
        assert not set(code) & set("ILOU01")


@pytest.mark.parametrize("typed", ["K7M-4QP", "k7m-4qp", "K7M4QP", " k7m 4qp ", "k 7 m 4 q p"])
def test_code_is_read_as_people_type_it(typed: str) -> None:
    assert read_code(typed) == "K7M-4QP"


@pytest.mark.parametrize("typed", ["", "K7M-4Q", "K7M-4QPX", "K7M_4QP", "K7M-4Q\u00e9", "12\u0663-456"])
def test_what_is_no_code_is_said(typed: str) -> None:
    with pytest.raises(ValueError, match="is no page code; one is like K7M-4QP"):
        read_code(typed)
