"""Names are looked up by a real DNS, which can be slow or lie; the addresses are dialled for real."""

import json
from typing import Any

import pytest

from tests.evasion.outside import LIBRARY, LIBRARY_IPV6, SLOW, run_outside


@pytest.fixture(scope="module")
def seen(namespaces: None) -> dict[str, Any]:
    done = run_outside("tests.evasion.looking_up")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_slow_name_holds_up_no_other(seen: dict[str, Any]) -> None:
    reached = seen["slow and quick"]

    assert set(reached[:2]) == {"news.example", "six.example"}
    assert reached[2:] == [SLOW] * 3


def test_two_hundred_slow_names_of_one_client_hold_up_no_name_of_another(seen: dict[str, Any]) -> None:
    assert seen["crowded"][0] == "quick.example"
    assert seen["crowded"][1].endswith("." + SLOW)


def test_name_that_several_ask_for_is_looked_up_once(seen: dict[str, Any]) -> None:
    assert seen["asked for the slow name"] == 1


def test_one_who_gives_up_waiting_for_a_name_does_not_end_it_for_the_others(seen: dict[str, Any]) -> None:
    assert seen["given up"] == ["CancelledError", LIBRARY]


def test_answer_is_remembered(seen: dict[str, Any]) -> None:
    assert seen["remembered"] == [LIBRARY] * 5
    assert seen["asked for the remembered"] == 1


def test_name_that_does_not_exist_is_remembered_briefly(seen: dict[str, Any]) -> None:
    assert seen["nowhere"] == ["the name was not found"] * 5
    assert seen["asked for nowhere"] == 1


def test_site_is_reached_by_ipv4_when_ipv6_does_not_answer(seen: dict[str, Any]) -> None:
    assert seen["six-is-dead"] == LIBRARY


def test_site_is_reached_by_its_last_address_when_three_do_not_answer(seen: dict[str, Any]) -> None:
    assert seen["three-are-dead"] == LIBRARY


def test_site_with_ipv6_alone_is_reached(seen: dict[str, Any]) -> None:
    assert seen["six"] == LIBRARY_IPV6


def test_name_with_a_private_address_beside_a_public_one_is_refused(seen: dict[str, Any]) -> None:
    assert seen["both kinds"] == "it leads to a private address (10.0.0.5)"


def test_name_that_turns_private_at_its_second_look_up_is_refused(seen: dict[str, Any]) -> None:
    assert seen["unremembered"] == [LIBRARY, "it leads to a private address (10.0.0.5)"]
