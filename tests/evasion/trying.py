"""Tries a case through a proxy: what the client is told, and what the origin sees."""

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.client_hellos import in_two_records
from tests.evasion.cases import ANY_ANSWER, Case
from tests.evasion.one_way import AmbiguousError, read_one_way
from tests.evasion.origin import Origin, Seen
from tests.evasion.outside import AT_ONCE, NAMES, VECTORS_NETWORK

_PATIENCE_SECONDS = 10.0
"""For an answer that must come; no case is one of silence."""
_AFTER_ANSWER_SECONDS = 1.0
"""Whether more comes, or the end."""
_QUIET_SECONDS = 0.3
"""What may be half a request: then nobody answers, and nobody hangs up soon."""
_READ_BYTES = 1 << 16
_ALERTS = ("TLSV1_UNRECOGNIZED_NAME", "TLSV1_ALERT_PROTOCOL_VERSION")
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n")

_SITES: dict[str, str] = {
    **{found[0]: name for name, found in reversed(NAMES.items()) if len(found) == 1},
    **{f"{VECTORS_NETWORK}.{n + 1}": "library.example" for n in range(AT_ONCE)},
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case. `ambiguous` says what the origin read that could be read in two ways."""

    answer: str
    reached: frozenset[str]
    targets: tuple[str, ...] = ()
    ambiguous: str | None = None

    @classmethod
    def of(cls, made: Mapping[str, Any]) -> "Outcome":
        """Return an outcome that has been through JSON."""
        return cls(made["answer"], frozenset(made["reached"]), tuple(made["targets"]), made["ambiguous"])

    def holds(self, case: Case) -> bool:
        """Whether this is what must come of it."""
        return self.is_safe(case) and case.answer in (self.answer, ANY_ANSWER)

    def is_safe(self, case: Case) -> bool:
        """Whether the origin saw no more than it may, and that in one way only."""
        is_asked = bool(self.targets) and not case.may_be_asked
        return self.reached <= case.reached and not is_asked and self.ambiguous is None


def try_cases(cases: Iterable[Case], port: int, origin: Origin) -> dict[str, Outcome]:
    """Try cases through the proxy on a port of 127.0.0.1, one after the other; vectors several at once."""
    by_itself, together = [], []
    for case in cases:
        (together if case.group == "llhttp" else by_itself).append(case)
    outcomes = {case.id: _try(case, port, origin) for case in by_itself}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lanes = [pool.submit(_try_in_lane, together[n::AT_ONCE], n, port, origin) for n in range(AT_ONCE)]
        for lane in lanes:
            outcomes |= lane.result()
    return outcomes


def _try_in_lane(cases: Iterable[Case], lane: int, port: int, origin: Origin) -> Mapping[str, Outcome]:
    address = f"{VECTORS_NETWORK}.{lane + 1}"
    own = f"//library-{lane}.example".encode()
    return {
        case.id: _try(
            case,
            port,
            origin,
            parts=[part.replace(b"//library.example", own) for part in case.parts],
            is_of=lambda seen: seen.address == address,
        )
        for case in cases
    }


def _try(
    case: Case,
    port: int,
    origin: Origin,
    parts: Iterable[bytes] | None = None,
    is_of: Callable[[Seen], bool] = lambda _: True,
) -> Outcome:
    patience_seconds = _QUIET_SECONDS if case.answer == ANY_ANSWER else _PATIENCE_SECONDS
    before = len(origin.seen)
    answer = _answer(case, case.parts if parts is None else parts, port, patience_seconds)
    return _outcome(answer, [seen for seen in origin.seen[before:] if is_of(seen)])


def _outcome(answer: str, seen: Iterable[Seen]) -> Outcome:
    reached, targets, ambiguous = set(), [], None
    for one in seen:
        site = _SITES.get(one.address, one.address)
        reached.add(f"{site}:{one.port}")
        try:
            for request in read_one_way(bytes(one.data)):
                targets.append(request.target)
                if _SITES.get(_address_of(request.host), request.host) != site:
                    ambiguous = f"{site} was asked for {request.host}"
        except AmbiguousError as error:
            ambiguous = str(error)
    return Outcome(answer, frozenset(reached), tuple(targets), ambiguous)


def _address_of(host: str) -> str:
    return NAMES.get(host, (host,))[0]


def _answer(case: Case, parts: Iterable[bytes], port: int, patience_seconds: float) -> str:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(patience_seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        before = b""
        if case.connect is not None:
            connection.sendall(f"CONNECT {case.connect} HTTP/1.1\r\nHost: {case.connect}\r\n\r\n".encode())
            before = _read_head(connection)
            if not before.startswith(b"HTTP/1.1 200 ") and not before.startswith(b"HTTP/1.0 200 "):
                return f"CONNECT {_statuses(before)}"
        if case.sni is None:
            return _exchange(connection, parts, case.answer)
        try:
            return _exchange(_Secured(connection, case.sni, _HELLOS[case.hello]), parts, case.answer)
        except ssl.SSLError as error:
            return "alert" if error.reason in _ALERTS else f"TLS error ({error.reason})"
        except ConnectionError:
            return "closed"
        except TimeoutError:
            return "silence"


def _exchange(connection: "socket.socket | _Secured", parts: Iterable[bytes], expected: str) -> str:
    received, is_open = b"", True
    with contextlib.suppress(ConnectionError):
        for number, part in enumerate(parts):
            if number:
                time.sleep(0.05)
            connection.sendall(part)
    try:
        while chunk := connection.recv(_READ_BYTES):
            received += chunk
            if _statuses(received) == expected:
                connection.settimeout(_AFTER_ANSWER_SECONDS)
        is_open = False
    except TimeoutError:
        pass
    except (ConnectionError, ssl.SSLError):
        is_open = False
    return _statuses(received) or ("silence" if is_open else "closed")


def _statuses(received: bytes) -> str:
    found = [status.decode() for status in _STATUS.findall(received)]
    if b"tunnelled: " in received:
        found.append("tunnel")
    if not found and received:
        found.append({0x15: "alert", 0x16: "TLS"}.get(received[0], "bytes"))
    return " ".join(found)


def _read_head(connection: socket.socket) -> bytes:
    head = b""
    with contextlib.suppress(ConnectionError, TimeoutError):
        while b"\r\n\r\n" not in head and (byte := connection.recv(1)):
            head += byte
    return head


class _Secured:
    """TLS over a connection, with a ClientHello in its own manner; nobody's certificate is checked."""

    def __init__(
        self, connection: socket.socket, sni: str, in_parts: Callable[[bytes], Iterable[bytes]]
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=sni or None)
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        for part in in_parts(self._outgoing.read()):
            connection.sendall(part)
            time.sleep(0.0005)
        self._until_done(self._tls.do_handshake)

    def settimeout(self, seconds: float) -> None:
        self._connection.settimeout(seconds)

    def sendall(self, data: bytes) -> None:
        self._tls.write(data)
        self._connection.sendall(self._outgoing.read())

    def recv(self, size: int) -> bytes:
        try:
            return self._until_done(lambda: self._tls.read(size))
        except ssl.SSLZeroReturnError:
            return b""

    def _until_done[T](self, step: Callable[[], T]) -> T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                if pending := self._outgoing.read():
                    self._connection.sendall(pending)
                received = self._connection.recv(_READ_BYTES)
                if not received:
                    raise ConnectionError("closed") from None
                self._incoming.write(received)
            finally:
                if pending := self._outgoing.read():
                    self._connection.sendall(pending)


_HELLOS: Mapping[str, Callable[[bytes], Iterable[bytes]]] = {
    "whole": lambda hello: [hello],
    "byte by byte": lambda hello: [hello[i : i + 1] for i in range(len(hello))],
    "two bytes and the rest": lambda hello: [hello[:2], hello[2:]],
    "two records": lambda hello: [in_two_records(hello)],
    "record version 0x0304": lambda hello: [hello[:1] + b"\x03\x04" + hello[3:]],
}
