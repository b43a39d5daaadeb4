"""`towngate admin`: the admin site, ingest and publishing."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import click
import uvicorn

from admin.admin_process import admin_process
from admin.command import CommandError
from admin.commands.site_options import Site, site_options
from admin.database import DatabaseError
from admin.key_file import KeyFileError
from admin.listening import Address, why_not_listening
from admin.publisher import NoPolicyError
from admin.service_manager import ServiceManager
from admin.settings_file import SettingsError
from admin.state_folder import Side, StateFolder, StateFolderError
from admin.supervisor import StartError
from admin.web.application import create_application
from categories.publishing import publish_starter_if_empty
from policy.log_lines import configure_logging

KEEP_ALIVE_SECONDS = 75
"""How long a connection may be idle: longer than clients keep one, so that none asks just as it is closed."""
_GRACE_SECONDS = 2


@click.command(epilog="Example: towngate admin --state /var/lib/towngate --admin 127.0.0.1:8000")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@site_options
@click.option("--socket-fd", type=int, hidden=True, help="A listening socket, from the supervisor.")
@click.option("--ready-fd", type=int, hidden=True, help="Where to say that it serves, or why not.")
@click.option("--lifeline-fd", type=int, hidden=True, help="A pipe that ends with the supervisor.")
def admin(
    *,
    state: Path,
    address: Address,
    admin_url: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    socket_fd: int | None,
    ready_fd: int | None,
    lifeline_fd: int | None,
) -> None:
    """Run the admin site alone, until SIGTERM or Ctrl-C."""
    configure_logging("admin")
    site = Site.checked(address, admin_url, tls_cert, tls_key)
    listening = _socket(address, socket_fd)
    try:
        asyncio.run(_serve(StateFolder(state.resolve()), site, listening, ready_fd, lifeline_fd))
    except (
        StateFolderError,
        SettingsError,
        KeyFileError,
        DatabaseError,
        NoPolicyError,
        StartError,
    ) as error:
        # Under a supervisor, it is the supervisor that says it.
        if ready_fd is not None:
            os.write(ready_fd, " ".join(f"{error}\n".splitlines()).encode() + b"\n")
            raise SystemExit(CommandError.exit_code) from error
        raise CommandError(str(error)) from error


def _socket(address: Address, socket_fd: int | None) -> socket.socket:
    if socket_fd is not None:
        return socket.socket(fileno=socket_fd)
    try:
        return address.listen()
    except OSError as error:
        raise CommandError(
            f"admin cannot listen on {address}: {why_not_listening(error)}; end what uses it, "
            "or choose another address with --admin"
        ) from error


async def _serve(
    state: StateFolder,
    site: Site,
    listening: socket.socket,
    ready_fd: int | None,
    lifeline_fd: int | None,
) -> None:
    await asyncio.to_thread(state.create, Side.ADMIN)
    await asyncio.to_thread(publish_starter_if_empty, state.categories)
    async with admin_process(state, site.url) as running:
        config = uvicorn.Config(
            create_application(running, site.url),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            ssl_certfile=site.tls_cert,
            ssl_keyfile=site.tls_key,
        )
        try:
            config.load()
        except OSError as error:
            # An ssl.SSLError too: PEM that is none, a key of another certificate.
            raise StartError(
                f"{site.tls_cert}, {site.tls_key}: {error.strerror or error}; the admin site's certificate "
                "and key must be PEM, belong together and be readable for its user"
            ) from error
        server = _Server(config, ready_fd)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.stop)
        if lifeline_fd is not None:
            loop.add_reader(lifeline_fd, server.stop)
        await server.serve(sockets=[listening])


class _Server(uvicorn.Server):
    """Uvicorn, except for signals: it would end the process before the database is closed."""

    def __init__(self, config: uvicorn.Config, ready_fd: int | None) -> None:
        super().__init__(config)
        self._ready_fd = ready_fd

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `stop`."""
        yield

    def stop(self) -> None:
        """End gracefully."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        ServiceManager().ready("Serving")
        if self._ready_fd is None:
            click.echo("ready")
        else:
            os.write(self._ready_fd, b"ready\n")
            os.close(self._ready_fd)
