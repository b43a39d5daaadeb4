"""The code behind the Ask link: what it keeps, and what it refuses."""

import base64
import json
import random
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from policy.ask_token import LIFETIME, AskToken, AskTokenError, AskTokenExpiredError, unseal
from policy.signed_text import sign, signed_body

KEY = b"k" * 32
NOW = datetime(2026, 3, 2, 15, 14, 7, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TOKEN = AskToken(
    host="cardroom.example",
    category="gambling",
    entry="cardroom.example",
    source="starter",
    rule="not-town-business",
    approval=("department_head", "it_security"),
    person="clerk",
    device="FIN-PC-15",
    department="finance",
    policy_version="944654b3872e",
    code="K7M-4QP",
    issued_at=NOW,
    risks=("phishing", "malware"),
    address="https://cardroom.example/rules.pdf",
    path="/rules.pdf",
)


def test_token_comes_back_whole() -> None:
    assert unseal(TOKEN.seal(KEY), KEY, NOW) == TOKEN


def test_token_fits_into_a_link_as_it_is() -> None:
    letters = random.Random(7)
    host = "".join(letters.choice("abcdefghijklmnopqrstuvwxyz0123456789-") for _ in range(253))
    text = replace(TOKEN, host=host, entry=host).seal(KEY)
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert len(text) < 700
    assert len(TOKEN.seal(KEY)) < 400


def test_token_of_a_version_that_says_less_is_read_as_far_as_it_goes() -> None:
    said = json.loads(zlib.decompress(signed_body(TOKEN.seal(KEY), KEY, b"towngate-ask-1")))
    for words in (said[:-1], [*said, "what a later version says"]):
        text = sign(zlib.compress(json.dumps(words).encode()), KEY, b"towngate-ask-1")
        assert replace(unseal(text, KEY, NOW), path="") == replace(TOKEN, path="")


def test_long_entry_is_cut_so_that_the_token_can_be_read() -> None:
    token = unseal(replace(TOKEN, entry="b" * 5000).seal(KEY), KEY, NOW)
    assert token.entry == "b" * 300


@pytest.mark.parametrize("after", [-60 * SECOND, 0 * SECOND, LIFETIME - SECOND])
def test_token_is_read_for_15_minutes_and_by_a_clock_a_little_behind(after: timedelta) -> None:
    assert unseal(TOKEN.seal(KEY), KEY, NOW + after) == TOKEN


@pytest.mark.parametrize("after", [-61 * SECOND, LIFETIME, timedelta(days=400)])
def test_token_of_another_time_is_expired(after: timedelta) -> None:
    with pytest.raises(AskTokenExpiredError, match="this ask code is over 15 minutes old"):
        unseal(TOKEN.seal(KEY), KEY, NOW + after)


def test_token_of_another_key_is_refused() -> None:
    with pytest.raises(AskTokenError, match="altered, or made by another town's gate"):
        unseal(TOKEN.seal(b"x" * 32), KEY, NOW)


def test_token_with_another_person_is_refused() -> None:
    body, mac = TOKEN.seal(KEY).split(".")
    said = zlib.decompress(base64.urlsafe_b64decode(body + "=="))
    forged = base64.urlsafe_b64encode(zlib.compress(said.replace(b'"clerk"', b'"chief"')))
    with pytest.raises(AskTokenError, match="altered"):
        unseal(f"{forged.rstrip(b'=').decode()}.{mac}", KEY, NOW)


@pytest.mark.parametrize("text", ["", ".", "a.b.c", "no token", "é.é", "x" * 5000, "ab.cd\n", "\ud800.x"])
def test_garbage_is_no_token(text: str) -> None:
    with pytest.raises(AskTokenError):
        unseal(text, KEY, NOW)


@given(st.text(max_size=200))
def test_nothing_but_a_sealed_token_is_ever_read(text: str) -> None:
    with pytest.raises(AskTokenError):
        unseal(text, KEY, NOW)


@given(st.data())
def test_no_letter_of_a_token_can_be_changed(data: st.DataObject) -> None:
    text = TOKEN.seal(KEY)
    position = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("AZaz09-_."))
    assume(letter != text[position])
    with pytest.raises(AskTokenError, match="altered"):
        unseal(text[:position] + letter + text[position + 1 :], KEY, NOW)
