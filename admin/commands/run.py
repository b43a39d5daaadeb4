"""`towngate run`: everything on one machine, in the foreground."""

import asyncio
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import click
from rich.console import Console

from admin import accounts, first_start
from admin.command import CommandError
from admin.commands.address import AddressType
from admin.commands.site_options import Site, is_loopback, site_options
from admin.commands.worker_options import worker_options
from admin.database import DatabaseError
from admin.demo_web import demo_web, listening
from admin.first_policy import first_policy
from admin.handover import Handover, taken
from admin.key_file import KeyFileError
from admin.listening import Address
from admin.state_folder import StateFolder, StateFolderError
from admin.supervisor import Parts, StartError, Supervisor
from admin.worker_figures import folder_in_memory
from categories.taxonomy import taxonomy
from policy.document import load_document
from policy.log_lines import configure_logging
from policy.problem import PolicyError

_console = Console(highlight=False, soft_wrap=True)


@click.command(epilog="Example: towngate run --state /var/lib/towngate --proxy 10.0.0.5:8080 --workers 4")
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@click.option("--proxy", type=AddressType(), default="127.0.0.1:8080", show_default=True, help="Proxy.")
@site_options
@click.option(
    "--metrics", type=AddressType(), default="127.0.0.1:9464", show_default=True, help="For Prometheus."
)
@worker_options
@click.option("--demo", is_flag=True, help="A made-up town with a little web of its own, on loopback.")
@click.option("--town-name", help="First start: the town's name.")
@click.option("--timezone", help="First start: its time zone, like America/New_York.")
@click.option("--network", "networks", multiple=True, help="First start: a network of workstations (CIDR).")
@click.option("--administrator", help="First start: the id of the first administrator, like jdoe.")
@click.option("--password-file", type=Path, help="First start: a file with the administrator's password.")
def run(
    *,
    state: Path,
    proxy: Address,
    address: Address,
    admin_url: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    metrics: Address,
    workers: int,
    hosts: Path | None,
    connections: int | None,
    has_lane: bool,
    worker_memory: int,
    drain_seconds: int,
    demo: bool,
    town_name: str | None,
    timezone: str | None,
    networks: tuple[str, ...],
    administrator: str | None,
    password_file: Path | None,
) -> None:
    """Run the proxy, the admin site and the metrics listener until SIGTERM or Ctrl-C.

    A first start without --demo asks for the town's name, networks and first administrator, and
    writes a commented policy.yaml into the state folder.
    """
    configure_logging("supervisor")
    folder = StateFolder(state.resolve())
    site = Site.checked(address, admin_url, tls_cert, tls_key)
    parts = Parts(
        folder,
        proxy,
        metrics,
        address,
        workers,
        worker_memory << 20,
        drain_seconds,
        hosts,
        site.arguments(),
        has_lane,
        connections,
        folder_in_memory(folder),
    )
    handover = taken()
    try:
        if demo:
            asyncio.run(_run_demo(parts, site.url, handover))
            return
        if handover is None and not folder.policy_document.exists():
            document, first_password = _asked(town_name, timezone, networks, administrator, password_file)
            asyncio.run(
                first_start.first_start(folder, document, first_password, first_start.first_settings())
            )
        elif handover is None:
            first_start.make_ready(folder)
        asyncio.run(Supervisor(parts, handover).run(lambda: _announce_town(parts, site.url)))
    except (StateFolderError, KeyFileError, DatabaseError, StartError) as error:
        raise CommandError(str(error)) from error


async def _run_demo(parts: Parts, url: str, handover: Handover | None) -> None:
    passwords = await first_start.start_demo(parts.state)
    web_folder = parts.state.root / "demo-web"
    web_folder.mkdir(exist_ok=True)
    sockets = listening(handover.sockets if handover else {})
    async with demo_web(web_folder, sockets=sockets) as web:
        hosts_file = web.hosts_file(web_folder / "hosts")
        # Else a rule that has the demo's sites decrypted would find nobody to trust there.
        if not parts.state.extra_roots.exists():
            shutil.copyfile(web.ca_certificate, parts.state.extra_roots)

        def on_ready() -> None:
            _announce_demo(parts, passwords, web.ca_certificate)
            _announce(parts, url)

        parts = replace(parts, hosts_file=parts.hosts_file or hosts_file)
        await Supervisor(parts, handover, sockets, web.settle).run(on_ready)


def _asked(
    town_name: str | None,
    timezone: str | None,
    networks: tuple[str, ...],
    administrator: str | None,
    password_file: Path | None,
) -> tuple[str, dict[str, str]]:
    """Return a first policy document and the administrator's password, asking for what is missing."""
    said = town_name and timezone and networks and administrator and password_file
    if not said and not sys.stdin.isatty():
        raise CommandError(
            "a first start needs --town-name, --timezone, --network, --administrator and "
            "--password-file, or a terminal to ask them at; to look around first, add --demo"
        )
    town_name = town_name or click.prompt("The town's name")
    timezone = timezone or click.prompt("Its time zone", default="America/New_York")
    if not networks:
        networks = tuple(click.prompt("Networks of its workstations (CIDR, by comma)").split(","))
    administrator = administrator or click.prompt("Sign-in name of the first administrator, like jdoe")
    try:
        password = password_file.read_text().strip() if password_file else None
    except OSError as error:
        raise CommandError(f"{password_file}: {error.strerror}; it holds the first password") from error
    password = password or click.prompt("Their password", hide_input=True, confirmation_prompt=True)
    if not accounts.MIN_LENGTH <= len(password) <= accounts.MAX_LENGTH:
        raise CommandError(f"a password has {accounts.MIN_LENGTH} to {accounts.MAX_LENGTH} characters")
    document = first_policy(town_name, timezone, [n.strip() for n in networks], administrator, administrator)
    try:
        load_document(document, taxonomy())
    except PolicyError as error:
        raise CommandError(f"no policy can be written from these answers: {error}") from error
    return document, {administrator: password}


def _announce(parts: Parts, url: str) -> None:
    _console.print(f"proxy    {parts.proxy}  ({parts.workers} workers)")
    _console.print(f"admin    {url}")
    is_for_all = parts.proxy is not None and not is_loopback(parts.proxy.host)
    if is_for_all and is_loopback(urlsplit(url).hostname):
        _console.print("         only this machine reaches it, so no workstation can ask; see --admin-url")
    _console.print(f"metrics  http://{parts.metrics}/metrics")
    _console.print(f"state    {parts.state.root}")
    _console.print("ready")
    sys.stdout.flush()


def _announce_town(parts: Parts, url: str) -> None:
    _console.print(
        f"policy   {parts.state.policy_document}  (in force as soon as it is saved and without problems)"
    )
    _console.print(f"roll out {parts.state.ca / 'town-ca.pem'}  (workstations trust pages under it)")
    _announce(parts, url)


def _announce_demo(parts: Parts, passwords: dict[str, str], web_ca: Path) -> None:
    _console.print("The demo town of Exampleton. This machine is the workstation of the clerk in Finance.")
    _console.print("Who can sign in to the admin site:")
    for person, password in passwords.items():
        _console.print(f"  {person:<17} {password}")
    proxy = f"curl --proxy http://{parts.proxy}"
    _console.print("Three lines to try, in another terminal:")
    _console.print(f"  {proxy} --cacert {_shown(web_ca)} https://library.example/")
    _console.print(f"  {proxy} --cacert {_shown(parts.state.ca / 'town-ca.pem')} https://cardroom.example/")
    _console.print("  .venv/bin/towngate explain https://cardroom.example/ --as clerk")
    _console.print()


def _shown(path: Path) -> Path:
    """Return a path as it is best typed: from here, if it is below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
