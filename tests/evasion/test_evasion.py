"""No way around: every case of the table, as the origin server saw it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.evasion.cases import Case, groups, vector_group
from tests.evasion.document import README, outcomes, row
from tests.evasion.one_way import AmbiguousError, read_one_way
from tests.evasion.trying import Outcome
from tests.real_data import TestData

pytestmark = pytest.mark.long

CASES = {case.id: case for group in groups() for case in group.cases}


@pytest.fixture(scope="session")
def came_of(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcome]:
    """Return what came of every case that is written here, tried through a Towngate worker."""
    found = outcomes(tmp_path_factory.mktemp("evasion"), ["Towngate"], vectors=None)
    made: Mapping[str, Outcome] = found["Towngate"]["outcomes"]
    return made


@pytest.mark.parametrize("id_", CASES)
def test_origin_sees_what_was_allowed_and_nothing_else(id_: str, came_of: Mapping[str, Outcome]) -> None:
    _assert_holds(CASES[id_], came_of[id_])


@pytest.mark.parametrize("proxy", ["laneless", "stock"])
def test_the_same_comes_of_every_case_without_the_lane_and_in_a_stock_mitmdump(
    proxy: str, came_of: Mapping[str, Outcome], tmp_path: Path, namespaces: None
) -> None:
    made = outcomes(tmp_path, [proxy], vectors=None)[proxy]["outcomes"]
    for id_, case in CASES.items():
        _assert_holds(case, made[id_])
    differing = _differing(came_of, made)
    # On a busy machine an answer may come when it is waited for no longer: such kinds are tried once more.
    for kind in [group.name for group in groups() if any(case.id in differing for case in group.cases)]:
        again = outcomes(tmp_path, ["Towngate", proxy], None, kind)
        tried = again["Towngate"]["outcomes"], again[proxy]["outcomes"]
        differing = {id_: both for id_, both in differing.items() if id_ not in tried[0]}
        differing |= _differing(*tried)
    assert differing == {}


def _differing(
    one: Mapping[str, Outcome], other: Mapping[str, Outcome]
) -> dict[str, tuple[Outcome, Outcome]]:
    return {
        id_: (one[id_], other[id_])
        for id_ in one
        if (one[id_].answer, one[id_].reached) != (other[id_].answer, other[id_].reached)
    }


def test_no_request_of_llhttps_cases_is_forwarded_in_a_way_that_two_servers_could_read_otherwise(
    tmp_path: Path, test_data: TestData, namespaces: None
) -> None:
    vectors = test_data("vectors")
    cases = vector_group(vectors).cases
    made = outcomes(tmp_path, ["Towngate"], vectors, "llhttp")["Towngate"]["outcomes"]

    assert len(cases) > 150
    for case in cases:
        _assert_holds(case, made[case.id])
    assert sum(bool(made[case.id].targets) for case in cases) > 30


def test_address_that_the_resolver_let_through_is_seen_on_the_socket(
    tmp_path: Path, namespaces: None
) -> None:
    made = outcomes(tmp_path, ["misled"], None, "destination")["misled"]["outcomes"]

    # Of a name with a public address as well, the public one answers first.
    by_name = [id_ for id_ in made if ("name" in id_ and "public" not in id_) or "localhost" in id_]
    # Connected, and cut before a byte was said.
    assert any(made[id_].reached for id_ in by_name)
    for id_ in by_name:
        outcome = made[id_]
        assert outcome.targets == (), id_
        assert "200" not in outcome.answer, id_


def test_document_says_of_towngate_what_the_cases_do(came_of: Mapping[str, Outcome]) -> None:
    documented = [line for line in README.read_text().splitlines() if line.startswith("| ")]
    rows = {tuple(line.split(" | ")[:3]) for line in documented}

    for id_, case in CASES.items():
        cells = row(case, [came_of[id_]]).removesuffix(" |").split(" | ")
        assert tuple(cells) in rows, f"make bench-evasion writes it anew: {cells}"


def _assert_holds(case: Case, outcome: Outcome) -> None:
    assert outcome.holds(case), (
        f"sent {case.parts!r}\nexpected {case.answer}, at most {sorted(case.reached)} reached\n"
        f"got {outcome.answer}, {sorted(outcome.reached)} reached, ambiguous: {outcome.ambiguous}"
    )


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET / HTTP/1.1\nHost: a\n\n", "half a head"),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "request line"),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "request line"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "field"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "Host"),
        (b"GET / HTTP/1.1\r\n\r\n", "Host"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "lengths"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", "Content-Length"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, chunked\r\n\r\n", "Transfer-Encoding"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n", "chunk"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n", "end of a chunk"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxGET", "half a head"),
    ],
)
def test_strict_reader_refuses_what_two_servers_could_read_otherwise(data: bytes, why: str) -> None:
    with pytest.raises(AmbiguousError, match=why):
        read_one_way(data)


def test_strict_reader_reads_what_every_server_reads_alike() -> None:
    data = (
        b"POST /a HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\n\r\nhello"
        b"POST /b HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    )

    assert [(one.target, one.host) for one in read_one_way(data)] == [("/a", "a"), ("/b", "b")]
