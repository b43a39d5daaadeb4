"""The last word to a client whose TLS is refused where no page can be shown."""

REFUSED = b"\x15\x03\x03\x00\x02\x02\x70"
"""A record with a fatal alert, unrecognized_name (RFC 8446 section 6.2, RFC 6066 section 3).

Of a plain close browsers think that the line is bad, and try again; of access_denied, that a certificate of
the person's own was not accepted. This says that here is nobody by that name.
"""
_HANDSHAKE = b"\x16"


def last_word(said: bytes) -> bytes:
    """Return what to say, before closing, to a client that has said this: nothing where it is no TLS."""
    return REFUSED if said.startswith(_HANDSHAKE) else b""
