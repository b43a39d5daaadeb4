"""Tests that need an address beside loopback have one on a machine that is in no network, too."""

import contextlib
import socket

import pytest

from tests.deploy.town_network import Namespace
from tests.missing_parts import require_root
from tests.workstations import own_address


@pytest.mark.needs("ip")
def test_machine_in_no_network_has_an_address_meanwhile() -> None:
    require_root("makes a network of its own")
    with contextlib.closing(Namespace()) as nowhere, nowhere.entered():
        with (
            own_address() as address,
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname(), source_address=(address, 0)),
        ):
            connection, (client, _) = server.accept()
            connection.close()
        assert client == address and not address.startswith("127.")
        with pytest.raises(OSError, match="assign"), socket.create_server((address, 0)):
            pass
