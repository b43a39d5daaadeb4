"""Peers that filter, as Debian has them: squid with squidGuard, and e2guardian, each with one long list.

Both look every name up, in a list that has none of those asked for, and write their access logs.
"""

import os
import pwd
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.client import Target
from tests.benchmarks.listed_names import write_names
from tests.benchmarks.origin import Origin
from tests.benchmarks.proxies import NAMES, Proxy
from tests.running_town import free_ports
from tests.squid_proxy import running_squid

# A million names are read, sorted and compiled at the start.
_START_SECONDS = 300.0
_SQUIDGUARD = """\
dbhome {folder}
logdir {folder}
dest listed {{
    domainlist listed/domains
}}
acl {{
    default {{
        pass !listed all
        redirect http://127.0.0.1:9/stopped
    }}
}}
"""
_HELPERS = """\
hosts_file {folder}/hosts
url_rewrite_program /usr/bin/squidGuard -c {folder}/squidGuard.conf
url_rewrite_children 4 startup=4 idle=1
"""
_E2GUARDIAN = Path("/etc/e2guardian")


@contextmanager
def squid_with_squidguard(folder: Path, origin: Origin, listed: int) -> Iterator[Proxy]:
    """Run squid, which splices, with squidGuard as the program that it asks about every request."""
    lists = folder / "listed"
    lists.mkdir()
    about = write_names(lists / "domains", listed)
    configuration = folder / "squidGuard.conf"
    configuration.write_text(_SQUIDGUARD.format(folder=folder))
    (folder / "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in NAMES))
    command = ["squidGuard", "-c", str(configuration), "-C", "all"]
    subprocess.run(command, check=True, capture_output=True, timeout=_START_SECONDS)
    more = _HELPERS.format(folder=folder)
    with running_squid(folder, bumped="^never-", trusts=origin.ca_certificate, more=more) as running:
        yield Proxy(
            name="squidGuard",
            about=f"{running.version} as above, and squidGuard in four processes, with {about}",
            pid=running.pid,
            port=running.port,
            origin=origin,
            https=[Target(name, origin.https_port, name) for name in NAMES],
        )


@contextmanager
def e2guardian(folder: Path, origin: Origin, listed: int) -> Iterator[Proxy]:
    """Run e2guardian with Debian's configuration, which decrypts nothing, but for the list, ports and log."""
    (port,) = free_ports(1)
    settings = folder / "e2guardian"
    shutil.copytree(_E2GUARDIAN, settings)
    about = write_names(settings / "lists" / "bannedsitelist", listed)
    for path in (*settings.glob("*.conf"), *settings.glob("*.story"), *settings.rglob("*list")):
        text = path.read_text(errors="surrogateescape")
        path.write_text(text.replace(str(_E2GUARDIAN), str(settings)), errors="surrogateescape")
    user = pwd.getpwuid(os.geteuid()).pw_name
    main = settings / "e2guardian.conf"
    replaced = {"filterip": "127.0.0.1", "filterports": port, "nodaemon": "on"}
    text = main.read_text()
    for name, value in replaced.items():
        text = re.sub(rf"(?m)^{name} *=.*$", f"{name} = {value}", text)
    own = {"daemonuser": user, "daemongroup": user, "loglocation": folder / "access.log"}
    own |= {"pidfilename": folder / "pid", "ipcfilename": folder / "ipc"}
    main.write_text(text + "".join(f"{name} = '{value}'\n" for name, value in own.items()))
    command = ["e2guardian", "-N", "-c", str(main)]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait(port, process, folder / "log")
            yield Proxy(
                name="e2guardian",
                about=f"{_version()}, as Debian sets it up, with {about}",
                pid=process.pid,
                port=port,
                origin=origin,
                # By address: it asks the machine's own resolver, which knows no site of ours.
                https=[Target("127.0.0.1", origin.https_port, name) for name in NAMES],
            )
        finally:
            # Told to end, it takes half a minute; it holds nothing that anyone needs.
            process.kill()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise RuntimeError(f"e2guardian did not listen in time:\n{log.read_text()[-2000:]}")


def _version() -> str:
    said = subprocess.run(["e2guardian", "-v"], check=False, capture_output=True, text=True)
    return (said.stdout + said.stderr).strip().splitlines()[0].lower()
