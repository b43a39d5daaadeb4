"""The table of ways around a filter: what is sent, and what must come of it.

library.example and news.example are allowed, cardroom.example is listed and blocked, as are its
address and the page library.example/cards; ports 80 and 443 may be reached.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.client_hellos import client_hello, made_up_hello, record, server_names, with_ech
from tests.evasion.http1_vectors import request_vectors
from tests.evasion.outside import CARDROOM, CARDROOM_TRANSLATED, PRIVATE

NOTHING: frozenset[str] = frozenset()
LIBRARY_80, LIBRARY_443 = frozenset({"library.example:80"}), frozenset({"library.example:443"})
ANY_ANSWER = "any"
"""Whatever is answered, as long as what the origin saw can be read one way only."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way, as data.

    `connect` is the target of a CONNECT that comes first, `sni` the name of a ClientHello in it
    ("": without one), sent in the manner that `hello` names; `parts` are what is then said, each in
    a segment of its own. `answer` are the statuses that come back, "alert" is TLS's own, "closed" when the
    connection ends without a word; `reached` the only sites and ports that may have seen anything,
    and, unless it `may_be_asked`, no more than a handshake.
    """

    group: str
    name: str
    parts: tuple[bytes, ...]
    answer: str
    reached: frozenset[str] = NOTHING
    connect: str | None = None
    sni: str | None = None
    hello: str = "whole"
    may_be_asked: bool = True

    @property
    def id(self) -> str:
        return f"{self.group}: {self.name}"


@dataclass(frozen=True, slots=True)
class Group:
    """Cases of one kind; `about` says what they have in common, for people."""

    name: str
    about: str
    cases: list[Case] = field(default_factory=list)


def get(host: str, path: str = "/", *fields: str, field_host: str | None = None) -> bytes:
    """Return a plain GET as it is said to a proxy, on a connection that ends with the answer."""
    head = [
        f"GET http://{host}{path} HTTP/1.1",
        f"Host: {host if field_host is None else field_host}",
        *fields,
    ]
    return "\r\n".join([*head, "Connection: close", "", ""]).encode()


def inside(host: str, path: str = "/") -> bytes:
    """Return a GET as it is said to the origin server itself."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def raw(*lines: str, body: str = "") -> bytes:
    """Return a request of these lines, for library.example."""
    return ("\r\n".join([*lines, "", ""]) + body).encode("latin-1")


def groups() -> list[Group]:
    """Return every case that is written here, by kind."""
    made = [
        Group("address", "The blocked site's address, in other spellings, over plain HTTP."),
        Group("name", "The blocked site's name, in other spellings, over plain HTTP."),
        Group("target", "A request that names two sites, or none."),
        Group("SNI", "CONNECT and ClientHello that disagree, or that are said in an odd way."),
        Group("port", "Ports that no one listed, and what is not TLS on those that are."),
        Group("connection", "One connection, used for more than what was allowed."),
        Group("HTTP/1", "Heads and bodies that one server reads otherwise than another."),
        Group("path", "The listed page library.example/cards, in other spellings, over plain HTTP."),
        Group("carrier", "Translators and archives, allowed by themselves, that show the blocked site."),
        Group(
            "path in HTTPS",
            "The listed page inner.example/cards, in other spellings, on an opened connection.",
        ),
        Group("carrier in HTTPS", "Translators and archives of the blocked site, on an opened connection."),
        Group("destination", "Addresses of the town's own network and of the proxy itself."),
    ]
    for group in made:
        group.cases.extend(_CASES[group.name]())
    return made


def vector_group(vectors: Path) -> Group:
    """Return llhttp's request cases, their targets made absolute so that a proxy takes them."""
    about = "llhttp's own request cases. Whatever reaches the origin can be read one way only."
    cases = [Case("llhttp", name, (said,), ANY_ANSWER, LIBRARY_80) for name, said in request_vectors(vectors)]
    return Group("llhttp", about, cases)


def _addresses() -> Iterator[Case]:
    a, b, c, d = map(int, CARDROOM.split("."))
    number = _number(CARDROOM)
    spellings = {
        "decimal": str(number),
        "hexadecimal": hex(number),
        "octal": oct(number).replace("0o", "0"),
        "parts in hexadecimal": f"{a:#x}.{b:#x}.{c:#x}.{d:#x}",
        "parts in octal": f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        "three parts": f"{a}.{b}.{(c << 8) + d}",
        "two parts": f"{a}.{(b << 16) + (c << 8) + d}",
        "with a trailing dot": f"{CARDROOM}.",
        "full-width digits, escaped": CARDROOM.replace("9", "%EF%BC%99"),
        "IPv4-mapped": f"[::ffff:{CARDROOM}]",
        "IPv4-mapped, hexadecimal": f"[::ffff:{a * 256 + b:x}:{c * 256 + d:x}]",
        "translated (NAT64)": f"[{CARDROOM_TRANSLATED}]",
    }
    for name, host in spellings.items():
        yield Case("address", name, (get(host),), "400" if "%" in host else "403")
    yield Case("address", "CONNECT to decimal", (inside("x"),), "403", connect=f"{number}:443", sni="")


def _names() -> Iterator[Case]:
    blocked = {
        "as it is": "cardroom.example",
        "upper case": "CARDROOM.Example",
        "trailing dot": "cardroom.example.",
        "a subdomain": "www.cardroom.example",
        "with the port": "cardroom.example:80",
        "punycode": "xn--bcher-kva.example",
        "punycode, upper case": "XN--BCHER-KVA.example",
    }
    for name, host in blocked.items():
        yield Case("name", name, (get(host),), "403")
    raw_names = {
        "Unicode as UTF-8": "bücher.example",
        "full-width letters": "ｃａｒｄｒｏｏｍ.example",
        "soft hyphen": "card\u00adroom.example",
        "ideographic full stop": "cardroom。example",
        "decomposed accent": "bu\u0308cher.example",
    }
    for name, host in raw_names.items():
        # RFC 3986 has only ASCII in a URL: browsers send A-labels.
        yield Case("name", name, (get(host),), "400")
    yield Case(
        "name", "look-alike (Cyrillic a), not listed", (get("xn--crdroom-2fg.example"),), "200", NEWS_80
    )
    yield Case("name", "percent-encoded", (get("c%61rdroom.example"),), "400")
    yield Case("name", "empty label", (get("cardroom..example"),), "400")
    yield Case("name", "two trailing dots", (get("cardroom.example.."),), "400")


NEWS_80, NEWS_443 = frozenset({"news.example:80"}), frozenset({"news.example:443"})


def _targets() -> Iterator[Case]:
    get_library = "GET http://library.example/ HTTP/1.1"
    close = "Connection: close"
    yield Case("target", "userinfo in front", (get("library.example@cardroom.example"),), "400")
    yield Case("target", "userinfo with password", (get("library.example:80@cardroom.example"),), "400")
    yield Case("target", "backslash", (get("library.example\\@cardroom.example"),), "400")
    yield Case("target", "backslash as slash", (get("cardroom.example\\library.example"),), "400")
    yield Case(
        "target",
        "absolute-form against Host, blocked Host",
        (get("library.example", field_host="cardroom.example"),),
        "200",
        LIBRARY_80,
    )
    yield Case(
        "target",
        "absolute-form against Host, blocked target",
        (get("cardroom.example", field_host="library.example"),),
        "403",
    )
    for name, fields in {
        "two Hosts": ("Host: library.example", "Host: cardroom.example"),
        "two Hosts, the blocked one first": ("Host: cardroom.example", "Host: library.example"),
        "missing Host": (),
        "empty Host": ("Host:",),
        "Host with a comma": ("Host: library.example, cardroom.example",),
        "Host with a path": ("Host: library.example/cardroom.example",),
        "Host with userinfo": ("Host: library.example@cardroom.example",),
        "Host with a blank": ("Host: library.example cardroom.example",),
    }.items():
        yield Case("target", name, (raw(get_library, *fields, close),), "200", LIBRARY_80)
    yield Case(
        "target",
        "Host over two lines",
        (raw(get_library, "Host: library.example", " cardroom.example", close),),
        "400",
    )
    yield Case(
        "target",
        "Host with a bare CR",
        (raw(get_library, "Host: library.example\rHost: cardroom.example", close),),
        "400",
    )
    yield Case(
        "target",
        "Host with CRLF, escaped in the target",
        (get("library.example%0d%0aHost:cardroom.example"),),
        "400",
    )
    yield Case(
        "target",
        "Host with NUL",
        (raw(get_library, "Host: library.example\0.cardroom.example", close),),
        "400",
    )
    yield Case("target", "origin-form", (raw("GET / HTTP/1.1", "Host: cardroom.example", close),), "400")
    yield Case(
        "target",
        "a scheme nobody asked for",
        (raw("GET gopher://cardroom.example/ HTTP/1.1", "Host: cardroom.example", close),),
        "400",
    )
    yield Case(
        "target",
        "https without CONNECT",
        (raw("GET https://cardroom.example/ HTTP/1.1", "Host: cardroom.example", close),),
        "400",
    )
    yield Case(
        "target",
        "CONNECT against Host",
        (
            raw("CONNECT cardroom.example:443 HTTP/1.1", "Host: library.example:443"),
            client_hello("library.example"),
        ),
        "200",
        NOTHING,
    )


def _hellos() -> Iterator[Case]:
    library, card = "library.example:443", "cardroom.example:443"
    page = (inside("cardroom.example"),)
    yield Case("SNI", "allowed", (inside("library.example"),), "200", LIBRARY_443, library, "library.example")
    yield Case("SNI", "blocked", page, "403", NOTHING, card, "cardroom.example")
    yield Case("SNI", "CONNECT allowed, SNI blocked", page, "403", NOTHING, library, "cardroom.example")
    yield Case("SNI", "CONNECT blocked, SNI allowed", page, "403", NOTHING, card, "library.example")
    yield Case(
        "SNI",
        "CONNECT and SNI allowed and unlike",
        (inside("news.example"),),
        "alert",
        NOTHING,
        library,
        "news.example",
    )
    yield Case(
        "SNI",
        "CONNECT to the blocked address, SNI allowed",
        (inside("library.example"),),
        "403",
        NOTHING,
        f"{CARDROOM}:443",
        "library.example",
    )
    yield Case("SNI", "no SNI, blocked", page, "403", NOTHING, card, "")
    yield Case("SNI", "no SNI, blocked address", page, "403", NOTHING, f"{CARDROOM}:443", "")
    yield Case("SNI", "no SNI, allowed", (inside("library.example"),), "200", LIBRARY_443, library, "")
    for name, sni in {
        "trailing dot": "cardroom.example.",
        "upper case": "CARDROOM.EXAMPLE",
        "punycode, upper case": "XN--BCHER-KVA.example",
    }.items():
        yield Case("SNI", name, page, "403", NOTHING, library, sni)
    for name, sni in {
        "with a port": "cardroom.example:443",
        "with a slash": "cardroom.example/",
        "with a blank": "cardroom.example ",
        "a blank in front": " cardroom.example",
    }.items():
        yield Case("SNI", name, page, "alert", NOTHING, library, sni)
    odd = {
        "two names": made_up_hello(server_names(b"library.example", b"cardroom.example")),
        "two extensions": made_up_hello(server_names(b"library.example"), server_names(b"cardroom.example")),
        "a NUL": made_up_hello(server_names(b"library.example\0.cardroom.example")),
        "an empty extension": made_up_hello(server_names()),
    }
    for name, hello in odd.items():
        yield Case("SNI", name, (hello,), "alert", NOTHING, library)
    yield Case(
        "SNI",
        "record version 0x0304, blocked",
        page,
        "alert",
        NOTHING,
        card,
        "cardroom.example",
        "record version 0x0304",
    )
    yield Case(
        "SNI",
        "record version 0x0304, allowed CONNECT",
        page,
        "alert",
        NOTHING,
        library,
        "cardroom.example",
        "record version 0x0304",
    )
    for name in ("byte by byte", "two bytes and the rest", "two records"):
        yield Case("SNI", f"hello {name}, blocked", page, "403", NOTHING, card, "cardroom.example", name)
        yield Case(
            "SNI", f"hello {name}, allowed CONNECT", page, "403", NOTHING, library, "cardroom.example", name
        )
    yield Case(
        "SNI",
        "ECH, outer name unlike CONNECT",
        (with_ech(client_hello("news.example")),),
        "alert",
        NOTHING,
        library,
    )
    yield Case("SNI", "ECH, CONNECT blocked", (with_ech(client_hello("news.example")),), "TLS", NOTHING, card)
    yield Case(
        "SNI",
        "ECH as browsers pretend it, allowed",
        (with_ech(client_hello("library.example")),),
        "TLS",
        LIBRARY_443,
        library,
    )
    yield Case(
        "SNI",
        "a hello of 100 kB",
        (record(b"\1\xff\xff\xff" + bytes(16000)) + record(bytes(16000)) * 6,),
        "alert",
        NOTHING,
        library,
    )


def _ports() -> Iterator[Case]:
    for port in (22, 25, 8080, 8443):
        yield Case(
            "port",
            f"CONNECT to {port}",
            (b"SSH-2.0-OpenSSH_9.2\r\n",),
            "CONNECT 403",
            NOTHING,
            f"library.example:{port}",
        )
        yield Case("port", f"plain HTTP to {port}", (get(f"library.example:{port}"),), "403")
    for port in ("0", "65536", "99999", "-443", "443x", ""):
        yield Case(
            "port", f"CONNECT to port {port!r}", (b"",), "CONNECT 400", NOTHING, f"library.example:{port}"
        )
    spoken = {
        "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
        "SOCKS 5": b"\x05\x01\x00",
        "SOCKS 4": b"\x04\x01\x00\x50\x5d\xb8\xd8\x24\0",
        "noise": bytes(range(128, 256)) * 4,
        "OpenVPN": b"\x00\x0e\x38" + bytes(12),
        "BitTorrent": b"\x13BitTorrent protocol" + bytes(48),
        "lower-case words": b"hello there\r\n",
        "half a hello, then noise": client_hello("library.example")[:50] + bytes(1000),
        "a TLS alert": b"\x15\x03\x03\x00\x02\x02\x28",
        "HTTP/2 without TLS": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    }
    for name, said in spoken.items():
        answer = {"HTTP/2 without TLS": "400", "half a hello, then noise": "alert"}.get(name, "closed")
        yield Case("port", f"{name} on 443", (said,), answer, NOTHING, "library.example:443")
        yield Case(
            "port", f"{name} on 443 of the blocked site", (said,), answer, NOTHING, "cardroom.example:443"
        )
    yield Case(
        "port",
        "plain HTTP on 443, blocked",
        (inside("cardroom.example"),),
        "403",
        NOTHING,
        "cardroom.example:443",
    )
    yield Case(
        "port",
        "plain HTTP on 443 with another Host",
        (inside("library.example"),),
        "403",
        NOTHING,
        "cardroom.example:443",
    )
    yield Case(
        "port",
        "plain HTTP on 443 with a blocked Host",
        (inside("cardroom.example"),),
        "200",
        LIBRARY_443,
        "library.example:443",
    )
    yield Case(
        "port",
        "TLS in TLS behind a page",
        (client_hello("library.example"),),
        "400",
        NOTHING,
        "cardroom.example:443",
        "cardroom.example",
    )
    yield Case(
        "port",
        "CONNECT in CONNECT",
        (
            raw("CONNECT cardroom.example:443 HTTP/1.1", "Host: cardroom.example:443"),
            client_hello("cardroom.example"),
        ),
        "400",
        NOTHING,
        "library.example:80",
    )
    yield Case(
        "port",
        "CONNECT in a page's TLS",
        (raw("CONNECT library.example:443 HTTP/1.1", "Host: library.example:443"),),
        "400",
        NOTHING,
        "cardroom.example:443",
        "cardroom.example",
    )


def _connections() -> Iterator[Case]:
    keep = b"GET http://library.example/ HTTP/1.1\r\nHost: library.example\r\n\r\n"
    card = get("cardroom.example")
    yield Case("connection", "allowed, then blocked", (keep, card), "200 403", LIBRARY_80)
    yield Case("connection", "allowed and blocked, pipelined", (keep + card,), "200 403", LIBRARY_80)
    yield Case(
        "connection",
        "blocked and allowed, pipelined",
        (b"GET http://cardroom.example/ HTTP/1.1\r\nHost: cardroom.example\r\n\r\n" + keep,),
        "403",
    )
    yield Case(
        "connection",
        "inside CONNECT, then another Host",
        (b"GET / HTTP/1.1\r\nHost: library.example\r\n\r\n" + inside("cardroom.example"),),
        "200 200",
        LIBRARY_80,
        "library.example:80",
    )
    yield Case(
        "connection",
        "CONNECT after a request",
        (keep, raw("CONNECT cardroom.example:443 HTTP/1.1", "Host: cardroom.example:443"), b"SSH-2.0-x\r\n"),
        "200 200",
        LIBRARY_80,
    )
    upgrade = (
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    for name, host, answer, reached in (
        ("a WebSocket of the blocked site", "cardroom.example", "403", NOTHING),
        ("a WebSocket of an unlisted port", "library.example:8080", "403", NOTHING),
    ):
        yield Case(
            "connection",
            name,
            (raw(f"GET http://{host}/ws HTTP/1.1", f"Host: {host}", "Upgrade: websocket", *upgrade),),
            answer,
            reached,
        )
    yield Case(
        "connection",
        "h2c upgrade",
        (
            raw(
                "GET http://library.example/ HTTP/1.1",
                "Host: library.example",
                "Connection: Upgrade, HTTP2-Settings, close",
                "Upgrade: h2c",
                "HTTP2-Settings: AAMAAABkAAQAAP__",
            ),
        ),
        "200",
        LIBRARY_80,
    )
    yield Case(
        "connection", "h2c with prior knowledge", (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),), "400"
    )
    yield Case(
        "connection",
        "a 101 that nobody asked for",
        (raw("GET http://library.example/unasked-101 HTTP/1.1", "Host: library.example"), b"SSH-2.0-x\r\n"),
        "502",
        LIBRARY_80,
    )
    yield Case(
        "connection",
        "a WebSocket that is none after its 101",
        (
            raw(
                "GET http://library.example/unasked-101 HTTP/1.1",
                "Host: library.example",
                "Upgrade: websocket",
                *upgrade,
            ),
            b"SSH-2.0-x\r\n",
        ),
        "502",
        LIBRARY_80,
    )


def _messages() -> Iterator[Case]:
    line, host, close = "POST http://library.example/ HTTP/1.1", "Host: library.example", "Connection: close"
    hidden = "GET http://cardroom.example/ HTTP/1.1\r\nHost: cardroom.example\r\n\r\n"
    chunked = "Transfer-Encoding: chunked"
    refused = {
        "a field over two lines": (raw(line, host, "X-Note: a", "  b", close)),
        "a first field that is folded": (raw(line, " X-Note: a", host, close)),
        "HTTP/0.9": b"GET http://library.example/\r\n",
        "HTTP/0.9 with a version": raw("GET http://library.example/ HTTP/0.9", host),
        "HTTP/9.9": raw("GET http://library.example/ HTTP/9.9", host, close),
        "HTTP/1.2": raw("GET http://library.example/ HTTP/1.2", host, close),
        "HTTP/2.0 in HTTP/1": raw("GET http://library.example/ HTTP/2.0", host, close),
        "hTTP/1.1": raw("GET http://library.example/ hTTP/1.1", host, close),
        "CL with TE": raw(line, host, "Content-Length: 4", chunked, body="0\r\n\r\n" + hidden),
        "TE with CL": raw(line, host, chunked, "Content-Length: 4", body="0\r\n\r\n" + hidden),
        "two unlike CL": raw(line, host, "Content-Length: 0", "Content-Length: 60", body=hidden),
        "CL with a sign": raw(line, host, "Content-Length: +5", body="hello"),
        "CL negative": raw(line, host, "Content-Length: -1", body="hello"),
        "CL hexadecimal": raw(line, host, "Content-Length: 0x5", body="hello"),
        "CL with an underscore": raw(line, host, "Content-Length: 1_0", body="hello12345"),
        "CL empty": raw(line, host, "Content-Length:", body="hello"),
        "CL with words": raw(line, host, "Content-Length: 5 5", body="hello"),
        "CL over 64 bits": raw(line, host, f"Content-Length: {2**64 + 5}", body="hello"),
        "CL in other digits": raw(line, host, "Content-Length: \xb2", body="hello"),
        "TE xchunked": raw(line, host, "Transfer-Encoding: xchunked", body="0\r\n\r\n" + hidden),
        "TE identity": raw(line, host, "Transfer-Encoding: identity", body="hello"),
        "TE chunked twice": raw(line, host, "Transfer-Encoding: chunked, chunked", body="0\r\n\r\n" + hidden),
        "TE chunked not last": raw(line, host, "Transfer-Encoding: chunked, gzip", body="0\r\n\r\n" + hidden),
        "TE with a quote": raw(line, host, 'Transfer-Encoding: "chunked"', body="0\r\n\r\n" + hidden),
        "TE with a vertical tab": raw(line, host, "Transfer-Encoding:\x0bchunked", body="0\r\n\r\n" + hidden),
        "TE with a NUL": raw(line, host, "Transfer-Encoding: chunked\0", body="0\r\n\r\n" + hidden),
        "two TE, one identity": raw(
            line, host, "Transfer-Encoding: identity", chunked, body="0\r\n\r\n" + hidden
        ),
        "TE in HTTP/1.0": raw(
            "POST http://library.example/ HTTP/1.0", host, chunked, body="0\r\n\r\n" + hidden
        ),
        "a blank before the colon": raw(line, host, "Content-Length : 5", close, body="hello"),
        "a tab before the colon": raw(line, host, "Transfer-Encoding\t: chunked", close, body="0\r\n\r\n"),
        "a blank in a field's name": raw(line, host, "X Note: a", close),
        "a field without a colon": raw(line, host, "Transfer-Encoding chunked", close),
        "a field without a name": raw(line, host, ": a", close),
        "a bare CR in a field": raw(line, host, "X-Note: a\rTransfer-Encoding: chunked", close),
        "a bare CR as the end of a line": raw(line, host + "\r" + chunked, close),
        "a NUL in a field": raw(line, host, "X-Note: a\0b", close),
        "a NUL in a field's name": raw(line, host, "X-No\0te: a", close),
        "a NUL in the target": raw("GET http://library.example/\0 HTTP/1.1", host, close),
        "a tab in the request line": raw("GET\thttp://library.example/\tHTTP/1.1", host, close),
        "blanks in the target": raw("GET http://library.example/a b HTTP/1.1", host, close),
        "two blanks in the request line": raw("GET  http://library.example/  HTTP/1.1", host, close),
        "a bare LF in the request line": raw(
            "GET http://library.example/ HTTP/1.1\nHost: library.example\nConnection: close\n\n"
        ),
        "a bare LF between two fields": raw(line, host + "\nX-Note: a", close),
        "a bare LF as the empty line": raw(line, host, close)[:-2] + b"\n",
        "a method that is none": raw("G(T http://library.example/ HTTP/1.1", host, close),
    }
    for name, said in refused.items():
        yield Case("HTTP/1", name, (said,), "400")
    read = {
        "two alike CL": raw(line, host, "Content-Length: 5", "Content-Length: 5", close, body="hello"),
        "CL with zeros in front": raw(line, host, "Content-Length: 0005", close, body="hello"),
        "TE in other letters": raw(
            line, host, "transfer-ENCODING: Chunked", close, body="5\r\nhello\r\n0\r\n\r\n"
        ),
        "a chunk's extension": raw(line, host, chunked, close, body="5;a=b\r\nhello\r\n0\r\n\r\n"),
        "trailers": raw(line, host, chunked, close, body="5\r\nhello\r\n0\r\nHost: cardroom.example\r\n\r\n"),
        "GET with a body": raw(
            "GET http://library.example/ HTTP/1.1", host, f"Content-Length: {len(hidden)}", close, body=hidden
        ),
    }
    for name, said in read.items():
        yield Case("HTTP/1", name, (said,), ANY_ANSWER, LIBRARY_80)
    chunks = {
        "a chunk size over 64 bits": "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "a chunk size with 0x": "0x5\r\nhello\r\n0\r\n\r\n",
        "a chunk size with a sign": "+5\r\nhello\r\n0\r\n\r\n",
        "a chunk size with a blank": "5 \r\nhello\r\n0\r\n\r\n",
        "a chunk size with a bare LF": "5\nhello\r\n0\r\n\r\n",
        "a chunk with a bare LF in its extension": "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "a chunk without its end": "5\r\nhelloX0\r\n\r\n",
        "a chunk longer than its size": "3\r\nhello\r\n0\r\n\r\n",
        "a chunk size that is empty": "\r\nhello\r\n0\r\n\r\n",
        "a last chunk with a bare LF": "5\r\nhello\r\n0\n\n" + hidden,
    }
    for name, body in chunks.items():
        yield Case("HTTP/1", name, (raw(line, host, chunked, close, body=body),), ANY_ANSWER, LIBRARY_80)


def _spelt_pages() -> Mapping[str, str]:
    return {
        "as it is": "/cards",
        "a page below": "/cards/poker?table=1",
        "dot segments": "/./cards",
        "dot segments up": "/books/../cards",
        "dot segments, escaped": "/books/%2e%2E/cards",
        "dot segments, a slash escaped": "/books/..%2fcards",
        "escaped": "/%63ards",
        "escaped twice": "/%2563ards",
        "escaped thrice": "/%252563ards",
        "dot segments, escaped twice": "/books/%252e%252e/cards",
        "upper case": "/CARDS",
        "a parameter": "/cards;x=1",
        "a parameter further on": "/cards;x/poker",
        "a parameter in front": "/;x/cards",
        "doubled slashes": "//cards",
        "doubled slashes, escaped": "/%2fcards",
        "backslash": "/\\cards",
        "backslash, escaped": "/books/..%5ccards",
        "a query with a slash": "/cards?/../books",
        "a fragment": "/cards#/books",
        "a NUL, escaped": "/cards%00",
        "a blank, escaped": "/cards%20",
        "a dot at its end": "/cards/.",
    }


def _paths() -> Iterator[Case]:
    for name, path in _spelt_pages().items():
        yield Case("path", name, (get("library.example", path),), "403")
    yield Case("path", "another page", (get("library.example", "/books?page=/cards"),), "200", LIBRARY_80)
    yield Case(
        "path",
        "a page whose name only begins alike",
        (get("library.example", "/cardsharp"),),
        "200",
        LIBRARY_80,
    )


def _opened(group: str, name: str, host: str, path: str, answer: str = "403") -> Case:
    """Return a case of one request, on a connection to the host that is looked into."""
    return Case(
        group,
        name,
        (inside(host, path),),
        answer,
        NEWS_443,
        f"{host}:443",
        host,
        may_be_asked=answer == "200",
    )


def _paths_in_https() -> Iterator[Case]:
    group, host = "path in HTTPS", "inner.example"
    for name, path in _spelt_pages().items():
        yield _opened(group, name, host, path)
    yield _opened(group, "absolute-form", host, f"https://{host}/cards", "421")
    yield _opened(group, "another page", host, "/books?page=/cards", "200")
    yield _opened(group, "a page whose name only begins alike", host, "/cardsharp", "200")


def _carriers_in_https() -> Iterator[Case]:
    group, inner, translator, archive = (
        "carrier in HTTPS",
        "http://cardroom.example/",
        "translate.google.com",
        "web.archive.org",
    )
    for name, host, path in (
        ("a translator's address", translator, f"/translate?u={inner}"),
        ("escaped", translator, "/translate?sl=en&u=https%3A%2F%2Fcardroom.example%2F"),
        ("upper case", translator, "/translate?u=HTTP://CARDROOM.EXAMPLE/"),
        ("without a scheme", translator, "/translate?u=cardroom.example"),
        ("by number", translator, f"/translate?u=http://{_number(CARDROOM)}/"),
        ("userinfo in front", translator, "/translate?u=http://library.example@cardroom.example/"),
        ("two of them, the blocked one last", translator, f"/translate?u=http://news.example/&u={inner}"),
        ("a doubled slash in front", translator, f"//translate?u={inner}"),
        ("an archive", archive, f"/web/2020/{inner}"),
        ("an archive, one slash in the address", archive, "/web/2020/http:/cardroom.example/"),
        ("an archive in a translator", translator, f"/translate?u=http://{archive}/web/2020/{inner}"),
    ):
        yield _opened(group, name, host, path)
    yield _opened(
        group, "a translator of an allowed site", translator, "/translate?u=http://library.example/", "200"
    )
    yield _opened(group, "a link to the blocked site", "inner.example", f"/share?url={inner}", "200")


def _carriers() -> Iterator[Case]:
    inner, translate, archive = "http://cardroom.example/", "/translate?u=", "/web/2020/"
    by_number = f"http://{_number(CARDROOM)}/"
    host = "cardroom-example.translate.goog"
    blocked = {
        "a translator's host": get(host),
        "a translator's address": get("translate.google.com", translate + inner),
        "a translator's address, by number": get("translate.google.com", translate + by_number),
        "an archive": get("web.archive.org", archive + inner),
        "an archive in a translator": get(
            "translate.google.com", f"{translate}http://web.archive.org{archive}{inner}"
        ),
    }
    for name, said in blocked.items():
        yield Case("carrier", name, (said,), "403")
    connect = f"{host}:443"
    yield Case("carrier", "CONNECT to a translator's host", (inside(host),), "403", NOTHING, connect, host)
    allowed = {
        "a translator of an allowed site": get("translate.google.com", f"{translate}http://library.example/"),
        "a link to the blocked site on another": get("news.example", f"/share?url={inner}"),
    }
    for name, said in allowed.items():
        yield Case("carrier", name, (said,), "200", NEWS_80)


def _number(address: str) -> int:
    return int.from_bytes(bytes(map(int, address.split("."))))


def _destinations() -> Iterator[Case]:
    spellings: Mapping[str, str] = {
        "127.0.0.1": "127.0.0.1",
        "127.1": "127.1",
        "127.9.9.9": "127.9.9.9",
        "0": "0",
        "0.0.0.0": "0.0.0.0",
        "2130706433": "2130706433",
        "0x7f.1": "0x7f.1",
        "[::1]": "[::1]",
        "[::]": "[::]",
        "[::127.0.0.1] (IPv4-compatible)": "[::127.0.0.1]",
        "[::ffff:10.0.0.5]": "[::ffff:10.0.0.5]",
        "[::ffff:0:10.0.0.5] (RFC 2765)": "[::ffff:0:10.0.0.5]",
        **{a: f"[{a}]" if ":" in a else a for a in PRIVATE},
    }
    for name, host in spellings.items():
        yield Case("destination", name, (get(host),), "403")
        yield Case("destination", f"CONNECT to {name}", (inside(host),), "403", NOTHING, f"{host}:443", "")
    yield Case("destination", "mitmproxy's own page, mitm.it", (get("mitm.it"),), "502")
    names = {
        "localhost": "localhost",
        "a name of the town's network": "inside.example",
        "a name of the metadata address": "metadata.example",
        "a name of the proxy's own machine": "here.example",
        "a name with a public and a private address": "both-kinds.example",
    }
    for name, host in names.items():
        yield Case("destination", name, (get(host),), "502")
        yield Case("destination", f"CONNECT to {name}", (inside(host),), "502", NOTHING, f"{host}:443", host)


_CASES = {
    "address": _addresses,
    "name": _names,
    "target": _targets,
    "SNI": _hellos,
    "port": _ports,
    "connection": _connections,
    "HTTP/1": _messages,
    "path": _paths,
    "carrier": _carriers,
    "path in HTTPS": _paths_in_https,
    "carrier in HTTPS": _carriers_in_https,
    "destination": _destinations,
}
