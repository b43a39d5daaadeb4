"""Debian's squid: splices TLS, and bumps the sites it is told to under an authority of its own."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.running_town import free_ports

_START_SECONDS = 30.0
_END_SECONDS = 15.0
_USER = "proxy"
_CERTIFICATES = "/usr/lib/squid/security_file_certgen"

_CONFIGURATION = """\
http_port 127.0.0.1:{port} ssl-bump tls-cert={folder}/authority.pem {generating}
sslcrtd_program {certificates} -s {folder}/certificates -M 16MB
tls_outgoing_options cafile={trusts}
acl bumped ssl::server_name_regex {bumped}
acl hello at_step SslBump1
acl served at_step SslBump2
ssl_bump peek hello
ssl_bump stare served bumped
ssl_bump bump bumped
ssl_bump splice all
http_access allow all
cache deny all
via on
forwarded_for delete
access_log stdio:{folder}/access.log
cache_log {folder}/cache.log
pid_filename {folder}/squid.pid
coredump_dir {folder}
cache_effective_user {user}
shutdown_lifetime 1 seconds
{more}
"""


@dataclass(frozen=True, slots=True)
class RunningSquid:
    """A running squid. `ca_certificate` is what clients of bumped sites trust."""

    pid: int
    port: int
    ca_certificate: Path
    version: str


@contextmanager
def running_squid(folder: Path, *, bumped: str, trusts: Path, more: str = "") -> Iterator[RunningSquid]:
    """Run squid until the block ends.

    `bumped` is a regular expression of the names to bump, `trusts` the authorities of origin servers,
    `more` further lines of its configuration.
    """
    (port,) = free_ports(1)
    ca_certificate = _write_authority(folder)
    shutil.copyfile(trusts, folder / "trusts.pem")
    subprocess.run(
        [_CERTIFICATES, "-c", "-s", folder / "certificates", "-M", "16MB"], check=True, capture_output=True
    )
    configuration = folder / "squid.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            port=port,
            generating="generate-host-certificates=on dynamic_cert_mem_cache_size=16MB",
            folder=folder,
            certificates=_CERTIFICATES,
            trusts=folder / "trusts.pem",
            bumped=bumped,
            user=_USER,
            more=more,
        )
    )
    if os.geteuid() == 0:
        _give_to_squid(folder)
    command = ["squid", "-N", "-f", str(configuration)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(port, process, folder / "cache.log")
            yield RunningSquid(process.pid, port, ca_certificate, _version())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_END_SECONDS)


def _write_authority(folder: Path) -> Path:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Squid's authority")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "authority.pem").write_bytes(private + public)
    path = folder / "authority-certificate.pem"
    path.write_bytes(public)
    return path


def _give_to_squid(folder: Path) -> None:
    """Squid started by root becomes a user of its own, who must get at its files."""
    owner = pwd.getpwnam(_USER)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.pw_uid, owner.pw_gid)
    for above in folder.parents:
        if above.stat().st_uid == os.geteuid() and above != Path("/"):
            above.chmod(above.stat().st_mode | 0o011)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    said = log.read_text()[-2000:] if log.exists() else ""
    raise RuntimeError(f"squid did not listen in time:\n{said}")


def _version() -> str:
    said = subprocess.run(["squid", "-v"], check=True, capture_output=True, text=True).stdout
    return said.splitlines()[0].lower().replace("version ", "")
