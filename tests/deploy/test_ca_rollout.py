"""The roll-out pages: their templates parse, and their commands work on a real CA and workstation."""

import functools
import http.server
import json
import os
import plistlib
import re
import subprocess
import sys
import textwrap
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from proxy_addons import certificate_authority
from tests.missing_parts import require, require_root
from tests.running_town import running_town

FOLDER = Path(__file__).parents[2] / "deploy" / "ca-rollout"
PAC = FOLDER.parent / "pac" / "proxy.pac"
PAC_ADDRESS = "http://pac.town.example/proxy.pac"

# A workstation: this machine's root under an overlay that is thrown away.
WORKSTATION = r"""
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$FOLDER"
mkdir "$FOLDER/changes" "$FOLDER/work" "$FOLDER/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$FOLDER/changes,workdir=$FOLDER/work" "$FOLDER/root"
for shared in proc dev; do mount --rbind "/$shared" "$FOLDER/root/$shared"; done
exec chroot "$FOLDER/root" sh -eu
"""


def test_firefox_policy_installs_the_certificate_and_locks_the_proxy() -> None:
    policies = json.loads((FOLDER / "policies.json").read_text())["policies"]
    assert policies["Certificates"]["Install"] == ["/etc/firefox/policies/town-ca.pem"]
    assert policies["Proxy"] == {"Mode": "autoConfig", "AutoConfigURL": PAC_ADDRESS, "Locked": True}


@pytest.mark.needs("openssl", "uuidgen")
def test_the_command_in_the_macos_page_makes_a_profile_with_the_certificate(tmp_path: Path) -> None:
    certificate = certificate_authority.ensure(tmp_path, "Town of Exampleton").certificate
    (tmp_path / "towngate.mobileconfig").write_bytes((FOLDER / "towngate.mobileconfig").read_bytes())
    subprocess.run(["sh", "-eu", "-c", commands("macos.md")[0]], cwd=tmp_path, check=True)
    profile = plistlib.loads((tmp_path / "town.mobileconfig").read_bytes())
    (payload,) = profile["PayloadContent"]
    assert payload["PayloadType"] == "com.apple.security.root"
    assert x509.load_der_x509_certificate(payload["PayloadContent"]) == certificate
    assert uuid.UUID(profile["PayloadUUID"]) != uuid.UUID(payload["PayloadUUID"])


@pytest.mark.needs("openssl")
def test_the_first_page_shows_the_certificate_and_never_the_key(tmp_path: Path) -> None:
    (tmp_path / "proxy" / "ca").mkdir(parents=True)
    certificate = certificate_authority.ensure(tmp_path / "proxy" / "ca", "Town of Exampleton").certificate
    command = commands("README.md")[0].replace("/var/lib/towngate", str(tmp_path))
    done = subprocess.run(
        ["sh", "-eu", "-c", command.replace("/root/", f"{tmp_path}/out-")],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Town of Exampleton web access CA" in done.stdout
    assert done.stderr.replace(":", "").strip() == (
        "Fingerprint of the town's certificate,"
        f" SHA-256 {certificate.fingerprint(hashes.SHA256()).hex().upper()}"
    )
    assert "PRIVATE KEY" not in (tmp_path / "out-town-ca.pem").read_text()


async def test_a_debian_workstation_set_up_by_its_page_shows_block_pages_without_a_warning(
    tmp_path: Path,
) -> None:
    require("chromium", "curl", "openssl", "unshare", "update-ca-certificates")
    require_root("sets a workstation up")
    system_store, browser, *_ = commands("debian.md")
    async with running_town(tmp_path / "state", "--demo") as town:
        pac = PAC.read_text().replace("proxy.town.example:8080", town.proxy)
        with served(tmp_path / "web", "proxy.pac", pac) as pac_address:
            (tmp_path / "town-ca.pem").write_bytes(town.town_ca.read_bytes())
            browsers = (FOLDER / "chromium-policy.json").read_text()
            (tmp_path / "chromium-policy.json").write_text(browsers.replace(PAC_ADDRESS, pac_address))
            steps = f"""
                cd {tmp_path}
                {system_store}
                {browser}
                echo ==== curl
                curl --silent --proxy http://{town.proxy} https://cardroom.example/
                echo ==== chromium
                export HOME=/home-of-the-clerk
                mkdir $HOME
                chromium --headless --no-sandbox --disable-gpu --dump-dom https://cardroom.example/
            """
            shown = at_a_workstation(tmp_path / "workstation", steps)
    _, by_curl, by_chromium = re.split("==== (?:curl|chromium)\n", shown)
    assert "This site is blocked" in by_curl
    assert "This site is blocked" in by_chromium, by_chromium
    assert not Path("/etc/chromium/policies/managed/towngate.json").exists()


def commands(page: str) -> list[str]:
    """Return what a page says to type: each indented block."""
    text = (FOLDER / page).read_text()
    blocks = re.findall(r"\n\n((?: {7,}\S.*\n)+)", text)
    return [textwrap.dedent(block) for block in blocks]


def at_a_workstation(folder: Path, steps: str) -> str:
    """Run a script as root of a workstation of its own; return what it printed."""
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", WORKSTATION],
        input=textwrap.dedent(steps),
        env=environment | {"FOLDER": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def served(folder: Path, name: str, text: str) -> Iterator[str]:
    """Serve one file over HTTP; return its address."""
    folder.mkdir()
    (folder / name).write_text(text)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{name}"
        finally:
            server.shutdown()
            thread.join()
