"""From one CA to the next: both are trusted meanwhile, and workers go over without a restart."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from proxy_addons import certificate_authority
from proxy_addons.authority_watch import AuthorityWatch
from proxy_addons.certificate_authority import CertificateAuthorityError
from proxy_addons.certificate_rotation import back, prepare, status, switch
from proxy_addons.origin_certificate import public_key
from tests.proxied_town import TOWN, ProxiedTown, eventually, served_web
from tests.published_town import PublishedTown
from tests.running_proxy import running_worker
from tests.tls.certificates import DAY, NOW, authority

KEYS = ("mitmproxy-ca.pem", "next-ca.pem", "previous-ca.pem")


def this_month() -> str:
    """Return the month that a CA is dated with, made now: it may be another one than when the run began."""
    return f"{datetime.now(UTC):%Y-%m}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a town that has its first CA."""
    folder = tmp_path / "proxy" / "ca"
    folder.mkdir(parents=True)
    certificate_authority.ensure(folder, "Town of Exampleton")
    return folder


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedTown]:
    folder = tmp_path_factory.mktemp("town")
    published = PublishedTown(folder / "state", document=TOWN)
    with (
        served_web(folder) as web,
        running_worker(published.state.root, web.hosts_file(folder / "hosts")) as proxy,
    ):
        yield ProxiedTown(web, published, proxy)


def towngate_ca(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("towngate"), "ca", *arguments, "--state", state]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def subject(path: Path) -> str:
    return x509.load_pem_x509_certificate(path.read_bytes()).subject.rfc4514_string()


def test_workstations_that_trust_both_see_no_warning_on_the_way_to_the_next_and_back(
    town: ProxiedTown, tmp_path: Path
) -> None:
    state = town.published.state.root
    both, first_alone = tmp_path / "both.pem", tmp_path / "first.pem"
    shutil.copyfile(town.published.state.ca / "town-ca.pem", first_alone)
    first = "Town of Exampleton web access CA"

    month = this_month()
    assert towngate_ca(state, "rotate").returncode == 0
    exported = towngate_ca(state, "export")
    both.write_text(exported.stdout)
    assert len(x509.load_pem_x509_certificates(both.read_bytes())) == 2
    assert [line.partition(",")[0] for line in exported.stderr.splitlines()] == [
        "Fingerprint of the town's certificate",
        "Fingerprint of the next certificate",
    ]
    client = town.client.trusting(both)
    assert client.get("https://cardroom.example/").issuer == first

    assert "in force" in towngate_ca(state, "rotate", "--switch").stdout
    eventually(lambda: client.get("https://cardroom.example/").issuer == f"{first} {month}")
    assert towngate_ca(state, "export").stdout.count("BEGIN") == 1
    with pytest.raises(OSError, match="certificate verify failed"):
        town.client.trusting(first_alone).get("https://cardroom.example/")

    assert towngate_ca(state, "rotate", "--back").returncode == 0
    eventually(lambda: client.get("https://cardroom.example/").issuer == first)
    assert "Traceback" not in town.proxy.logged()


def test_status_says_which_is_in_force_and_when_each_ends(folder: Path) -> None:
    month = this_month()
    prepare(folder)
    said = towngate_ca(folder.parents[1], "status")

    present, following = said.stdout.splitlines()
    ends = certificate_authority.read(folder / "next-ca.pem").ends_at
    certificate = certificate_authority.read(folder / "mitmproxy-ca.pem").certificate
    assert present.startswith("in force  Town of Exampleton web access CA  ends 20")
    assert present.endswith(f"SHA-256 {certificate.fingerprint(hashes.SHA256()).hex(':').upper()}")
    assert following.startswith(f"next      Town of Exampleton web access CA {month}  ends {ends:%Y-%m-%d}")
    assert said.returncode == 0

    switch(folder)
    assert [found.standing for found in status(folder)] == ["in force", "before"]
    as_json = towngate_ca(folder.parents[1], "status", "--json").stdout.splitlines()[0]
    assert json.loads(as_json)["ends_at"] == ends.isoformat()


def test_status_warns_of_an_end_within_thirty_days(folder: Path) -> None:
    authority("Town CA", ends_at=NOW + 29 * DAY).write(folder / "mitmproxy-ca.pem")

    said = towngate_ca(folder.parents[1], "status")

    assert said.returncode == 1
    assert "It ends soon: run towngate ca rotate" in said.stdout


def test_keys_are_their_owners_alone_and_next_ones_are_dated_once(folder: Path) -> None:
    for _ in range(2):
        prepare(folder)
        switch(folder)
    month = this_month()
    prepare(folder)

    for name in KEYS:
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert subject(folder / "town-ca-next.pem") == f"CN=Town of Exampleton web access CA {month}"
    assert b"PRIVATE" not in (folder / "town-ca-next.pem").read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_is_the_proxys(folder: Path) -> None:
    shutil.chown(folder, 12345, 12345)

    prepare(folder)
    switch(folder)

    for name in ("mitmproxy-ca.pem", "previous-ca.pem", "town-ca.pem"):
        assert (folder / name).stat().st_uid == 12345, name


def test_next_one_is_signed_by_itself_and_not_by_the_present(folder: Path) -> None:
    prepare(folder)

    made = certificate_authority.read(folder / "next-ca.pem").certificate
    made.verify_directly_issued_by(made)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("prepare", "next-ca.pem: there already; roll it out, then switch to it"),
        ("back", "previous-ca.pem: there is none"),
    ],
)
def test_step_that_makes_no_sense_changes_nothing(action: str, message: str, folder: Path) -> None:
    prepare(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    with pytest.raises(CertificateAuthorityError, match=message):
        {"prepare": prepare, "back": back}[action](folder)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_one_that_cannot_be_used_is_never_switched_to(folder: Path) -> None:
    authority("Old", ends_at=NOW - DAY).write(folder / "next-ca.pem")

    with pytest.raises(CertificateAuthorityError, match=r"next-ca\.pem: the town's CA expired on"):
        switch(folder)

    assert subject(folder / "town-ca.pem") == "CN=Town of Exampleton web access CA"
    assert not (folder / "previous-ca.pem").exists()


def test_switch_that_was_cut_off_is_finished_by_the_next_one(folder: Path) -> None:
    prepare(folder)
    present = (folder / "mitmproxy-ca.pem").read_bytes()
    (folder / "previous-ca.pem").write_bytes(present)

    switch(folder)

    assert (folder / "previous-ca.pem").read_bytes() == present


def test_next_intermediate_is_left_to_the_towns_own_ca(folder: Path) -> None:
    authority("Web access", authority("Town root")).write(folder / "mitmproxy-ca.pem")

    with pytest.raises(CertificateAuthorityError, match="an intermediate, which the town's own CA signs"):
        prepare(folder)


def test_none_of_the_towns_cas_vouches_for_what_is_outside(folder: Path) -> None:
    watch = AuthorityWatch(folder, "Town")
    mint = watch.mint
    prepare(folder)
    watch.look()
    keys = {public_key(certificate_authority.read(folder / name).certificate) for name in KEYS[:2]}
    assert watch.own_keys == keys
    assert watch.mint is mint

    switch(folder)
    watch.look()
    assert watch.own_keys == keys
    assert watch.mint is not mint


def test_export_in_der_of_one_that_is_named(folder: Path) -> None:
    state = folder.parents[1]
    assert towngate_ca(state, "export", "--only", "next").returncode == 2
    prepare(folder)

    refused = towngate_ca(state, "export", "--format", "der")
    assert refused.returncode == 2
    assert "say --only present or --only next" in refused.stderr
    pem = towngate_ca(state, "export", "--only", "next").stdout
    made = certificate_authority.read(folder / "next-ca.pem").certificate
    assert pem.encode() == made.public_bytes(Encoding.PEM)
