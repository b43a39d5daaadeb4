"""ClientHellos as bytes: a real one of OpenSSL's, and ones that no library would send."""

import contextlib
import ssl
import struct

_SERVER_NAME = 0
_HOST_NAME = 0
_ECH = 0xFE0D
_PADDING = 21


def client_hello(sni: str | None) -> bytes:
    """Return OpenSSL's ClientHello for a host, or one without SNI."""
    context = ssl.create_default_context()
    context.check_hostname = sni is not None
    outgoing = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=sni)
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def made_up_hello(*server_name_extensions: bytes) -> bytes:
    """Return a ClientHello with these bodies of the server_name extension, in one record."""
    extensions = b"".join(struct.pack("!HH", _SERVER_NAME, len(e)) + e for e in server_name_extensions)
    body = b"".join(
        (
            b"\x03\x03" + bytes(32) + b"\0",
            struct.pack("!HHH", 4, 0xC02F, 0xC02B),
            b"\1\0",
            struct.pack("!H", len(extensions)) + extensions,
        )
    )
    return record(b"\1" + len(body).to_bytes(3) + body)


def server_names(*names: bytes) -> bytes:
    """Return the body of a server_name extension (RFC 6066 section 3)."""
    entries = b"".join(struct.pack("!BH", _HOST_NAME, len(name)) + name for name in names)
    return struct.pack("!H", len(entries)) + entries


def record(handshake: bytes) -> bytes:
    """Return a TLS record of handshake bytes."""
    return b"\x16\x03\x01" + struct.pack("!H", len(handshake)) + handshake


def in_two_records(hello: bytes) -> bytes:
    """Return a ClientHello of one record as two."""
    handshake = hello[5:]
    return record(handshake[:40]) + record(handshake[40:])


def with_ech(hello: bytes) -> bytes:
    """Return a ClientHello of one record with an encrypted_client_hello extension as well, made up."""
    # RFC 9849 section 5: outer, HPKE with SHA-256 and AES-128-GCM, config 7, a key and the inner hello.
    body = b"\0" + struct.pack("!HHB", 1, 1, 7) + struct.pack("!H", 32) + bytes(32) + b"\0\x40" + bytes(64)
    return _with_extension(hello, _ECH, body)


def post_quantum(hello: bytes) -> bytes:
    """Return a ClientHello of one record that is as long as browsers' are with a post-quantum key share."""
    # X25519MLKEM768 has 1,216 bytes; a hello has a key share already, so they come as padding.
    return _with_extension(hello, _PADDING, bytes(1216))


def _with_extension(hello: bytes, kind: int, body: bytes) -> bytes:
    extension = struct.pack("!HH", kind, len(body)) + body
    handshake = bytearray(hello[5:] + extension)
    at = 4 + 2 + 32
    at += 1 + handshake[at]
    at += 2 + int.from_bytes(handshake[at : at + 2])
    at += 1 + handshake[at]
    extensions = int.from_bytes(handshake[at : at + 2]) + len(extension)
    handshake[at : at + 2] = extensions.to_bytes(2)
    handshake[1:4] = (len(handshake) - 4).to_bytes(3)
    return record(bytes(handshake))


def in_many_records(hello: bytes, count: int) -> bytes:
    """Return a ClientHello of one record as so many: all but the last hold a byte each."""
    handshake = hello[5:]
    cut = [handshake[i : i + 1] for i in range(count - 1)]
    return b"".join(map(record, [*cut, handshake[count - 1 :]]))
