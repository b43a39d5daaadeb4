"""Signed text: what was signed comes back, and nothing else is read."""

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from policy.signed_text import SignedTextError, sign, signed_body

KEY = b"k" * 32
LETTERS = string.ascii_letters + string.digits + "-_.=+/ "


@given(st.binary(max_size=300), st.binary(max_size=30))
def test_body_comes_back(body: bytes, purpose: bytes) -> None:
    text = sign(body, KEY, purpose)
    assert signed_body(text, KEY, purpose) == body
    assert set(text) <= set(string.ascii_letters + string.digits + "-_.")


@given(st.binary(max_size=40), st.data())
def test_one_other_letter_is_refused(body: bytes, data: st.DataObject) -> None:
    text = sign(body, KEY, b"test")
    position = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from(LETTERS))
    assume(letter != text[position])
    with pytest.raises(SignedTextError):
        signed_body(text[:position] + letter + text[position + 1 :], KEY, b"test")


@pytest.mark.parametrize("body", [b"", b"a", b"ab", b"abc"])
def test_no_other_spelling_of_the_same_bytes_is_read(body: bytes) -> None:
    text = sign(body, KEY, b"test")
    for position in (text.index(".") - 1, len(text) - 1):
        for letter in set(LETTERS) - {text[position]}:
            with pytest.raises(SignedTextError):
                signed_body(text[:position] + letter + text[position + 1 :], KEY, b"test")
    for other in (f"{text}=", f"{text}\n", f"{text}.", f"{text}.x"):
        with pytest.raises(SignedTextError):
            signed_body(other, KEY, b"test")


@pytest.mark.parametrize(("key", "purpose"), [(b"x" * 32, b"test"), (KEY, b"tes"), (KEY, b"")])
def test_other_key_or_purpose_is_refused(key: bytes, purpose: bytes) -> None:
    with pytest.raises(SignedTextError):
        signed_body(sign(b"t:body", KEY, b"test"), key, purpose)
