"""`towngate admin`: what it says when it cannot start."""

import socket

import pytest

from admin.command import CommandError
from admin.commands.admin import _socket
from admin.supervisor import Address


def test_port_that_is_taken_is_named_once_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError) as refused:
            _socket(Address("127.0.0.1", port), None)
    assert str(refused.value) == (
        f"admin cannot listen on 127.0.0.1:{port}: Address already in use; end what uses it, "
        "or choose another address with --admin"
    )
