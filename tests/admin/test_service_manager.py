"""What systemd is told, and what it hands back."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from admin.service_manager import ServiceManager, without_its_variables


class Systemd:
    """The other end, and the environment in which it starts a service."""

    def __init__(self) -> None:
        self._datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # The kernel finds a free name.
        self._datagrams.bind("")
        name = self._datagrams.getsockname().decode()
        self.environment = {"NOTIFY_SOCKET": "@" + name[1:], "PATH": "/bin"}

    def hears(self) -> list[str]:
        data, self.fds, _, _ = socket.recv_fds(self._datagrams, 4096, 4)
        return data.decode().split("\n")

    def close(self) -> None:
        self._datagrams.close()


@pytest.fixture
def systemd() -> Iterator[Systemd]:
    found = Systemd()
    yield found
    found.close()


def test_it_is_told_what_sd_notify_says(systemd: Systemd) -> None:
    manager = ServiceManager(systemd.environment)
    manager.ready("2 workers")
    assert systemd.hears() == ["READY=1", "STATUS=2 workers"]
    manager.reloading("Restarting")
    reloading, monotonic, status = systemd.hears()
    assert (reloading, status) == ("RELOADING=1", "STATUS=Restarting")
    assert monotonic.removeprefix("MONOTONIC_USEC=").isdecimal()
    manager.all_is_well()
    assert systemd.hears() == ["WATCHDOG=1"]
    manager.stopping()
    assert systemd.hears()[0] == "STOPPING=1"


def test_its_watchdog_is_for_the_process_that_it_names_and_wants_to_hear_twice_in_its_time() -> None:
    watchdog = {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}
    assert ServiceManager(watchdog).ping_seconds == 30
    assert ServiceManager({**watchdog, "WATCHDOG_PID": "1"}).ping_seconds is None
    assert ServiceManager({}).ping_seconds is None


def test_a_socket_it_kept_is_taken_back_only_where_it_listens_where_it_should(systemd: Systemd) -> None:
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        address = listening.getsockname()
        ServiceManager(systemd.environment).keep("proxy", listening)
        assert systemd.hears() == ["FDSTORE=1", "FDNAME=proxy"]
        (kept,) = systemd.fds
        assert socket.socket(fileno=kept).getsockname() == address

    # Handed over as the first descriptor after those of every process.
    handed = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "proxy"}
    for asked, is_kept in ((address, True), (("127.0.0.1", 1), False)):
        systemd.environment.update(handed)
        with socket.create_server(address) as listening:
            fd = os.dup(listening.fileno())
        manager = ServiceManager(systemd.environment, first_fd=fd)
        assert "LISTEN_FDS" not in systemd.environment
        found = manager.kept("proxy", asked)
        assert (found is not None) is is_kept
        if found is not None:
            found.close()
    assert systemd.hears() == ["FDSTOREREMOVE=1", "FDNAME=proxy"]


def test_no_other_process_is_told_where_it_listens(systemd: Systemd) -> None:
    assert without_its_variables(systemd.environment) == {"PATH": "/bin"}


def test_without_it_nothing_is_said() -> None:
    ServiceManager({}).ready("2 workers")
