"""The proxies that the cases are tried through: Towngate, and two that block the same by what they have."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.evasion.outside import CARDROOM
from tests.published_town import PublishedTown
from tests.running_proxy import running_mitmdump, running_worker
from tests.running_town import free_ports
from tests.towns import DOCUMENT

_START_SECONDS = 30.0
_LISTED = {"gambling": ["cardroom.example", "xn--bcher-kva.example", CARDROOM]}
_OPENED = ("inner.example", "translate.google.com", "web.archive.org")
_LISTED_PAGES = {
    "gambling": [("library.example", "/cards")],
    "adult": [(host, "/cards") for host in _OPENED],
}
_POLICY = DOCUMENT.replace(
    "rules:\n", "rules:\n  - {id: inner-pages, categories: [adult], action: block, inspect: urls}\n"
)
SQUID = "/usr/sbin/squid"


@dataclass(frozen=True, slots=True)
class TriedProxy:
    """A running proxy; `about` says how it was set up."""

    port: int
    about: str


class Start(Protocol):
    def __call__(self, folder: Path, origin_ca: Path) -> AbstractContextManager[TriedProxy]: ...


def towngate(folder: Path, origin_ca: Path) -> AbstractContextManager[TriedProxy]:
    """Run one worker with a town's policy."""
    return _worker(folder, origin_ca, "tests.quick_worker")


def misled(folder: Path, origin_ca: Path) -> AbstractContextManager[TriedProxy]:
    """Run one worker whose resolver judges nothing."""
    return _worker(folder, origin_ca, "tests.evasion.misled_worker")


def laneless(folder: Path, origin_ca: Path) -> AbstractContextManager[TriedProxy]:
    """Run one worker whose tunnels are all mitmproxy's."""
    return _worker(folder, origin_ca, "tests.quick_worker", "--no-lane")


@contextmanager
def stock(folder: Path, origin_ca: Path) -> Iterator[TriedProxy]:
    """Run a stock mitmdump with the chain of addons as a script, and the same policy."""
    published = _published(folder, origin_ca)
    with running_mitmdump(published.state.root, *free_ports(1)) as proxy:
        # It listens before its addons have read what was published.
        with socket.create_connection(("127.0.0.1", proxy.port), _START_SECONDS) as connection:
            connection.sendall(b"GET http://cardroom.example/ HTTP/1.1\r\nHost: cardroom.example\r\n\r\n")
            connection.recv(1)
        yield TriedProxy(proxy.port, "a stock mitmdump with the addons")
        assert "Traceback" not in proxy.logged(), proxy.logged()


@contextmanager
def _worker(folder: Path, origin_ca: Path, program: str, *options: str) -> Iterator[TriedProxy]:
    published = _published(folder, origin_ca)
    with running_worker(published.state.root, program=("-m", program), options=options) as worker:
        yield TriedProxy(worker.port, "one worker")
        assert "Traceback" not in worker.logged(), worker.logged()


def _published(folder: Path, origin_ca: Path) -> PublishedTown:
    published = PublishedTown(folder / "state", document=_POLICY)
    published.state.extra_roots.write_bytes(origin_ca.read_bytes())
    published.publish_categories(_LISTED, _LISTED_PAGES)
    return published


@contextmanager
def mitmdump(folder: Path, origin_ca: Path) -> Iterator[TriedProxy]:
    """Run mitmdump as it comes, told to block by its own option and to trust the origin."""
    blocked = (r"cardroom\.example", r"xn--bcher-kva\.example", re.escape(CARDROOM))
    options = [
        *(o for name in blocked for o in ("--set", f"block_list=:~d {name}:403")),
        *("--set", r"block_list=:~u ^http\://library\.example/cards:403".replace("\\:", ".")),
        *("--set", "block_list=:~u inner.example/cards:403"),
        *("--set", f"ssl_verify_upstream_trusted_ca={origin_ca}", "--set", f"confdir={folder}"),
    ]
    program = str(Path(sys.executable).with_name("mitmdump"))
    (port,) = free_ports(1)
    command = [program, "-q", "--listen-host", "127.0.0.1", "-p", str(port), *options]
    with _running(command, port, folder / "mitmdump.log"):
        yield TriedProxy(port, "`block_list` for the listed site, address and page; otherwise as it comes")


@contextmanager
def squid(folder: Path, origin_ca: Path) -> Iterator[TriedProxy]:
    """Run Debian's squid with its own lists of ports, and a peek at every ClientHello."""
    (port,) = free_ports(1)
    certificate = folder / "squid.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=squid"),
            *("-keyout", str(certificate), "-out", str(folder / "squid.crt")),
        ],
        check=True,
        capture_output=True,
    )
    certificate.write_text(certificate.read_text() + (folder / "squid.crt").read_text())
    for path in (folder, *folder.iterdir()):
        path.chmod(0o777)
    configuration = folder / "squid.conf"
    configuration.write_text(
        _SQUID.format(port=port, folder=folder, certificate=certificate, listed=CARDROOM)
    )
    command = [SQUID, "-N", "-f", str(configuration), "-n", f"evasion{os.getpid()}"]
    with _running(command, port, folder / "squid.log"):
        yield TriedProxy(port, "Debian's package; `ssl_bump peek`, then `terminate` or `splice` by SNI")


_SQUID = """\
http_port 127.0.0.1:{port} ssl-bump tls-cert={certificate} generate-host-certificates=off
acl blocked dstdomain .cardroom.example .xn--bcher-kva.example
acl blocked_address dst {listed}
acl blocked_sni ssl::server_name .cardroom.example .xn--bcher-kva.example
acl blocked_page url_regex -i ^http://library\\.example(:80)?/cards
acl internal dst 0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16
acl internal dst ::1 fc00::/7 fe80::/10
acl web_ports port 80 443
acl tls_ports port 443
acl CONNECT method CONNECT
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump terminate blocked_sni
ssl_bump splice all
http_access deny !web_ports
http_access deny CONNECT !tls_ports
http_access deny internal
http_access deny blocked
http_access deny blocked_address
http_access deny blocked_page
http_access allow all
dns_nameservers 127.0.0.1
# What the origin saw is told by its connections.
server_persistent_connections off
cache deny all
cache_log {folder}/cache.log
access_log none
pid_filename none
coredump_dir {folder}
shutdown_lifetime 0 seconds
"""

COMPARED: Mapping[str, Start] = {"Towngate": towngate, "mitmdump": mitmdump, "squid": squid}
PROXIES: Mapping[str, Start] = {**COMPARED, "misled": misled, "laneless": laneless, "stock": stock}


@contextmanager
def _running(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            until = time.monotonic() + _START_SECONDS
            while process.poll() is None and time.monotonic() < until:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            else:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text()}")
            yield
        finally:
            process.terminate()
