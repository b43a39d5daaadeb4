"""The outside world in namespaces of its own: public and private addresses on loopback, and a DNS.

Everything runs on the real ports and is found by the real resolver, and nothing leaves the machine.
Names and addresses are made up, or belong to example.com; what they stand for is in `NAMES`.
"""

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

LIBRARY, NEWS, CARDROOM = "93.184.216.34", "93.184.216.35", "93.184.216.36"
LIBRARY_IPV6, CARDROOM_TRANSLATED = "2606:2800:220::34", "64:ff9b::5db8:d824"
VECTORS_NETWORK = "93.184.217"
"""Sites library-0.example and so on, so that several cases can be tried at once."""
AT_ONCE = 8
SILENT = ("93.184.216.97", "93.184.216.98", "93.184.216.99", "2606:2800:220::99")
"""Public addresses that nobody has: a dial to them is never answered."""

PRIVATE = (
    *("10.0.0.5", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200"),
    *("fd00:ec2::254", "fc00::1", "fec0::1"),
    # Addresses with a private one inside: translated (NAT64), 6to4, Teredo, IPv4-compatible.
    *("64:ff9b::a00:5", "64:ff9b:1::a00:5", "2002:a00:5::1", "2001:0:a00:5::1"),
)

_LANES = {f"library-{n}.example": (f"{VECTORS_NETWORK}.{n + 1}",) for n in range(AT_ONCE)}
NAMES: Mapping[str, Sequence[str]] = {
    "library.example": (LIBRARY,),
    "news.example": (NEWS,),
    "quick.example": (NEWS,),
    "inner.example": (NEWS,),
    "cardroom.example": (CARDROOM,),
    "www.cardroom.example": (CARDROOM,),
    "xn--bcher-kva.example": (CARDROOM,),
    "xn--crdroom-2fg.example": (NEWS,),
    "translate.goog": (NEWS,),
    "cardroom-example.translate.goog": (NEWS,),
    "web.archive.org": (NEWS,),
    "translate.google.com": (NEWS,),
    "www.google.com": (NEWS,),
    "inside.example": ("10.0.0.5",),
    "metadata.example": ("169.254.169.254",),
    "here.example": ("127.0.0.1",),
    "both-kinds.example": (LIBRARY, "10.0.0.5"),
    "six.example": (LIBRARY_IPV6,),
    "six-is-dead.example": (SILENT[3], LIBRARY),
    "three-are-dead.example": (*SILENT[:3], LIBRARY),
    **_LANES,
}
REBINDING = "rebinding.example"
"""Has a public address in the first answer and a private one in every other."""
SLOW = "slow.example"
"""Its answer, and that for each name below it, comes after SLOW_SECONDS."""
SLOW_SECONDS = 2.0

_A, _AAAA = 1, 28
_LOCAL_HOSTS = "127.0.0.1 localhost\n::1 localhost\n"


def become_root() -> list[str]:
    """Return what unshare is told besides: who is not root of the machine is root within."""
    return [] if os.geteuid() == 0 else ["--map-root-user"]


def run_outside(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of Python in namespaces of its own."""
    command = ["unshare", *become_root(), "--net", "--mount", sys.executable, "-m", module, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@contextmanager
def outside(folder: Path) -> Iterator["NameServer"]:
    """Make these namespaces, which must be new ones, the outside world, and serve its names."""
    commands = [
        "ip link set lo up",
        "ip link add nowhere type veth peer name other",
        "ip link set nowhere up",
        "ip link set other up",
        "ip addr add 198.51.100.1/24 dev nowhere",
        "ip addr add 2001:db8::1/64 dev nowhere nodad",
    ]
    for address in sorted(
        {CARDROOM_TRANSLATED, *PRIVATE, *(address for found in NAMES.values() for address in found)}
    ):
        if address in SILENT:
            # What is sent there is for nobody's address, and vanishes as behind a firewall.
            commands.append(f"ip route add {address} dev nowhere")
            commands.append(f"ip neigh add {address} lladdr 02:00:00:00:00:01 dev nowhere nud permanent")
        elif address != "127.0.0.1":
            commands.append(f"ip addr add {address} dev lo" + (" nodad" if ":" in address else ""))
    for name, text in {"hosts": _LOCAL_HOSTS, "resolv.conf": "nameserver 127.0.0.1\n"}.items():
        path = folder / name
        path.write_text(text)
        commands.append(f"mount --bind {path} /etc/{name}")
    subprocess.run(["sh", "-e", "-c", "\n".join(commands)], check=True)
    server = NameServer()
    try:
        yield server
    finally:
        server.close()


class NameServer:
    """A DNS on 127.0.0.1:53 for `NAMES`; every other name does not exist. `asked` counts by name."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                query, client = self._socket.recvfrom(4096)
                threading.Thread(target=self._answer, args=[query, client], daemon=True).start()

    def _answer(self, query: bytes, client: tuple[str, int]) -> None:
        name, end = _name_of(query)
        (kind,) = struct.unpack_from("!H", query, end)
        addresses = self._addresses_of(name, kind)
        if _is_slow(name):
            time.sleep(SLOW_SECONDS)
        family = _AAAA if kind == _AAAA else _A
        records = [
            struct.pack("!HHHIH", 0xC00C, family, 1, 0, len(packed)) + packed
            for packed in (ip_address(address).packed for address in addresses or ())
            if len(packed) == (16 if kind == _AAAA else 4) and kind in (_A, _AAAA)
        ]
        flags = 0x8180 if addresses is not None else 0x8183
        head = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
        with contextlib.suppress(OSError):
            self._socket.sendto(head + query[12 : end + 4] + b"".join(records), client)

    def _addresses_of(self, name: str, kind: int) -> Sequence[str] | None:
        if kind == _A:
            self.asked[name] = self.asked.get(name, 0) + 1
        if name == REBINDING:
            return (LIBRARY,) if self.asked.get(name, 0) <= 1 else ("10.0.0.5",)
        return (LIBRARY,) if _is_slow(name) else NAMES.get(name)


def _is_slow(name: str) -> bool:
    return name == SLOW or name.endswith("." + SLOW)


def _name_of(query: bytes) -> tuple[str, int]:
    """Return the name that a query asks for, and where in the query it ends."""
    at, labels = 12, []
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("latin-1").lower())
        at += 1 + length
    return ".".join(labels), at + 1
