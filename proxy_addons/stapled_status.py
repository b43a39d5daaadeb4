"""The status of a certificate that its server sends along (stapled OCSP, RFC 6960 and RFC 6066 section 8)."""

from datetime import datetime
from enum import Enum, auto

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID


class StapledStatus(Enum):
    """What a stapled response says of a certificate."""

    GOOD = auto()
    REVOKED = auto()
    NONE = auto()
    """Nothing that can be relied on: none was sent, or it is old, of another, or signed by nobody."""


def stapled_status(
    response: bytes, leaf: x509.Certificate, issuer: x509.Certificate, now: datetime
) -> StapledStatus:
    """Return what a response (DER; empty when the server sent none) says of a leaf at `now` (aware).

    A server that says itself that its certificate was revoked is believed without a signature; that it
    is good only with the issuer's, or that of one whom the issuer lets sign, and while it is fresh.
    """
    try:
        loaded = ocsp.load_der_ocsp_response(response)
        if loaded.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return StapledStatus.NONE
        ours = [single for single in loaded.responses if _is_of(single, leaf, issuer)]
        if any(single.certificate_status is ocsp.OCSPCertStatus.REVOKED for single in ours):
            return StapledStatus.REVOKED
        is_good = any(_is_good(single, now) for single in ours) and _is_signed(loaded, issuer, now)
    except (ValueError, UnsupportedAlgorithm):
        return StapledStatus.NONE
    return StapledStatus.GOOD if is_good else StapledStatus.NONE


def _is_of(single: ocsp.OCSPSingleResponse, leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    # What a request for this certificate would have named.
    asked = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, single.hash_algorithm).build()
    return (single.serial_number, single.issuer_name_hash, single.issuer_key_hash) == (
        asked.serial_number,
        asked.issuer_name_hash,
        asked.issuer_key_hash,
    )


def _is_good(single: ocsp.OCSPSingleResponse, now: datetime) -> bool:
    next_update = single.next_update_utc
    is_fresh = single.this_update_utc <= now and next_update is not None and now < next_update
    return is_fresh and single.certificate_status is ocsp.OCSPCertStatus.GOOD


def _is_signed(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> bool:
    signers = (issuer, *(c for c in response.certificates if _may_sign_for(issuer, c, now)))
    return any(_has_signed(signer, response) for signer in signers)


def _may_sign_for(issuer: x509.Certificate, signer: x509.Certificate, now: datetime) -> bool:
    """Whether the issuer has let another answer for it (RFC 6960 section 4.2.2.2)."""
    try:
        signer.verify_directly_issued_by(issuer)
        purposes = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    is_in_time = signer.not_valid_before_utc <= now < signer.not_valid_after_utc
    return is_in_time and ExtendedKeyUsageOID.OCSP_SIGNING in purposes


def _has_signed(signer: x509.Certificate, response: ocsp.OCSPResponse) -> bool:
    key, hashed_with = signer.public_key(), response.signature_hash_algorithm
    if hashed_with is None or isinstance(hashed_with, hashes.SHA1):
        return False
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(hashed_with))
            case rsa.RSAPublicKey():
                key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), hashed_with)
            case _:
                return False
    except InvalidSignature:
        return False
    return True
