"""ID tokens, each with one thing wrong."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from admin.id_token import Expected, IdTokenError, claims_of, read_keys

ISSUER = "https://login.town.example"
NOW = datetime(2026, 3, 6, 15, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
EXPECTED = Expected(ISSUER, "towngate", "the nonce", "the access token")
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "u-17",
    "aud": "towngate",
    "exp": AT + 300,
    "iat": AT,
    "nonce": "the nonce",
    "preferred_username": "clerk",
}


def token(algorithm: str = "RS256", key: Any = RSA, **changed: object) -> str:
    claims = {name: value for name, value in (CLAIMS | changed).items() if value is not None}
    header = {"alg": algorithm, **({"kid": key.kid} if key.kid else {})}
    return jwt.encode(header, claims, key, algorithms=[algorithm])


def public(*keys: Any) -> list[Any]:
    return read_keys({"keys": [key.as_dict(private=False) for key in keys]})


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"aud": ["towngate"]},
        {"aud": ["towngate", "another"], "azp": "towngate"},
        {"exp": AT - 59},
        {"iat": AT + 59},
        {"nbf": AT + 59},
    ],
    ids=str,
)
def test_what_a_token_says_is_taken(changed: dict[str, object]) -> None:
    claims = claims_of(token(**changed), public(RSA), EXPECTED, NOW)
    assert claims["preferred_username"] == "clerk"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"sub": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": []},
        {"aud": None},
        {"aud": ["towngate", "another"]},
        {"aud": ["towngate", "another"], "azp": "another"},
        {"azp": "another"},
        {"exp": AT - 60},
        {"exp": None},
        {"exp": "never"},
        {"iat": AT + 61},
        {"iat": None},
        {"nbf": AT + 61},
        {"nonce": "another"},
        {"nonce": None},
        {"at_hash": "of another access token"},
    ],
    ids=str,
)
def test_a_token_that_is_not_of_this_sign_in_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(IdTokenError):
        claims_of(token(**changed), public(RSA), EXPECTED, NOW)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("PS256", RSA),
        ("ES256", ECKey.generate_key("P-256", {"kid": "ec"})),
        ("ES384", ECKey.generate_key("P-384")),
        ("Ed25519", OKPKey.generate_key("Ed25519", {"kid": "ed"})),
    ],
)
def test_signatures_of_every_kind_that_only_the_provider_can_make_are_taken(algorithm: str, key: Any) -> None:
    signed = token(algorithm, key)
    assert claims_of(signed, public(key), EXPECTED, NOW)["sub"] == "u-17"
    first, claims, signature = signed.split(".")
    with pytest.raises(IdTokenError):
        claims_of(f"{first}.{claims}.{signature[4:]}AAAA", public(key), EXPECTED, NOW)


def by_hand(algorithm: str, sign: Callable[[bytes], bytes]) -> str:
    """Sign what no library signs."""
    parts = (json.dumps(part).encode() for part in ({"alg": algorithm, "kid": "rsa"}, CLAIMS))
    signing = b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    return (signing + b"." + urlsafe_b64encode(sign(signing)).rstrip(b"=")).decode()


def test_a_signature_that_others_can_make_is_refused() -> None:
    published = RSA.as_pem(private=False)
    by_the_public_key = by_hand("HS256", lambda text: hmac.digest(published, text, "sha256"))
    by_the_clients_secret = by_hand("HS256", lambda text: hmac.digest(b"secret", text, "sha256"))
    unsigned = by_hand("none", lambda _: b"")
    unsigned_by_another_name = by_hand("RS256", lambda _: b"")
    for forged in (by_the_public_key, by_the_clients_secret, unsigned, unsigned_by_another_name):
        with pytest.raises(IdTokenError):
            claims_of(forged, public(RSA), EXPECTED, NOW)


@pytest.mark.parametrize("text", ["", "a.b.c", "....", "e30.e30.e30", "\u00fc", "W10.W10.", "a" * 70_000])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(IdTokenError):
        claims_of(text, public(RSA), EXPECTED, NOW)


def test_a_token_without_a_key_is_checked_with_the_only_one_that_fits() -> None:
    another = RSAKey.generate_key(2048, {"kid": "another"})
    header = {"alg": "RS256"}
    signed = jwt.encode(header, CLAIMS, RSA)
    assert claims_of(signed, public(RSA, ECKey.generate_key("P-256")), EXPECTED, NOW)
    for keys in (public(RSA, another), public(ECKey.generate_key("P-256"))):
        with pytest.raises(IdTokenError, match="a key that the provider does not publish"):
            claims_of(signed, keys, EXPECTED, NOW)
    with pytest.raises(IdTokenError, match="a key that the provider does not publish"):
        claims_of(token(key=another), public(RSA), EXPECTED, NOW)


@pytest.mark.filterwarnings("ignore:Key size")
def test_keys_that_check_no_signature_are_passed_over() -> None:
    usable = RSA.as_dict(private=False)
    others = [
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0"},
        {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"},
        {"kty": "unheard of"},
        {"kty": "RSA", "n": 3},
        {**usable, "use": "enc"},
        RSAKey.generate_key(1024).as_dict(private=False),
        "none",
    ]
    assert [key.kid for key in read_keys({"keys": [*others, usable]})] == ["rsa"]
    for document in ({"keys": others}, {"keys": "rsa"}, {}, [], None):
        with pytest.raises(ValueError, match="no key that can check a signature"):
            read_keys(document)


def test_the_time_is_the_one_that_is_given() -> None:
    assert time.time() > CLAIMS["exp"], "the token would be over by the machine's clock"
    assert claims_of(token(), public(RSA), EXPECTED, NOW)
