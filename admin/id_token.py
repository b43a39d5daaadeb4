"""An ID token: whether it was issued for us, now, for this very sign-in, by whom we trust.

OpenID Connect Core, section 3.1.3.7. Pure: keys and the time are given.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, RSAKey
from joserfc.jws import JWSRegistry

SKEW = timedelta(minutes=1)
"""How much the provider's clock and ours may differ."""

# Signatures that only the provider can make: no "none", and no HS*, whose key is the client's secret.
ALGORITHMS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    **dict.fromkeys(("EdDSA", "Ed25519"), "OKP"),
}
_KEY_TYPES = frozenset(ALGORITHMS.values())
_REGISTRY = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
# One that holds groups is some kilobytes.
_LONGEST = 64 * 1024
# Shorter ones are broken, or will be.
_LEAST_RSA_BITS = 2048


class IdTokenError(Exception):
    """An ID token proves nothing; nobody is signed in by it. Says why, for IT."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the token of a sign-in has to say."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str | None = None


def read_keys(document: object) -> list[Key]:
    """Return the keys of a JWK set that can check signatures; others are passed over.

    Raises ValueError when there is none.
    """
    listed = document.get("keys") if isinstance(document, Mapping) else None
    keys = []
    for data in listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ():
        if not isinstance(data, dict) or data.get("use", "sig") != "sig" or data.get("kty") not in _KEY_TYPES:
            continue
        try:
            key = JWKRegistry.import_key(data)
        except (JoseError, ValueError, TypeError, LookupError, AttributeError):
            # Whatever it stumbles over in a key that is malformed, or of a curve that it does not know.
            continue
        is_long_enough = not isinstance(key, RSAKey) or key.public_key.key_size >= _LEAST_RSA_BITS
        if is_long_enough:
            keys.append(key)
    if not keys:
        raise ValueError("no key that can check a signature")
    return keys


def claims_of(token: str, keys: Sequence[Key], expected: Expected, now: datetime) -> dict[str, Any]:
    """Return what the token says.

    1. its algorithm is one of ours; the key that it names, or the only one that fits, signed it
    2. it is of the issuer, for this client and no other (`aud`, `azp`), of this sign-in (`nonce`)
    3. it is in time (`exp`, `iat`, `nbf`), give or take a minute

    Raises IdTokenError.
    """
    header = _header(token)
    key = _key(header, keys)
    try:
        signed = jws.deserialize_compact(token.encode(), key, registry=_REGISTRY)
        said = json.loads(signed.payload)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise IdTokenError(f"the ID token is not signed by {expected.issuer}: {error}") from error
    if not isinstance(said, dict):
        raise IdTokenError("the ID token holds no claims")
    claims = CodeIDToken(
        said,
        signed.headers(),
        {
            "iss": {"essential": True, "value": expected.issuer},
            "aud": {"essential": True, "value": expected.client_id},
            "sub": {"essential": True},
        },
        {
            "nonce": expected.nonce,
            "client_id": expected.client_id,
            "access_token": expected.access_token,
        },
    )
    try:
        claims.validate(now=int(now.timestamp()), leeway=int(SKEW.total_seconds()))
    except (JoseError, ValueError, TypeError) as error:
        raise IdTokenError(f"the ID token is not for this sign-in: {error}") from error
    return dict(said)


def _header(token: str) -> Mapping[str, Any]:
    if len(token) > _LONGEST or not token.isascii():
        raise IdTokenError("the ID token is none: too long, or not text")
    first = token.partition(".")[0]
    try:
        header = json.loads(urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except (ValueError, RecursionError) as error:
        raise IdTokenError("the ID token is none") from error
    if not isinstance(header, dict) or header.get("alg") not in ALGORITHMS:
        raise IdTokenError("the ID token is not signed by an algorithm that proves who signed it")
    return header


def _key(header: Mapping[str, Any], keys: Sequence[Key]) -> Key:
    algorithm, kid = header["alg"], header.get("kid")
    fitting = [
        key for key in keys if key.key_type == ALGORITHMS[algorithm] and key.get("alg") in (None, algorithm)
    ]
    if kid is not None:
        fitting = [key for key in fitting if key.kid == kid]
    if len(fitting) != 1:
        raise IdTokenError("the ID token is signed with a key that the provider does not publish")
    return fitting[0]
